// flux/cache/engine/options.hpp - how an engine is set up, and what it tells about itself.
#pragma once
#include <flux/cache/clock.hpp>
#include <flux/cache/engine/order.hpp>
#include <flux/cache/engine/removal.hpp>

#include <cstdint>
#include <string_view>

namespace flux::cache {
inline namespace v1 {
namespace engine {

/// Hears each removal once, outside of all locks, in the thread that caused it. What it throws is swallowed; how long
/// it takes only its caller's thread feels.
struct Listener {
  void (*heard)(void* context, const Removal& removal) = nullptr;
  void* context = nullptr;
};

/// How an engine is set up.
struct Options {
  std::uint64_t max_items = 0;  ///< entries at most; 0: no bound. Exact below 4,096; above, shares of the shards
  std::uint64_t max_bytes = 0;  ///< bytes at most (slots, blocks, weights and 16 an entry); 0: no bound
  Policy policy = Policy::adaptive;
  std::uint32_t shards = 0;      ///< a power of two up to 1,024; 0: chosen from the bounds
  const Clock* clock = nullptr;  ///< null: the machine's steady clock, read directly; else asked through its `now`
  Listener listener{};
};

/// Sums over all shards; each is exact when nobody writes.
struct Figures {
  std::uint64_t entries = 0;    ///< that are there (what has expired counts until it is reclaimed)
  std::uint64_t bytes = 0;      ///< charged
  std::uint64_t resident = 0;   ///< pages and books, about
  std::uint64_t hits = 0;       ///< visits that found the key
  std::uint64_t misses = 0;     ///< visits that did not
  std::uint64_t puts = 0;       ///< entries written
  std::uint64_t replaced = 0;   ///< left because they were overwritten
  std::uint64_t evicted = 0;    ///< left because room was needed
  std::uint64_t expired = 0;    ///< left because their time was up
  std::uint64_t forgotten = 0;  ///< left because somebody asked
  std::uint64_t flushed = 0;    ///< left after a `clear`
  std::uint64_t refused = 0;    ///< never came in: too large, or memory was out
};

/// A key with its hash, for calls with many.
struct Probe {
  std::string_view key;
  std::uint64_t hash;
};

}  // namespace engine
}  // namespace v1
}  // namespace flux::cache
