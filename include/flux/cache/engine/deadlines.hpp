// flux/cache/engine/deadlines.hpp - which entries of a queue have run out: one tick for each place, one for each 64.
//
// A tick is 65 milliseconds. Beside each place of a queue stands the tick from which its entry has surely expired, and
// beside each block of 64 places the least of theirs. To find what ran out, a sweep reads the blocks' ticks (16 in a
// cache line) and opens only the blocks that are due. That needs no lists, no timer wheel with stale members, and no
// look at a living entry; the arrays come into being with the first deadline.
#pragma once
#include <cstdint>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace engine {

using Tick = std::uint32_t;
inline constexpr Tick kNoTick = 0xFFFFFFFF;
inline constexpr int kTickShift = 16;  ///< microseconds of a tick: 65,536

class Deadlines {
 public:
  static constexpr std::uint32_t kBlock = 64;
  static constexpr std::uint32_t kBlocksPerCall = 1024;  ///< one sweep call's share: 64 cache lines

  bool active() const noexcept { return !ticks_.empty(); }
  Tick at(std::uint32_t place) const noexcept { return place < ticks_.size() ? ticks_[place] : kNoTick; }
  std::uint64_t bytes() const noexcept { return (ticks_.capacity() + least_.capacity()) * sizeof(Tick); }

  /// `places`: how many the queue has now.
  void set(std::uint32_t place, Tick tick, std::size_t places) {
    if (place >= ticks_.size()) {
      if (tick == kNoTick) return;
      ticks_.resize(places > place ? places : place + 1, kNoTick);
      least_.resize((ticks_.size() + kBlock - 1) / kBlock, kNoTick);
    }
    ticks_[place] = tick;
    if (tick < least_[place / kBlock]) least_[place / kBlock] = tick;
  }
  void forget(std::uint32_t place) noexcept {
    if (place < ticks_.size()) ticks_[place] = kNoTick;
  }
  void clear() noexcept {
    ticks_.clear();
    least_.clear();
    cursor_ = 0;
  }

  /// Calls `expire(place)` for places due at `now`, at most `budget` of them, going on where the last call stopped.
  /// True where the pass came to its end. `expire` forgets the place.
  template <class Expire>
  bool sweep(Tick now, std::uint32_t& budget, Expire&& expire) {
    for (std::uint32_t blocks = 0; blocks < kBlocksPerCall && cursor_ < least_.size(); ++blocks, ++cursor_) {
      if (least_[cursor_] > now) continue;
      Tick least = kNoTick;
      const std::uint32_t first = cursor_ * kBlock;
      for (std::uint32_t place = first; place < first + kBlock && place < ticks_.size(); ++place) {
        if (ticks_[place] <= now) {
          if (budget == 0) return false;
          --budget;
          expire(place);
        }
        if (ticks_[place] < least) least = ticks_[place];
      }
      least_[cursor_] = least;
    }
    if (cursor_ < least_.size()) return false;
    cursor_ = 0;
    return true;
  }

 private:
  std::vector<Tick> ticks_;
  std::vector<Tick> least_;
  std::uint32_t cursor_ = 0;
};

}  // namespace engine
}  // namespace v1
}  // namespace flux::cache
