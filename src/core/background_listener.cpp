#include "background_listener.hpp"

#include <flux/cache/executor.hpp>

namespace flux::cache {
inline namespace v1 {
namespace detail {

BackgroundListener::Kept::Kept(const Event& event)
    : kind(event.kind), store(event.store), key(event.key), cause(event.cause) {
  if (event.tags != nullptr) tags = *event.tags;
  if (event.error != nullptr) error = *event.error;
}

Event BackgroundListener::Kept::view() const {
  return {kind, store, key, tags ? &*tags : nullptr, cause, error ? &*error : nullptr};
}

BackgroundListener::BackgroundListener(Listener listener, std::size_t max_queued)
    : listener_(std::move(listener)), max_queued_(max_queued) {}

void BackgroundListener::hear(const Event& event) {
  const std::scoped_lock guard(mutex_);
  if (closed_) return;
  if (queue_.size() >= max_queued_) return void(dropped_.fetch_add(1, std::memory_order_relaxed));
  queue_.emplace_back(event);
  if (draining_) return;
  draining_ = executor()->submit([self = shared_from_this()] { self->drain(); });
  if (draining_) return;
  dropped_.fetch_add(queue_.size(), std::memory_order_relaxed);
  queue_.clear();
}

void BackgroundListener::drain() {
  std::unique_lock lock(mutex_);
  while (!closed_ && !queue_.empty()) {
    const Kept next = std::move(queue_.front());
    queue_.pop_front();
    busy_ = std::this_thread::get_id();
    lock.unlock();
    try {
      listener_(next.view());
    } catch (...) {  // a listener's fault is not the executor's
    }
    lock.lock();
    busy_ = {};
    idle_.notify_all();
  }
  draining_ = false;
}

void BackgroundListener::close() {
  std::unique_lock lock(mutex_);
  closed_ = true;
  queue_.clear();
  idle_.wait(lock, [&] { return busy_ == std::thread::id() || busy_ == std::this_thread::get_id(); });
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
