// Lifetimes as the servers are told them.
#include <chrono>
#include <limits>

#include "memcached_store.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::memcached {

namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kLongestRelative = std::int64_t{30} * 24 * 3600;  // seconds; above, servers take it for a date
constexpr std::int64_t kDay = 24 * 3600;

}  // namespace

// The record's own deadline decides; the server's only gives the memory back, and so is never the earlier one: servers
// count whole seconds from a tick that may just be over. Under a clock of somebody else's they are told none.
std::int32_t ServersStore::expires_of(std::int64_t keep_until, std::int64_t now) const noexcept {
  if (keep_until == kForever) return 0;
  if (keep_until <= now) return kGone;
  if (&clock_ != &system_clock()) return 0;
  const std::int64_t seconds = (keep_until - now) / kSecond + 2;
  if (seconds <= kLongestRelative) return static_cast<std::int32_t>(seconds);
  const std::int64_t date = now / kSecond + seconds + kDay;  // a day for clocks that differ
  return date <= std::numeric_limits<std::int32_t>::max() ? static_cast<std::int32_t>(date) : 0;
}

}  // namespace detail::memcached
}  // namespace v1
}  // namespace flux::cache
