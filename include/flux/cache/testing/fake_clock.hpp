// flux/cache/testing/fake_clock.hpp - a clock that stands still until a test moves it.
#pragma once
#include <flux/cache/clock.hpp>

#include <atomic>

namespace flux::cache {
inline namespace v1 {
namespace testing {

/// Stands still but for `travel` and `jump_wall`. Thread-safe: whoever travels is seen by all threads at once. Begins
/// on 2030-01-01, a thousand seconds after the machine's start, so that moments in the past can be named.
class FakeClock final : public Clock {
 public:
  FakeClock() = default;
  explicit FakeClock(WallTime wall) noexcept : wall_(wall.time_since_epoch().count()) {}

  Instant now() const noexcept override { return Instant(Duration(now_.load(std::memory_order_acquire))); }
  WallTime wall() const noexcept override { return WallTime(Duration(wall_.load(std::memory_order_acquire))); }

  /// Time passes, on the steady line and on the wall. Never negative: a steady clock does not go back.
  void travel(Duration length) noexcept {
    wall_.fetch_add(length.count(), std::memory_order_acq_rel);
    now_.fetch_add(length.count(), std::memory_order_acq_rel);
  }
  /// The wall's date is set to another one, forward or back; the steady line does not move.
  void jump_wall(Duration length) noexcept { wall_.fetch_add(length.count(), std::memory_order_acq_rel); }

 private:
  std::atomic<Duration::rep> now_{1'000'000'000};
  std::atomic<Duration::rep> wall_{1'893'456'000'000'000};
};

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
