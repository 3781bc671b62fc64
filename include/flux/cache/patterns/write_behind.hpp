// flux/cache/patterns/write_behind.hpp - the cache at once, the source in batches.
//
// `put` writes to the cache, appends to a queue and returns; a thread hands the queue to the writer in batches. The
// order of writes to one key is kept; a failed batch is tried again, with growing pauses, before anything behind it.
// Without a journal, what is pending when the process is killed is lost; with one, nothing that was acknowledged is: it
// is written when the next queue is opened on the same journal, before anything new.
#pragma once
#include <flux/cache/manager.hpp>
#include <flux/cache/repository.hpp>
#include <flux/cache/type_of.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace flux::cache {
inline namespace v1 {

/// What `put` does where the queue is full.
enum class WhenFull : std::uint8_t {
  block,        ///< waits for room
  drop_oldest,  ///< makes room, and counts what was lost
  fail,         ///< answers false; the cache was not written either
};

struct WriteBehindOptions {
  std::size_t max_batch_size = 100;                   ///< writes handed over at once; 1 or more
  Duration flush_interval = std::chrono::seconds(1);  ///< the longest that a write waits for its batch to fill
  std::size_t max_pending = 100'000;                  ///< writes in the queue; 1 or more
  WhenFull when_full = WhenFull::block;
  Duration retry_pause = std::chrono::milliseconds(100);  ///< after a failed batch; doubles up to `max_retry_pause`
  Duration max_retry_pause = std::chrono::seconds(30);
  Duration drain = std::chrono::seconds(5);  ///< how long the destructor tries to write what is pending
  /// A file that holds what is pending, for this queue alone; empty: none. A write that `put` has acknowledged survives
  /// the process, and the machine one `journal_sync` later. Values must be such that can be written (see the formats).
  std::string journal{};
  Duration journal_sync =
      std::chrono::milliseconds(10);  ///< at most so long until it is on the disk; 0: never asked for
};

/// What happened to the queue so far.
struct WriteBehindFigures {
  std::uint64_t accepted = 0;
  std::uint64_t written = 0;
  std::uint64_t batches = 0;
  std::uint64_t failed_batches = 0;
  std::uint64_t dropped = 0;  ///< by `drop_oldest`, or left over by the drain; with a journal the latter are kept there
  std::uint64_t replayed = 0;    ///< found in the journal at the start
  std::uint64_t unreadable = 0;  ///< found there as another type, and left out
};

namespace detail {

/// The queue and its thread, without the type of what is written.
class FLUX_CACHE_API BehindQueue {
 public:
  struct Item {
    std::string key;
    Object value;
    std::uint64_t sequence = 0;
  };
  /// Throws where the batch could not be written.
  using Writer = std::function<void(std::span<const Item>)>;

  /// Throws ConfigError: the journal cannot be used, or `type` cannot be written.
  BehindQueue(const WriteBehindOptions& options, Writer writer, const Type& type);
  ~BehindQueue();

  bool push(std::string_view key, Object value);
  void flush();
  std::size_t pending() const;
  WriteBehindFigures figures() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace detail

/// Write-behind for values of one type. Thread-safe.
template <class T>
class WriteBehind {
 public:
  struct Write {
    std::string key;
    T value;
    /// Grows with each write, with a journal over restarts as well: a writer that keeps the last one it has written
    /// together with what it wrote can tell a batch that it gets again after a crash.
    std::uint64_t sequence = 0;
  };
  /// Takes a batch, oldest first; throws where it could not be written, and then gets the same batch again.
  using Writer = std::function<void(std::span<const Write>)>;

  /// In front of the facade's default store, as it is at each put.
  WriteBehind(const WriteBehindOptions& options, Writer writer) : WriteBehind({}, options, std::move(writer)) {}
  WriteBehind(Repository repository, const WriteBehindOptions& options, Writer writer)
      : WriteBehind(std::optional(std::move(repository)), options, std::move(writer)) {}

  /// True: the value is in the cache, where that can be written, and its way to the source has begun.
  bool put(std::string_view key, T value, Ttl ttl) { return put(key, std::move(value), Options{.ttl = ttl}); }
  bool put(std::string_view key, T value, const Options& options = {}) {
    auto shared = std::make_shared<const T>(std::move(value));
    if (!queue_.push(key, shared)) return false;
    (repository_ ? *repository_ : detail::current_repository()).put(key, shared, options);
    return true;
  }
  /// Returns when all that was put before has been written.
  void flush() { queue_.flush(); }
  /// Writes that have not been written yet.
  std::size_t pending() const { return queue_.pending(); }
  WriteBehindFigures figures() const { return queue_.figures(); }

 private:
  WriteBehind(std::optional<Repository> repository, const WriteBehindOptions& options, Writer writer)
      : repository_(std::move(repository)),
        queue_(
            options,
            [writer = std::move(writer)](std::span<const detail::BehindQueue::Item> items) {
              std::vector<Write> batch;
              batch.reserve(items.size());
              for (const auto& item : items)
                batch.push_back({item.key, *static_cast<const T*>(item.value.get()), item.sequence});
              writer(batch);
            },
            type_of<T>()) {}

  std::optional<Repository> repository_;
  detail::BehindQueue queue_;
};

}  // namespace v1
}  // namespace flux::cache
