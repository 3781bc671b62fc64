// What composites put around their parts and themselves.
#pragma once
#include <flux/cache/layers/breaker.hpp>
#include <flux/cache/layers/deadline.hpp>
#include <flux/cache/layers/recovering.hpp>

#include "composite_store.hpp"

namespace flux::cache {
inline namespace v1 {
namespace composite {

/// A part that is down costs some timeouts, then next to nothing but one call each `pause`. Memory of this process is
/// never down.
inline StorePtr behind_breaker(StorePtr part, Duration pause) {
  if (part == nullptr || Part(part).is_private()) return part;
  return make_breaker(std::move(part), {.timeout = pause, .back_off = 1});
}

}  // namespace composite
}  // namespace v1
}  // namespace flux::cache
