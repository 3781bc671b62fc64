// flux/cache/layers/chaos.hpp - a store that fails on demand, to see what the rest makes of it.
//
// Place: over the store whose failures are played, below the layers that must bear them. Thread-safe. The same seed and
// the same order of calls give the same faults. Without faults it changes nothing but the cost of one lock.
#pragma once
#include <flux/cache/decorator.hpp>

#include <cstddef>
#include <functional>
#include <memory>

namespace flux::cache {
inline namespace v1 {

/// What goes wrong, and how often. Rates are parts of the calls, from 0 (never) to 1 (always). Compound operations are
/// made of several calls: of `get`, `put` and `forget`.
struct ChaosOptions {
  std::uint64_t seed = 1;                ///< another one, other faults
  double fail_rate = 0;                  ///< nothing is done, and the answer is `error`
  double lost_reply_rate = 0;            ///< a write is done, and the answer is Errc::timeout
  double lost_write_rate = 0;            ///< a write is not done, and the answer says that it was
  double torn_rate = 0;                  ///< text or bytes that are read arrive cut off or with a flipped bit
  double delay_rate = 0;                 ///< the call takes `delay` longer
  Duration delay{10'000};                ///< at least 0
  Errc error = Errc::unavailable;        ///< the code of `fail_rate`'s errors
  std::function<void(Duration)> wait{};  ///< waits out a delay; empty: sleeps. A test's may move a fake clock
};

/// How many calls there were, and what became of them.
struct ChaosCounts {
  std::uint64_t calls = 0;
  std::uint64_t failed = 0;
  std::uint64_t lost_replies = 0;
  std::uint64_t lost_writes = 0;
  std::uint64_t torn = 0;
  std::uint64_t delayed = 0;
};

/// The layer, with the handles that a test turns.
class FLUX_CACHE_TYPE Chaos : public Decorator {
 public:
  using Decorator::Decorator;

  /// Other faults from now on. The count of calls, and with it the sequence, goes on.
  virtual void set(const ChaosOptions& options) = 0;
  /// The next `calls` calls fail with `error`, whatever the rates say; 0 ends that.
  virtual void fail_next(std::size_t calls, Errc error = Errc::unavailable) = 0;
  /// The next `calls` writes are done and answered by Errc::timeout.
  virtual void lose_next_replies(std::size_t calls) = 0;
  /// The next `calls` reads of text or bytes arrive torn.
  virtual void tear_next(std::size_t calls) = 0;
  virtual ChaosCounts counts() const = 0;
};

/// No faults until some are asked for.
FLUX_CACHE_API std::shared_ptr<Chaos> make_chaos(StorePtr inner, const ChaosOptions& options = {});

}  // namespace v1
}  // namespace flux::cache
