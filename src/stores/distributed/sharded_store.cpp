// Each key on one store.
#include <flux/cache/detail/stable_hash.hpp>
#include <flux/cache/stores/distributed.hpp>

#include <algorithm>
#include <bit>

#include "composite/background.hpp"
#include "topology.hpp"

namespace flux::cache {
inline namespace v1 {
namespace distributed {

namespace {

using composite::Part;
using composite::RingNode;
using composite::RingTable;

constexpr std::size_t kPoints = 2048;
constexpr std::size_t kMostPoints = std::size_t{1} << 22;

[[noreturn]] void refuse(std::string message) { raise(Error{Errc::bad_config, "sharding: " + message}); }

/// The shards as ring nodes, in the order of their names, and which part each is.
struct Ring {
  RingTable table;
  std::vector<std::uint32_t> part_of;
  std::uint64_t shape = 0;

  Ring(const ShardingOptions& shards, std::size_t count) {
    if (shards.nodes.size() != count) refuse("there are as many nodes' names as stores");
    if (!shards.weights.empty() && shards.weights.size() != count) refuse("there are as many weights as stores");
    for (std::uint32_t i = 0; i < count; ++i) part_of.push_back(i);
    std::sort(part_of.begin(), part_of.end(),
              [&](std::uint32_t a, std::uint32_t b) { return shards.nodes[a] < shards.nodes[b]; });
    int most = 1;
    for (const int weight : shards.weights) {
      if (weight < 1 || weight > 1'000'000) refuse("a weight is 1 to 1,000,000");
      most = std::max(most, weight);
    }
    // By powers of two, so that a node that comes or goes leaves the points of the others where they are.
    const auto scale = std::bit_ceil(static_cast<std::size_t>(most));
    const std::size_t unit = scale == 1 ? kPoints : 2 * kPoints;
    std::vector<RingNode> nodes;
    std::size_t total = 0;
    for (const std::uint32_t part : part_of) {
      const std::string& name = shards.nodes[part];
      if (!nodes.empty() && nodes.back().name == name) refuse("two stores are named \"" + name + "\"");
      const std::size_t weight = shards.weights.empty() ? 1 : static_cast<std::size_t>(shards.weights[part]);
      nodes.push_back({name, std::max<std::size_t>(1, unit * weight / scale)});
      total += nodes.back().points;
      shape =
          detail::fingerprint_join(detail::fingerprint_join(shape, detail::stable_hash64(name)), nodes.back().points);
    }
    if (total > kMostPoints) refuse("there are too many stores");
    table = RingTable(std::move(nodes));
  }
};

class ShardedStore final : public composite::CompositeStore {
 public:
  ShardedStore(std::vector<StorePtr> stores, const ShardingOptions& shards, const DistributedOptions& options)
      : CompositeStore(std::move(stores), {.kind = "distributed",
                                           .authority = options.authority,
                                           .max_value = options.max_value,
                                           .clock = options.clock,
                                           .copies = false}),
        ring_(shards, parts_.size()),
        topology_(shards.name, ring_.shape, parts_) {}
  ~ShardedStore() override { background_.close(); }

  Result<bool> get(const Key& key, const Read& how, Receiver found) override {
    return at<bool>(key, [&](Store& shard, std::size_t) { return shard.get(key, how, found); });
  }
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    return at<bool>(key, [&](Store& shard, std::size_t part) {
      if (auto fits = check(key, entry); !fits.ok()) return Result<bool>(fits.take_error());
      std::vector<TagStamp> room;
      return shard.put(key, book_.for_part(entry, part, room), how);
    });
  }
  Result<bool> forget(const Key& key, const Forget& how) override {
    return at<bool>(key, [&](Store& shard, std::size_t) { return shard.forget(key, how); });
  }
  Result<bool> has(const Key& key) override {
    return at<bool>(key, [&](Store& shard, std::size_t) { return shard.has(key); });
  }
  Result<bool> pull(const Key& key, const Read& how, Receiver found) override {
    return at<bool>(key, [&](Store& shard, std::size_t) { return shard.pull(key, how, found); });
  }
  Result<bool> touch(const Key& key, const Expiry& expiry) override {
    return at<bool>(key, [&](Store& shard, std::size_t) { return shard.touch(key, expiry); });
  }
  Result<std::int64_t> increment(const Key& key, std::int64_t by, const Entry& if_new) override {
    return at<std::int64_t>(key, [&](Store& shard, std::size_t part) {
      std::vector<TagStamp> room;
      return shard.increment(key, by, book_.for_part(if_new, part, room));
    });
  }

  /// Every shard is flushed, also where another one fails.
  Result<void> flush(const Scope& scope) override {
    std::vector<std::unique_ptr<Error>> errors(parts_.size());
    composite::fan_out(parts_.size(), apart(), [&](std::size_t part) {
      auto ready = topology_.ready(part);
      auto done = ready.ok() ? parts_[part]->flush(scope) : std::move(ready);
      errors[part] = done.take_error();
    });
    for (auto& error : errors)
      if (error) return Result<void>(std::move(error));
    return {};
  }

  Result<void> get_many(std::span<const Key> keys, const Read& how, BatchReceiver found) override {
    if (keys.empty()) return {};
    const Batch batch(*this, keys, [](const Key& key) { return key; });
    engine::Lock one_at_a_time;
    return each_shard(batch, [&](Store& shard, std::size_t part) {
      const auto& places = batch.places[part];
      const auto take = [&](std::size_t i, const Entry& entry) {
        const engine::Held held(one_at_a_time);
        found(places[i], entry);
      };
      const auto hand_on = [&](std::size_t i, std::unique_ptr<Error> why) {
        const engine::Held held(one_at_a_time);
        found.unreadable(places[i], std::move(why));
      };
      return shard.get_many(batch.keys[part], how, {take, hand_on});
    });
  }

  Result<BatchWritten> put_many(std::span<const Item> items) override {
    if (items.empty()) return BatchWritten{};
    for (const Item& item : items)
      if (auto fits = check(item.key, item.entry); !fits.ok()) return Result<BatchWritten>(fits.take_error());
    const Batch batch(*this, items, [](const Item& item) { return item.key; });
    BatchWritten outcome;
    engine::Lock one_at_a_time;
    composite::fan_out(batch.used.size(), apart(), [&](std::size_t n) {
      const std::size_t part = batch.used[n];
      const auto& places = batch.places[part];
      std::vector<Item> own;
      std::vector<std::vector<TagStamp>> rooms(places.size());
      for (std::size_t i = 0; i < places.size(); ++i)
        own.push_back({items[places[i]].key, book_.for_part(items[places[i]].entry, part, rooms[i])});
      auto ready = topology_.ready(part);
      auto written = ready.ok() ? parts_[part]->put_many(own) : Result<BatchWritten>(ready.take_error());
      const engine::Held held(one_at_a_time);
      if (!written.ok()) {
        outcome.failed.insert(outcome.failed.end(), places.begin(), places.end());
        if (!outcome.error) outcome.error = written.take_error();
        return;
      }
      for (const std::size_t i : written->failed) outcome.failed.push_back(places[i]);
      if (!outcome.error) outcome.error = std::move(written->error);
    });
    std::sort(outcome.failed.begin(), outcome.failed.end());
    return outcome;
  }

  Result<std::size_t> forget_many(std::span<const Key> keys) override {
    if (keys.empty()) return std::size_t{0};
    const Batch batch(*this, keys, [](const Key& key) { return key; });
    std::atomic<std::size_t> gone{0};
    std::vector<std::unique_ptr<Error>> errors(parts_.size());
    composite::fan_out(batch.used.size(), apart(), [&](std::size_t n) {
      const std::size_t part = batch.used[n];
      auto ready = topology_.ready(part);
      auto removed = ready.ok() ? parts_[part]->forget_many(batch.keys[part]) : Result<std::size_t>(ready.take_error());
      if (removed.ok())
        gone += *removed;
      else
        errors[part] = removed.take_error();
    });
    for (auto& error : errors)
      if (error) return Result<std::size_t>(std::move(error));
    return gone.load();
  }

  /// What a shard holds of another's keys is not listed.
  Result<void> scan(Space space, Visitor visit) override {
    if (space != Space::values)
      return authority().scan(space, [&](std::string_view key, const Entry& entry) {
        return (space == Space::tags && key == topology_.record()) || visit(key, entry);
      });
    bool go_on = true;
    for (std::size_t part = 0; part < parts_.size() && go_on; ++part) {
      auto ready = topology_.ready(part);
      if (!ready.ok()) return ready;
      auto done = parts_[part]->scan(space, [&](std::string_view key, const Entry& entry) {
        if (part_of(key) == part) go_on = visit(key, entry);
        return go_on;
      });
      if (!done.ok()) return done;
    }
    return {};
  }

  Result<std::size_t> prune(std::size_t budget) override {
    for (const std::size_t part : topology_.unswept()) sweep(part);
    return CompositeStore::prune(budget);
  }

  /// Forgets, behind, what shards hold of each other's keys.
  void sweep_behind() {
    if (topology_.unswept().empty() || sweeping_.exchange(true)) return;
    const bool taken = background_.submit([this] {
      for (const std::size_t part : topology_.unswept()) sweep(part);
    });
    if (!taken) sweeping_ = false;
  }

 private:
  /// The items of a batch, dealt out to their parts.
  struct Batch {
    template <class Range, class KeyOf>
    Batch(const ShardedStore& home, const Range& range, KeyOf key_of)
        : keys(home.parts_.size()), places(home.parts_.size()) {
      std::size_t place = 0;
      for (const auto& one : range) {
        const Key key = key_of(one);
        const std::size_t part = home.part_of(key);
        if (places[part].empty()) used.push_back(part);
        keys[part].push_back(key);
        places[part].push_back(place++);
      }
    }
    std::vector<std::vector<Key>> keys;
    std::vector<std::vector<std::size_t>> places;
    std::vector<std::size_t> used;
  };

  std::size_t part_of(std::string_view key) const noexcept { return ring_.part_of[ring_.table.node_of(key)]; }
  std::size_t part_of(const Key& key) const noexcept {
    return key.space() == Space::values ? part_of(key.text()) : authority_index();
  }

  template <class T, class Work>
  Result<T> at(const Key& key, Work&& work) {
    const std::size_t part = part_of(key);
    auto ready = topology_.ready(part);
    if (!ready.ok()) [[unlikely]]
      return Result<T>(ready.take_error());
    if (!swept_once_.load(std::memory_order_relaxed)) [[unlikely]]
      swept_once_ = true, sweep_behind();
    return work(*parts_[part], part);
  }

  /// An error only where no shard answered: what the others hold is worth having.
  template <class Work>
  Result<void> each_shard(const Batch& batch, Work&& work) {
    std::vector<std::unique_ptr<Error>> errors(batch.used.size());
    composite::fan_out(batch.used.size(), apart(), [&](std::size_t n) {
      auto ready = topology_.ready(batch.used[n]);
      auto done = ready.ok() ? work(*parts_[batch.used[n]], batch.used[n]) : std::move(ready);
      errors[n] = done.take_error();
    });
    if (std::all_of(errors.begin(), errors.end(), [](const auto& error) { return error != nullptr; }))
      return Result<void>(std::move(errors.front()));
    return {};
  }

  void sweep(std::size_t part) {
    std::vector<std::string> strangers;
    auto done = parts_[part]->scan(Space::values, [&](std::string_view key, const Entry&) {
      if (part_of(key) != part) strangers.emplace_back(key);
      return true;
    });
    if (!done.ok()) {
      // What cannot list its entries loses them all.
      if (done.error().code == Errc::unsupported && parts_[part]->flush({}).ok()) topology_.swept(part);
      return;
    }
    for (const std::string& key : strangers)
      if (!parts_[part]->forget(Key(key), {}).ok()) return;
    topology_.swept(part);
  }

  const Ring ring_;
  Topology topology_;
  std::atomic<bool> swept_once_{false};
  std::atomic<bool> sweeping_{false};
  composite::Background background_;
};

}  // namespace

}  // namespace distributed

StorePtr make_sharded(std::vector<StorePtr> stores, const ShardingOptions& shards, const DistributedOptions& options) {
  return std::make_shared<distributed::ShardedStore>(std::move(stores), shards, options);
}

}  // namespace v1
}  // namespace flux::cache
