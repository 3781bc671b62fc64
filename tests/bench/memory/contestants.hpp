// tests/bench/memory/contestants.hpp - the engine and its peers behind one shape: get, borrow, many, put, share.
#pragma once
#include "workload.hpp"

#include <flux/cache/engine/engine.hpp>

#include <memory>
#include <mutex>
#include <optional>

#if __has_include(<rocksdb/cache.h>) && !defined(BENCH_WITHOUT_ROCKSDB)
#include <rocksdb/cache.h>
#define BENCH_ROCKSDB 1
#endif
#if __has_include(<oneapi/tbb/concurrent_lru_cache.h>) && !defined(BENCH_WITHOUT_TBB)
#define TBB_PREVIEW_CONCURRENT_LRU_CACHE 1
#include <oneapi/tbb/concurrent_lru_cache.h>
#define BENCH_TBB 1
#endif
#if __has_include(<boost/unordered/unordered_flat_map.hpp>)
#include <boost/unordered/unordered_flat_map.hpp>
#define BENCH_FLAT_MAP 1
#else
#include <unordered_map>
#endif

namespace bench {

namespace engine = flux::cache::engine;
using flux::cache::detail::hash_key;

/// What is shared in the object workloads: as large as the values of the others.
struct Record {
  std::uint64_t id;
  char rest[kValueSize - 8];
};
inline const flux::cache::Type kRecordType{.name = "bench::Record",
                                           .weigh = [](const void*) { return sizeof(Record) + 16; }};

class Flux {
 public:
  static constexpr const char* kName = "flux engine";
  explicit Flux(std::size_t capacity) : engine_({.max_items = capacity}) {}

  bool get(const Key& key, char* out) {
    return engine_.visit(key.view(), hash_key(key.view()),
                         [out](const engine::View& view) { std::memcpy(out, view.text().data(), kValueSize); });
  }
  bool borrow(const Key& key, std::uint64_t& id) {
    return engine_.visit(key.view(), hash_key(key.view()),
                         [&id](const engine::View& view) { std::memcpy(&id, view.text().data(), 8); });
  }
  void put(const Key& key, const char* value) {
    engine_.put(key.view(), hash_key(key.view()), engine::Draft::of(std::string_view(value, kValueSize)));
  }
  void overwrite(const Key& key, const char* value) { put(key, value); }
  template <class F>
  void many(const Key* const* keys, std::size_t count, F&& f) {
    engine::Probe probes[32];
    for (std::size_t at = 0; at < count; ++at) probes[at] = {keys[at]->view(), hash_key(keys[at]->view())};
    engine_.visit_many({probes, count}, [&](std::size_t at, const engine::View& view) { f(at, view.text().data()); });
  }
  void put_object(const Key& key, std::shared_ptr<const Record> record) {
    engine_.put(key.view(), hash_key(key.view()), engine::Draft::of(std::move(record), kRecordType));
  }
  bool share(const Key& key, std::uint64_t& id) {
    flux::cache::Object object;
    if (!engine_.visit(key.view(), hash_key(key.view()), [&](const engine::View& view) { object = view.share(); }))
      return false;
    id = static_cast<const Record*>(object.get())->id;
    return true;
  }
  engine::Engine& machine() { return engine_; }

 private:
  engine::Engine engine_;
};

/// Sixteen shards, each a lock, a flat map and a list: what one writes by hand.
class ShardedLru {
 public:
  static constexpr const char* kName = "16-shard LRU";
  explicit ShardedLru(std::size_t capacity) {
    for (Shard& shard : shards_) shard.nodes.resize(capacity / kShards + 1), shard.make_list();
  }
  bool get(const Key& key, char* out) {
    return with(key, [out](const Node& node) { std::memcpy(out, node.value.data(), kValueSize); });
  }
  bool borrow(const Key& key, std::uint64_t& id) {
    return with(key, [&id](const Node& node) { std::memcpy(&id, node.value.data(), 8); });
  }
  void overwrite(const Key& key, const char* value) { put(key, value); }
  void put(const Key& key, const char* value) {
    write(key, [value](Node& node) { node.value.assign(value, kValueSize); });
  }
  void put_object(const Key& key, std::shared_ptr<const Record> record) {
    write(key, [&](Node& node) { node.object = std::move(record); });
  }
  bool share(const Key& key, std::uint64_t& id) {
    std::shared_ptr<const Record> object;
    if (!with(key, [&](const Node& node) { object = node.object; })) return false;
    id = object->id;
    return true;
  }

