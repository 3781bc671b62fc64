// flux/cache/rate_limiter.hpp - so many attempts in so much time, counted in the store: one limit for all processes.
#pragma once
#include <flux/cache/detail/core.hpp>
#include <flux/cache/options.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace flux::cache {
inline namespace v1 {

/// How attempts are counted.
enum class RateAlgorithm : std::uint8_t {
  fixed,         ///< the window opens with the first attempt; up to twice the number around its edge
  sliding,       ///< two windows, the older one weighted by what of it still counts; close to exact
  token_bucket,  ///< attempts come back one by one, evenly; bursts up to the number
};

struct RateLimit {
  std::int64_t max_attempts = 60;          ///< 1 to 2^53
  Duration per = std::chrono::minutes(1);  ///< above zero
  RateAlgorithm algorithm = RateAlgorithm::fixed;
};

/// A named limit in a space of its own: flushes leave it alone. Each attempt is one compare-and-swap on one record that
/// goes by itself when it no longer matters. Thread-safe. Throws StoreUnavailable where the store cannot answer.
class FLUX_CACHE_API RateLimiter {
 public:
  RateLimiter(std::shared_ptr<detail::Core> core, std::string name, RateLimit limit);

  /// Counts `cost` attempts and answers true, or counts nothing and answers false: too many.
  bool attempt(std::int64_t cost = 1);
  /// How many attempts are left; never negative.
  std::int64_t remaining() const;
  bool too_many() const { return remaining() == 0; }
  /// How long until an attempt may succeed; never negative, zero where one would now.
  Duration available_in() const;
  /// Forgets all attempts.
  void clear();

 private:
  struct State;
  State read() const;

  std::shared_ptr<detail::Core> core_;
  std::string name_;
  RateLimit limit_;
};

}  // namespace v1
}  // namespace flux::cache
