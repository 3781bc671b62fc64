// flux/cache/layers/breaker.hpp - stop asking a store that is down.
//
// Place: below the border, directly above the store. Thread-safe. Only transient errors count; a miss is a success.
#pragma once
#include <flux/cache/circuit_breaker.hpp>
#include <flux/cache/decorator.hpp>

namespace flux::cache {
inline namespace v1 {

/// Fails fast while open: with Errc::unavailable where that is how the store failed last, else Errc::rejected.
FLUX_CACHE_API StorePtr make_breaker(StorePtr inner, const BreakerOptions& options = {});

}  // namespace v1
}  // namespace flux::cache
