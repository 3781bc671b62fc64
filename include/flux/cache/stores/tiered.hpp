// flux/cache/stores/tiered.hpp - near stores in front of far ones.
#pragma once
#include <flux/cache/options.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace flux::cache {
inline namespace v1 {

class Fields;

/// Which stores, nearest first. It has no prefix of its own: what it writes can be read through its parts.
struct TieredConfig {
  std::vector<std::string> stores{};      ///< names of configured stores; at least one
  std::vector<std::optional<Ttl>> ttl{};  ///< the longest life in each, in the same order; none: as long as the entry
  std::string authority{};                ///< the store that holds locks and counters; empty: the last
  std::string on_error{};                 ///< soft (reads miss, writes answer false) or throw; empty: soft
  std::uint64_t max_value = 0;            ///< bytes; larger values are refused; 0: what the stores can
  bool prohibit_flush = false;            ///< `flush` is refused
  Duration timeout{0};                    ///< for one call in all; 0: the stores' own
};

FLUX_CACHE_API void describe(Fields& fields, TieredConfig& config);

}  // namespace v1
}  // namespace flux::cache
