// A listener that hears through the executor: a bounded queue, emptied by one task at a time, so that order is kept.
#pragma once
#include <flux/cache/events.hpp>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace flux::cache {
inline namespace v1 {
namespace detail {

class BackgroundListener : public std::enable_shared_from_this<BackgroundListener> {
 public:
  BackgroundListener(Listener listener, std::size_t max_queued);

  /// Copies the event into the queue, or counts it as dropped.
  void hear(const Event& event);
  /// Returns once the listener is not being called and will not be again; from inside the listener, at once.
  void close();
  const std::atomic<std::uint64_t>& dropped() const noexcept { return dropped_; }

 private:
  struct Kept {
    explicit Kept(const Event& event);
    Event view() const;

    EventKind kind;
    std::string store;
    std::string key;
    std::optional<std::vector<std::string>> tags;
    MissCause cause;
    std::optional<Error> error;
  };

  void drain();

  const Listener listener_;
  const std::size_t max_queued_;
  std::atomic<std::uint64_t> dropped_{0};
  std::mutex mutex_;
  std::condition_variable idle_;
  std::deque<Kept> queue_;
  std::thread::id busy_{};  ///< who is calling the listener
  bool draining_ = false;   ///< a task is on its way
  bool closed_ = false;
};

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
