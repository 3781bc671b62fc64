// flux/cache/engine/retired.hpp - slots on their way from the table back to use.
//
// A slot that was taken out of the table first waits in the open list. Once a batch has come together it is sealed:
// stamped with the epoch (epoch.hpp). When that stamp is safe, its slots become `ready_`: the next entry of the same
// size takes the one that became ready last, whose lines are likely still in a near cache; what is more than two
// batches goes back to its page. A sealed batch asks for a rise of the epoch only after another batch has come together
// behind it, so that of many shards one asks for all: the kernel's barrier costs microseconds beside running threads.
#pragma once
#include <flux/cache/engine/arena.hpp>
#include <flux/cache/engine/epoch.hpp>

#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace engine {

/// A shard's retired slots; under the shard's lock.
class Retired {
 public:
  struct Item {
    Slot slot;
    std::uint16_t size_class;
    std::uint16_t rich;  ///< 1 with an object or a block, which must go first
  };
  static constexpr std::uint32_t kHeavy = 4096;  ///< bytes outside of the slot that count as another slot
  static constexpr std::uint32_t kKept = 2;      ///< batches that stay ready; a batch that had to wait comes as two

  /// `batch`: slots that are sealed together.
  Retired(Slots& slots, std::uint32_t batch) noexcept : slots_(slots), batch_(batch) {}
  Retired(const Retired&) = delete;
  Retired& operator=(const Retired&) = delete;

  void add(const Item& item, std::uint64_t outside) {
    open().push_back(item);
    weight_ += 1 + outside / kHeavy;
  }
  bool waits() const noexcept { return !sealed().empty() || !open().empty(); }
  std::uint64_t bytes() const noexcept {
    return (open().capacity() + sealed().capacity() + ready_.capacity()) * sizeof(Item);
  }

  /// A slot that nobody looks at any more, or 0 where the last one that became so is of another class.
  [[gnu::always_inline]] Slot reuse(std::uint32_t size_class) noexcept {
    const Slot slot = peek(size_class);
    if (slot != 0) {
      ready_.pop_back();
      slots_.wake(slot, size_class);
    }
    return slot;
  }
  /// Without the lock: draws the ends of the lists near, and answers the slot that will likely be used next, or 0.
  Slot approach() const noexcept {
    prefetch_write(open_end_.load(std::memory_order_relaxed));
    prefetch_write(ready_end_.load(std::memory_order_relaxed));
    return next_.load(std::memory_order_relaxed);
  }
  [[gnu::always_inline]] Slot peek(std::uint32_t size_class) const noexcept {
    return ready_.empty() || ready_.back().size_class != size_class ? 0 : ready_.back().slot;
  }

  /// Moves at most `most` slots on, calling `strip(slot)` for the rich ones. Answers a stamp that should become safe,
  /// or 0.
  template <class Strip>
  std::uint64_t reclaim(std::uint32_t most, Strip&& strip) {
    std::uint64_t wanted = 0;
    if (sealed().empty()) {
      if (weight_ >= batch_) seal();
    } else if (epoch_domain.is_safe(stamp_)) {
      release(most, strip);
    } else if (weight_ >= patience_) {
      patience_ = weight_ + 8;
      wanted = stamp_;
    }
    for (; most > 0 && ready_.size() > kKept * batch_; --most) give_one();
    point_ahead();
    return wanted;
  }
  /// Brings back whatever can be, however little; for maintenance. True where something still waits.
  template <class Strip>
  bool hurry(std::uint32_t most, Strip&& strip) {
    if (sealed().empty() && !open().empty()) seal();
    if (!sealed().empty()) {
      if (!epoch_domain.is_safe(stamp_)) epoch_domain.advance(stamp_);
      if (epoch_domain.is_safe(stamp_)) release(most, strip);
    }
    for (; most > 0 && !ready_.empty(); --most) give_one();
    return waits();
  }
  /// For the end: all that still hold something.
  template <class F>
  void for_each_rich(F&& f) const {
    for (const auto& list : lists_)
      for (const Item& item : list)
        if (item.rich != 0) f(item.slot);
  }

 private:
  void seal() noexcept {
    std::swap(open_, sealed_);
    weight_ = 0;
    stamp_ = epoch_domain.stamp();
    patience_ = batch_;
  }
  template <class Strip>
  void release(std::uint32_t most, Strip&& strip) {
    for (std::vector<Item>& from = sealed(); most > 0 && !from.empty(); --most) {
      const Item item = from.back();
      from.pop_back();
      if (item.rich != 0) strip(item.slot);
      slots_.rest(item.slot, item.size_class);
      ready_.push_back(item);
    }
  }
  /// For those who prefetch without the lock; what they find may be outdated, which costs them a prefetch in vain.
  void point_ahead() noexcept {
    open_end_.store(open().data() + open().size(), std::memory_order_relaxed);
    ready_end_.store(ready_.data() + ready_.size(), std::memory_order_relaxed);
    next_.store(ready_.empty() ? 0 : ready_.back().slot, std::memory_order_relaxed);
  }
  std::vector<Item>& open() noexcept { return *open_; }
  const std::vector<Item>& open() const noexcept { return *open_; }
  std::vector<Item>& sealed() noexcept { return *sealed_; }
  const std::vector<Item>& sealed() const noexcept { return *sealed_; }
  void give_one() noexcept {
    slots_.give(ready_.back().slot);
    ready_.pop_back();
  }

  Slots& slots_;
  const std::uint32_t batch_;
  std::atomic<Slot> next_{0};  ///< this and the two ends: where a writer without the lock may prefetch
  std::atomic<const Item*> open_end_{nullptr};
  std::atomic<const Item*> ready_end_{nullptr};
  std::uint64_t weight_ = 0;  ///< of what is open
  std::uint64_t patience_ = 0;
  std::uint64_t stamp_ = 0;
  std::vector<Item> ready_;  ///< free
  std::vector<Item> lists_[2];
  std::vector<Item>* open_ = &lists_[0];    ///< retired, not yet stamped
  std::vector<Item>* sealed_ = &lists_[1];  ///< retired before `stamp_`
};

}  // namespace engine
}  // namespace v1
}  // namespace flux::cache