 private:
  static constexpr std::size_t kShards = 16;
  struct Node {
    std::string key;
    std::string value;
    std::shared_ptr<const Record> object;
    std::uint32_t previous = 0, next = 0;
  };
  struct Hash {
    using is_transparent = void;
    using is_avalanching = void;
    std::size_t operator()(std::string_view text) const { return hash_key(text); }
  };
#if defined(BENCH_FLAT_MAP)
  using Map = boost::unordered_flat_map<std::string_view, std::uint32_t, Hash, std::equal_to<>>;
#else
  using Map = std::unordered_map<std::string_view, std::uint32_t, Hash, std::equal_to<>>;
#endif
  struct alignas(64) Shard {
    std::mutex lock;
    Map map;
    std::vector<Node> nodes;  // 0 is the list's anchor
    std::uint32_t used = 1;
    void make_list() { map.reserve(nodes.size()); }
    void unlink(Node& node) {
      nodes[node.previous].next = node.next;
      nodes[node.next].previous = node.previous;
    }
    void link_first(std::uint32_t at) {
      nodes[at].previous = 0;
      nodes[at].next = nodes[0].next;
      nodes[nodes[0].next].previous = at;
      nodes[0].next = at;
    }
  };
  template <class F>
  bool with(const Key& key, F&& f) {
    Shard& shard = shards_[hash_key(key.view()) >> 60];
    const std::lock_guard held(shard.lock);
    const auto found = shard.map.find(key.view());
    if (found == shard.map.end()) return false;
    Node& node = shard.nodes[found->second];
    shard.unlink(node);
    shard.link_first(found->second);
    f(node);
    return true;
  }
  template <class F>
  void write(const Key& key, F&& f) {
    Shard& shard = shards_[hash_key(key.view()) >> 60];
    const std::lock_guard held(shard.lock);
    const auto found = shard.map.find(key.view());
    std::uint32_t at;
    if (found != shard.map.end()) {
      at = found->second;
      shard.unlink(shard.nodes[at]);
    } else {
      if (shard.used < shard.nodes.size()) {
        at = shard.used++;
      } else {
        at = shard.nodes[0].previous;
        shard.unlink(shard.nodes[at]);
        shard.map.erase(std::string_view(shard.nodes[at].key));
      }
      shard.nodes[at].key.assign(key.bytes, kKeySize);
      shard.map.emplace(std::string_view(shard.nodes[at].key), at);
    }
    shard.link_first(at);
    f(shard.nodes[at]);
  }
  Shard shards_[kShards];
};

/// One thread, no lock, no bound: the floor of what any cache could do with such a map.
class FlatMap {
 public:
  static constexpr const char* kName = "flat map, no lock, no bound";
  explicit FlatMap(std::size_t capacity) { map_.reserve(capacity); }
  bool get(const Key& key, char* out) {
    const auto found = map_.find(key.view());
    if (found == map_.end()) return false;
    std::memcpy(out, found->second.data(), kValueSize);
    return true;
  }
  bool borrow(const Key& key, std::uint64_t& id) {
    const auto found = map_.find(key.view());
    if (found == map_.end()) return false;
    std::memcpy(&id, found->second.data(), 8);
    return true;
  }
  void put(const Key& key, const char* value) {
    const auto found = map_.find(key.view());
    if (found != map_.end()) {
      found->second.assign(value, kValueSize);
    } else {
      map_.emplace(std::string(key.view()), std::string(value, kValueSize));
    }
  }

