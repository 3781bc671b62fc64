// flux/cache/funnel.hpp - at most so many at once, over all processes: a semaphore with leases.
#pragma once
#include <flux/cache/detail/core.hpp>
#include <flux/cache/lock.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace flux::cache {
inline namespace v1 {

struct FunnelOptions {
  std::size_t limit = 1;                              ///< holders at once; 1 to 10,000
  Duration release_after = std::chrono::seconds(60);  ///< the lease of a place, in case its holder dies; above zero
};

/// A place in a funnel; gives it back when it goes out of scope. Empty where none was to be had.
class FLUX_CACHE_API FunnelPlace {
 public:
  FunnelPlace() = default;
  FunnelPlace(std::shared_ptr<detail::Core> core, std::string name, std::uint64_t token)
      : core_(std::move(core)), name_(std::move(name)), token_(token) {}
  FunnelPlace(FunnelPlace&& other) noexcept
      : core_(std::move(other.core_)), name_(std::move(other.name_)), token_(std::exchange(other.token_, 0)) {}
  FunnelPlace& operator=(FunnelPlace&& other) noexcept {
    leave();
    core_ = std::move(other.core_);
    name_ = std::move(other.name_);
    token_ = std::exchange(other.token_, 0);
    return *this;
  }
  ~FunnelPlace() { leave(); }

  explicit operator bool() const noexcept { return token_ != 0; }
  /// Gives the place back; silent where its lease was over.
  void leave() noexcept;

 private:
  std::shared_ptr<detail::Core> core_;
  std::string name_;
  std::uint64_t token_ = 0;
};

/// A named funnel. Thread-safe. Throws StoreUnavailable where the store cannot answer.
class FLUX_CACHE_API Funnel {
 public:
  Funnel(std::shared_ptr<detail::Core> core, std::string name, FunnelOptions options);

  /// A place, or an empty one: full.
  FunnelPlace try_enter();
  /// Waits for a place, at most so long.
  FunnelPlace try_enter_for(Ttl limit);
  /// Runs `work` in a place, and gives it back after, thrown or not. Waits at most `wait`, then throws LockTimeout.
  template <class F>
  auto run(F&& work, Ttl wait = std::chrono::seconds(10)) {
    const FunnelPlace place = try_enter_for(wait);
    if (!place) raise_timeout();
    return std::forward<F>(work)();
  }
  /// Likewise, but calls `full` instead where there was no place in time.
  template <class F, class Full>
  auto run(F&& work, Ttl wait, Full&& full) {
    const FunnelPlace place = try_enter_for(wait);
    return place ? std::forward<F>(work)() : std::forward<Full>(full)();
  }

 private:
  [[noreturn]] void raise_timeout() const;

  std::shared_ptr<detail::Core> core_;
  std::string name_;
  FunnelOptions options_;
};

}  // namespace v1
}  // namespace flux::cache
