#include "net/gate.hpp"

#include <algorithm>

#include "core/random.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::net {

namespace {

constexpr Duration kShortest = std::chrono::milliseconds(10);

}  // namespace

Result<void> Gate::enter() {
  if (failures_ == 0) return {};
  if (!probing_ && Clock::now() >= next_) {
    probing_ = true;
    return {};
  }
  Error error;
  error.code = code_ == Errc::timeout ? Errc::unavailable : code_;  // nothing was sent, so nothing is in doubt
  error.message = why_ + " (not tried again yet)";
  return error;
}

void Gate::succeeded() noexcept {
  failures_ = 0;
  probing_ = false;
}

void Gate::failed(const Error& why) {
  const Duration span = std::min(longest_, kShortest * (1 << std::min(failures_, 10)));
  next_ = Clock::now() +
          Duration(static_cast<Duration::rep>(detail::random_below(static_cast<std::uint64_t>(span.count()) + 1)));
  ++failures_;
  probing_ = false;
  code_ = why.code;
  why_ = why.message;
}

}  // namespace detail::net
}  // namespace v1
}  // namespace flux::cache
