// Callers that no longer wait for a load, and loaders that nobody waits for.
#include <flux/cache/testing/repository_contract.hpp>

#include <atomic>
#include <latch>
#include <memory>
#include <stdexcept>
#include <thread>

#include "anchors.hpp"
#include "eventually.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_cancel() {}

using namespace std::chrono_literals;

namespace {

/// A loader that may outlive the call that brought it, and what it saw.
struct Work {
  std::atomic<int> runs{0};
  std::atomic<bool> told{false};
  std::atomic<bool> done{false};
  std::latch open{1};
};

/// Loads its own number once it is let.
auto held_up(const std::shared_ptr<Work>& work) {
  return [work](Load<int>& load) {
    const int run = ++work->runs;
    work->open.wait();
    work->told = load.stop_requested();
    work->done = true;
    return run;
  };
}

/// The first run goes on until it is told to stop, and then to the end of what it is held up by; further ones answer.
auto endless(const std::shared_ptr<Work>& work) {
  return [work](Load<int>& load) -> int {
    const int run = ++work->runs;
    if (run > 1) return run;
    work->told = eventually([&] { return load.stop_requested(); });
    work->open.wait();
    work->done = true;
    throw std::domain_error("given up");
  };
}

/// Called by a loader: waits until the thread that runs the loader of "outer" waits for the load of this one. To ask
/// for "outer" would then go in a circle, which is refused; before, it merely takes its time.
bool waits_from_outer(const Repository& cache) {
  return eventually([&] {
    try {
      (void)cache.remember("outer", {.ttl = Ttl(60s), .hard_timeout = 1ms}, [] { return -1; });
    } catch (const RecursiveLoad&) {
      return true;
    } catch (const LoadTimeout&) {
    }
    return false;
  });
}

/// Asks for "k" by way of "outer". Refused where that meets the other's look: while he waits, there is a circle.
template <class Loader>
int by_way_of_outer(const Repository& cache, std::atomic<bool>& on_the_way, Loader loader) {
  return cache.remember("outer", 60s, [&] {
    on_the_way = true;
    for (;;) {
      try {
        return cache.remember("k", 60s, loader);
      } catch (const RecursiveLoad&) {
      }
    }
  });
}

Options stopped_by(const std::stop_source& source) { return {.ttl = Ttl(60s), .stop = source.get_token()}; }

}  // namespace

TEST_P(RepositoryContract, AWaiterThatIsCancelledLeavesTheLoaderToTheOthers) {
  const auto work = std::make_shared<Work>();
  std::stop_source stop;
  std::atomic<int> first{0};
  std::atomic<bool> waits{false}, cancelled{false};
  std::jthread leader([&] { first = cache().remember("k", 60s, held_up(work)); });
  EXPECT_TRUE(eventually([&] { return work->runs == 1; }));
  std::jthread waiter([&] {
    waits = true;
    try {
      cache().remember("k", stopped_by(stop), held_up(work));
    } catch (const LoadCancelled&) {
      cancelled = true;
    }
  });
  EXPECT_TRUE(eventually([&] { return waits.load(); }));
  EXPECT_FALSE(cancelled);
  stop.request_stop();
  EXPECT_TRUE(eventually([&] { return cancelled.load(); })) << "the loader is not waited for";
  work->open.count_down();
  leader.join();
  EXPECT_EQ(first, 1);
  EXPECT_FALSE(work->told) << "somebody waited";
  EXPECT_EQ(work->runs, 1);
  EXPECT_EQ(cache().get<int>("k"), 1);
}

TEST_P(RepositoryContract, WhoBroughtTheLoaderMayLeaveItToTheOthersToo) {
  const auto work = std::make_shared<Work>();
  std::stop_source stop;
  std::atomic<int> second{0};
  std::atomic<bool> cancelled{false}, on_the_way{false}, aboard{false};
  std::jthread leader([&] {
    try {
      cache().remember("k", stopped_by(stop), [&, work](Load<int>& load) {
        EXPECT_TRUE(eventually([&] { return on_the_way.load(); }));
        EXPECT_TRUE(waits_from_outer(cache()));
        aboard = true;
        return held_up(work)(load);
      });
    } catch (const LoadCancelled&) {
      cancelled = true;
    }
  });
  EXPECT_TRUE(eventually([&] { return cache().stats().loads == 1; }));
  std::jthread waiter([&] { second = by_way_of_outer(cache(), on_the_way, held_up(work)); });
  EXPECT_TRUE(eventually([&] { return aboard.load(); }));
  stop.request_stop();
  EXPECT_TRUE(eventually([&] { return cancelled.load(); }));
  work->open.count_down();
  waiter.join();
  EXPECT_EQ(second, 1);
  EXPECT_EQ(work->runs, 1);
  EXPECT_FALSE(work->told) << "somebody waited";
}

