// flux/cache/lock.hpp - a lock held for a lease, on every store, usable wherever C++ expects a lock.
//
// A lease is what makes it safe to lose a holder and what makes it unsafe to trust: who is paused for longer than the
// lease still believes that it holds the lock. Storage that must refuse a late writer compares fences, which grow with
// each acquisition (Kleppmann: "How to do distributed locking", 2016).
#pragma once
#include <flux/cache/detail/core.hpp>
#include <flux/cache/options.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace flux::cache {
inline namespace v1 {

/// Could not be taken in time.
struct FLUX_CACHE_TYPE LockTimeout : Exception {
  using Exception::Exception;
};

/// How a lock behaves.
struct LockOptions {
  bool keep_alive = false;  ///< renews the lease in the background, at a third of it, as long as the handle lives
};

/// A handle on a named lock of one store; the name is in a space of its own, never the values'. Meets the standard's
/// TimedLockable. Not re-entrant: another handle of the same owner does not get it either. Moves, does not copy; a
/// handle that goes out of scope lets go. One handle is for one thread at a time. Where the store cannot answer, all
/// functions throw StoreUnavailable, never guess; `unlock` and the destructor alone are silent.
class FLUX_CACHE_API Lock {
 public:
  Lock(std::shared_ptr<detail::Core> core, std::string name, Ttl lease, LockOptions options = {});
  /// A handle of another's lock, by its owner's token: can let go and refresh.
  Lock(std::shared_ptr<detail::Core> core, std::string name, std::string owner);
  Lock(Lock&&) noexcept;
  Lock& operator=(Lock&&) noexcept;
  ~Lock();

  /// Takes the lock if it is free; one try: two round trips at the most, one where this process wrote the lock
  /// last on a store that takes the versions proposed to it; three where such a guess was wrong.
  bool try_lock();
  /// Waits for it, with growing and jittered pauses, woken early where the holder is in this process. Never longer than
  /// asked for by more than 50 ms; zero or less tries once.
  bool try_lock_for(Ttl limit);
  template <class Clock, class Length>
  bool try_lock_until(const std::chrono::time_point<Clock, Length>& moment) {
    return try_lock_for(Ttl(moment - Clock::now()));
  }
  /// Waits as long as it takes.
  void lock();
  /// Lets go; silent where it was lost meanwhile.
  void unlock();
  /// Lets go; true where it was held by this owner.
  bool release();
  /// Another lease from now on; false where it was lost.
  bool refresh(Ttl lease);
  /// Frees it whoever holds it.
  void force_unlock();

  /// The token by which `restore_lock` finds this holder; random for each handle.
  const std::string& owner() const noexcept { return owner_; }
  /// The number of this acquisition: above that of every earlier one of this name. 0 before the first.
  std::uint64_t fence() const noexcept { return fence_; }

  /// Runs `work` under the lock and lets go after, thrown or not; waits for the lock at most `wait`, then throws
  /// LockTimeout.
  template <class F>
  auto run(F&& work, Ttl wait = std::chrono::seconds(10)) {
    if (!try_lock_for(wait)) raise_timeout();
    struct LetGo {
      Lock& lock;
      ~LetGo() { lock.unlock(); }
    } const after{*this};
    return std::forward<F>(work)();
  }

 private:
  struct Renewal;
  [[noreturn]] void raise_timeout() const;

  std::shared_ptr<detail::Core> core_;
  std::string name_;
  std::string owner_;
  Ttl lease_;
  LockOptions options_;
  std::uint64_t fence_ = 0;
  bool held_ = false;
  std::shared_ptr<Renewal> renewal_;
};

}  // namespace v1
}  // namespace flux::cache
