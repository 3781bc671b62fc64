// flux/cache/stores/tiered.hpp - near stores in front of far ones.
//
// The stores are whole: of live objects, with tags (`make_serialized`, `make_tagged`). The last tier decides and has
// everything; nearer ones hold copies, for no longer than the entry lives. docs/design/composites.md argues why nothing
// that was removed comes back through a nearer tier.
#pragma once
#include <flux/cache/backplane.hpp>
#include <flux/cache/options.hpp>
#include <flux/cache/store.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace flux::cache {
inline namespace v1 {

class Fields;

/// Over what a tiered store hears of changes in other processes.
struct BackplaneConfig {
  std::string connection{};  ///< the name of a configured connection; empty: no backplane
};

FLUX_CACHE_API void describe(Fields& fields, BackplaneConfig& config);

/// Which stores, nearest first. It has no prefix of its own: what it writes can be read through its parts.
struct TieredConfig {
  std::vector<std::string> stores{};      ///< names of configured stores; at least one
  std::vector<std::optional<Ttl>> ttl{};  ///< the longest life in each, in the same order; none: as long as the entry
  std::string authority{};                ///< the store that holds locks and limits; empty: the last
  BackplaneConfig backplane{};            ///< how the near tiers hear of changes elsewhere
  bool recovery = true;                   ///< writes that the far tier missed are done when it is back
  std::uint64_t max_pending = 10'000;     ///< operations that wait at the most; beyond, the tier is emptied
  Duration recovery_delay = std::chrono::seconds(1);  ///< between two attempts to catch up; above 0
  std::string on_error{};                             ///< soft (reads miss, writes answer false) or throw; empty: soft
  std::uint64_t max_value = 0;                        ///< bytes; larger values are refused; 0: what the stores can
  bool prohibit_flush = false;                        ///< `flush` is refused
  Duration timeout{0};                                ///< for one call in all; 0: the stores' own
};

FLUX_CACHE_API void describe(Fields& fields, TieredConfig& config);

struct TieredOptions {
  std::vector<std::optional<Duration>> ttl{};  ///< the longest life in each tier; none, or missing: as the entry
  std::optional<std::size_t> authority{};      ///< index of the store that holds locks and limits; none: the last
  std::shared_ptr<Backplane> backplane{};      ///< null: none; then other processes' changes are seen when the near
                                               ///< copy's life is over
  std::string name = "tiered";                 ///< on the backplane: those of one name are one cache
  bool recovery = true;                        ///< writes that a farther tier missed are done when it is back
  std::size_t max_pending = 10'000;            ///< operations that wait at the most; beyond, the tier is emptied
  Duration recovery_delay = std::chrono::seconds(1);  ///< between two attempts to catch up; above 0
  std::uint64_t max_value = 0;                        ///< bytes; larger values are refused; 0: what the stores can
  const Clock* clock = nullptr;                       ///< null: the machine's
};

/// Reads the nearest tier that has the entry, and copies what it found into the nearer ones. A near hit costs what the
/// near store costs, and a few nanoseconds. Reads with `stale` go to the last tier; so does a swap, with whose version
/// a plain read through a nearer tier never agrees: it is refused once, and the next read is exact.
FLUX_CACHE_API StorePtr make_tiered(std::vector<StorePtr> stores, const TieredOptions& options = {});

}  // namespace v1
}  // namespace flux::cache
