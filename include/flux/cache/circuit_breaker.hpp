// flux/cache/circuit_breaker.hpp - stop asking what is down (Nygard: "Release It!", 2007).
//
//   closed --(failure_threshold failures in a row)--> open --(timeout)--> half_open --(close_after successes)--> closed
//                                                        ^------------------(a failure)------'
#pragma once
#include <flux/cache/breaker_options.hpp>
#include <flux/cache/clock.hpp>
#include <flux/cache/error.hpp>

#include <atomic>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace flux::cache {
inline namespace v1 {

/// The breaker is open: nothing was tried.
struct FLUX_CACHE_TYPE CircuitOpen : Exception {
  using Exception::Exception;
};

/// Guards anything that may fail. Thread-safe; of many threads one at a time is the probe. While closed a call costs
/// two relaxed atomic loads.
class FLUX_CACHE_API CircuitBreaker {
 public:
  enum class State : std::uint8_t { closed, open, half_open };

  explicit CircuitBreaker(const BreakerOptions& options = {});

  State state() const noexcept;
  /// Runs `work`, whose exception counts as a failure and passes through. Throws CircuitOpen where the breaker is open,
  /// or another thread's probe is under way.
  template <class F>
  auto call(F&& work) {
    if (!enter()) raise_open();
    struct Counted {
      CircuitBreaker& breaker;
      bool succeeded = false;
      ~Counted() { succeeded ? breaker.succeed() : breaker.fail(); }
    } counted{*this};
    if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
      std::forward<F>(work)();
      counted.succeeded = true;
    } else {
      auto answer = std::forward<F>(work)();
      counted.succeeded = true;
      return answer;
    }
  }

  /// For those who cannot use `call`: false: do not try. Each true is followed by one `succeed` or `fail`.
  bool enter() noexcept;
  void succeed() noexcept;
  void fail() noexcept;
  /// Times it went from closed or half-open to open.
  std::uint64_t openings() const noexcept { return openings_.load(std::memory_order_relaxed); }
  /// Closed, as if nothing had happened.
  void reset() noexcept;

 private:
  [[noreturn]] static void raise_open();
  void open(Duration timeout) noexcept;
  std::int64_t now() const noexcept { return clock_.now().time_since_epoch().count(); }

  static constexpr std::int64_t kClosed = 0;

  BreakerOptions options_;
  const Clock& clock_;
  std::atomic<std::int64_t> open_until_{kClosed};  ///< kClosed, or the moment from which a probe may pass
  std::atomic<int> failures_{0};                   ///< in a row, while closed
  std::atomic<int> successes_{0};                  ///< of probes, in a row
  std::atomic<bool> probing_{false};
  std::atomic<std::int64_t> timeout_{0};  ///< of the present opening
  std::atomic<std::uint64_t> openings_{0};
};

}  // namespace v1
}  // namespace flux::cache
