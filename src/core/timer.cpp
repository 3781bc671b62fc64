#include "timer.hpp"

#include <unistd.h>
#include <flux/cache/executor.hpp>

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "fork_mutex.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail {

namespace {

using Steady = std::chrono::steady_clock;

/// A full executor empties, so its refusal is not the end of a lease; one that is closed stays so, and is asked no more
/// after a while.
constexpr auto kPause = std::chrono::milliseconds(20);
constexpr int kPatience = 500;

struct Due {
  std::function<void()> task;
  int refused = 0;
};

/// Never destroyed: its thread may outlive main.
struct Timer {
  std::mutex mutex;
  std::condition_variable earlier;
  std::multimap<Steady::time_point, Due> due;
  bool running = false;
  ::pid_t process = ::getpid();
};

void serve(Timer& timer) {
  std::unique_lock lock(timer.mutex);
  while (!timer.due.empty()) {
    const auto first = timer.due.begin();
    if (first->first > Steady::now()) {
      timer.earlier.wait_until(lock, first->first);
      continue;
    }
    Due now = std::move(first->second);
    timer.due.erase(first);
    lock.unlock();
    const bool taken = executor()->submit(now.task);
    lock.lock();
    if (!taken && ++now.refused < kPatience) timer.due.emplace(Steady::now() + kPause, std::move(now));
  }
  timer.running = false;
}

Timer& timer() {
  static ForkMutex* const guard_of_one = new ForkMutex;
  static Timer* one = nullptr;
  const std::scoped_lock guard(*guard_of_one);
  if (one == nullptr || one->process != ::getpid()) one = new Timer;  // a child's is its own
  return *one;
}

}  // namespace

void run_later(Duration delay, std::function<void()> task) {
  Timer& here = timer();
  const std::scoped_lock guard(here.mutex);
  here.due.emplace(Steady::now() + delay, Due{std::move(task)});
  if (!here.running) {
    here.running = true;
    std::thread([&here] { serve(here); }).detach();
  }
  here.earlier.notify_one();
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
