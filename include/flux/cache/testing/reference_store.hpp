// flux/cache/testing/reference_store.hpp - the contract in its plainest form: one mutex, one std::map, no bound.
//
// Not for use, but to compare with: model tests run random operations on a store and on this one and want equal
// answers. Its traits say what it was made for; batches are atomic; tags are kept on entries, and flushed by the layer
// above.
#pragma once
#include <flux/cache/store.hpp>

namespace flux::cache {
inline namespace v1 {
namespace testing {

struct ReferenceConfig {
  const Clock* clock = nullptr;  ///< null: the machine's
  bool objects = true;           ///< keeps live objects; otherwise integers, text and bytes alone
};

/// A store of its own, empty. Every function costs one lock and the copy of an entry; `flush` walks over what it drops.
FLUX_CACHE_API StorePtr make_reference(const ReferenceConfig& config = {});

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
