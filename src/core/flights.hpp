// One flight per cold key: a loader at work, and those who wait for it.
#pragma once
#include <flux/cache/value.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "fork_mutex.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail {

struct ThreadOfLoads;

/// Who holds a load's claim in the store while the loader runs.
class Claimant {
 public:
  /// Lets the claim begin anew. Called from another thread than the loader's.
  virtual void renew() noexcept = 0;

 protected:
  ~Claimant() = default;
};

/// How a flight ended: with a failure, a value, or without either: the loader had nothing.
struct Landing {
  Value value{};
  std::exception_ptr failure{};
  bool look_again = false;  ///< it never took off: those aboard look for themselves
};

class Flight {
 public:
  Flight(std::string key, const void* home) : key_(std::move(key)), home_(home) {}

  const std::string& key() const noexcept { return key_; }

  /// The loader begins: `ticket` is what the store shows while nothing has ended this load; 0: the store shows nothing.
  void begin(std::uint64_t ticket) noexcept;
  /// May a call that began at `moment` and saw `ticket` in the store share this flight? Not where a forget, put or
  /// flush that was over before the call began has already ended it.
  bool may_join(std::uint64_t moment, std::uint64_t ticket) const noexcept;

  /// From here on the claim is kept up, for as long as the flight is on the board; null: no longer, and whoever was
  /// renewing it has finished.
  void claimed_by(Claimant* who) noexcept;
  /// Renews a claim that is older than this.
  void renew(std::chrono::steady_clock::duration age) noexcept;

  /// Once. Wakes who waits: that takes them neither a lock nor a system call.
  void land(Landing landing);
  bool landed() const noexcept { return (state_.load(std::memory_order_acquire) & kLanded) != 0; }
  /// Waits for the landing; null: not before `until`, nor before `stop`. Throws RecursiveLoad where the wait would
  /// never end.
  const Landing* wait_until(std::chrono::steady_clock::time_point until, const std::stop_token& stop = {});
  const Landing* landing_now() const noexcept { return landed() ? &landing_ : nullptr; }

  /// One more who wants the answer; the leader is counted from the start.
  void board() noexcept { wanted_by_.fetch_add(1, std::memory_order_acq_rel); }
  /// One of them does no longer; the last to say so asks the loader to stop. Who merely stops waiting says nothing.
  void give_up() noexcept {
    if (wanted_by_.fetch_sub(1, std::memory_order_acq_rel) == 1) stop_.store(true, std::memory_order_release);
  }
  const std::atomic<bool>& asked_to_stop() const noexcept { return stop_; }

 private:
  friend struct ThreadOfLoads;
  const std::string key_;
  const std::uint64_t born_ = fork_depth();
  const void* const home_;  // the table it was started from; the same key elsewhere is another flight
  static constexpr std::uint32_t kLanded = 1, kAlarm = 2;
  void wake_all() noexcept;
  bool sleep(std::uint32_t seen, std::chrono::steady_clock::time_point until) noexcept;

  std::atomic<std::uint32_t> state_{0};  // a futex: landed or not, and how often a waiter was called away
  std::atomic<int> wanted_by_{1};
  std::atomic<bool> stop_{false};
  Landing landing_;
  std::mutex claim_mutex_;
  Claimant* claimant_ = nullptr;                   // under the claim's mutex, as the next
  std::chrono::steady_clock::time_point since_{};  // when the claim began, or was renewed last
  std::atomic<std::uint64_t> began_{0};            // the moment its loader began; 0: not yet
  std::atomic<std::uint64_t> ticket_{0};
  ThreadOfLoads* pilot_ = nullptr;    // who runs the loader; under the graph's mutex
  ThreadOfLoads* waiting_ = nullptr;  // the first of those who wait; under the graph's mutex
};

/// A moment on the process's own sequence, to tell what began before what.
std::uint64_t next_moment() noexcept;

/// Says, while it lives, that this thread runs the flight's loader: how loads that wait for each other are found.
class Piloting {
 public:
  explicit Piloting(Flight& flight);
  ~Piloting();
  Piloting(const Piloting&) = delete;
  Piloting& operator=(const Piloting&) = delete;

 private:
  friend struct ThreadOfLoads;
  Flight& flight_;
  const Piloting* const outer_;  // the flight whose loader asked for this one, in this thread
};

/// The flights in progress, by key.
class Flights {
 public:
  /// The flight of the key that `may_join`, or a new one, led by the caller. Throws RecursiveLoad where the calling
  /// thread is already running a loader of this key.
  std::shared_ptr<Flight> join_or_lead(std::string_view key, std::uint64_t moment, std::uint64_t ticket, bool& leads);
  /// The flight takes no more passengers.
  void remove(const std::shared_ptr<Flight>& flight);
  std::size_t size() const;
  std::vector<std::shared_ptr<Flight>> in_progress() const;

  /// Somebody must see to it from now on that claims are renewed: the caller, where it answers true.
  bool wants_keeper() noexcept {
    const std::uint64_t mine = fork_depth() + 1;
    return kept_in_.load(std::memory_order_relaxed) != mine && kept_in_.exchange(mine) != mine;
  }
  /// Whoever did no longer does.
  void leave_keeping() noexcept { kept_in_.store(0); }

 private:
  mutable ForkMutex mutex_;
  std::uint64_t depth_ = fork_depth();
  std::atomic<std::uint64_t> kept_in_{0};  // the process, by its depth and 1, that renews; 0: none
  std::unordered_map<std::string_view, std::shared_ptr<Flight>> flights_;  // keys point into the flights
};

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
