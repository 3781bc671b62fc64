// flux/cache/engine/registry.hpp - all engines of the process, so that a fork finds none of their locks taken.
//
// Before a fork the forking thread takes every lock of every engine, and both sides let go after it: the child's
// engines are whole and free. The read sections of threads that the child does not have are closed there.
#pragma once
#include <flux/cache/engine/epoch.hpp>

#include <pthread.h>

namespace flux::cache {
inline namespace v1 {
namespace engine {

/// Something with locks that must be free in a forked child.
class Registered {
 public:
  Registered() = default;
  Registered(const Registered&) = delete;
  Registered& operator=(const Registered&) = delete;

 protected:
  ~Registered() = default;
  virtual void before_fork() noexcept = 0;
  virtual void after_fork() noexcept = 0;

  void enlist() noexcept {
    Held held(list().lock);
    if (!list().hooked) {
      list().hooked = true;
      ::pthread_atfork(&Registered::prepare, &Registered::resume, &Registered::resume_in_child);
    }
    next_ = list().first;
    if (next_ != nullptr) next_->previous_ = this;
    list().first = this;
  }
  void delist() noexcept {
    Held held(list().lock);
    (previous_ != nullptr ? previous_->next_ : list().first) = next_;
    if (next_ != nullptr) next_->previous_ = previous_;
  }

 private:
  struct List {
    Lock lock;
    Registered* first = nullptr;
    bool hooked = false;
  };
  static List& list() noexcept {
    static constinit List list;
    return list;
  }
  static void prepare() noexcept {
    list().lock.lock();
    for (Registered* each = list().first; each != nullptr; each = each->next_) each->before_fork();
    epoch_domain.registry().lock();
    epoch_domain.advancing().lock();
  }
  static void resume() noexcept {
    epoch_domain.advancing().unlock();
    epoch_domain.registry().unlock();
    for (Registered* each = list().first; each != nullptr; each = each->next_) each->after_fork();
    list().lock.unlock();
  }
  static void resume_in_child() noexcept {
    epoch_domain.adopt_after_fork(thread_record_pointer);
    resume();
  }

  Registered* next_ = nullptr;
  Registered* previous_ = nullptr;
};

}  // namespace engine
}  // namespace v1
}  // namespace flux::cache
