// flux/cache/engine/retired.hpp - slots on their way from the table back to use.
//
// A slot that was taken out of the table first waits in `open_`. Once a batch has come together it is sealed: stamped
// with the epoch (epoch.hpp). When that stamp is safe, its slots become `ready_`: the next entry of the same size takes
// the one that became ready last, whose lines are likely still in a near cache; what is more than a batch goes back to
// its page. A sealed batch asks for a rise of the epoch only after another batch has come together behind it, so that
// of many shards one asks for all: the kernel's barrier costs microseconds beside running threads.
#pragma once
#include <flux/cache/engine/arena.hpp>
#include <flux/cache/engine/epoch.hpp>

#include <cstdint>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace engine {

/// A shard's retired slots; under the shard's lock.
class Retired {
 public:
  struct Item {
    Slot slot;
    std::uint8_t size_class;
    bool rich;  ///< with an object or a block, which must go first
  };
  static constexpr std::uint32_t kHeavy = 4096;  ///< bytes outside of the slot that count as another slot

  /// `batch`: slots that are sealed together.
  Retired(Slots& slots, std::uint32_t batch) noexcept : slots_(slots), batch_(batch) {}

  void add(const Item& item, std::uint64_t outside) {
    open_.push_back(item);
    weight_ += 1 + outside / kHeavy;
  }
  bool waits() const noexcept { return !sealed_.empty() || !open_.empty(); }
  std::uint64_t bytes() const noexcept {
    return (open_.capacity() + sealed_.capacity() + ready_.capacity()) * sizeof(Item);
  }

  /// A slot that nobody looks at any more, or 0 where the last one that became so is of another class.
  [[gnu::always_inline]] Slot reuse(std::uint8_t size_class) noexcept {
    const Slot slot = peek(size_class);
    if (slot != 0) {
      ready_.pop_back();
      slots_.wake(slot, size_class);
    }
    return slot;
  }
  [[gnu::always_inline]] Slot peek(std::uint8_t size_class) const noexcept {
    return ready_.empty() || ready_.back().size_class != size_class ? 0 : ready_.back().slot;
  }

  /// Moves at most `most` slots on, calling `strip(slot)` for the rich ones. Answers a stamp that should become safe,
  /// or 0.
  template <class Strip>
  std::uint64_t reclaim(std::uint32_t most, Strip&& strip) {
    std::uint64_t wanted = 0;
    if (sealed_.empty()) {
      if (weight_ >= batch_) seal();
    } else if (epoch_domain.is_safe(stamp_)) {
      release(most, strip);
    } else if (weight_ >= patience_) {
      patience_ = weight_ + 8;
      wanted = stamp_;
    }
    for (; most > 0 && ready_.size() > batch_; --most) give_one();
    return wanted;
  }
  /// Brings back whatever can be, however little; for maintenance. True where something still waits.
  template <class Strip>
  bool hurry(std::uint32_t most, Strip&& strip) {
    if (sealed_.empty() && !open_.empty()) seal();
    if (!sealed_.empty()) {
      if (!epoch_domain.is_safe(stamp_)) epoch_domain.advance(stamp_);
      if (epoch_domain.is_safe(stamp_)) release(most, strip);
    }
    for (; most > 0 && !ready_.empty(); --most) give_one();
    return waits();
  }
  /// For the end: all that still hold something.
  template <class F>
  void for_each_rich(F&& f) const {
    for (const auto* const list : {&open_, &sealed_})
      for (const Item& item : *list)
        if (item.rich) f(item.slot);
  }

 private:
  void seal() noexcept {
    sealed_.swap(open_);
    weight_ = 0;
    stamp_ = epoch_domain.stamp();
    patience_ = batch_;
  }
  template <class Strip>
  void release(std::uint32_t most, Strip&& strip) {
    for (; most > 0 && !sealed_.empty(); --most) {
      const Item item = sealed_.back();
      sealed_.pop_back();
      if (item.rich) strip(item.slot);
      slots_.rest(item.slot, item.size_class);
      ready_.push_back(item);
    }
  }
  void give_one() noexcept {
    slots_.give(ready_.back().slot);
    ready_.pop_back();
  }

  Slots& slots_;
  const std::uint32_t batch_;
  std::uint64_t weight_ = 0;  ///< of what is open
  std::uint64_t patience_ = 0;
  std::uint64_t stamp_ = 0;
  std::vector<Item> open_;    ///< retired, not yet stamped
  std::vector<Item> sealed_;  ///< retired before `stamp_`
  std::vector<Item> ready_;   ///< free
};

}  // namespace engine
}  // namespace v1
}  // namespace flux::cache
