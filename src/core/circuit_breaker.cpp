#include <flux/cache/circuit_breaker.hpp>

#include <algorithm>
#include <stdexcept>

#include "random.hpp"

namespace flux::cache {
inline namespace v1 {

namespace {

/// Up to a fifth shorter, by chance: probes of many that lost a server together do not come together, nor again and
/// again at the wrong moment of one that comes and goes by the clock. By a clock of one's own it is exact.
Duration spread(Duration pause, const Clock& clock) {
  if (&clock != &system_clock()) return pause;
  const auto fifth = static_cast<std::uint64_t>(pause.count() / 5);
  return pause - Duration(static_cast<Duration::rep>(detail::random_below(fifth + 1)));
}

}  // namespace

CircuitBreaker::CircuitBreaker(const BreakerOptions& options)
    : options_(options), clock_(options.clock != nullptr ? *options.clock : system_clock()) {
  if (options_.failure_threshold < 1 || options_.close_after < 1 || options_.timeout <= Duration::zero() ||
      !(options_.back_off >= 1))
    throw std::invalid_argument(
        "flux::cache: circuit breaker: failure_threshold, close_after and back_off must be 1 or more, timeout above "
        "zero");
  options_.max_timeout = std::max(options_.max_timeout, options_.timeout);
}

CircuitBreaker::State CircuitBreaker::state() const noexcept {
  const std::int64_t state = state_.load(std::memory_order_acquire);
  if (is_closed(state)) return State::closed;
  return now() < state ? State::open : State::half_open;
}

CircuitBreaker::Pass CircuitBreaker::enter() noexcept {
  const std::int64_t state = state_.load(std::memory_order_acquire);
  if (is_closed(state)) [[likely]]
    return Pass(state);
  if (now() < state) return Pass();
  std::int64_t probed = probing_.load(std::memory_order_acquire);
  if (probed == state || !probing_.compare_exchange_strong(probed, state, std::memory_order_acq_rel)) return Pass();
  // Between the look and the exchange another probe may have ended, and closed or reopened it.
  const std::int64_t again = state_.load(std::memory_order_acquire);
  if (again == state) return Pass(state);
  probed = state;
  probing_.compare_exchange_strong(probed, 0, std::memory_order_release, std::memory_order_relaxed);
  return is_closed(again) ? Pass(again) : Pass();
}

void CircuitBreaker::succeed(Pass pass) noexcept {
  if (is_closed(pass.state_)) [[likely]] {
    if (failures_.load(std::memory_order_relaxed) != 0 && state_.load(std::memory_order_acquire) == pass.state_)
      failures_.store(0, std::memory_order_relaxed);
    return;
  }
  if (state_.load(std::memory_order_acquire) == pass.state_ &&
      successes_.fetch_add(1, std::memory_order_acq_rel) + 1 >= options_.close_after) {
    failures_.store(0, std::memory_order_relaxed);
    successes_.store(0, std::memory_order_relaxed);
    std::int64_t opening = pass.state_;
    state_.compare_exchange_strong(opening, next_closed(), std::memory_order_acq_rel);
  }
  std::int64_t mine = pass.state_;
  probing_.compare_exchange_strong(mine, 0, std::memory_order_release, std::memory_order_relaxed);
}

void CircuitBreaker::fail(Pass pass) noexcept {
  if (is_closed(pass.state_)) {
    if (state_.load(std::memory_order_acquire) == pass.state_ &&
        failures_.fetch_add(1, std::memory_order_acq_rel) + 1 >= options_.failure_threshold)
      open(pass.state_, options_.timeout);
    return;
  }
  if (state_.load(std::memory_order_acquire) == pass.state_) {
    successes_.store(0, std::memory_order_relaxed);
    const auto longer = static_cast<double>(timeout_.load(std::memory_order_relaxed)) * options_.back_off;
    const auto most = static_cast<double>(options_.max_timeout.count());
    open(pass.state_, Duration(static_cast<Duration::rep>(std::min(longer, most))));
  }
  std::int64_t mine = pass.state_;
  probing_.compare_exchange_strong(mine, 0, std::memory_order_release, std::memory_order_relaxed);
}

// Of many threads that find the same state and want it open, one changes it: there is one transition.
void CircuitBreaker::open(std::int64_t from, Duration timeout) noexcept {
  const std::int64_t until = std::max<std::int64_t>(now() + spread(timeout, clock_).count(), 1);
  if (!state_.compare_exchange_strong(from, until, std::memory_order_acq_rel)) return;
  timeout_.store(timeout.count(), std::memory_order_relaxed);
  openings_.fetch_add(1, std::memory_order_relaxed);
}

void CircuitBreaker::reset() noexcept {
  failures_.store(0, std::memory_order_relaxed);
  successes_.store(0, std::memory_order_relaxed);
  state_.store(next_closed(), std::memory_order_release);
}

void CircuitBreaker::raise_open() {
  throw CircuitOpen(Error{Errc::rejected, "the circuit breaker is open", {}, "call"});
}

}  // namespace v1
}  // namespace flux::cache
