// Work that an object does behind, none of which outlives it.
//
// A task that has not begun when its owner goes is dropped; one that is at it is waited for. So tasks may use their
// owner, and what it was lent, without holding it.
#pragma once
#include <flux/cache/executor.hpp>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>

#include "core/timer.hpp"

namespace flux::cache {
inline namespace v1 {
namespace composite {

class Background {
 public:
  Background() = default;
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;
  ~Background() { close(); }

  /// False: the executor has no room.
  template <class Task>
  bool submit(Task task) {
    return executor()->submit([desk = desk_, task = std::move(task)]() mutable { run(*desk, task); });
  }
  template <class Task>
  void submit_later(Duration delay, Task task) {
    detail::run_later(delay, [desk = desk_, task = std::move(task)]() mutable { run(*desk, task); });
  }
  /// To be called first by the owner's destructor; no task begins afterwards, and none is under way.
  void close() {
    std::unique_lock lock(desk_->mutex);
    desk_->closed = true;
    desk_->quiet.wait(lock, [&] { return desk_->running == 0; });
  }

 private:
  struct Desk {
    std::mutex mutex;
    std::condition_variable quiet;
    std::size_t running = 0;
    bool closed = false;
  };
  template <class Task>
  static void run(Desk& desk, Task& task) {
    {
      const std::scoped_lock guard(desk.mutex);
      if (desk.closed) return;
      ++desk.running;
    }
    try {
      task();
    } catch (...) {  // want of memory: what was not done is done by the next one
    }
    const std::scoped_lock guard(desk.mutex);
    --desk.running;
    desk.quiet.notify_all();
  }

  std::shared_ptr<Desk> desk_ = std::make_shared<Desk>();
};

}  // namespace composite
}  // namespace v1
}  // namespace flux::cache
