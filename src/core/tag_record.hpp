// The record of one tag: an epoch, and the intersections that were flushed since it began.
//
// An epoch is 64 bits: 48 random ones, and below them a count of the rules made so far. An entry stamped with (random,
// count) is alive while the random part is the same and no rule made after its stamp names tags that it also carries.
// Validity is equality, so no clock matters, and a record that was lost and begun anew can only cause misses.
//
// Stored as text: the epoch (8 bytes, little endian), then for each rule its count (2), the number of its other tags
// (1), and for each of them length (2) and bytes.
#pragma once
#include <flux/cache/entry.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace detail {

struct TagRecord {
  static constexpr std::uint64_t kCountMask = 0xffff;

  struct Rule {
    std::uint16_t made;               ///< the record's count after this rule
    std::vector<std::string> others;  ///< what an entry must carry besides this tag to be hit
  };

  std::uint64_t epoch = 0;
  std::vector<Rule> rules;

  static TagRecord begin(std::uint64_t random) {
    TagRecord record;
    record.epoch = (random | (std::uint64_t{1} << 63)) & ~kCountMask;
    return record;
  }

  /// Is an entry that carries `tags`, this one stamped as `stamp`, untouched by this record?
  bool spares(std::uint64_t stamp, std::span<const TagStamp> tags) const;
  /// Flushes what carries this tag and all of `others`: by a rule, or, where there are `max_rules` already or it has no
  /// place here, by a new epoch made of `random`, which flushes all of this tag: too much, never too little.
  void flush(std::vector<std::string> others, std::size_t max_rules, std::uint64_t random);

  std::string encode() const;
  /// False where the bytes are no record.
  static bool decode(std::string_view bytes, TagRecord& out);
};

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
