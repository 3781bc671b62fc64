// Before and after each fork of the process, for mutexes and guards alike: one handler, so that there is one order.
#include <pthread.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "fork_guard.hpp"
#include "fork_mutex.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail {

namespace {

constinit std::atomic<std::uint64_t> depth{0};

}  // namespace

/// The lists of them all. Never destroyed: their members may outlive the statics.
struct Forks {
  std::mutex mutex;
  ForkMutex* first_mutex = nullptr;
  ForkGuard* first_guard = nullptr;

  static Forks& instance() {
    static Forks* const all = [] {
      ::pthread_atfork([] { instance().before(); }, [] { instance().after(false); },
                       [] {
                         depth.fetch_add(1, std::memory_order_relaxed);
                         instance().after(true);
                       });
      return new Forks;
    }();
    return *all;
  }

  /// All or none at a time: whoever holds one may be waiting for another, or to enlist one.
  void before() noexcept {
    for (;; std::this_thread::yield()) {
      mutex.lock();
      ForkGuard* guard = first_guard;
      while (guard != nullptr && guard->try_before_fork()) guard = guard->next_;
      ForkMutex* each = first_mutex;
      if (guard == nullptr)
        while (each != nullptr && each->mutex_.try_lock()) each = each->next_;
      if (guard == nullptr && each == nullptr) return;
      if (guard == nullptr) unlock_until(each);
      give_up_until(guard);
      mutex.unlock();
    }
  }
  /// The mutexes first: what a guard does in the child may take them.
  void after(bool in_child) noexcept {
    unlock_until(nullptr);
    for (ForkGuard* each = first_guard; each != nullptr; each = each->next_) each->after_fork(in_child);
    mutex.unlock();
  }
  void unlock_until(const ForkMutex* end) noexcept {
    for (ForkMutex* each = first_mutex; each != end; each = each->next_) each->unlock();
  }
  void give_up_until(const ForkGuard* end) noexcept {
    for (ForkGuard* each = first_guard; each != end; each = each->next_) each->after_fork(false);
  }

  template <class Member>
  void add(Member*& first, Member& one) {
    const std::scoped_lock guard(mutex);
    one.next_ = first;
    if (first != nullptr) first->previous_ = &one;
    first = &one;
  }
  template <class Member>
  void remove(Member*& first, Member& one) noexcept {
    const std::scoped_lock guard(mutex);
    (one.previous_ != nullptr ? one.previous_->next_ : first) = one.next_;
    if (one.next_ != nullptr) one.next_->previous_ = one.previous_;
    one.next_ = one.previous_ = nullptr;
  }
};

/// When the library is loaded, so before the engine's own handler: what was hooked first is taken last. The engine's
/// locks, and those of what is built on it, are held while these are asked for, and never the other way round.
[[gnu::constructor(101)]] static void hook() { (void)Forks::instance(); }

ForkMutex::ForkMutex() { Forks::instance().add(Forks::instance().first_mutex, *this); }
ForkMutex::~ForkMutex() { Forks::instance().remove(Forks::instance().first_mutex, *this); }

void ForkGuard::enlist() { Forks::instance().add(Forks::instance().first_guard, *this); }
void ForkGuard::delist() noexcept { Forks::instance().remove(Forks::instance().first_guard, *this); }

void call_at_exit(void (*call)()) {
  const std::scoped_lock guard(Forks::instance().mutex);
  (void)std::atexit(call);
}

std::uint64_t fork_depth() noexcept { return depth.load(std::memory_order_relaxed); }

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
