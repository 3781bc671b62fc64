// A bounded set of connections to one server, shared by threads.
#pragma once
#include <flux/cache/result.hpp>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "core/fork_guard.hpp"
#include "net/deadline.hpp"
#include "net/gate.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::net {

/// What a pool keeps.
class Pooled {
 public:
  virtual ~Pooled() = default;
  /// Nobody has said anything since the last answer, and the peer is still there.
  virtual bool is_quiet() noexcept = 0;
  /// In a child of fork: lets go of the socket without a word.
  virtual void abandon() noexcept = 0;
};

struct PoolOptions {
  std::size_t most = 16;                                       ///< connections, those in use included; at least 1
  Duration longest_wait = std::chrono::milliseconds(100);      ///< for one to come free
  Duration check_after = std::chrono::milliseconds(100);       ///< of idling: looked at before it is used again
  Duration idle_limit = std::chrono::minutes(1);               ///< idling longer, it is closed
  Duration longest_back_off = std::chrono::milliseconds(500);  ///< between tries to reach a server that is down
};

/// Thread-safe. Whoever waits gets a connection in the order of asking. A connection that is not handed back is
/// destroyed. After a fork the child has an empty pool, and the parent's connections are untouched.
class Pool final : ForkGuard {
 public:
  /// Makes a connection, ready for use. Called without a lock.
  using Dial = std::function<Result<std::unique_ptr<Pooled>>(const Deadline&)>;

  /// A connection, on loan.
  class Lease {
   public:
    Lease(Pool& pool, std::unique_ptr<Pooled> one, bool is_fresh) noexcept
        : pool_(&pool), one_(std::move(one)), is_fresh_(is_fresh) {}
    Lease(Lease&& other) noexcept = default;
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (one_) pool_->destroy(std::move(one_));
    }

    template <class Connection>
    Connection& as() const noexcept {
      return static_cast<Connection&>(*one_);
    }
    /// Made for this call: a failure is not one of a connection that had died unseen.
    bool is_fresh() const noexcept { return is_fresh_; }
    /// At a clean boundary: others may use it.
    void hand_back(Deadline::Clock::time_point now) { pool_->take_back(std::move(one_), now); }

   private:
    Pool* pool_;
    std::unique_ptr<Pooled> one_;
    bool is_fresh_;
  };

  Pool(const PoolOptions& options, Dial dial);
  ~Pool();

  /// Errc::rejected where none came free in time; the dial's error; or, while the server is known to be down, the last
  /// one's.
  Result<Lease> take(const Deadline& deadline);
  /// Closes those that idle: what broke one has likely broken them all.
  void drop_idle();
  /// Closes those that have idled too long.
  void trim();
  /// How many there are, those in use included.
  std::size_t size() const;

 private:
  struct Idle {
    std::unique_ptr<Pooled> one;
    Deadline::Clock::time_point since;
  };
  struct Waiter;

  Result<Lease> dial(const Deadline& deadline);
  void take_back(std::unique_ptr<Pooled> one, Deadline::Clock::time_point now);
  void destroy(std::unique_ptr<Pooled> one);
  void forget(const Pooled& one);
  void pass_place();
  bool try_before_fork() noexcept override { return mutex_.try_lock(); }
  void after_fork(bool in_child) noexcept override;

  const PoolOptions options_;
  const Dial dial_;
  mutable std::mutex mutex_;
  Gate gate_;
  std::vector<Idle> idle_;       // the latest used behind
  std::vector<Pooled*> all_;     // of this process, idle or in use
  std::size_t places_ = 0;       // taken: connections, and those being made
  std::deque<Waiter*> waiters_;  // the first asked in front
};

}  // namespace detail::net
}  // namespace v1
}  // namespace flux::cache
