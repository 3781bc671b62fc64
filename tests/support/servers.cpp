#include "support/servers.hpp"

#include <charconv>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

namespace flux::cache {
inline namespace v1 {
namespace testing {

std::optional<Address> address_from(const char* name) {
  const char* const set = std::getenv(name);
  if (set == nullptr || *set == '\0') return std::nullopt;
  const std::string_view text = set;
  const std::size_t colon = text.rfind(':');
  Address address;
  if (colon != std::string_view::npos && colon > 0) {
    address.host = text.substr(0, colon);
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, address.port);
    if (error == std::errc() && rest == end && address.port != 0) return address;
  }
  throw std::invalid_argument(std::string(name) + " wants host:port, not \"" + set + "\"");
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
