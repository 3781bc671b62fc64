// The bytes of an item: a head with the parts that are there, then what has no fixed size, the value's text last.
//
// Little endian. All sums are under the wire key, so bytes that a neighbour, a network or a server put under another
// key never check out.
//   0    magic 0xfc, format 1, kind, a bit for each part
//   4    sum of all that follows (8)
//   12   version (8)
//        generation (8), fresh_until (8), keep_until (8), number (8), each where its bit is set
//        the sizes of key (4), tags (4, and their count, 2), notes (4), where their bit is set
//        key, tags, notes, text
#pragma once
#include <flux/cache/entry.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace detail::memcached {

/// Never comes.
inline constexpr std::int64_t kForever = INT64_MAX;

/// An item, borrowed from its bytes.
struct Record {
  std::uint64_t version = 0;
  std::uint64_t generation = 0;         ///< of the flush that came before; 0: none, as outside `Space::values`
  std::int64_t fresh_until = kForever;  ///< wall time in microseconds
  std::int64_t keep_until = kForever;
  std::int64_t number = 0;
  Kind kind = Kind::none;
  std::uint16_t tag_count = 0;
  bool is_document = false;  ///< all of the item is the value, and nothing was decoded
  std::string_view key{};    ///< where the wire key is a digest
  std::string_view tags{};
  std::string_view notes{};
  std::string_view text{};
};

/// Is it a record, whole or damaged? No document of JSON or MessagePack that is as long begins so.
inline bool begins_record(std::string_view item) noexcept { return item.size() >= 12 && item.starts_with("\xfc\x01"); }

/// The most bytes that stand before key, tags, notes and text.
inline constexpr std::size_t kMostHeadBytes = 66;

/// Appends all but the text, which follows on the wire as it stands, and returns what it appended.
std::string_view encode_head(const Record& record, std::string_view wire_key, std::string& to);
/// False: not one of ours, or damaged.
bool decode_record(std::string_view from, std::string_view wire_key, Record& record) noexcept;

/// What a tag takes beside its name.
inline constexpr std::size_t kTagBytes = 12;

/// Appends the tags as they stand in a record.
void encode_tags(std::span<const TagStamp> tags, std::string& to);
/// False: the bytes are not `count` tags.
bool decode_tags(std::string_view from, std::size_t count, std::vector<TagStamp>& tags);

}  // namespace detail::memcached
}  // namespace v1
}  // namespace flux::cache
