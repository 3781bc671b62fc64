#include <flux/cache/patterns/warmer.hpp>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include <flux/cache/executor.hpp>

#include "core/timer.hpp"

namespace flux::cache {
inline namespace v1 {

struct Warmer::Item {
  std::string key;
  Warm warm;
};

Warmer::Warmer() = default;
Warmer::Warmer(Repository repository) : repository_(std::move(repository)) {}
Warmer::Warmer(Warmer&&) noexcept = default;
Warmer& Warmer::operator=(Warmer&&) noexcept = default;
Warmer::~Warmer() = default;

Warmer& Warmer::add_item(std::string key, Warm warm) {
  items_.push_back({std::move(key), std::move(warm)});
  return *this;
}

std::size_t Warmer::size() const noexcept { return items_.size(); }

Repository Warmer::target() const { return repository_ ? *repository_ : detail::current_repository(); }

WarmReport Warmer::run(const WarmOptions& options) { return warm(items_, target(), options); }

WarmReport Warmer::warm(const std::vector<Item>& items, const Repository& to, const WarmOptions& options) {
  const auto begun = std::chrono::steady_clock::now();
  WarmReport report;
  std::optional<Lock> leader;
  if (options.leader_lock) {
    leader.emplace(to.lock("warm:" + *options.leader_lock, options.leader_lease, {.keep_alive = true}));
    if (!leader->try_lock()) return report.skipped = true, report;
  }

  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  std::vector<std::optional<std::string>> failures(items.size());
  std::size_t done = 0;
  const auto work = [&] {
    for (std::size_t i = next++; i < items.size(); i = next++) {
      bool loaded = false;
      std::optional<std::string> failure;
      try {
        auto own = items[i].warm;  // a loader may keep state; two warmings at once each have their own
        loaded = own(to, options.only_missing);
      } catch (const std::exception& error) {
        failure = error.what();
      } catch (...) {
        failure = "an exception that is no std::exception";
      }
      const std::scoped_lock guard(mutex);
      ++done;
      failure ? ++report.failed : (loaded ? ++report.warmed : ++report.present);
      failures[i] = std::move(failure);
      if (!options.progress) continue;
      try {
        options.progress({done, items.size(), items[i].key, failures[i].has_value()});
      } catch (...) {  // who watches does not stop the work
      }
    }
  };
  {
    const std::size_t parallel =
        std::min(std::clamp<std::size_t>(options.parallel, 1, 256), std::max<std::size_t>(items.size(), 1));
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < parallel; ++i) others.emplace_back(work);
    work();
  }
  for (std::size_t i = 0; i < items.size(); ++i)
    if (failures[i]) report.errors.push_back({items[i].key, *std::move(failures[i])});
  report.took = std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - begun);
  return report;
}

/// Ends when nobody holds the schedule any more.
struct Warmer::Schedule : std::enable_shared_from_this<Warmer::Schedule> {
  std::vector<Item> items;
  std::optional<Repository> repository;
  WarmOptions options;
  Duration period;

  void once() {
    try {
      warm(items, repository ? *repository : detail::current_repository(), options);
    } catch (...) {  // a store that is away now may be back at the next turn
    }
  }
  static void turn(const std::weak_ptr<Schedule>& mine) {
    const auto self = mine.lock();
    if (!self) return;
    self->once();
    detail::run_later(self->period, [mine] { turn(mine); });
  }
};

WarmSchedule Warmer::every(Duration period, WarmOptions options) {
  if (period <= Duration::zero()) throw std::invalid_argument("flux::cache: warmer: the period must be above zero");
  auto schedule = std::make_shared<Schedule>();
  schedule->items = items_;
  schedule->repository = repository_;
  schedule->options = std::move(options);
  schedule->period = period;
  detail::run_later(Duration::zero(), [mine = std::weak_ptr<Schedule>(schedule)] { Schedule::turn(mine); });
  return WarmSchedule(std::move(schedule));
}

}  // namespace v1
}  // namespace flux::cache
