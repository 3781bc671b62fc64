// flux/cache/engine/shard_order.hpp - a shard's order of eviction: the frame, or the textbook list, behind one shape.
#pragma once
#include <flux/cache/engine/lru.hpp>
#include <flux/cache/engine/order.hpp>

#include <cstdint>

namespace flux::cache {
inline namespace v1 {
namespace engine {

/// Knows each member's place; hosts as for FrameOrder.
class ShardOrder {
 public:
  explicit ShardOrder(Policy policy) noexcept : policy_(policy) {}

  /// `entries`: what to size the memory of the absent for; `most`: places to reserve.
  void resize(std::uint32_t entries, std::uint32_t most) {
    frame_.resize(entries, policy_ == Policy::adaptive);
    if (policy_ == Policy::adaptive) frame_.reserve(most);
  }
  void use(const Setting& setting) noexcept { frame_.use(setting); }
  /// Draws near what an insertion writes here; also without the lock.
  void prefetch_books() const noexcept { frame_.prefetch_books(); }
  void prefetch(std::uint32_t hash) const noexcept {
    if (policy_ == Policy::adaptive) frame_.prefetch(hash);
  }

  /// Draws near what `replace` at this position will write.
  void prefetch_place(std::uint32_t position) const noexcept {
    if (policy_ != Policy::lru) frame_.prefetch_place(position);
  }

  template <class Host>
  void insert(Host& host, std::uint32_t member, Tick tick, std::uint32_t capacity) {
    if (policy_ == Policy::lru) return lru_.insert(host, member, tick);
    frame_.insert(host, member, tick, capacity, policy_ == Policy::fifo);
  }
  void remove(std::uint32_t position) {
    if (policy_ == Policy::lru) return lru_.remove(position);
    frame_.remove(position);
  }
  void replace(std::uint32_t position, std::uint32_t member, Tick tick) {
    if (policy_ == Policy::lru) return lru_.replace(position, member, tick);
    frame_.replace(position, member, tick);
  }
  void retime(std::uint32_t position, Tick tick) {
    if (policy_ == Policy::lru) return lru_.retime(position, tick);
    frame_.retime(position, tick);
  }
  void used(std::uint32_t position) noexcept { lru_.used(position); }
  template <class Host>
  std::uint32_t victim(Host& host, std::uint32_t capacity) {
    return policy_ == Policy::lru ? lru_.victim() : frame_.victim(host, capacity, policy_ == Policy::fifo);
  }
  template <class Expire>
  bool sweep(Tick now, std::uint32_t& budget, Expire&& expire) {
    return policy_ == Policy::lru ? lru_.sweep(now, budget, expire) : frame_.sweep(now, budget, expire);
  }

  std::uint32_t member(std::uint32_t position) const noexcept {
    return policy_ == Policy::lru ? lru_.member(position) : frame_.member(position);
  }
  std::uint32_t at_place(std::uint32_t place) const noexcept {
    return policy_ == Policy::lru ? lru_.at_place(place) : frame_.at_place(place);
  }
  std::uint32_t places() const noexcept { return policy_ == Policy::lru ? lru_.places() : frame_.places(); }
  template <class F>
  void for_each(F&& f) const {
    if (policy_ == Policy::lru) return lru_.for_each(f);
    frame_.for_each(f);
  }
  std::uint64_t bytes() const noexcept { return lru_.bytes() + frame_.bytes(); }

 private:
  Policy policy_;
  FrameOrder frame_;
  LruOrder lru_;
};

}  // namespace engine
}  // namespace v1
}  // namespace flux::cache
