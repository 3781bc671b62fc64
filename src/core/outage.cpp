// When listeners hear that a store went away, and that it is back.
#include <flux/cache/detail/core.hpp>

#include <algorithm>

namespace flux::cache {
inline namespace v1 {
namespace detail {

void Core::recovered() {
  if (outage_.exchange(Outage::none, std::memory_order_relaxed) == Outage::told) emit(EventKind::recovered, {});
}

// A store that comes and goes must not fill a log: each outage told is paid for with a second, and sixteen may be owed.
// One that is not told at once is told by a later call, should it last that long.
bool Core::may_tell_outage() noexcept {
  constexpr std::int64_t kEach = Duration(std::chrono::seconds(1)).count(), kOwed = 16 * kEach;
  const std::int64_t now = clock_->now().time_since_epoch().count();
  std::int64_t up_to = outages_told_up_to_.load(std::memory_order_relaxed);
  while (std::max(up_to, now) + kEach <= now + kOwed)
    if (outages_told_up_to_.compare_exchange_weak(up_to, std::max(up_to, now) + kEach, std::memory_order_relaxed))
      return true;
  return false;
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
