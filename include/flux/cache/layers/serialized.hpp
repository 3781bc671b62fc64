// flux/cache/layers/serialized.hpp - the border: live objects above, bytes below.
//
// The only place where one becomes the other. Place: directly above a store whose traits say that it keeps no objects,
// and below everything that wants to see values. The manager sets it; users never need to. Thread-safe.
#pragma once
#include <flux/cache/decorator.hpp>
#include <flux/cache/frame.hpp>

namespace flux::cache {
inline namespace v1 {

/// Objects and text become framed bytes on the way down; integers pass, so that a server can count them. On the way up
/// each frame is decoded as it says itself, into the type that the reader wants. What does not check out is removed and
/// answers Errc::corrupt; another type answers wrong_type, a changed struct schema; neither is removed.
FLUX_CACHE_API StorePtr make_serialized(StorePtr inner, const FrameOptions& options = {});

}  // namespace v1
}  // namespace flux::cache
