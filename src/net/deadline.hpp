// One end for all that a call does: waiting for a connection, looking up a name, connecting, sending and receiving.
#pragma once
#include <flux/cache/clock.hpp>

#include <algorithm>
#include <chrono>

namespace flux::cache {
inline namespace v1 {
namespace detail::net {

/// A moment on the machine's own steady clock, whatever clock the store tells lifetimes by.
class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  static Deadline in(Duration length) noexcept {
    const Clock::time_point now = Clock::now();
    return {now, length >= std::chrono::hours(24 * 365) ? now + std::chrono::hours(24 * 365) : now + length};
  }

  Clock::time_point begun() const noexcept { return begun_; }
  Clock::time_point end() const noexcept { return end_; }
  /// What is left, never below zero.
  Duration left() const noexcept {
    return std::max(Duration(0), std::chrono::duration_cast<Duration>(end_ - Clock::now()));
  }
  bool is_past() const noexcept { return Clock::now() >= end_; }
  /// This end, or an earlier one: so long from now.
  Deadline within(Duration length) const noexcept {
    const Deadline other = in(length);
    return other.end_ < end_ ? other : *this;
  }

 private:
  Deadline(Clock::time_point begun, Clock::time_point end) noexcept : begun_(begun), end_(end) {}

  Clock::time_point begun_;
  Clock::time_point end_;
};

}  // namespace detail::net
}  // namespace v1
}  // namespace flux::cache
