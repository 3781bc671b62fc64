// flux/cache/layers/recovering.hpp - what could not be written during an outage is done when it is over.
//
// Place: over a store that other parts of a composite stand in for, above its breaker. A put, forget or flush that the
// store did not take is kept, the last one for each key, and its error handed on. Keys that wait are answered from what
// waits, so nobody in this process sees the older value; the rest is asked of the store as ever. When the store is
// back, what waits is done in order.
//
// An operation that waited does not undo a newer put: each entry carries the wall's time of its put in its notes,
// twelve bytes, and a waiting put that is older than what it finds is dropped. What carries no such time (counters, and
// what was put without this layer) is forgotten instead of replaced: a miss is always right.
//
// Thread-safe. Cost while nothing waits: one relaxed atomic load, and the twelve bytes.
#pragma once
#include <flux/cache/decorator.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace flux::cache {
inline namespace v1 {

/// What a store that was away was told after all, or spared because somebody else was later.
struct CaughtUp {
  std::string_view key{};               ///< empty: a flush
  std::span<const std::string> tags{};  ///< of a flush; empty: of all
  bool any = false;                     ///< of what carries at least one of the tags, instead of all
  std::int64_t wall = 0;                ///< when it was asked for, in microseconds of wall time
};

struct RecoveryOptions {
  /// Keys and tag flushes that wait at the most; when there are more, the store is emptied on return instead: too much
  /// goes, never too little. 1 or more.
  std::size_t max_keys = 10'000;
  Duration delay = std::chrono::seconds(1);  ///< between two attempts to catch up; above 0
  const Clock* clock = nullptr;              ///< whose time deadlines go by; null: the machine's
  /// Hears, in the thread that catches up, of each operation done or dropped. For nearer tiers to drop theirs. It must
  /// not end the store.
  std::function<void(const CaughtUp&)> on_caught_up{};
};

/// The layer, with what a composite asks of it.
class FLUX_CACHE_TYPE Recovering : public Decorator {
 public:
  using Decorator::Decorator;

  /// Operations that wait.
  virtual std::size_t waiting() const = 0;
  /// Is there something waiting that decides what the key holds?
  virtual bool is_waiting(const Key& key) const = 0;
  /// Somebody else wrote or removed the key at that wall time, in microseconds: what waited longer is dropped, and
  /// taken back if it was done in the last minute.
  virtual void overtaken(std::string_view key, std::int64_t wall) = 0;
  /// Likewise of a flush; `tags` empty: of all.
  virtual void overtaken_by_flush(std::span<const std::string_view> tags, bool any, std::int64_t wall) = 0;
  /// Tries to do what waits, now; true: nothing does any more.
  virtual bool catch_up() = 0;
};

FLUX_CACHE_API std::shared_ptr<Recovering> make_recovering(StorePtr inner, const RecoveryOptions& options = {});

}  // namespace v1
}  // namespace flux::cache
