// flux/cache/consistent_hash_ring.hpp - which node keeps a key, so that a change of nodes moves as few keys as
// possible.
//
// Each node stands on a ring of 32-bit numbers at many points; a key belongs to the node of the first point at or after
// the key's own place (Karger et al., "Consistent Hashing and Random Trees", STOC 1997). A node that comes takes its
// share from all others; one that goes leaves its keys to all others; no key moves between those that stay.
//
// The mapping is fixed: equal in every process, on every compiler, in every release. The place of a key is the upper
// half of `stable_hash64(key)` (docs/formats/frame.md); point number j of a node, from 0, is the upper half of the
// SplitMix64 finaliser of `stable_hash64(name) + (j + 1) * 0x9e3779b97f4a7c15`. Of two nodes on one point the lower
// name has it.
#pragma once
#include <flux/cache/detail/export.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace flux::cache {
inline namespace v1 {

struct RingOptions {
  /// Points of a node of weight 1; 1 to 65,536. Shares differ from even by about one part in the root of this: with
  /// 2,048 points each of 10 nodes is within 5 %, with 100 within 20 to 30 %.
  std::size_t replicas = 2048;
};

/// Thread-safe. A lookup takes no lock and is not held up by a change; a change builds the ring anew, in about a
/// millisecond for each 10,000 points.
class FLUX_CACHE_API ConsistentHashRing {
 public:
  /// Throws ConfigError where an option is out of its range.
  explicit ConsistentHashRing(const RingOptions& options = {});
  ~ConsistentHashRing();
  ConsistentHashRing(const ConsistentHashRing&) = delete;
  ConsistentHashRing& operator=(const ConsistentHashRing&) = delete;

  /// Adds a node with `weight` times `replicas` points. False where it is there already, whatever its weight: nothing
  /// changes. Throws ConfigError for an empty name, a weight of 0, or more than 4,194,304 points in all.
  bool add_node(std::string_view name, std::size_t weight = 1);
  /// Throws ConfigError where there is no such node.
  void remove_node(std::string_view name);

  /// The node of a key; nothing where the ring is empty. Some 20 ns.
  std::optional<std::string> node_for(std::string_view key) const;
  /// The first `count` distinct nodes from the key's place on, the key's own first: where copies would go.
  std::vector<std::string> nodes_for(std::string_view key, std::size_t count) const;

  /// The names, in order.
  std::vector<std::string> nodes() const;
  std::size_t size() const;
  bool empty() const { return size() == 0; }

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace v1
}  // namespace flux::cache
