// flux/cache/stores/null.hpp - keeps nothing: every read is a miss, every write answers false, every lock is granted.
#pragma once
#include <flux/cache/store.hpp>

namespace flux::cache {
inline namespace v1 {

class Fields;

/// Nothing to say.
struct NullConfig {};

FLUX_CACHE_API void describe(Fields& fields, NullConfig& config);

/// A store for switching caching off without touching the program: loads compute each time. Locks are granted to
/// everybody and limits never bite, since a program that runs without a cache must still run; they exclude nobody.
FLUX_CACHE_API StorePtr make_null();

}  // namespace v1
}  // namespace flux::cache
