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

struct Word {
  std::array<char, 7> text{};
  std::uint8_t size = 0;
};

/// Numbers in base 36, the first for each slot: none takes more than four digits.
using Words = std::array<Word, kSlots>;

}  // namespace

std::uint16_t crc16(std::string_view text, std::uint16_t crc) noexcept {
  for (const char c : text)
    crc = static_cast<std::uint16_t>((crc << 8) ^ kCrcTable[((crc >> 8) ^ static_cast<unsigned char>(c)) & 0xff]);
  return crc;
}

Slot slot_of(std::uint16_t before, std::string_view text) noexcept {
  const std::size_t open = text.find('{');
  if (open != text.npos) {
    const std::size_t close = text.find('}', open + 1);
    if (close != text.npos && close > open + 1) return crc16(text.substr(open + 1, close - open - 1)) % kSlots;
  }
  return crc16(text, before) % kSlots;
}

std::string_view word_of_slot(Slot slot) {
  static const Words* const all = [] {
    auto* const words = new Words;
    std::size_t left = kSlots;
    for (std::uint32_t number = 0; left > 0; ++number) {
      Word word;
      const auto end = std::to_chars(word.text.data(), word.text.data() + word.text.size(), number, 36).ptr;
      word.size = static_cast<std::uint8_t>(end - word.text.data());
      Word& place = (*words)[crc16({word.text.data(), word.size}) % kSlots];
      if (place.size != 0) continue;
      place = word;
      --left;
    }
    return words;
  }();
  const Word& word = (*all)[slot];
  return {word.text.data(), word.size};
}

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
