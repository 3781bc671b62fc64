#include "slots.hpp"

#include <array>
#include <charconv>

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

namespace {

constexpr auto kCrcTable = [] {
  std::array<std::uint16_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1;
    table[i] = static_cast<std::uint16_t>(crc);
  }
  return table;
}();

}  // namespace

std::uint16_t crc16(std::string_view text) noexcept {
  std::uint16_t crc = 0;
  for (const char c : text)
    crc = static_cast<std::uint16_t>((crc << 8) ^ kCrcTable[((crc >> 8) ^ static_cast<unsigned char>(c)) & 0xff]);
  return crc;
}

Slot slot_of(std::string_view key) noexcept {
  const std::size_t open = key.find('{');
  if (open != key.npos) {
    const std::size_t close = key.find('}', open + 1);
    if (close != key.npos && close > open + 1) key = key.substr(open + 1, close - open - 1);
  }
  return crc16(key) % kSlots;
}

// The marks are numbers in base 36: for each group the first one that falls into it, which has three digits at most.
const Group& group(std::size_t number) {
  static const auto* const all = [] {
    auto* const groups = new std::array<Group, kGroups>;
    std::size_t left = kGroups;
    for (std::uint32_t i = 0; left > 0; ++i) {
      Group one;
      one.mark[0] = '{';
      char* const end = std::to_chars(one.mark + 1, one.mark + sizeof one.mark - 1, i, 36).ptr;
      *end = '}';
      one.mark_size = static_cast<std::uint8_t>(end + 1 - one.mark);
      one.slot = slot_of(one.text());
      Group& place = (*groups)[one.slot / (kSlots / kGroups)];
      if (place.mark_size != 0) continue;
      place = one;
      --left;
    }
    return groups;
  }();
  return (*all)[number];
}

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
