#include <flux/cache/rate_limiter.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "record.hpp"

namespace flux::cache {
inline namespace v1 {

/// What the record says, as three numbers. fixed: the window's end, its count. sliding: the window's start, its count,
/// the count of the one before. token_bucket: the moment, and how many attempts were used up then, in millionths.
struct RateLimiter::State {
  std::int64_t at = 0;
  std::int64_t count = 0;
  std::int64_t before = 0;

  static State decode(std::string_view text) {
    State state;
    if (text.size() == sizeof state) std::memcpy(&state, text.data(), sizeof state);
    return state;
  }
  std::string encode() const { return {reinterpret_cast<const char*>(this), sizeof *this}; }
};

namespace {

constexpr double kMillion = 1e6;

std::int64_t wall(const detail::Core& core) { return core.clock().wall().time_since_epoch().count(); }

}  // namespace

RateLimiter::RateLimiter(std::shared_ptr<detail::Core> core, std::string name, RateLimit limit)
    : core_(std::move(core)), name_(std::move(name)), limit_(limit) {
  if (name_.empty()) raise(Error{Errc::bad_key, "the name of a rate limiter is empty", core_->name(), "rate_limiter"});
  if (limit_.max_attempts < 1 || limit_.per <= Duration::zero())
    throw std::invalid_argument("flux::cache: rate_limiter: max_attempts and per must be above zero");
}

RateLimiter::State RateLimiter::read() const {
  State state = State::decode(detail::read_record(*core_, Key(name_, Space::limits), "rate_limiter").text);
  return state;
}

namespace {

/// Brings a state up to `now`, and answers how many attempts count.
template <class State>
double settle(State& state, const RateLimit& limit, std::int64_t now) {
  const std::int64_t per = limit.per.count();
  switch (limit.algorithm) {
    case RateAlgorithm::fixed:
      if (state.at == 0 || now >= state.at) state = {now + per, 0, 0};
      return static_cast<double>(state.count);
    case RateAlgorithm::sliding: {
      if (state.at == 0 || now >= state.at + 2 * per)
        state = {now, 0, 0};
      else if (now >= state.at + per)
        state = {state.at + per, 0, state.count};
      const double still = 1.0 - static_cast<double>(now - state.at) / static_cast<double>(per);
      return static_cast<double>(state.count) + static_cast<double>(state.before) * std::max(still, 0.0);
    }
    case RateAlgorithm::token_bucket: {
      const double back = state.at == 0 ? 0
                                        : static_cast<double>(std::max<std::int64_t>(now - state.at, 0)) *
                                              static_cast<double>(limit.max_attempts) / static_cast<double>(per);
      const double used = std::max(static_cast<double>(state.count) / kMillion - back, 0.0);
      state = {now, static_cast<std::int64_t>(std::llround(used * kMillion)), 0};
      return used;
    }
  }
  return 0;
}

}  // namespace

bool RateLimiter::attempt(std::int64_t cost) {
  bool allowed = false;
  detail::change_record(*core_, Key(name_, Space::limits), "rate_limiter", [&](std::string& text, Expiry& expiry) {
    State state = State::decode(text);
    const std::int64_t now = wall(*core_);
    const double used = settle(state, limit_, now);
    allowed = cost >= 0 && used + static_cast<double>(cost) <= static_cast<double>(limit_.max_attempts) + 1e-9;
    if (!allowed) return false;
    state.count += limit_.algorithm == RateAlgorithm::token_bucket ? cost * static_cast<std::int64_t>(kMillion) : cost;
    text = state.encode();
    const Duration matters = limit_.algorithm == RateAlgorithm::fixed ? Duration(state.at - now) : limit_.per * 2;
    expiry = Expiry::at(after(core_->clock().now(), matters));
    return true;
  });
  return allowed;
}

std::int64_t RateLimiter::remaining() const {
  State state = read();
  const double used = settle(state, limit_, wall(*core_));
  return std::max<std::int64_t>(static_cast<std::int64_t>(static_cast<double>(limit_.max_attempts) - used + 1e-9), 0);
}

Duration RateLimiter::available_in() const {
  State state = read();
  const std::int64_t now = wall(*core_);
  const double used = settle(state, limit_, now);
  const double over = used + 1 - static_cast<double>(limit_.max_attempts);
  if (over <= 1e-9) return Duration::zero();
  const double per = static_cast<double>(limit_.per.count());
  double wait = 0;
  switch (limit_.algorithm) {
    case RateAlgorithm::fixed: wait = static_cast<double>(state.at - now); break;
    case RateAlgorithm::token_bucket: wait = over * per / static_cast<double>(limit_.max_attempts); break;
    case RateAlgorithm::sliding: {
      // First the older window runs out; where that is not enough, the present one becomes the older and does.
      const double gone = static_cast<double>(now - state.at);
      const double room = static_cast<double>(limit_.max_attempts) - 1 - static_cast<double>(state.count);
      if (room >= 0 && state.before > 0)
        wait = per * (1 - room / static_cast<double>(state.before)) - gone;
      else
        wait =
            per - gone + per * (1 - (static_cast<double>(limit_.max_attempts) - 1) / static_cast<double>(state.count));
      break;
    }
  }
  return Duration(static_cast<Duration::rep>(std::ceil(std::max(wait, 0.0))));
}

void RateLimiter::clear() {
  auto removed = core_->store()->forget(Key(name_, Space::limits), {});
  if (!removed.ok()) detail::raise_from(*core_, removed.error(), "rate_limiter");
}

}  // namespace v1
}  // namespace flux::cache
