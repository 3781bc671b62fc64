// An entry as the server keeps it: a head of 48 bytes, tags and notes, the value. docs/formats/redis_record.md.
#pragma once
#include <flux/cache/store.hpp>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

constexpr std::size_t kHeadBytes = 48;
constexpr std::int64_t kForever = std::numeric_limits<std::int64_t>::max();

struct Head {
  Kind kind = Kind::none;
  std::uint32_t meta_bytes = 0;  ///< of tags and notes
  std::uint64_t version = 0;
  std::uint64_t generation = 0;
  std::int64_t fresh_until = 0;  ///< microseconds since 1970; kForever
  std::int64_t keep_until = 0;
  std::uint16_t tag_count = 0;
  std::uint32_t check = 0;  ///< of the key: an answer to another question does not pass
};

/// Where in a head the parts begin that change alone.
constexpr std::size_t kVersionAt = 8, kGenerationAt = 16, kFreshAt = 24;

/// A record taken apart. Views into what was read.
struct Record {
  Head head;
  std::vector<TagStamp> tags;
  std::string_view notes;
  std::string_view text;
  std::int64_t number = 0;
};

/// Of a head and, where the value is a number, the number.
constexpr std::size_t short_bytes(Kind kind) noexcept {
  return kHeadBytes + (kind == Kind::integer || kind == Kind::unsigned_integer ? 8 : 0);
}
/// Writes those, of an entry with `meta` bytes of tags and notes; where they end.
char* encode_short(const Head& head, const ValueView& value, std::size_t meta, char* to) noexcept;
/// Appends the head, tags, notes and, where the value is a number, the number: all but text.
void encode(const Head& head, const Entry& entry, std::string& out);
enum class Decoded : std::uint8_t {
  whole,
  broken,          ///< these bytes are no record
  of_another_key,  ///< they are one, but the key has another check
};
/// False: these bytes begin no record.
bool decode_head(std::string_view bytes, Head& head);
Decoded decode(std::string_view bytes, std::uint32_t check, Record& out);

/// Eight bytes, little endian.
std::string bytes_of(std::uint64_t number);

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
