// Who may try to reach a server that is down: one at a time, and not at once.
#pragma once
#include <flux/cache/clock.hpp>
#include <flux/cache/result.hpp>

#include <chrono>
#include <string>

namespace flux::cache {
inline namespace v1 {
namespace detail::net {

/// While the server answers, everybody passes. After a failure one caller at a time may try, at a random moment within
/// a span that doubles up to `longest`; the others fail at once, with the error of the last try. So a server that
/// comes back is found within `longest`, and a thousand threads do not call it together. Not thread-safe: its owner
/// locks.
class Gate {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Gate(Duration longest = std::chrono::milliseconds(500)) noexcept : longest_(longest) {}

  /// May somebody try to connect? Who is let in says how it went. An error says why not.
  Result<void> enter();
  void succeeded() noexcept;
  void failed(const Error& why);
  bool is_down() const noexcept { return failures_ > 0; }
  /// In a child of fork: whoever was trying is gone.
  void forget_prober() noexcept { probing_ = false; }

 private:
  Duration longest_;
  int failures_ = 0;  // in a row; 0: it is up
  bool probing_ = false;
  Clock::time_point next_{};
  Errc code_ = Errc::unavailable;
  std::string why_;
};

}  // namespace detail::net
}  // namespace v1
}  // namespace flux::cache
