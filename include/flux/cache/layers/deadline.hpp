// flux/cache/layers/deadline.hpp - no call takes longer than this, whatever the store below does.
//
// Place: over a composite, whose parts may each take their own time. A call runs on the executor while its caller
// waits; past the limit the caller goes with Errc::timeout, and the call ends behind, heard by nobody. What it borrows
// is copied. Thread-safe. Costs two thread switches for each call, some ten microseconds; `scan` and `prune` go
// straight down.
#pragma once
#include <flux/cache/decorator.hpp>

namespace flux::cache {
inline namespace v1 {

/// The store itself where the limit is 0.
FLUX_CACHE_API StorePtr with_deadline(StorePtr inner, Duration limit);

}  // namespace v1
}  // namespace flux::cache