 private:
  struct Hash {
    using is_transparent = void;
    using is_avalanching = void;
    std::size_t operator()(std::string_view text) const { return hash_key(text); }
  };
#if defined(BENCH_FLAT_MAP)
  boost::unordered_flat_map<std::string, std::string, Hash, std::equal_to<>> map_;
#else
  std::unordered_map<std::string, std::string, Hash, std::equal_to<>> map_;
#endif
};

#if defined(BENCH_ROCKSDB)
/// RocksDB's caches keep a pointer under a key. HyperClockCache of 7.8 takes keys of 16 bytes only and compares nothing
/// else; it gets the 16 that are distinct, and no copy of the whole key, which favours it.
template <bool kClock>
class RocksDb {
 public:
  static constexpr const char* kName = kClock ? "RocksDB HyperClockCache" : "RocksDB LRU";
  explicit RocksDb(std::size_t capacity) {
    if constexpr (kClock) {
      rocksdb::HyperClockCacheOptions options(capacity, 1);
      options.metadata_charge_policy = rocksdb::kDontChargeCacheMetadata;
      cache_ = options.MakeSharedCache();
    } else {
      rocksdb::LRUCacheOptions options;
      options.capacity = capacity;
      options.num_shard_bits = 4;
      options.metadata_charge_policy = rocksdb::kDontChargeCacheMetadata;
      cache_ = rocksdb::NewLRUCache(options);
    }
  }
  bool get(const Key& key, char* out) {
    return with(key, [out](const void* value) { std::memcpy(out, value, kValueSize); });
  }
  bool borrow(const Key& key, std::uint64_t& id) {
    return with(key, [&id](const void* value) { std::memcpy(&id, value, 8); });
  }
  void put(const Key& key, const char* value) {
    char* const copy = new char[kValueSize];
    std::memcpy(copy, value, kValueSize);
    (void)cache_->Insert(slice(key), copy, 1,
                         [](const rocksdb::Slice&, void* old) { delete[] static_cast<char*>(old); });
  }
  /// HyperClockCache keeps the old value where the key is there already; to write the new one takes an erasure first.
  void overwrite(const Key& key, const char* value) {
    if constexpr (kClock) cache_->Erase(slice(key));
    put(key, value);
  }
  void put_object(const Key& key, std::shared_ptr<const Record> record) {
    auto* const held = new std::shared_ptr<const Record>(std::move(record));
    (void)cache_->Insert(slice(key), held, 1, [](const rocksdb::Slice&, void* old) {
      delete static_cast<std::shared_ptr<const Record>*>(old);
    });
  }
  bool share(const Key& key, std::uint64_t& id) {
    std::shared_ptr<const Record> object;
    if (!with(key, [&](const void* value) { object = *static_cast<const std::shared_ptr<const Record>*>(value); }))
      return false;
    id = object->id;
    return true;
  }

 private:
  static rocksdb::Slice slice(const Key& key) {
    return kClock ? rocksdb::Slice(key.bytes + kKeySize - 16, 16) : rocksdb::Slice(key.bytes, kKeySize);
  }
  template <class F>
  bool with(const Key& key, F&& f) {
    rocksdb::Cache::Handle* const handle = cache_->Lookup(slice(key));
    if (handle == nullptr) return false;
    f(cache_->Value(handle));
    cache_->Release(handle);
    return true;
  }
  std::shared_ptr<rocksdb::Cache> cache_;
};
#endif

#if defined(BENCH_TBB)
/// TBB's cache loads on a miss by itself; it has no put.
class Tbb {
 public:
  static constexpr const char* kName = "TBB concurrent_lru_cache";
  explicit Tbb(std::size_t capacity) : cache_(&load, capacity) {}
  bool get(const Key& key, char* out) {
    auto handle = cache_[std::string(key.view())];
    std::memcpy(out, handle.value().data(), kValueSize);
    return true;
  }
  bool borrow(const Key& key, std::uint64_t& id) {
    auto handle = cache_[std::string(key.view())];
    std::memcpy(&id, handle.value().data(), 8);
    return true;
  }
  void put(const Key& key, const char* value) {
    loading = value;
    (void)cache_[std::string(key.view())];
    loading = nullptr;
  }

 private:
  static inline thread_local const char* loading = nullptr;
  static std::string load(std::string) {
    return loading != nullptr ? std::string(loading, kValueSize) : std::string(kValueSize, 0);
  }
  using Load = std::string (*)(std::string);
  tbb::concurrent_lru_cache<std::string, std::string, Load> cache_;
};
#endif

}  // namespace bench
