// When an entry was put, written behind its notes: what makes an operation that waited tell an older entry from a
// newer.
#pragma once
#include <flux/cache/entry.hpp>

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace flux::cache {
inline namespace v1 {

/// The time of a put, behind an entry's notes: a mark, then eight bytes of wall time in microseconds, little endian.
inline constexpr std::string_view kStampMark{"\xf1w\x01\xfe", 4};
inline constexpr std::size_t kStampSize = 12;

inline std::string stamped(std::string_view notes, std::int64_t wall) {
  std::string out(notes);
  out += kStampMark;
  for (int byte = 0; byte < 8; ++byte) out += static_cast<char>(wall >> (8 * byte) & 0xff);
  return out;
}

inline bool has_stamp(std::string_view notes) noexcept {
  return notes.size() >= kStampSize &&
         std::memcmp(notes.data() + notes.size() - kStampSize, kStampMark.data(), kStampMark.size()) == 0;
}

inline std::optional<std::int64_t> stamp_of(std::string_view notes) {
  if (!has_stamp(notes)) return std::nullopt;
  const std::string_view stamp = notes.substr(notes.size() - kStampSize);
  std::uint64_t wall = 0;
  for (std::size_t at = kStampSize; at > kStampMark.size(); --at)
    wall = wall << 8 | static_cast<unsigned char>(stamp[at - 1]);
  return static_cast<std::int64_t>(wall);
}

/// A number is left plain, so that its store can count it; a placeholder is nobody's value.
inline bool takes_a_stamp(const Entry& entry) {
  return entry.value.kind == Kind::text || entry.value.kind == Kind::object || entry.value.kind == Kind::bytes;
}

inline Entry without_stamp(const Entry& entry) {
  Entry bare = entry;
  if (has_stamp(entry.notes)) bare.notes.remove_suffix(kStampSize);
  return bare;
}

}  // namespace v1
}  // namespace flux::cache