TEST_P(RepositoryContract, TheLoaderIsAskedToStopOnceAllHaveGone) {
  const auto work = std::make_shared<Work>();
  work->open.count_down();
  std::stop_source stop;
  std::atomic<int> cancelled{0};
  {
    std::vector<std::jthread> crowd;
    for (int i = 0; i < 4; ++i)
      crowd.emplace_back([&] {
        try {
          cache().remember("k", stopped_by(stop), endless(work));
        } catch (const LoadCancelled&) {
          ++cancelled;
        }
      });
    EXPECT_TRUE(eventually([&] { return work->runs == 1; }));
    EXPECT_FALSE(work->done);
    stop.request_stop();
  }
  EXPECT_EQ(cancelled, 4);
  EXPECT_TRUE(eventually([&] { return work->done.load(); }));
  EXPECT_TRUE(work->told);
  EXPECT_FALSE(cache().has("k"));
  EXPECT_EQ(cache().remember("k", 60s, endless(work)), 2);
  EXPECT_EQ(cache().stats().load_failures, 0U) << "nobody was left to whom it failed";
}

TEST_P(RepositoryContract, WhoComesAfterTheLoaderWasAskedToStopLoadsAnew) {
  const auto work = std::make_shared<Work>();
  std::stop_source stop;
  std::atomic<bool> on_the_way{false}, aboard{false};
  std::jthread leader([&] {
    const auto first = [&, work](Load<int>& load) -> int {
      ++work->runs;
      work->told = eventually([&] { return load.stop_requested(); });
      EXPECT_TRUE(eventually([&] { return on_the_way.load(); }));
      EXPECT_TRUE(waits_from_outer(cache()));
      aboard = true;
      work->open.wait();
      throw std::domain_error("given up");
    };
    EXPECT_THROW(cache().remember("k", stopped_by(stop), first), LoadCancelled);
  });
  EXPECT_TRUE(eventually([&] { return work->runs == 1; }));
  stop.request_stop();
  leader.join();
  EXPECT_TRUE(eventually([&] { return work->told.load(); }));
  std::atomic<int> found{0};
  std::jthread late([&] { found = by_way_of_outer(cache(), on_the_way, endless(work)); });
  EXPECT_TRUE(eventually([&] { return aboard.load(); }));
  EXPECT_EQ(work->runs, 1) << "one loader at a time, even so";
  work->open.count_down();
  late.join();
  EXPECT_EQ(found, 2) << "and not the failure of one that was given up";
}

TEST_P(RepositoryContract, WhoIsStoppedBeforehandIsServedWhatIsThereAndLoadsNothing) {
  int runs = 0;
  std::stop_source stop;
  stop.request_stop();
  EXPECT_THROW(cache().remember("k", stopped_by(stop), [&] { return ++runs; }), LoadCancelled);
  EXPECT_EQ(runs, 0);
  cache().put("k", 7);
  EXPECT_EQ(cache().remember("k", stopped_by(stop), [&] { return ++runs; }), 7);
  EXPECT_EQ(runs, 0);
}

TEST_P(RepositoryContract, WhoTimesOutStillWantsTheAnswer) {
  const auto work = std::make_shared<Work>();
  const Options impatient{.ttl = Ttl(60s), .hard_timeout = 5ms};
  EXPECT_THROW(cache().remember("k", impatient, held_up(work)), LoadTimeout);
  work->open.count_down();
  EXPECT_TRUE(eventually([&] { return cache().get<int>("k") == 1; }));
  EXPECT_FALSE(work->told);
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
