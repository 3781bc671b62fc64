// The bytes of an entry's file: a head of fixed size, the key, and one or two places for what was written under it.
// docs/formats/file_record.md shows them one by one.
#pragma once
#include <flux/cache/entry.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace detail::file_store {

inline constexpr std::size_t kHeadBytes = 104;
/// One system call reads no more than 2 GiB.
inline constexpr std::uint64_t kLargestValue = std::uint64_t{1} << 30;
inline constexpr std::size_t kLongestKey = std::size_t{1} << 24;

/// Says where the living record lies and all that has a fixed size. Rewritten in one piece, within one page.
struct Head {
  std::uint64_t version = 0;
  std::int64_t fresh_until = 0;  ///< wall time in microseconds; INT64_MAX: never
  std::int64_t keep_until = 0;
  std::int64_t number = 0;  ///< integers live here
  Kind kind = Kind::none;
  std::uint16_t tag_count = 0;
  std::uint32_t key_bytes = 0;
  std::uint64_t offset = 0;  ///< of the record: tags, notes, text, without a gap
  std::uint64_t text_bytes = 0;
  std::uint32_t tag_bytes = 0;
  std::uint32_t note_bytes = 0;
  std::uint64_t meta_sum = 0;  ///< of tags and notes
  std::uint64_t text_sum = 0;
  std::uint64_t key_sum = 0;

  std::uint64_t meta_bytes() const noexcept { return std::uint64_t{tag_bytes} + note_bytes; }
  std::uint64_t record_bytes() const noexcept { return meta_bytes() + text_bytes; }
  std::uint64_t key_end() const noexcept { return kHeadBytes + std::uint64_t{key_bytes}; }
};

enum class HeadState {
  good,
  empty,   ///< nothing was ever written, or what was there is given up
  broken,  ///< does not check out: torn by a writer in this moment, or damaged
};

void encode_head(const Head& head, char (&to)[kHeadBytes]) noexcept;
HeadState decode_head(const char* from, std::size_t size, Head& head) noexcept;

std::uint64_t checksum(std::string_view bytes) noexcept;

/// Appends the tags as they stand in a record.
void encode_tags(std::span<const TagStamp> tags, std::string& to);
/// False: the bytes are not `count` tags.
bool decode_tags(std::string_view from, std::size_t count, std::vector<TagStamp>& tags);

}  // namespace detail::file_store
}  // namespace v1
}  // namespace flux::cache
