// flux/cache/breaker_options.hpp - when something counts as down.
#pragma once
#include <flux/cache/clock.hpp>

namespace flux::cache {
inline namespace v1 {

class Fields;

/// When something counts as down. Every default is safe.
struct BreakerOptions {
  int failure_threshold = 5;                        ///< failures in a row that open the breaker; 1 or more
  Duration timeout = std::chrono::seconds(60);      ///< calls fail fast so long before a probe, or a bit less
  int close_after = 1;                              ///< probes that must succeed in a row to close it; 1 or more
  double back_off = 2;                              ///< each failed probe multiplies the timeout by this; 1 or more
  Duration max_timeout = std::chrono::minutes(10);  ///< up to this
  const Clock* clock = nullptr;                     ///< null: the machine's; by another, pauses are exact
};

/// As `"circuit_breaker"` of a store in a configuration: failure_threshold (there 0 means no breaker), timeout,
/// close_after and max_timeout.
FLUX_CACHE_API void describe(Fields& fields, BreakerOptions& options);

}  // namespace v1
}  // namespace flux::cache
