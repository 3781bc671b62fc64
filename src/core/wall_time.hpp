// Moments that outlive the process, as wall time in microseconds.
#pragma once
#include <flux/cache/clock.hpp>

#include <cstdint>
#include <limits>

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// `kNever`, and every sum that leaves 64 bits above.
inline constexpr std::int64_t kWallForever = std::numeric_limits<std::int64_t>::max();

/// A clock's two readings, to go from one to the other.
struct WallTime {
  explicit WallTime(const Clock& clock) : instant(clock.now()), wall(clock.wall().time_since_epoch().count()) {}

  std::int64_t to_stored(Instant moment) const noexcept {
    if (moment == kNever) return kWallForever;
    std::int64_t left = 0, time = 0;
    const bool fits =
        !__builtin_sub_overflow(moment.time_since_epoch().count(), instant.time_since_epoch().count(), &left);
    if (!fits || __builtin_add_overflow(wall, left, &time))
      return moment.time_since_epoch().count() > 0 ? kWallForever : std::numeric_limits<std::int64_t>::min();
    return time;
  }
  Instant from_stored(std::int64_t time) const noexcept {
    if (time == kWallForever) return kNever;
    std::int64_t left = 0, moment = 0;
    if (__builtin_sub_overflow(time, wall, &left) ||
        __builtin_add_overflow(instant.time_since_epoch().count(), left, &moment))
      return time > 0 ? kNever : Instant::min();
    return Instant(Duration(moment));
  }

  Instant instant;
  std::int64_t wall;  ///< microseconds since 1970
};

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
