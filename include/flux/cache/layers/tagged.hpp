// flux/cache/layers/tagged.hpp - tags on any store, at a cost that does not grow with the number of entries.
//
// Each tag has a small record in `Space::tags`: a random epoch, and a short list of intersection rules. An entry
// carries the epochs that its tags had before its value was computed; it is alive as long as they are still the same. A
// flush changes one record per tag. docs/design/tags.md argues why this is right. Place: above the border. Thread-safe.
#pragma once
#include <flux/cache/decorator.hpp>

namespace flux::cache {
inline namespace v1 {

/// Limits of the tag layer.
struct TaggedOptions {
  /// Intersection rules that one tag's record keeps; when they are more, the tag is flushed as a whole: too much goes,
  /// never too little. 1 to 1,000.
  std::size_t max_rules = 16;
  const Clock* clock = nullptr;  ///< whose time the records go by; null: the machine's
};

/// A read of an entry without tags costs nothing more; of one with tags, one more read of all its tags' records.
FLUX_CACHE_API StorePtr make_tagged(StorePtr inner, const TaggedOptions& options = {});

}  // namespace v1
}  // namespace flux::cache
