#include "net/pool.hpp"

#include <algorithm>
#include <condition_variable>
#include <new>

namespace flux::cache {
inline namespace v1 {
namespace detail::net {

/// Stands in line. Gets a connection, or the place of one that is gone.
struct Pool::Waiter {
  std::condition_variable called;
  std::unique_ptr<Pooled> one;
  bool has_place = false;
};

Pool::Pool(const PoolOptions& options, Dial dial)
    : options_(options), dial_(std::move(dial)), gate_(options.longest_back_off) {
  all_.reserve(options_.most);
  enlist();
}

Pool::~Pool() { delist(); }

Result<Pool::Lease> Pool::take(const Deadline& deadline) {
  std::vector<Idle> dead;  // closed after the lock is gone
  std::unique_lock lock(mutex_);
  while (!idle_.empty()) {
    Idle last = std::move(idle_.back());
    idle_.pop_back();
    if (deadline.begun() - last.since < options_.check_after) return Lease(*this, std::move(last.one), false);
    lock.unlock();
    const bool is_good = last.one->is_quiet();
    if (is_good) return Lease(*this, std::move(last.one), false);
    lock.lock();
    forget(*last.one);
    dead.push_back(std::move(last));
    pass_place();
  }
  if (places_ >= options_.most) {
    Waiter me;
    waiters_.push_back(&me);
    const Deadline patience = deadline.within(options_.longest_wait);
    while (me.one == nullptr && !me.has_place)
      if (me.called.wait_until(lock, patience.end()) == std::cv_status::timeout) break;
    if (me.one != nullptr) return Lease(*this, std::move(me.one), false);
    if (!me.has_place) {
      std::erase(waiters_, &me);
      return Error{Errc::rejected, "all " + std::to_string(options_.most) + " connections are in use"};
    }
  } else {
    ++places_;
  }
  auto open = gate_.enter();
  if (!open.ok()) {
    pass_place();
    return Result<Lease>(open.take_error());
  }
  lock.unlock();
  return this->dial(deadline);
}

Result<Pool::Lease> Pool::dial(const Deadline& deadline) {
  auto made = [&]() -> Result<std::unique_ptr<Pooled>> {
    try {
      return dial_(deadline);
    } catch (const std::bad_alloc&) {
      return Error{Errc::unavailable, "no memory for a connection"};
    }
  }();
  const std::scoped_lock lock(mutex_);
  if (!made.ok()) {
    gate_.failed(made.error());
    pass_place();
    return Result<Lease>(made.take_error());
  }
  gate_.succeeded();
  all_.push_back(made->get());
  return Lease(*this, std::move(*made), true);
}

// Gives the place of a connection that is no more to who has waited longest; to nobody: it is free. Locked.
void Pool::pass_place() {
  if (waiters_.empty()) {
    --places_;
    return;
  }
  Waiter* const next = waiters_.front();
  waiters_.pop_front();
  next->has_place = true;
  next->called.notify_one();
}

void Pool::forget(const Pooled& one) { std::erase(all_, &one); }

void Pool::take_back(std::unique_ptr<Pooled> one, Deadline::Clock::time_point now) {
  std::unique_ptr<Pooled> old;
  const std::scoped_lock lock(mutex_);
  if (std::find(all_.begin(), all_.end(), one.get()) == all_.end()) return;  // a parent's, in its child
  if (!waiters_.empty()) {
    Waiter* const next = waiters_.front();
    waiters_.pop_front();
    next->one = std::move(one);
    next->called.notify_one();
    return;
  }
  idle_.push_back({std::move(one), now});
  if (now - idle_.front().since > options_.idle_limit && idle_.size() > 1) {
    old = std::move(idle_.front().one);
    idle_.erase(idle_.begin());
    forget(*old);
    pass_place();
  }
}

void Pool::destroy(std::unique_ptr<Pooled> one) {
  {
    const std::scoped_lock lock(mutex_);
    if (std::find(all_.begin(), all_.end(), one.get()) != all_.end()) {
      forget(*one);
      pass_place();
    }
  }
  one.reset();
}

void Pool::drop_idle() {
  std::vector<Idle> gone;
  const std::scoped_lock lock(mutex_);
  gone.swap(idle_);
  for (const Idle& each : gone) {
    forget(*each.one);
    pass_place();
  }
}

void Pool::trim() {
  std::vector<Idle> gone;
  const auto now = Deadline::Clock::now();
  const std::scoped_lock lock(mutex_);
  while (!idle_.empty() && now - idle_.front().since > options_.idle_limit) {
    forget(*idle_.front().one);
    pass_place();
    gone.push_back(std::move(idle_.front()));
    idle_.erase(idle_.begin());
  }
}

std::size_t Pool::size() const {
  const std::scoped_lock lock(mutex_);
  return places_;
}

void Pool::after_fork(bool in_child) noexcept {
  if (in_child) {
    for (Pooled* each : all_) each->abandon();
    all_.clear();
    idle_.clear();
    waiters_.clear();
    places_ = 0;
    gate_.forget_prober();
  }
  mutex_.unlock();
}

}  // namespace detail::net
}  // namespace v1
}  // namespace flux::cache
