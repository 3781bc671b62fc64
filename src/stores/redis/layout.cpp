#include "layout.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

std::string escaped_prefix(std::string_view prefix, Spread spread) {
  std::string out;
  for (const char c : prefix) {
    if (c == '/') {
      out += "%2F";
    } else if (c == '%') {
      out += "%25";
    } else if (c == '{' && spread == Spread::cluster) {
      out += "%7B";
    } else {
      out += c;
    }
  }
  return out;
}

std::array<std::string, 4> roots_of(const std::string& escaped_prefix) {
  return {escaped_prefix + "v/", escaped_prefix + "t/", escaped_prefix + "l/", escaped_prefix + "r/"};
}

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
