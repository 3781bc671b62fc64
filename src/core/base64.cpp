// core/base64.cpp - base64, canonical.
#include <flux/cache/detail/base64.hpp>

#include <array>
#include <cstdint>

namespace flux::cache {
inline namespace v1 {
namespace detail {

namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<std::uint8_t, 256> kValues = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(0xff);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}();

constexpr std::uint32_t byte_at(std::string_view bytes, std::size_t i) { return static_cast<unsigned char>(bytes[i]); }

}  // namespace

void append_base64(std::string& to, std::string_view bytes) {
  std::size_t at = to.size();
  to.resize(at + (bytes.size() + 2) / 3 * 4);
  const auto put = [&](std::uint32_t word, int letters) {
    for (int i = 0; i < 4; ++i) to[at++] = i < letters ? kAlphabet[word >> (18 - 6 * i) & 63] : '=';
  };
  std::size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3) {
    put(byte_at(bytes, i) << 16 | byte_at(bytes, i + 1) << 8 | byte_at(bytes, i + 2), 4);
  }
  if (bytes.size() - i == 1) put(byte_at(bytes, i) << 16, 2);
  if (bytes.size() - i == 2) put(byte_at(bytes, i) << 16 | byte_at(bytes, i + 1) << 8, 3);
}

bool decode_base64(std::string_view text, std::string& to) {
  to.clear();
  if (text.size() % 4 != 0) return false;
  to.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    const bool last = i + 4 == text.size();
    const int letters = last && text[i + 3] == '=' ? (text[i + 2] == '=' ? 2 : 3) : 4;
    std::uint32_t word = 0;
    for (int k = 0; k < 4; ++k) {
      const std::uint8_t value =
          k < letters ? kValues[static_cast<unsigned char>(text[i + static_cast<std::size_t>(k)])] : 0;
      if (value == 0xff) return false;
      word = word << 6 | value;
    }
    if ((letters == 2 && (word & 0xffff) != 0) || (letters == 3 && (word & 0xff) != 0)) return false;
    to.push_back(static_cast<char>(word >> 16));
    if (letters > 2) to.push_back(static_cast<char>(word >> 8));
    if (letters > 3) to.push_back(static_cast<char>(word));
  }
  return true;
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
