// Placeholders of loads, beside the engine: a slow load must not lose its claim because the cache is full and busy.
//
// There are as many as there are loads of cold keys in progress. A placeholder counts only while the engine keeps no
// entry under its key; whoever writes or removes a key there afterwards drops the placeholder here, so a load that was
// overtaken finds its claim gone. With no load in progress all of it costs one relaxed load. A child of fork has none
// of its parent's loads, so it keeps none of their placeholders.
#pragma once
#include <flux/cache/engine/lock.hpp>
#include <flux/cache/engine/registry.hpp>
#include <flux/cache/store.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>

#include "core/fork_mutex.hpp"

namespace flux::cache {
inline namespace v1 {
namespace memory {

struct Reservation {
  std::uint64_t version;
  Expiry expiry;
  std::string labels;
};

/// Its locks are held over calls of the engine's. So a fork takes them as it takes the engine's, and before them: it
/// was made after the engine.
class Reservations final : engine::Registered {
 public:
  Reservations() { enlist(); }
  ~Reservations() { delist(); }

  bool any() const noexcept { return count_.load(std::memory_order_seq_cst) != 0; }

  void drop(const Key& key) {
    if (!any()) [[likely]]
      return;
    Shard& shard = of(key);
    const engine::Held guard(shard.lock);
    leave_behind(shard);
    if (shard.held.erase(std::string(key.text())) != 0) count_.fetch_sub(1, std::memory_order_seq_cst);
  }
  void clear() {
    for (Shard& shard : shards_) {
      const engine::Held guard(shard.lock);
      count_.fetch_sub(shard.held.size(), std::memory_order_seq_cst);
      shard.held.clear();
    }
  }
  /// Drops what has outlived its lease; answers how many.
  std::size_t prune(Instant now) {
    if (!any()) return 0;
    std::size_t gone = 0;
    for (Shard& shard : shards_) {
      const engine::Held guard(shard.lock);
      gone += std::erase_if(shard.held, [&](const auto& one) { return !one.second.expiry.is_kept(now); });
    }
    count_.fetch_sub(gone, std::memory_order_seq_cst);
    return gone;
  }

  /// Runs `f(Reservation* kept)` under the key's lock; null where none is. What it answers is done: 'k' keeps, 'd'
  /// drops.
  template <class F>
  void with(const Key& key, F&& f) {
    Shard& shard = of(key);
    const engine::Held guard(shard.lock);
    leave_behind(shard);
    const auto at = shard.held.find(std::string(key.text()));
    const bool there = at != shard.held.end();
    if (f(there ? &at->second : nullptr) == 'd' && there) {
      shard.held.erase(at);
      count_.fetch_sub(1, std::memory_order_seq_cst);
    }
  }
  /// Places one where `may(Reservation* old)` agrees, under the key's lock.
  template <class May>
  bool place(const Key& key, Reservation reservation, May&& may) {
    Shard& shard = of(key);
    const engine::Held guard(shard.lock);
    leave_behind(shard);
    count_.fetch_add(1, std::memory_order_seq_cst);  // seen by every writer from here on, before `may` looks
    const auto at = shard.held.find(std::string(key.text()));
    if (!may(at != shard.held.end() ? &at->second : nullptr)) {
      count_.fetch_sub(1, std::memory_order_seq_cst);
      return false;
    }
    if (!shard.held.insert_or_assign(std::string(key.text()), std::move(reservation)).second)
      count_.fetch_sub(1, std::memory_order_seq_cst);
    return true;
  }

 private:
  struct Shard {
    engine::Lock lock;
    std::uint64_t depth = detail::fork_depth();
    std::unordered_map<std::string, Reservation> held;
  };
  void before_fork() noexcept override {
    for (Shard& shard : shards_) shard.lock.lock();
  }
  void after_fork() noexcept override {
    for (Shard& shard : shards_) shard.lock.unlock();
  }
  /// Under the shard's lock.
  void leave_behind(Shard& shard) {
    if (shard.depth == detail::fork_depth()) [[likely]]
      return;
    shard.depth = detail::fork_depth();
    count_.fetch_sub(shard.held.size(), std::memory_order_seq_cst);
    shard.held.clear();
  }
  Shard& of(const Key& key) noexcept { return shards_[(key.hash() >> 32) % shards_.size()]; }

  std::array<Shard, 16> shards_;
  std::atomic<std::size_t> count_{0};
};

}  // namespace memory
}  // namespace v1
}  // namespace flux::cache
