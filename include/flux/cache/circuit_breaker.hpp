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
#include <limits>
#include <type_traits>
#include <utility>

namespace flux::cache {
inline namespace v1 {

/// The breaker is open: nothing was tried.
struct FLUX_CACHE_TYPE CircuitOpen : Exception {
  using Exception::Exception;
};

/// Guards anything that may fail. Thread-safe; of many threads one at a time is the probe. While closed a call costs
/// two atomic loads.
class FLUX_CACHE_API CircuitBreaker {
 public:
  enum class State : std::uint8_t { closed, open, half_open };

  /// That a call may try, and what the breaker was when it let the call in: one that ends late says nothing about what
  /// has come since.
  class Pass {
   public:
    explicit operator bool() const noexcept { return state_ != kNone; }

   private:
    friend CircuitBreaker;
    static constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::min();
    explicit Pass(std::int64_t state = kNone) noexcept : state_(state) {}
    std::int64_t state_;
  };

  explicit CircuitBreaker(const BreakerOptions& options = {});

  State state() const noexcept;
  /// Runs `work`, whose exception counts as a failure and passes through. Throws CircuitOpen where the breaker is open,
  /// or another thread's probe is under way.
  template <class F>
  auto call(F&& work) {
    const Pass pass = enter();
    if (!pass) raise_open();
    struct Counted {
      CircuitBreaker& breaker;
      Pass pass;
      bool succeeded = false;
      ~Counted() { succeeded ? breaker.succeed(pass) : breaker.fail(pass); }
    } counted{*this, pass};
    if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
      std::forward<F>(work)();
      counted.succeeded = true;
    } else {
      auto answer = std::forward<F>(work)();
      counted.succeeded = true;
      return answer;
    }
  }

  /// For those who cannot use `call`: false: do not try. Each true is handed to one `succeed` or `fail`.
  [[nodiscard]] Pass enter() noexcept;
  void succeed(Pass pass) noexcept;
  void fail(Pass pass) noexcept;
  /// Times it went from closed or half-open to open.
  std::uint64_t openings() const noexcept { return openings_.load(std::memory_order_relaxed); }
  /// Closed, as if nothing had happened; what is under way counts for nothing.
  void reset() noexcept;

 private:
  [[noreturn]] static void raise_open();
  static bool is_closed(std::int64_t state) noexcept { return state <= 0; }
  void open(std::int64_t from, Duration timeout) noexcept;
  std::int64_t next_closed() noexcept { return -eras_.fetch_add(1, std::memory_order_acq_rel) - 1; }
  std::int64_t now() const noexcept { return clock_.now().time_since_epoch().count(); }

  BreakerOptions options_;
  const Clock& clock_;
  /// Open: the moment from which a probe may pass, another one for each opening. Closed: zero or below, another one
  /// each time. So a call that knows what it was let in by knows whether that still holds.
  std::atomic<std::int64_t> state_{0};
  std::atomic<std::int64_t> probing_{0};  ///< the opening whose probe is under way; 0: none
  std::atomic<std::int64_t> eras_{0};     ///< times it was closed
  std::atomic<int> failures_{0};          ///< in a row, while closed
  std::atomic<int> successes_{0};         ///< of probes, in a row
  std::atomic<std::int64_t> timeout_{0};  ///< of the present opening
  std::atomic<std::uint64_t> openings_{0};
};

}  // namespace v1
}  // namespace flux::cache
