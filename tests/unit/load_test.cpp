// remember and its kin, over a memory store and a clock that the test turns.
#include <gtest/gtest.h>
#include <flux/cache.hpp>
#include <flux/cache/testing/fake_clock.hpp>

#include <atomic>
#include <chrono>
#include <map>
#include <stdexcept>
#include <thread>
#include <vector>

namespace cache = flux::cache;
using namespace std::chrono_literals;
using cache::LoadStatus;

namespace {

template <class Until>
bool comes_true(Until until) {
  for (int i = 0; i < 2'000 && !until(); ++i) std::this_thread::sleep_for(1ms);
  return until();
}

class LoadTest : public testing::Test {
 protected:
  cache::testing::FakeClock clock;
  cache::Repository cached{cache::make_memory({.clock = &clock}), {.clock = &clock}};
  int runs = 0;

  auto counting(int answer) {
    return [this, answer] { return ++runs, answer; };
  }
};

struct Failure : std::runtime_error {
  Failure() : std::runtime_error("the source is down") {}
};
int failing() { throw Failure(); }

TEST_F(LoadTest, AMissRunsTheLoaderOnceAndStoresItsAnswer) {
  EXPECT_EQ(cached.remember("k", 1h, counting(7)), 7);
  EXPECT_EQ(cached.remember("k", 1h, counting(8)), 7);
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(cached.expires_in("k"), 1h);
}

TEST_F(LoadTest, AnEmptyAnswerIsHandedOnAndNotStored) {
  const auto nothing = [&]() -> std::optional<int> { return ++runs, std::nullopt; };
  EXPECT_EQ(cached.remember("k", 1h, nothing), std::nullopt);
  EXPECT_EQ(cached.remember("k", 1h, nothing), std::nullopt);
  EXPECT_EQ(runs, 2);
  EXPECT_FALSE(cached.has("k"));
}

TEST_F(LoadTest, ANegativeAnswerSparesTheLoaderAndNothingElse) {
  const cache::Options options{.hours = 1, .negative = 30s};
  const auto nothing = [&]() -> std::optional<int> { return ++runs, std::nullopt; };
  EXPECT_EQ(cached.load("k", options, nothing).status, LoadStatus::miss);
  EXPECT_EQ(cached.load("k", options, nothing).status, LoadStatus::negative);
  EXPECT_EQ(runs, 1);
  EXPECT_FALSE(cached.get<int>("k"));
  EXPECT_FALSE(cached.has("k"));
  clock.travel(30s);
  EXPECT_EQ(cached.load("k", options, nothing).status, LoadStatus::miss);
  EXPECT_EQ(runs, 2);
  EXPECT_TRUE(cached.add("k", 1));
  EXPECT_EQ(cached.get<int>("k"), 1);
}

TEST_F(LoadTest, ANegativeAnswerDoesNotAnswerALoaderThatAlwaysHasOne) {
  cached.remember("k", {.hours = 1, .negative = 1h}, []() -> std::optional<int> { return std::nullopt; });
  EXPECT_EQ(cached.remember("k", 1h, counting(5)), 5);
}

TEST_F(LoadTest, AThrowingLoaderStoresNothingAndTheNextCallerTriesAgain) {
  EXPECT_THROW(cached.remember("k", 1h, failing), Failure);
  EXPECT_FALSE(cached.has("k"));
  EXPECT_EQ(cached.remember("k", 1h, counting(3)), 3);
  EXPECT_EQ(runs, 1);
}

TEST_F(LoadTest, ALoaderThatSaysFailIsAsOneThatThrows) {
  EXPECT_THROW(cached.remember("k", 1h, [](cache::Load<int>& load) { return load.fail("no rows"), 0; }),
               cache::LoadFailed);
  EXPECT_FALSE(cached.has("k"));
}

TEST_F(LoadTest, AHundredThreadsOnAColdKeyShareOneRun) {
  std::atomic<int> loads = 0;
  std::atomic<int> sum = 0;
  {
    std::vector<std::jthread> crowd;
    for (int i = 0; i < 100; ++i)
      crowd.emplace_back([&] {
        sum += cached.remember("k", 1h, [&] {
          ++loads;
          std::this_thread::sleep_for(50ms);
          return 2;
        });
      });
  }
  EXPECT_EQ(loads, 1);
  EXPECT_EQ(sum, 200);
}

TEST_F(LoadTest, AnExceptionReachesAllWhoWaited) {
  std::atomic<int> loads = 0;
  std::atomic<int> caught = 0;
  {
    std::vector<std::jthread> crowd;
    for (int i = 0; i < 16; ++i)
      crowd.emplace_back([&] {
        try {
          cached.remember("k", 1h, [&]() -> int {
            ++loads;
            std::this_thread::sleep_for(100ms);
            throw Failure();
          });
        } catch (const Failure&) {
          ++caught;
        }
      });
  }
  EXPECT_EQ(caught, 16);
  EXPECT_GE(loads, 1);
  EXPECT_EQ(cached.remember("k", 1h, counting(1)), 1);
}

TEST_F(LoadTest, LoadersMayLoadOtherKeys) {
  EXPECT_EQ(cached.remember("a", 1h, [&] { return cached.remember("b", 1h, counting(4)) + 1; }), 5);
}

TEST_F(LoadTest, ALoaderThatAsksForItsOwnKeyGetsAnError) {
  const auto inner = [&] { return cached.remember("k", 1h, counting(1)); };
  EXPECT_THROW(cached.remember("k", 1h, inner), cache::RecursiveLoad);
  EXPECT_EQ(cached.remember("k", 1h, counting(2)), 2);
}

TEST_F(LoadTest, LoadersThatWaitForEachOtherInTwoThreadsGetAnError) {
  std::atomic<int> inside = 0;
  std::atomic<int> refused = 0;
  const auto cross = [&](const char* mine, const char* other) {
    try {
      cached.remember(mine, 1h, [&] {
        ++inside;
        while (inside < 2) std::this_thread::yield();
        return cached.remember(other, 1h, [] { return 1; });
      });
    } catch (const cache::RecursiveLoad&) {
      ++refused;
    }
  };
  {
    const std::jthread one(cross, "a", "b");
    const std::jthread two(cross, "b", "a");
  }
  EXPECT_GE(refused, 1);
}

// --- what is invalidated while it loads

TEST_F(LoadTest, AForgetDuringALoadKeepsItsAnswerFromEveryoneElse) {
  EXPECT_EQ(cached.remember("k", 1h, [&] { return cached.forget("k"), 1; }), 1);
  EXPECT_FALSE(cached.has("k"));
}

TEST_F(LoadTest, APutDuringALoadWins) {
  EXPECT_EQ(cached.remember("k", 1h, [&] { return cached.put("k", 9, 1h), 1; }), 1);
  EXPECT_EQ(cached.get<int>("k"), 9);
}

TEST_F(LoadTest, AFlushDuringALoadKeepsItsAnswerFromEveryoneElse) {
  EXPECT_EQ(cached.remember("k", 1h, [&] { return cached.flush(), 1; }), 1);
  EXPECT_FALSE(cached.has("k"));
}

TEST_F(LoadTest, ATagFlushDuringALoadKeepsItsAnswerFromEveryoneElse) {
  const cache::Options tagged{.hours = 1, .tags = {"t"}};
  EXPECT_EQ(cached.remember("k", tagged, [&] { return cached.tags({"t"}).flush(), 1; }), 1);
  EXPECT_FALSE(cached.has("k"));
}

TEST_F(LoadTest, ATagNamedByTheLoaderProtectsFromThenOn) {
  EXPECT_EQ(cached.remember("k", 1h,
                            [&](cache::Load<int>& load) {
                              load.tag("t");
                              cached.tags({"t"}).flush();
                              return 1;
                            }),
            1);
  EXPECT_FALSE(cached.has("k"));
  cached.remember("k", 1h, [&](cache::Load<int>& load) { return load.tag("t"), 2; });
  EXPECT_TRUE(cached.tags({"t"}).has("k"));
}

TEST_F(LoadTest, WhoComesAfterAForgetDoesNotShareTheFlightThatBeganBeforeIt) {
  std::atomic<bool> started = false;
  std::atomic<bool> go_on = false;
  std::jthread old([&] {
    cached.remember("k", 1h, [&] {
      started = true;
      while (!go_on) std::this_thread::yield();
      return 1;
    });
  });
  while (!started) std::this_thread::yield();
  cached.forget("k");
  EXPECT_EQ(cached.remember("k", 1h, [] { return 2; }), 2);
  go_on = true;
  old.join();
  EXPECT_EQ(cached.get<int>("k"), 2);
}

// --- what the loader says

TEST_F(LoadTest, TheLoaderDecidesTheLifetime) {
  cached.remember("k", {}, [](cache::Load<int>& load) { return load.ttl(5min), 1; });
  EXPECT_EQ(cached.expires_in("k"), 5min);
}

TEST_F(LoadTest, ALifetimeOfZeroFromTheLoaderStoresNothing) {
  EXPECT_EQ(cached.remember("k", 1h, [](cache::Load<int>& load) { return load.ttl(0s), 1; }), 1);
  EXPECT_FALSE(cached.has("k"));
}

TEST_F(LoadTest, SkipStoreHandsTheAnswerOnAlone) {
  EXPECT_EQ(cached.remember("k", 1h, [](cache::Load<int>& load) { return load.skip_store(), 1; }), 1);
  EXPECT_FALSE(cached.has("k"));
}

TEST_F(LoadTest, NotModifiedRenewsTheOldValue) {
  const cache::Options options{.minutes = 1, .fail_safe = 1h};
  cached.remember("k", options, counting(7));
  clock.travel(2min);
  const auto unchanged = [](cache::Load<int>& load) {
    EXPECT_EQ(load.stale(), 7);
    load.not_modified();
    return 0;
  };
  EXPECT_EQ(cached.remember("k", options, unchanged), 7);
  EXPECT_EQ(cached.get<int>("k"), 7);
  EXPECT_EQ(cached.expires_in("k"), 1min);
}

TEST_F(LoadTest, ALoadUnderTagsThatTheEntryLacksLoadsAgainAndRelabels) {
  cached.put("k", 1, 1h);
  EXPECT_EQ(cached.tags({"t"}).remember("k", 1h, counting(2)), 2);
  EXPECT_TRUE(cached.tags({"t"}).has("k"));
}

TEST_F(LoadTest, AnotherTypeUnderTheKeyIsLoadedAgainAndOverwritten) {
  cached.put("k", "text", 1h);
  EXPECT_EQ(cached.remember("k", 1h, counting(5)), 5);
  EXPECT_EQ(cached.get<int>("k"), 5);
}

// --- stale values

TEST_F(LoadTest, FailSafeServesTheOldValueWhereTheLoaderFails) {
  const cache::Options options{.minutes = 1, .fail_safe = 1h};
  cached.remember("k", options, counting(7));
  clock.travel(1min);
  EXPECT_FALSE(cached.has("k"));
  const auto served = cached.load("k", options, failing);
  EXPECT_EQ(served.value, 7);
  EXPECT_EQ(served.status, LoadStatus::stale);
  EXPECT_FALSE(cached.has("k"));
}

TEST_F(LoadTest, WithinTheThrottleTimeAFailedLoadIsNotTriedAgain) {
  const cache::Options options{.minutes = 1, .fail_safe = 1h, .throttle = 10s};
  cached.remember("k", options, counting(7));
  clock.travel(1min);
  const auto broken = [&]() -> int {
    ++runs;
    throw Failure();
  };
  runs = 0;
  EXPECT_EQ(cached.remember("k", options, broken), 7);
  EXPECT_EQ(cached.remember("k", options, broken), 7);
  EXPECT_EQ(runs, 1);
  clock.travel(10s);
  EXPECT_EQ(cached.remember("k", options, counting(8)), 8);
  EXPECT_EQ(runs, 2);
}

TEST_F(LoadTest, AfterTheFailSafeTimeTheLoadersExceptionComesThrough) {
  const cache::Options options{.minutes = 1, .fail_safe = 1h};
  cached.remember("k", options, counting(7));
  clock.travel(61min);
  EXPECT_THROW(cached.remember("k", options, failing), Failure);
}

TEST_F(LoadTest, AnEntryWrittenWithoutFailSafeIsNeverOfferedStale) {
  cached.remember("k", 1min, counting(7));
  clock.travel(1min);
  EXPECT_THROW(cached.remember("k", {.minutes = 1, .fail_safe = 1h}, failing), Failure);
}

TEST_F(LoadTest, FlexibleServesStaleAtOnceAndRefreshesOnceBehind) {
  std::atomic<int> version = 0;
  std::atomic<bool> go_on = true;
  const auto next = [&] {
    while (!go_on) std::this_thread::yield();
    return ++version;
  };
  EXPECT_EQ(cached.flexible("k", {1min, 10min}, next), 1);
  EXPECT_EQ(cached.flexible("k", {1min, 10min}, next), 1);
  EXPECT_EQ(version, 1);
  clock.travel(1min);
  go_on = false;
  EXPECT_EQ(cached.flexible("k", {1min, 10min}, next), 1);
  EXPECT_EQ(cached.flexible("k", {1min, 10min}, next), 1);
  go_on = true;
  EXPECT_TRUE(comes_true([&] { return cached.get<int>("k") == 2; }));
  EXPECT_EQ(version, 2);
  clock.travel(10min);
  EXPECT_EQ(cached.flexible("k", {1min, 10min}, next), 3);
}

TEST_F(LoadTest, FlexibleRefusesAFreshLifeLongerThanTheStaleOne) {
  EXPECT_THROW(cached.flexible("k", {10min, 1min}, counting(1)), std::invalid_argument);
}

TEST_F(LoadTest, AForgetInTheStalePeriodLeavesNothingBehind) {
  cached.flexible("k", {1min, 10min}, counting(1));
  clock.travel(2min);
  cached.forget("k");
  int kept = 0;
  EXPECT_TRUE(cached.store()
                  ->scan(cache::Space::values, [&](std::string_view, const cache::Entry&) { return ++kept, true; })
                  .ok());
  EXPECT_EQ(kept, 0);
}

TEST_F(LoadTest, ASoftTimeoutServesStaleAndTheLoaderEndsBehind) {
  const cache::Options options{.minutes = 1, .fail_safe = 1h, .soft_timeout = 20ms};
  cached.remember("k", options, counting(1));
  clock.travel(1min);
  std::atomic<bool> go_on = false;
  const auto slow = [&] {
    while (!go_on) std::this_thread::yield();
    return 2;
  };
  const auto served = cached.load("k", options, slow);
  EXPECT_EQ(served.value, 1);
  EXPECT_EQ(served.status, LoadStatus::stale);
  go_on = true;
  EXPECT_TRUE(comes_true([&] { return cached.get<int>("k") == 2; }));
}

TEST_F(LoadTest, AHardTimeoutThrowsAndTheLateAnswerIsStored) {
  std::atomic<bool> go_on = false;
  const auto slow = [&] {
    while (!go_on) std::this_thread::yield();
    return 2;
  };
  EXPECT_THROW(cached.remember("k", {.hours = 1, .hard_timeout = 20ms}, slow), cache::LoadTimeout);
  go_on = true;
  EXPECT_TRUE(comes_true([&] { return cached.get<int>("k") == 2; }));
}

TEST_F(LoadTest, AForgetAfterATimeoutKeepsTheLateAnswerOut) {
  std::atomic<bool> go_on = false;
  std::atomic<bool> done = false;
  const auto slow = [&] {
    while (!go_on) std::this_thread::yield();
    done = true;
    return 2;
  };
  EXPECT_THROW(cached.remember("k", {.hours = 1, .hard_timeout = 20ms}, slow), cache::LoadTimeout);
  cached.forget("k");
  go_on = true;
  ASSERT_TRUE(comes_true([&] { return done.load(); }));
  EXPECT_TRUE(comes_true([&] { return cached.core().idle(); }));
  EXPECT_FALSE(cached.has("k"));
}

TEST_F(LoadTest, AnEagerReadReturnsAtOnceAndRefreshesBehind) {
  const cache::Options options{.seconds = 100, .eager = 0.8};
  std::atomic<int> version = 0;
  const auto next = [&] { return ++version; };
  EXPECT_EQ(cached.remember("k", options, next), 1);
  clock.travel(79s);
  EXPECT_EQ(cached.remember("k", options, next), 1);
  EXPECT_EQ(version, 1);
  clock.travel(6s);
  EXPECT_EQ(cached.remember("k", options, next), 1);
  EXPECT_TRUE(comes_true([&] { return cached.get<int>("k") == 2; }));
  EXPECT_EQ(cached.expires_in("k"), 100s);
}

TEST_F(LoadTest, EagerOutsideOfZeroToOneIsIgnored) {
  for (const double eager : {-1.0, 0.0, 1.0, 2.0}) {
    cached.remember("k", {.seconds = 100, .eager = eager}, counting(1));
    clock.travel(99s);
    cached.remember("k", {.seconds = 100, .eager = eager}, counting(1));
    EXPECT_TRUE(cached.core().idle());
    cached.forget("k");
  }
  EXPECT_EQ(runs, 4);
}

TEST_F(LoadTest, BetaZeroIsNeverEarlyAndAnInfiniteOneAlwaysIs) {
  cached.remember("k", {.hours = 1}, counting(1));
  cached.remember("k", {.hours = 1}, counting(1));
  EXPECT_EQ(runs, 1);
  for (int i = 0; i < 5; ++i)
    cached.remember("k", {.hours = 1, .beta = std::numeric_limits<double>::infinity()}, counting(1));
  EXPECT_EQ(runs, 6);
}

// --- several

TEST_F(LoadTest, RememberManyLoadsWhatIsMissingInOneCall) {
  cached.put("b", 2, 1h);
  std::vector<std::string> asked;
  const auto load = [&](const std::vector<std::string>& missing) {
    ++runs;
    asked = missing;
    return std::map<std::string, int>{{"a", 1}, {"d", 4}};
  };
  const auto answers = cached.remember_many<int>({"a", "b", "c"}, 1h, load);
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(asked, (std::vector<std::string>{"a", "c"}));
  EXPECT_EQ(answers.at("a"), 1);
  EXPECT_EQ(answers.at("b"), 2);
  EXPECT_FALSE(answers.at("c"));
  EXPECT_FALSE(answers.has("d"));
  EXPECT_EQ(cached.get<int>("a"), 1);
  EXPECT_EQ(cached.get<int>("d"), 4);
  EXPECT_FALSE(cached.has("c"));
}

TEST_F(LoadTest, RememberManyPassesTheLoadersExceptionOnAndFreesEverything) {
  const auto broken = [](const std::vector<std::string>&) -> std::map<std::string, int> { throw Failure(); };
  EXPECT_THROW(cached.remember_many<int>({"a", "b"}, 1h, broken), Failure);
  EXPECT_TRUE(cached.core().idle());
  EXPECT_EQ(cached.remember("a", 1h, counting(1)), 1);
}

TEST_F(LoadTest, RememberManyDuringAForgetStoresTheOthers) {
  const auto load = [&](const std::vector<std::string>&) {
    cached.forget("a");
    return std::map<std::string, int>{{"a", 1}, {"b", 2}};
  };
  const auto answers = cached.remember_many<int>({"a", "b"}, 1h, load);
  EXPECT_EQ(answers.at("a"), 1);
  EXPECT_FALSE(cached.has("a"));
  EXPECT_EQ(cached.get<int>("b"), 2);
}

TEST_F(LoadTest, EveryReadIsOneHitOrOneMiss) {
  cached.remember("k", 1h, counting(1));
  cached.remember("k", 1h, counting(1));
  const auto stats = cached.stats();
  EXPECT_EQ(stats.hits, 1u);
  EXPECT_EQ(stats.misses, 1u);
  EXPECT_EQ(stats.loads, 1u);
  EXPECT_EQ(stats.puts, 1u);
}

}  // namespace
