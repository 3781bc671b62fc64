// flux/cache/layers/owing.hpp - what an outage kept from being removed is removed before anything is read after it.
//
// Place: outermost, over a store that may be out of reach. A forget, a put or a flush that the store did not take, or
// may not have taken, answers its error as ever, and is remembered: of a put, that the older value has to go. The next
// call does what is owed before anything else, whatever its key; as long as the store is away, that call is the one
// that fails. Where the store answers and takes no writes, or one of its servers is away (`Traits::spread`), what is
// not owed is read all the same. So nothing is served after an outage that was ended during it, by this process: others
// may see it until then.
//
// Values alone: locks, limits and the records of tags are not touched, for somebody else may have them by now. What is
// owed is forgotten with the process. A value that somebody else puts between the outage and the payment goes with the
// older one: a miss is always right.
//
// Thread-safe. Cost while nothing is owed: one atomic load.
#pragma once
#include <flux/cache/decorator.hpp>

#include <cstddef>

namespace flux::cache {
inline namespace v1 {

struct OwingOptions {
  /// Keys that are remembered at the most; when there are more, all values go. 1 or more.
  std::size_t max_keys = 10'000;
};

FLUX_CACHE_API StorePtr make_owing(StorePtr inner, const OwingOptions& options = {});

}  // namespace v1
}  // namespace flux::cache
