#include "continuum.hpp"

#include <libhashkit-1.0/hashkit.h>

#include <algorithm>
#include <cmath>

namespace flux::cache {
inline namespace v1 {
namespace detail::memcached {

namespace {

constexpr int kUsualPort = 11211;
constexpr float kNamesPerShare = 40;
constexpr std::size_t kPointsPerName = 4;

}  // namespace

Continuum::Continuum(const std::vector<Server>& servers) {
  if (servers.size() < 2) return;
  std::uint64_t total = 0;
  for (const Server& server : servers) total += server.weight;
  for (std::size_t index = 0; index < servers.size(); ++index) {
    const Server& server = servers[index];
    // In single precision and with its term against rounding, as the others compute it.
    const float share = static_cast<float>(server.weight) / static_cast<float>(total);
    const auto names = static_cast<std::size_t>(
        std::floor(share * kNamesPerShare * static_cast<float>(servers.size()) + 0.0000000001F));
    const std::string name =
        server.port == kUsualPort ? server.host + "-" : server.host + ":" + std::to_string(server.port) + "-";
    for (std::size_t i = 0; i < names; ++i) {
      const std::string text = name + std::to_string(i);
      unsigned char digest[16];
      libhashkit_md5_signature(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
      for (std::size_t x = 0; x < kPointsPerName; ++x) {
        std::uint32_t value = 0;
        for (std::size_t byte = 0; byte < 4; ++byte)
          value |= static_cast<std::uint32_t>(digest[4 * x + byte]) << (8 * byte);
        points_.push_back({value, static_cast<std::uint32_t>(index)});
      }
    }
  }
  std::stable_sort(points_.begin(), points_.end(), [](const Point& a, const Point& b) { return a.value < b.value; });
}

std::size_t Continuum::server_of(std::string_view wire_key) const noexcept {
  if (points_.empty()) return 0;
  const std::uint32_t hash = libhashkit_md5(wire_key.data(), wire_key.size());
  const auto found = std::lower_bound(points_.begin(), points_.end(), hash,
                                      [](const Point& point, std::uint32_t value) { return point.value < value; });
  return (found == points_.end() ? points_.front() : *found).server;
}

}  // namespace detail::memcached
}  // namespace v1
}  // namespace flux::cache
