// flux/cache/stores/distributed.hpp - one store over several: copies, shards, or a primary with replicas.
//
// The stores are whole: of live objects, with tags (`make_serialized`, `make_tagged`). What a composite writes can be
// read through them under the same key. docs/design/composites.md argues why this is right.
#pragma once
#include <flux/cache/options.hpp>
#include <flux/cache/store.hpp>

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
  std::vector<int> weights{};  ///< sharding: shares of the keys, one for each store, 1 to 1,000,000; none: equal
  std::string authority{};     ///< the store that holds locks and limits; empty: the first
  bool recovery = true;        ///< replicate, primary: writes that a store missed are done when it is back
  std::uint64_t max_pending = 10'000;  ///< operations that wait for one store at the most; beyond, it is emptied
  Duration recovery_delay = std::chrono::seconds(1);  ///< between two attempts to catch up; above 0
  std::optional<Ttl> ttl{};                           ///< the lifetime of what is put without one; none: for ever
  std::string on_error{};                             ///< soft (reads miss, writes answer false) or throw; empty: soft
  std::uint64_t max_value = 0;                        ///< bytes; larger values are refused; 0: what the stores can
  bool prohibit_flush = false;                        ///< `flush` is refused
  Duration timeout{0};                                ///< for one call in all; 0: the stores' own
};

FLUX_CACHE_API void describe(Fields& fields, DistributedConfig& config);

/// How many replicas must take a write.
enum class WritePolicy : std::uint8_t { any, majority, all };

/// What the three strategies have in common.
struct DistributedOptions {
  std::size_t authority = 0;  ///< index of the store that holds locks and limits
  bool recovery = true;       ///< replicate, primary: writes that a store missed are done when it is back
  std::size_t max_pending =
      10'000;  ///< operations that wait for one store at the most; beyond, it is emptied; 1 or more
  Duration recovery_delay = std::chrono::seconds(1);  ///< between two attempts to catch up; above 0
  std::uint64_t max_value = 0;                        ///< bytes; larger values are refused; 0: what the stores can
  const Clock* clock = nullptr;                       ///< null: the machine's
};

/// Writes to all, reads from the first that has it. A read that a later replica answers repairs the earlier ones with
/// the remaining lifetime, and never over a newer value. `add`, swaps and `pull` are decided by the first replica that
/// answers, counters by the authority alone. A write costs the time of the slowest store.
FLUX_CACHE_API StorePtr make_replicated(std::vector<StorePtr> stores, WritePolicy writes = WritePolicy::any,
                                        const DistributedOptions& options = {});

/// Who the shards are. Names decide which keys a store holds: keep them when a store moves.
struct ShardingOptions {
  std::string name = "sharded";      ///< of the composite; its record of changes stands under it
  std::vector<std::string> nodes{};  ///< one name for each store
  std::vector<int> weights{};        ///< one for each store, 1 to 1,000,000; none: equal
};

/// Each key on one store, chosen by a ring of consistent hashes (`consistent_hash_ring.hpp`). After a change of nodes a
/// store that was absent meanwhile is emptied before it answers. Batches go out side by side. The keys of a store that
/// does not answer are misses in `many`, and named by `put_many`. Throws ConfigError.
FLUX_CACHE_API StorePtr make_sharded(std::vector<StorePtr> stores, const ShardingOptions& shards,
                                     const DistributedOptions& options = {});

/// The first store decides everything; the others are copied to behind it, in order, and read where it does not answer.
FLUX_CACHE_API StorePtr make_primary(std::vector<StorePtr> stores, const DistributedOptions& options = {});

}  // namespace v1
}  // namespace flux::cache
