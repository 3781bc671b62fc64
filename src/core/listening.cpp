// What a repository tells of itself: to listeners as it happens, and in sums.
#include "listeners.hpp"

#include <mutex>

#include "background_listener.hpp"
#include "counting.hpp"
#include "flights.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail {

bool Core::idle() const { return flights_->size() == 0; }

Stats Core::stats() const {
  const auto sums = counters_.sums();
  const auto of = [&](Count what) { return sums[static_cast<std::size_t>(what)]; };
  Stats stats{.hits = of(Count::hit),
              .misses = of(Count::miss),
              .stale_hits = of(Count::stale_hit),
              .wrong_type = of(Count::wrong_type),
              .schema = of(Count::schema),
              .corrupt = of(Count::corrupt),
              .puts = of(Count::put),
              .put_failures = of(Count::put_failure),
              .forgets = of(Count::forget),
              .flushes = of(Count::flush),
              .loads = of(Count::load),
              .load_failures = of(Count::load_failure),
              .store_errors = of(Count::store_error)};
  const double reads = static_cast<double>(stats.hits + stats.misses);
  stats.hit_ratio = reads > 0 ? 100.0 * static_cast<double>(stats.hits) / reads : 0.0;
  return stats;
}

void Core::reset_stats() { counters_.reset(); }

Listening Core::listen(Listener listener) {
  auto one = std::make_shared<Listeners::One>();
  one->listener = std::move(listener);
  {
    const std::scoped_lock guard(listeners_->mutex);
    listeners_->all.push_back(one);
  }
  listening_.fetch_add(1, std::memory_order_relaxed);
  // The registration keeps the list alive, not the core; the core's count is told through the core if it still is.
  std::weak_ptr<Core> home = weak_from_this();
  return Listening(std::shared_ptr<void>(one.get(), [one, list = listeners_, home](void*) {
    {
      const std::scoped_lock guard(list->mutex);
      std::erase(list->all, one);
    }
    if (auto core = home.lock()) core->listening_.fetch_sub(1, std::memory_order_relaxed);
  }));
}

Listening Core::listen(Listener listener, const ListenOptions& how) {
  if (!how.background) return listen(std::move(listener));
  auto queue = std::make_shared<BackgroundListener>(std::move(listener), how.max_queued);
  auto front = std::make_shared<Listening>(listen([queue](const Event& event) { queue->hear(event); }));
  std::shared_ptr<const std::atomic<std::uint64_t>> dropped(queue, &queue->dropped());
  std::shared_ptr<void> both(queue.get(), [queue, front = std::move(front)](void*) mutable {
    front.reset();
    queue->close();
  });
  return Listening(std::move(both), std::move(dropped));
}

void Core::tell(const Event& raw) {
  Event event = raw;
  const std::string key = options_.hash_keys ? shown(raw.key) : std::string();
  if (options_.hash_keys) event.key = key;
  std::vector<std::shared_ptr<Listeners::One>> all;
  {
    const std::scoped_lock guard(listeners_->mutex);
    all = listeners_->all;
  }
  for (const auto& one : all) {
    try {
      one->listener(event);
    } catch (...) {  // a listener's fault is not its caller's
    }
  }
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
