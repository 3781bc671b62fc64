#include "pool.hpp"

#include <pthread.h>

#include <algorithm>

namespace flux::cache {
inline namespace v1 {
namespace detail::database {

namespace {

/// How long a fork waits for calls that are inside the database.
constexpr auto kForkPatience = std::chrono::seconds(1);

/// Connections that this thread holds, in any pool: a fork must not wait for them.
constinit thread_local std::size_t held_here = 0;

}  // namespace

/// All pools of the process, for the fork handlers. Lives for ever: pools may outlive every other static object.
struct ForkWatch {
  std::mutex mutex;
  std::vector<Pool*> pools;

  static ForkWatch& instance() {
    static ForkWatch* const watch = [] {
      auto* const made = new ForkWatch;
      ::pthread_atfork([] { instance().before(); }, [] { instance().in_parent(); }, [] { instance().in_child(); });
      return made;
    }();
    return *watch;
  }

  void before() {
    mutex.lock();
    for (Pool* const pool : pools) pool->before_fork();
  }
  void in_parent() {
    for (Pool* const pool : pools) pool->after_fork_in_parent();
    mutex.unlock();
  }
  void in_child() {
    for (Pool* const pool : pools) pool->after_fork_in_child();
    mutex.unlock();
  }
};

Lease::~Lease() {
  if (session_ != nullptr) pool_->give_back(std::move(session_));
}

void Lease::drop() noexcept {
  session_->retired = true;
  session_->connection().close_quickly();
  pool_->give_back(std::move(session_));
}

Pool::Pool(std::unique_ptr<Engine> engine, const Queries& queries, std::string prefix, PoolOptions options)
    : engine_(std::move(engine)),
      queries_(queries),
      prefix_(std::move(prefix)),
      options_(options),
      returned_(std::make_unique<std::condition_variable>()) {
  ForkWatch& watch = ForkWatch::instance();
  const std::lock_guard lock(watch.mutex);
  watch.pools.push_back(this);
}

Pool::~Pool() {
  ForkWatch& watch = ForkWatch::instance();
  const std::lock_guard lock(watch.mutex);
  std::erase(watch.pools, this);
}

Lease Pool::acquire(Instant now, Fault& fault) {
  std::unique_lock lock(mutex_);
  Duration waiting = options_.waiting;
  Clocks::time_point deadline{};
  for (;;) {
    if (torn_) {
      fault = {Trouble::lost, "this process was forked in the middle of a call on the database"};
      return {};
    }
    std::unique_ptr<Session> session;
    if (!forking_ && !idle_.empty()) {
      session = std::move(idle_.back());
      idle_.pop_back();
      if (now - session->checked >= options_.recheck || now < session->checked) [[unlikely]] {
        lock.unlock();
        ++held_here;
        if (!session->connection().is_current()) {
          session->connection().close_quickly();
          session.reset();
        }
        --held_here;
        lock.lock();
        if (session == nullptr) {
          --open_;
          continue;
        }
        session->checked = now;
      }
    } else if (!forking_ && open_ < options_.most) {
      ++open_;
      const std::uint64_t generation = generation_;
      lock.unlock();
      ++held_here;
      session = open(now, waiting, fault);
      --held_here;
      lock.lock();
      if (session == nullptr) {
        --open_;
        returned_->notify_all();
        return {};
      }
      session->generation = generation;
    } else {
      const auto moment = Clocks::now();
      if (deadline == Clocks::time_point{}) deadline = moment + waiting;
      waiting = std::chrono::duration_cast<Duration>(deadline - moment);
      if (waiting <= Duration::zero()) {
        fault = {};
        return {};
      }
      returned_->wait_until(lock, deadline);
      continue;
    }
    lock.unlock();
    ++held_here;
    session->connection().allow_waiting(waiting);
    session->clear_fault();
    return Lease(*this, std::move(session));
  }
}

std::unique_ptr<Session> Pool::open(Instant now, Duration waiting, Fault& fault) {
  auto connection = engine_->connect(waiting, fault);
  if (connection == nullptr) return nullptr;
  auto session = std::make_unique<Session>(std::move(connection), queries_, prefix_);
  // A database that cannot be written may still be read.
  if (!session->settle() && session->fault().trouble != Trouble::read_only) {
    fault = session->fault();
    fault.shared = session->is_shared();
    return nullptr;
  }
  session->checked = now;
  return session;
}

void Pool::give_back(std::unique_ptr<Session> session) noexcept {
  --held_here;
  std::unique_ptr<Session> closing;
  {
    const std::lock_guard lock(mutex_);
    if (session->retired || session->generation != generation_) {
      closing = std::move(session);  // still counted while it closes, so that a fork waits for it
    } else {
      idle_.push_back(std::move(session));
    }
  }
  if (closing != nullptr) {
    ++held_here;
    closing.reset();
    --held_here;
    const std::lock_guard lock(mutex_);
    --open_;
  }
  returned_->notify_one();
}

std::string Pool::set_aside(const Fault& corrupt) {
  std::vector<std::unique_ptr<Session>> closing;
  {
    const std::lock_guard lock(mutex_);
    ++generation_;
    closing.swap(idle_);
  }
  ++held_here;
  std::string outcome = engine_->set_aside(corrupt);
  const std::size_t closed = closing.size();
  for (auto& session : closing) session->connection().close_quickly();
  closing.clear();
  --held_here;
  const std::lock_guard lock(mutex_);
  open_ -= closed;
  returned_->notify_all();
  return outcome;
}

void Pool::before_fork() {
  std::unique_lock lock(mutex_);
  forking_ = true;
  const auto deadline = Clocks::now() + kForkPatience;
  while (open_ - idle_.size() > held_here && Clocks::now() < deadline)
    returned_->wait_for(lock, std::chrono::milliseconds(1));
  if (!engine_->is_private()) {
    for (auto& session : idle_) session->connection().close_quickly();
    open_ -= idle_.size();
    idle_.clear();
  }
  lock.release();  // held over the fork, so that the child finds it in a known state
}

void Pool::after_fork_in_parent() {
  forking_ = false;
  mutex_.unlock();
  returned_->notify_all();
}

void Pool::after_fork_in_child() {
  torn_ = torn_ || open_ > idle_.size();
  forking_ = false;
  static_cast<void>(returned_.release());
  returned_ = std::make_unique<std::condition_variable>();
  mutex_.unlock();
}

}  // namespace detail::database
}  // namespace v1
}  // namespace flux::cache
