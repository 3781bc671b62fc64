#include "fork_mutex.hpp"

#include <pthread.h>

#include <atomic>
#include <thread>

namespace flux::cache {
inline namespace v1 {
namespace detail {

namespace {

constinit std::atomic<std::uint64_t> depth{0};

}  // namespace

/// The list of them all. Never destroyed: its members may outlive the statics.
struct ForkMutexes {
  std::mutex mutex;
  ForkMutex* first = nullptr;

  static ForkMutexes& instance() {
    static ForkMutexes* const all = [] {
      ::pthread_atfork([] { instance().before(); }, [] { instance().after(); },
                       [] {
                         depth.fetch_add(1, std::memory_order_relaxed);
                         instance().after();
                       });
      return new ForkMutexes;
    }();
    return *all;
  }

  /// All or none at a time: whoever holds one may be waiting for another.
  void before() {
    for (;; std::this_thread::yield()) {
      mutex.lock();
      ForkMutex* each = first;
      while (each != nullptr && each->mutex_.try_lock()) each = each->next_;
      if (each == nullptr) return;
      for (ForkMutex* taken = first; taken != each; taken = taken->next_) taken->unlock();
      mutex.unlock();
    }
  }
  void after() {
    for (ForkMutex* each = first; each != nullptr; each = each->next_) each->unlock();
    mutex.unlock();
  }
  void add(ForkMutex& one) {
    const std::scoped_lock guard(mutex);
    one.next_ = first;
    if (first != nullptr) first->previous_ = &one;
    first = &one;
  }
  void remove(ForkMutex& one) {
    const std::scoped_lock guard(mutex);
    (one.previous_ != nullptr ? one.previous_->next_ : first) = one.next_;
    if (one.next_ != nullptr) one.next_->previous_ = one.previous_;
  }
};

ForkMutex::ForkMutex() { ForkMutexes::instance().add(*this); }
ForkMutex::~ForkMutex() { ForkMutexes::instance().remove(*this); }

std::uint64_t fork_depth() noexcept { return depth.load(std::memory_order_relaxed); }

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
