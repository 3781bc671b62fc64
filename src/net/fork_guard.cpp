#include "net/fork_guard.hpp"

#include <pthread.h>

#include <mutex>

namespace flux::cache {
inline namespace v1 {
namespace detail::net {

/// The list of them all. Never destroyed: a store may outlive the statics.
struct ForkGuards {
  std::mutex mutex;
  ForkGuard* first = nullptr;

  static ForkGuards& instance() {
    static ForkGuards* const all = [] {
      ::pthread_atfork([] { instance().before(); }, [] { instance().after(false); }, [] { instance().after(true); });
      return new ForkGuards;
    }();
    return *all;
  }

  void before() noexcept {
    mutex.lock();
    for (ForkGuard* each = first; each != nullptr; each = each->next_) each->before_fork();
  }
  void after(bool in_child) noexcept {
    for (ForkGuard* each = first; each != nullptr; each = each->next_) each->after_fork(in_child);
    mutex.unlock();
  }
  void add(ForkGuard& guard) {
    const std::scoped_lock lock(mutex);
    guard.next_ = first;
    if (first != nullptr) first->previous_ = &guard;
    first = &guard;
  }
  void remove(ForkGuard& guard) noexcept {
    const std::scoped_lock lock(mutex);
    (guard.previous_ != nullptr ? guard.previous_->next_ : first) = guard.next_;
    if (guard.next_ != nullptr) guard.next_->previous_ = guard.previous_;
    guard.next_ = guard.previous_ = nullptr;
  }
};

void ForkGuard::enlist() { ForkGuards::instance().add(*this); }
void ForkGuard::delist() noexcept { ForkGuards::instance().remove(*this); }

}  // namespace detail::net
}  // namespace v1
}  // namespace flux::cache
