// flux/cache/stores/distributed.hpp - one store over several: copies, shards, or a primary with replicas.
#pragma once
#include <flux/cache/options.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace flux::cache {
inline namespace v1 {

class Fields;

/// Which stores, and how they share the work. It has no prefix of its own: what it writes can be read through its
/// parts.
struct DistributedConfig {
  std::vector<std::string> stores{};   ///< names of configured stores; at least one
  std::string strategy = "replicate";  ///< replicate, sharding or primary
  std::string writes = "any";          ///< replicate: how many must take a write: any, majority or all
  std::vector<int> weights{};   ///< sharding: shares of the keys, one for each store, 1 to 1,000,000; none: equal
  std::string authority{};      ///< the store that holds locks and counters; empty: the first
  std::optional<Ttl> ttl{};     ///< the lifetime of what is put without one; none: for ever
  std::string on_error{};       ///< soft (reads miss, writes answer false) or throw; empty: soft
  std::uint64_t max_value = 0;  ///< bytes; larger values are refused; 0: what the stores can
  bool prohibit_flush = false;  ///< `flush` is refused
  Duration timeout{0};          ///< for one call in all; 0: the stores' own
};

FLUX_CACHE_API void describe(Fields& fields, DistributedConfig& config);

}  // namespace v1
}  // namespace flux::cache
