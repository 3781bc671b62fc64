#include <flux/cache/consistent_hash_ring.hpp>
#include <flux/cache/engine/epoch.hpp>
#include <flux/cache/error.hpp>

#include <algorithm>
#include <atomic>
#include <mutex>

#include "ring_table.hpp"

namespace flux::cache {
inline namespace v1 {

using composite::RingNode;
using composite::RingTable;

namespace {

constexpr std::size_t kMostPoints = std::size_t{1} << 22;

[[noreturn]] void refuse(std::string message) { throw ConfigError(Error{Errc::bad_config, "ring: " + message}); }

}  // namespace

/// Readers look at the table inside a read section; a table that was replaced is freed once no section is left that may
/// have found it.
struct ConsistentHashRing::State {
  ~State() { delete table.load(std::memory_order_relaxed); }

  void replace(std::unique_ptr<const RingTable> next) {
    std::unique_ptr<const RingTable> old(table.exchange(next.release(), std::memory_order_seq_cst));
    const std::uint64_t stamp = engine::epoch_domain.stamp();
    retired.push_back({stamp, std::move(old)});
    engine::epoch_domain.advance(stamp);
    std::erase_if(retired, [](const Retired& one) { return engine::epoch_domain.is_safe(one.stamp); });
  }

  struct Retired {
    std::uint64_t stamp;
    std::unique_ptr<const RingTable> table;
  };
  std::size_t replicas = 0;
  std::mutex changing;
  std::atomic<const RingTable*> table{new RingTable};
  std::vector<Retired> retired;
};

ConsistentHashRing::ConsistentHashRing(const RingOptions& options) : state_(std::make_unique<State>()) {
  if (options.replicas < 1 || options.replicas > 65'536)
    refuse("replicas must be 1 to 65,536, not " + std::to_string(options.replicas));
  state_->replicas = options.replicas;
}

ConsistentHashRing::~ConsistentHashRing() = default;

bool ConsistentHashRing::add_node(std::string_view name, std::size_t weight) {
  if (name.empty()) refuse("a node needs a name");
  if (weight == 0) refuse("the weight of \"" + std::string(name) + "\" must be above 0");
  const std::scoped_lock guard(state_->changing);
  std::vector<RingNode> nodes = state_->table.load(std::memory_order_relaxed)->nodes();
  const auto at = std::lower_bound(nodes.begin(), nodes.end(), name,
                                   [](const RingNode& node, std::string_view wanted) { return node.name < wanted; });
  if (at != nodes.end() && at->name == name) return false;
  std::size_t points = state_->table.load(std::memory_order_relaxed)->points();
  if (weight > kMostPoints || points + weight * state_->replicas > kMostPoints)
    refuse("\"" + std::string(name) + "\" would make more than 4,194,304 points; lower the weights or the replicas");
  nodes.insert(at, {std::string(name), weight * state_->replicas});
  state_->replace(std::make_unique<RingTable>(std::move(nodes)));
  return true;
}

void ConsistentHashRing::remove_node(std::string_view name) {
  const std::scoped_lock guard(state_->changing);
  std::vector<RingNode> nodes = state_->table.load(std::memory_order_relaxed)->nodes();
  if (std::erase_if(nodes, [&](const RingNode& node) { return node.name == name; }) == 0)
    refuse("there is no node \"" + std::string(name) + "\"");
  state_->replace(std::make_unique<RingTable>(std::move(nodes)));
}

std::optional<std::string> ConsistentHashRing::node_for(std::string_view key) const {
  const engine::ReadSection reading;
  const RingTable& table = *state_->table.load(std::memory_order_acquire);
  if (table.points() == 0) return std::nullopt;
  return table.nodes()[table.node_of(key)].name;
}

std::vector<std::string> ConsistentHashRing::nodes_for(std::string_view key, std::size_t count) const {
  const engine::ReadSection reading;
  const RingTable& table = *state_->table.load(std::memory_order_acquire);
  std::vector<std::string> names;
  count = std::min(count, table.nodes().size());
  if (count == 0) return names;
  std::vector<bool> taken(table.nodes().size());
  for (std::size_t at = table.point_at(RingTable::place_of(key)); names.size() < count;
       at = at + 1 < table.points() ? at + 1 : 0) {
    const std::uint32_t node = table.owner(at);
    if (taken[node]) continue;
    taken[node] = true;
    names.push_back(table.nodes()[node].name);
  }
  return names;
}

std::vector<std::string> ConsistentHashRing::nodes() const {
  const engine::ReadSection reading;
  std::vector<std::string> names;
  for (const RingNode& node : state_->table.load(std::memory_order_acquire)->nodes()) names.push_back(node.name);
  return names;
}

std::size_t ConsistentHashRing::size() const {
  const engine::ReadSection reading;
  return state_->table.load(std::memory_order_acquire)->nodes().size();
}

}  // namespace v1
}  // namespace flux::cache
