// flux/cache/clock.hpp - time as the cache sees it: lifetimes, moments, and who tells them.
//
// Inside a process all deadlines stand on a steady line that no change of the wall clock moves. Only where an entry
// outlives the process (files, databases, servers) is a moment turned into wall time, and back.
#pragma once
#include <flux/cache/detail/export.hpp>

#include <chrono>
#include <cstdint>

namespace flux::cache {
inline namespace v1 {

/// A length of time, in microseconds.
using Duration = std::chrono::microseconds;

/// The steady line that `Instant`s stand on; it has no `now` of its own, a `Clock` tells it.
struct Timeline {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<Timeline>;
  static constexpr bool is_steady = true;
};

/// A moment inside this process.
using Instant = Timeline::time_point;

/// The moment that never comes: the deadline of an entry without one.
inline constexpr Instant kNever = Instant::max();

/// Microseconds since 1970-01-01 UTC; for what outlives the process.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

/// Tells the time. Thread-safe. Derive to own time in tests; `testing::FakeClock` does.
class FLUX_CACHE_TYPE Clock {
 public:
  virtual ~Clock() = default;
  /// The steady moment. Never goes back.
  virtual Instant now() const noexcept = 0;
  /// The wall's date. May jump.
  virtual WallTime wall() const noexcept = 0;

  /// A deadline as wall time; `kNever` becomes `WallTime::max()`.
  WallTime to_wall(Instant moment) const noexcept {
    return moment == kNever ? WallTime::max() : wall() + (moment - now());
  }
  /// A stored wall time as a deadline on the steady line.
  Instant from_wall(WallTime time) const noexcept { return time == WallTime::max() ? kNever : now() + (time - wall()); }
};

/// The machine's own clocks: CLOCK_MONOTONIC and CLOCK_REALTIME. Lives for ever.
FLUX_CACHE_API const Clock& system_clock() noexcept;

/// `moment + length`, saturating at `kNever`.
constexpr Instant after(Instant moment, Duration length) noexcept {
  return length >= kNever - moment ? kNever : moment + length;
}

}  // namespace v1
}  // namespace flux::cache
