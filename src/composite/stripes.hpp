// Turns and counts by key: who may fill a nearer part from a farther one, and in which order writers of a key go.
//
// Somebody who fills looks at the count before he reads the farther part, and fills under the stripe's lock only where
// the count is still the same. Somebody who invalidates changes the farther part first; then, under the lock, he
// empties the nearer parts and raises the count. So a fill is either early enough to be emptied, or refused. The count
// goes up last: between the first and the last of several nearer parts one could look, read a part that is not yet
// emptied, and fill a nearer one that is.
#pragma once
#include <flux/cache/engine/registry.hpp>
#include <flux/cache/key.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <span>

namespace flux::cache {
inline namespace v1 {
namespace composite {

/// A fork waits for all locks to be free, so both sides find them so.
class Stripes final : private engine::Registered {
 public:
  Stripes() { enlist(); }
  ~Stripes() { delist(); }

  /// What to show when filling. Take it before the farther part is read.
  std::uint64_t look(const Key& key) const noexcept {
    // Both only grow, so an equal sum means that neither has moved.
    return of(key).count.load(std::memory_order_acquire) + all_.load(std::memory_order_acquire);
  }
  /// Runs `work` where nothing was invalidated since `ticket`.
  template <class Work>
  bool fill(const Key& key, std::uint64_t ticket, Work&& work) {
    const engine::Held held(of(key).lock);
    if (look(key) != ticket) return false;
    work();
    return true;
  }
  /// Ends all fills under way, and runs `work`.
  template <class Work>
  void invalidate(const Key& key, Work&& work) {
    Stripe& stripe = of(key);
    const engine::Held held(stripe.lock);
    work();
    stripe.count.fetch_add(1, std::memory_order_acq_rel);
  }
  /// After a write to the farther part: `fill` where nobody else wrote since `ticket`, `drop` otherwise, for then
  /// nobody knows whose write came last. Ends all fills under way.
  template <class Fill, class Drop>
  void write(const Key& key, std::uint64_t ticket, Fill&& fill, Drop&& drop) {
    Stripe& stripe = of(key);
    const engine::Held held(stripe.lock);
    const bool alone = look(key) == ticket;
    alone ? fill() : drop();
    stripe.count.fetch_add(1, std::memory_order_acq_rel);
  }
  /// Ends all fills under way, of all keys. What was filled before can be emptied now, what is filled from here on was
  /// read from here on: so once for each part, after the next farther one was emptied and before it is emptied itself.
  void end_fills() {
    all_.fetch_add(1, std::memory_order_acq_rel);
    for (Stripe& stripe : stripes_) const engine::Held passed(stripe.lock);
  }

  /// The writers of these keys take turns.
  class Turn {
   public:
    Turn(Stripes& home, const Key& key) : home_(home), mask_(std::uint64_t{1} << index(key)) { take(); }
    template <class Range, class KeyOf>
    Turn(Stripes& home, const Range& range, KeyOf key_of) : home_(home) {
      for (const auto& one : range) mask_ |= std::uint64_t{1} << index(key_of(one));
      take();
    }
    struct All {};
    Turn(Stripes& home, All) : home_(home), mask_(~std::uint64_t{0}) { take(); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
      for (std::size_t i = 0; i < kStripes; ++i)
        if ((mask_ >> i & 1) != 0) home_.stripes_[i].lock.unlock();
    }

   private:
    void take() {  // always in the same order, so that two turns never wait for each other
      for (std::size_t i = 0; i < kStripes; ++i)
        if ((mask_ >> i & 1) != 0) home_.stripes_[i].lock.lock();
    }
    Stripes& home_;
    std::uint64_t mask_ = 0;
  };

 private:
  static constexpr std::size_t kStripes = 64;
  struct alignas(64) Stripe {
    engine::Lock lock;
    std::atomic<std::uint64_t> count{0};
  };

  static std::size_t index(const Key& key) noexcept { return (key.hash() >> 17) % kStripes; }
  Stripe& of(const Key& key) noexcept { return stripes_[index(key)]; }
  const Stripe& of(const Key& key) const noexcept { return stripes_[index(key)]; }

  void before_fork() noexcept override {
    for (Stripe& stripe : stripes_) stripe.lock.lock();
  }
  void after_fork() noexcept override {
    for (Stripe& stripe : stripes_) stripe.lock.unlock();
  }

  std::array<Stripe, kStripes> stripes_;
  std::atomic<std::uint64_t> all_{0};
};

}  // namespace composite
}  // namespace v1
}  // namespace flux::cache
