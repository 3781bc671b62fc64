// flux/cache/engine/tally.hpp - hits and misses, counted by each thread for itself and summed on demand.
#pragma once
#include <atomic>
#include <cstdint>

namespace flux::cache {
inline namespace v1 {
namespace engine {

/// Two counters for each of 64 threads, each pair on a line of its own; later threads share the last pair. Counting
/// costs under a nanosecond. A sum taken while others count is a little old, never wrong once they are done.
class Tally {
 public:
  /// Answers the new count of the thread.
  std::uint64_t hit(std::uint32_t thread) noexcept { return count(thread, &Pair::hits); }
  std::uint64_t miss(std::uint32_t thread) noexcept { return count(thread, &Pair::misses); }
  void sum(std::uint64_t& hits, std::uint64_t& misses) const noexcept {
    for (const Pair& pair : pairs_) {
      hits += pair.hits.load(std::memory_order_relaxed);
      misses += pair.misses.load(std::memory_order_relaxed);
    }
  }

 private:
  static constexpr std::uint32_t kPairs = 64;
  struct alignas(64) Pair {
    std::atomic<std::uint64_t> hits{0};
    std::atomic<std::uint64_t> misses{0};
  };
  [[gnu::always_inline]] std::uint64_t count(std::uint32_t thread, std::atomic<std::uint64_t> Pair::*which) noexcept {
    if (thread < kPairs - 1) [[likely]] {
      std::atomic<std::uint64_t>& mine = pairs_[thread].*which;
      const std::uint64_t now = mine.load(std::memory_order_relaxed) + 1;
      mine.store(now, std::memory_order_relaxed);
      return now;
    }
    return (pairs_[kPairs - 1].*which).fetch_add(1, std::memory_order_relaxed) + 1;
  }
  Pair pairs_[kPairs];
};

}  // namespace engine
}  // namespace v1
}  // namespace flux::cache
