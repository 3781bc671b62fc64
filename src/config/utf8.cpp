#include "config/utf8.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail {

std::size_t utf8_length(const char* at, const char* end) noexcept {
  const auto byte = [&](std::ptrdiff_t i) { return static_cast<unsigned char>(at[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || static_cast<std::size_t>(end - at) < length) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(static_cast<std::ptrdiff_t>(i)) & 0xc0) != 0x80) return 0;
  if ((lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xf0 && byte(1) < 0x90)) return 0;  // overlong
  if (lead == 0xed && byte(1) >= 0xa0) return 0;                                       // surrogates
  if (lead == 0xf4 && byte(1) >= 0x90) return 0;                                       // beyond U+10FFFF
  return length;
}

bool is_utf8(std::string_view text) noexcept {
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at != end;) {
    const std::size_t length = utf8_length(at, end);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

std::string shown(std::string_view text) {
  constexpr std::size_t kLongest = 64;
  constexpr char kHex[] = "0123456789abcdef";
  const char* const end = text.data() + text.size();
  std::string out = "\"";
  for (const char* at = text.data(); at != end;) {
    if (at - text.data() >= static_cast<std::ptrdiff_t>(kLongest)) return out + "\"...";
    const auto byte = static_cast<unsigned char>(*at);
    const std::size_t length = utf8_length(at, end);
    // U+0080 to U+009F are control characters as well.
    const bool harmless = length > 1 ? !(byte == 0xc2 && static_cast<unsigned char>(at[1]) < 0xa0)
                                     : length == 1 && byte >= 0x20 && byte != 0x7f;
    if (harmless) {
      if (byte == '"' || byte == '\\') out += '\\';
      out.append(at, length);
      at += length;
    } else {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
      ++at;
    }
  }
  return out + '"';
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
