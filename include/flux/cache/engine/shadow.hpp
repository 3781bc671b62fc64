// flux/cache/engine/shadow.hpp - which knobs fit this load? Ask small caches that try them all.
//
// A few hundred keys, chosen by their hashes, stand for all: a cache of a 256th of the size that sees a 256th of the
// keys has about the same hit ratio as the whole. Seven such miniatures, each the frame of order.hpp under another
// setting, see every access to a chosen key; after some of them the best one's setting becomes that of the shards. Two
// more, half and twice as large, answer what another size would bring. A miniature keeps hashes, no values; an access
// that is not sampled costs one test of its hash, one that is takes the study's lock if it is free and is dropped if it
// is not.
//
// Source: C. Waldspurger et al., "Cache Modeling and Optimization using Miniature Simulations", USENIX ATC 2017.
#pragma once
#include <flux/cache/engine/lock.hpp>
#include <flux/cache/engine/order.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace engine {

/// The settings that are tried. The first fits most, and caches too small to be sampled keep it; a load's nature
/// decides among the others: small windows without ghosts hold on to what they have (loops), large ones follow moving
/// interest, admission protects what is often asked for.
inline constexpr Setting kSettings[] = {{300, true, false}, {10, false, false}, {10, false, true}, {100, true, true},
                                        {300, false, true}, {100, false, true}, {700, false, true}};
inline constexpr std::uint32_t kSettingCount = sizeof kSettings / sizeof kSettings[0];

/// For caches too small to be sampled.
inline constexpr Setting kSmallCacheSetting{300, true, false};

/// A cache of hashes alone.
class Miniature {
 public:
  Miniature(std::uint32_t capacity, const Setting& setting) : capacity_(capacity) {
    std::uint32_t cells = 16;
    while (cells < capacity * 2) cells *= 2;
    cells_.assign(cells, 0);
    mask_ = cells - 1;
    members_.resize(capacity + 1);
    frame_.resize(capacity, true);
    frame_.use(setting);
  }
  void use(const Setting& setting) noexcept { frame_.use(setting); }

  /// True where it was there; it is now.
  bool access(std::uint32_t hash) {
    const std::uint32_t mixed = mix(hash);
    std::uint32_t cell = mixed & mask_;
    while (cells_[cell] != 0) {
      Member& member = members_[cells_[cell]];
      if (member.hash == mixed) {
        if (member.recency < 3) ++member.recency;
        return true;
      }
      cell = (cell + 1) & mask_;
    }
    Host host{*this};
    std::uint32_t at;
    if (count_ < capacity_) {
      at = ++count_;
    } else {
      at = frame_.victim(host, capacity_, false);
      erase(members_[at].hash);
      cell = mixed & mask_;
      while (cells_[cell] != 0) cell = (cell + 1) & mask_;
    }
    cells_[cell] = at;
    members_[at] = {mixed, 0, 0};
    frame_.insert(host, at, kNoTick, capacity_, false);
    return false;
  }
  std::uint64_t bytes() const noexcept {
    return cells_.capacity() * 4 + members_.capacity() * sizeof(Member) + frame_.bytes();
  }

 private:
  struct Member {
    std::uint32_t hash = 0, position = 0;
    std::uint8_t recency = 0;
  };
  struct Host {
    Miniature& of;
    std::uint8_t recency(std::uint32_t at) const noexcept { return of.members_[at].recency; }
    void set_recency(std::uint32_t at, std::uint8_t recency) const noexcept { of.members_[at].recency = recency; }
    std::uint32_t hash(std::uint32_t at) const noexcept { return of.members_[at].hash; }
    void place(std::uint32_t at, std::uint32_t position) const noexcept { of.members_[at].position = position; }
    void prefetch(std::uint32_t) const noexcept {}
    void approach(std::uint32_t) const noexcept {}
    bool dead(std::uint32_t) const noexcept { return false; }
  };
  /// The sampled hashes share their low bits; this spreads them again, one to one.
  static std::uint32_t mix(std::uint32_t hash) noexcept {
    hash ^= hash >> 16;
    hash *= 0x7FEB352Du;
    hash ^= hash >> 15;
    hash *= 0x846CA68Bu;
    return hash ^ (hash >> 16);
  }
  void erase(std::uint32_t mixed) noexcept {
    std::uint32_t hole = mixed & mask_;
    while (members_[cells_[hole]].hash != mixed) hole = (hole + 1) & mask_;
    for (std::uint32_t cell = (hole + 1) & mask_; cells_[cell] != 0; cell = (cell + 1) & mask_) {
      const std::uint32_t home = members_[cells_[cell]].hash & mask_;
      if (((cell - home) & mask_) >= ((cell - hole) & mask_)) {
        cells_[hole] = cells_[cell];
        hole = cell;
      }
    }
    cells_[hole] = 0;
  }

