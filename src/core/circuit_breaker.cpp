#include <flux/cache/circuit_breaker.hpp>

#include <algorithm>
#include <stdexcept>

namespace flux::cache {
inline namespace v1 {

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
  const std::int64_t until = open_until_.load(std::memory_order_acquire);
  if (until == kClosed) return State::closed;
  return now() < until ? State::open : State::half_open;
}

bool CircuitBreaker::enter() noexcept {
  const std::int64_t until = open_until_.load(std::memory_order_acquire);
  if (until == kClosed) [[likely]]
    return true;
  if (now() < until) return false;
  if (probing_.exchange(true, std::memory_order_acq_rel)) return false;
  // Between the look and the exchange another probe may have ended, and closed or reopened it.
  const std::int64_t again = open_until_.load(std::memory_order_acquire);
  if (again == kClosed || now() >= again) return true;
  probing_.store(false, std::memory_order_release);
  return false;
}

void CircuitBreaker::succeed() noexcept {
  if (open_until_.load(std::memory_order_acquire) == kClosed) [[likely]] {
    if (failures_.load(std::memory_order_relaxed) != 0) failures_.store(0, std::memory_order_relaxed);
    if (probing_.load(std::memory_order_relaxed)) probing_.store(false, std::memory_order_release);
    return;
  }
  if (!probing_.load(std::memory_order_acquire)) return;  // begun before it opened: no probe
  if (successes_.fetch_add(1, std::memory_order_acq_rel) + 1 >= options_.close_after) reset();
  probing_.store(false, std::memory_order_release);
}

void CircuitBreaker::fail() noexcept {
  if (open_until_.load(std::memory_order_acquire) == kClosed) {
    if (probing_.load(std::memory_order_relaxed)) probing_.store(false, std::memory_order_release);
    // Exactly one of many failing threads crosses the threshold, so there is one transition.
    if (failures_.fetch_add(1, std::memory_order_acq_rel) + 1 == options_.failure_threshold) open(options_.timeout);
    return;
  }
  if (!probing_.load(std::memory_order_acquire)) return;
  const auto longer = static_cast<double>(timeout_.load(std::memory_order_relaxed)) * options_.back_off;
  const auto most = static_cast<double>(options_.max_timeout.count());
  open(Duration(static_cast<Duration::rep>(std::min(longer, most))));
  probing_.store(false, std::memory_order_release);
}

void CircuitBreaker::open(Duration timeout) noexcept {
  timeout_.store(timeout.count(), std::memory_order_relaxed);
  successes_.store(0, std::memory_order_relaxed);
  openings_.fetch_add(1, std::memory_order_relaxed);
  open_until_.store(std::max<std::int64_t>(now() + timeout.count(), 1), std::memory_order_release);
}

void CircuitBreaker::reset() noexcept {
  failures_.store(0, std::memory_order_relaxed);
  successes_.store(0, std::memory_order_relaxed);
  open_until_.store(kClosed, std::memory_order_release);
}

void CircuitBreaker::raise_open() {
  throw CircuitOpen(Error{Errc::rejected, "the circuit breaker is open", {}, "call"});
}

}  // namespace v1
}  // namespace flux::cache
