// database/pool.hpp - the open connections of a store, and what a fork does to them.
//
// Last in, first out: a lone thread always gets the same connection, whose page cache is warm. SQLite keeps a record
// per process of the locks it holds on a file; a child that inherits the record, but not the locks, would read under a
// writer's feet. So before a fork the pool waits until no call is inside SQLite and closes what is idle; both sides
// open anew. Where a connection was in use all the same (a fork from inside a `Receiver`), the child's store says that
// it cannot answer.
#pragma once
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "session.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::database {

class Pool;

/// A session for the length of a call.
class Lease {
 public:
  Lease() = default;
  Lease(Pool& pool, std::unique_ptr<Session> session) : pool_(&pool), session_(std::move(session)) {}
  Lease(Lease&& other) noexcept : pool_(other.pool_), session_(std::move(other.session_)) {}
  Lease& operator=(Lease&&) = delete;
  ~Lease();

  explicit operator bool() const noexcept { return session_ != nullptr; }
  Session& operator*() const noexcept { return *session_; }
  Session* operator->() const noexcept { return session_.get(); }
  /// Closes the connection instead of giving it back.
  void drop() noexcept;

 private:
  Pool* pool_ = nullptr;
  std::unique_ptr<Session> session_;
};

struct PoolOptions {
  std::size_t most;  ///< connections
  Duration waiting;  ///< the most a call waits for others
  Duration recheck;  ///< how long a connection is held for current
};

class Pool {
 public:
  Pool(std::unique_ptr<Engine> engine, const Queries& queries, std::string prefix, PoolOptions options);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// Empty: `fault` says why; `Trouble::none` in it: all connections stayed in use.
  Lease acquire(Instant now, Fault& fault);
  /// The database cannot be read: see `Engine::set_aside`. Every connection opened so far is closed as it comes home.
  std::string set_aside(const Fault& corrupt);

 private:
  friend class Lease;
  friend struct ForkWatch;
  using Clocks = std::chrono::steady_clock;

  std::unique_ptr<Session> open(Instant now, Duration waiting, Fault& fault);
  void give_back(std::unique_ptr<Session> session) noexcept;

  // Around a fork, in this order.
  void before_fork();
  void after_fork_in_parent();
  void after_fork_in_child();

  const std::unique_ptr<Engine> engine_;
  const Queries& queries_;
  const std::string prefix_;
  const PoolOptions options_;

  std::mutex mutex_;
  std::unique_ptr<std::condition_variable> returned_;  // a child of fork makes another: waiters do not survive
  std::vector<std::unique_ptr<Session>> idle_;
  std::size_t open_ = 0;          // idle, in use, or being opened
  std::uint64_t generation_ = 0;  // connections of an earlier one are closed as they come home
  bool forking_ = false;
  bool torn_ = false;  // forked in the middle of a call: SQLite's own records are not to be trusted here
};

}  // namespace detail::database
}  // namespace v1
}  // namespace flux::cache
