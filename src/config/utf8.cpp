#include "config/utf8.hpp"

#include <flux/cache/detail/json_reader.hpp>

namespace flux::cache {
inline namespace v1 {
namespace detail {

bool is_utf8(std::string_view text) noexcept {
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at != end;) {
    const std::size_t length = utf8_sequence(at, end);
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
    const std::size_t length = utf8_sequence(at, end);
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