  std::uint32_t capacity_, count_ = 0, mask_ = 0;
  std::vector<std::uint32_t> cells_;
  std::vector<Member> members_;
  FrameOrder frame_;
};

/// What the hit ratio would be at another size of the cache.
struct Estimate {
  double size = 1;       ///< times today's size
  double hit_ratio = 0;  ///< over the sampled accesses of late; 0 until there were some
};

/// The miniatures of one engine and what they have seen.
class Study {
 public:
  static constexpr std::uint32_t kMostKeys = 512;  ///< a miniature's size at most
  static constexpr std::uint32_t kSmallest = 512;  ///< entries; below, there is nothing to sample
  static constexpr std::uint32_t kFewestKeys = 64;

  /// Starts anew for a cache of so many entries. Not thread-safe against `sees` unless under the lock.
  void begin(std::uint64_t entries) {
    entries_ = entries;
    if (entries < kSmallest) return;
    std::uint32_t shift = 3;
    while ((entries >> shift) > kMostKeys) ++shift;
    if (entries >= 2048 && shift < 4) shift = 4;
    const auto capacity = static_cast<std::uint32_t>(entries >> shift);
    miniatures_.clear();
    for (const Setting& setting : kSettings) miniatures_.emplace_back(capacity, setting);
    sizes_.clear();
    sizes_.emplace_back(capacity / 2, kSettings[chosen()]);
    sizes_.emplace_back(capacity * 2, kSettings[chosen()]);
    for (double& score : scores_) score = 0;
    for (double& score : size_scores_) score = 0;
    weight_ = 0;
    seen_ = 0;
    period_ = capacity * 2;
    mask_.store((1u << shift) - 1, std::memory_order_release);
  }

  /// True for the hashes that the miniatures want to see.
  bool samples(std::uint32_t hash) const noexcept { return (hash & mask_.load(std::memory_order_relaxed)) == 0; }

  /// An access to a sampled key. True where a period has ended, and perhaps the choice has changed.
  [[gnu::noinline]] bool sees(std::uint32_t hash) {
    if (!lock_.try_lock()) return false;
    Held held(lock_, true);
    if (miniatures_.empty()) return false;
    for (std::uint32_t index = 0; index < kSettingCount; ++index) hits_[index] += miniatures_[index].access(hash);
    for (std::uint32_t index = 0; index < 2; ++index) size_hits_[index] += sizes_[index].access(hash);
    if (++seen_ < period_) return false;
    decide();
    return true;
  }

  std::uint32_t chosen() const noexcept { return chosen_.load(std::memory_order_relaxed); }
  std::uint64_t entries() const noexcept { return entries_; }
  Lock& lock() noexcept { return lock_; }

  /// Under the lock.
  std::vector<Estimate> estimates() const {
    if (weight_ == 0) return {};
    return {{0.5, size_scores_[0] / weight_}, {1, scores_[chosen()] / weight_}, {2, size_scores_[1] / weight_}};
  }
  std::uint64_t bytes() const noexcept {
    std::uint64_t sum = 0;
    for (const Miniature& each : miniatures_) sum += each.bytes();
    for (const Miniature& each : sizes_) sum += each.bytes();
    return sum;
  }

 private:
  static constexpr double kFading = 0.9;  ///< what the past counts at each decision

  void decide() {
    weight_ = weight_ * kFading + seen_;
    for (std::uint32_t index = 0; index < kSettingCount; ++index) {
      scores_[index] = scores_[index] * kFading + hits_[index];
      hits_[index] = 0;
    }
    for (std::uint32_t index = 0; index < 2; ++index) {
      size_scores_[index] = size_scores_[index] * kFading + size_hits_[index];
      size_hits_[index] = 0;
    }
    seen_ = 0;
    const std::uint32_t now = chosen();
    std::uint32_t best = 0;
    for (std::uint32_t index = 1; index < kSettingCount; ++index)
      if (scores_[index] > scores_[best]) best = index;
    // Most of a point of hit ratio must be gained, so that equals do not take turns.
    if (best == now || scores_[best] - scores_[now] < weight_ * kWorthwhile) return;
    chosen_.store(best, std::memory_order_relaxed);
    for (Miniature& each : sizes_) each.use(kSettings[best]);
  }

  static constexpr double kWorthwhile = 0.008;

  std::atomic<std::uint32_t> mask_{0xFFFFFFFF};  // read by every access; changes when the study begins anew
  std::atomic<std::uint32_t> chosen_{0};
  std::uint64_t entries_ = 0;
  alignas(64) Lock lock_;
  std::vector<Miniature> miniatures_;
  std::vector<Miniature> sizes_;
  std::uint32_t hits_[kSettingCount] = {};
  std::uint32_t size_hits_[2] = {};
  double scores_[kSettingCount] = {};
  double size_scores_[2] = {};
  double weight_ = 0;
  std::uint32_t seen_ = 0, period_ = 0;
};

}  // namespace engine
}  // namespace v1
}  // namespace flux::cache
