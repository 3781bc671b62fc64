// A mutex that a child of fork never finds taken by a thread that it does not have.
#pragma once
#include <cstdint>
#include <mutex>

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// Taken by whoever forks, for as long as that takes; so do not fork under it. For what is held for a few instructions.
class ForkMutex {
 public:
  ForkMutex();
  ~ForkMutex();
  ForkMutex(const ForkMutex&) = delete;
  ForkMutex& operator=(const ForkMutex&) = delete;

  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }
  /// For a condition variable.
  std::mutex& plain() noexcept { return mutex_; }

 private:
  friend struct Forks;
  std::mutex mutex_;
  ForkMutex* next_ = nullptr;
  ForkMutex* previous_ = nullptr;
};

/// std::atexit, and no fork in the middle of it: in a child whose parent was just adding to its list, the C library's
/// lock of that list stays taken, and the child could not exit.
void call_at_exit(void (*call)());

/// How many forks lie between the first process and this one: what differs belongs to threads that are not here.
std::uint64_t fork_depth() noexcept;

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
