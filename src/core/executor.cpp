#include <pthread.h>
#include <unistd.h>
#include <flux/cache/executor.hpp>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "fork_mutex.hpp"

namespace flux::cache {
inline namespace v1 {

Executor::~Executor() = default;

namespace {

using std::chrono::steady_clock;

/// What the threads of a pool share; they keep it alive, so that a pool may go before its last thread has.
struct Pool {
  std::mutex mutex;
  std::condition_variable work;
  std::condition_variable quiet;
  std::deque<std::function<void()>> queue;
  std::size_t threads = 0;
  std::size_t idle = 0;
  bool closed = false;
};

void serve(const std::shared_ptr<Pool>& pool) {
  std::unique_lock lock(pool->mutex);
  for (;;) {
    ++pool->idle;
    pool->work.wait_for(lock, std::chrono::seconds(10), [&] { return pool->closed || !pool->queue.empty(); });
    --pool->idle;
    if (pool->queue.empty()) break;  // idle for long, or closed with nothing left
    auto task = std::move(pool->queue.front());
    pool->queue.pop_front();
    lock.unlock();
    try {
      task();
    } catch (...) {  // a task answers for itself
    }
    task = nullptr;
    lock.lock();
  }
  --pool->threads;
  pool->quiet.notify_all();
}

class PoolExecutor final : public Executor {
 public:
  explicit PoolExecutor(const ExecutorOptions& options)
      : options_(options), pool_(std::make_shared<Pool>()), process_(::getpid()) {}

  ~PoolExecutor() override {
    if (process_ == ::getpid()) close();
  }

  bool submit(std::function<void()> task) override {
    if (process_ != ::getpid()) return false;
    std::unique_lock lock(pool_->mutex);
    if (pool_->closed || pool_->queue.size() >= options_.max_queued) return false;
    pool_->queue.push_back(std::move(task));
    if (pool_->idle < pool_->queue.size() && pool_->threads < options_.max_threads) {
      ++pool_->threads;
      try {
        std::thread(serve, pool_).detach();
      } catch (...) {
        if (--pool_->threads == 0) {
          pool_->queue.pop_back();
          return false;
        }
      }
    }
    lock.unlock();
    pool_->work.notify_one();
    return true;
  }

 private:
  void close() {
    std::unique_lock lock(pool_->mutex);
    pool_->closed = true;
    pool_->work.notify_all();
    pool_->quiet.wait_for(lock, options_.drain, [&] { return pool_->threads == 0; });
    pool_->queue.clear();
  }

  const ExecutorOptions options_;
  std::shared_ptr<Pool> pool_;
  const ::pid_t process_;
};

/// The executor in force. Never destroyed: a destructor of a global may still ask for it.
struct Seat {
  detail::ForkMutex mutex;
  std::shared_ptr<Executor> own;
  std::shared_ptr<Executor> replacement;
  bool ended = false;
  ::pid_t process = ::getpid();
};

Seat& seat() {
  static Seat* const one = [] {
    auto* const made = new Seat;
    detail::call_at_exit([] {
      std::shared_ptr<Executor> own;
      {
        const std::scoped_lock guard(seat().mutex);
        seat().ended = true;
        own.swap(seat().own);
      }
    });
    return made;
  }();
  return *one;
}

/// Refuses everything: what is left once the program has ended.
class Closed final : public Executor {
 public:
  bool submit(std::function<void()>) override { return false; }
};

}  // namespace

std::shared_ptr<Executor> make_executor(const ExecutorOptions& options) {
  return std::make_shared<PoolExecutor>(options);
}

std::shared_ptr<Executor> executor() {
  Seat& here = seat();
  const std::scoped_lock guard(here.mutex);
  if (here.replacement) return here.replacement;
  if (here.ended) return std::make_shared<Closed>();
  if (here.process != ::getpid()) {
    // The parent's threads did not come along; its pool is left as it is, since its locks may be held by them.
    new std::shared_ptr<Executor>(std::move(here.own));
    here.own = nullptr;
    here.process = ::getpid();
  }
  if (!here.own) here.own = make_executor();
  return here.own;
}

void set_executor(std::shared_ptr<Executor> replacement) {
  Seat& here = seat();
  const std::scoped_lock guard(here.mutex);
  here.replacement = std::move(replacement);
}

}  // namespace v1
}  // namespace flux::cache
