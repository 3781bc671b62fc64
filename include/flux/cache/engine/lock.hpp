// flux/cache/engine/lock.hpp - the writers' lock of a shard: four bytes, a futex only where somebody has to wait.
#pragma once
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

namespace flux::cache {
inline namespace v1 {
namespace engine {

inline void relax_processor() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// A mutual exclusion lock: spins for about a microsecond, then sleeps in the kernel. Not recursive. Meets Lockable.
/// Uncontended, it costs one compare-and-swap and one exchange (Drepper, "Futexes Are Tricky", 2011, mutex 2).
class Lock {
 public:
  [[gnu::always_inline]] bool try_lock() noexcept {
    std::uint32_t expected = kFree;
    return state_.load(std::memory_order_relaxed) == kFree &&
           state_.compare_exchange_strong(expected, kTaken, std::memory_order_acquire, std::memory_order_relaxed);
  }
  [[gnu::always_inline]] void lock() noexcept {
    std::uint32_t expected = kFree;
    if (!state_.compare_exchange_strong(expected, kTaken, std::memory_order_acquire, std::memory_order_relaxed)) wait();
  }
  [[gnu::always_inline]] void unlock() noexcept {
    if (state_.exchange(kFree, std::memory_order_release) == kAwaited) wake();
  }

 private:
  static constexpr std::uint32_t kFree = 0, kTaken = 1, kAwaited = 2;

  [[gnu::noinline]] void wait() noexcept {
    for (int spins = 0; spins < 64; ++spins) {
      if (try_lock()) return;
      relax_processor();
    }
    while (state_.exchange(kAwaited, std::memory_order_acquire) != kFree)
      ::syscall(SYS_futex, &state_, FUTEX_WAIT_PRIVATE, kAwaited, nullptr, nullptr, 0);
  }
  [[gnu::noinline]] void wake() noexcept { ::syscall(SYS_futex, &state_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0); }

  std::atomic<std::uint32_t> state_{kFree};
  static_assert(sizeof(std::atomic<std::uint32_t>) == 4);
};

/// Holds a lock for a scope; may let go early.
class Held {
 public:
  explicit Held(Lock& lock) noexcept : lock_(&lock) { lock.lock(); }
  Held(Lock& lock, bool already_taken) noexcept : lock_(already_taken ? &lock : nullptr) {}
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() { release(); }
  void release() noexcept {
    if (lock_ != nullptr) lock_->unlock();
    lock_ = nullptr;
  }

 private:
  Lock* lock_;
};

}  // namespace engine
}  // namespace v1
}  // namespace flux::cache
