// Entries past their life that still serve: flexible, stale, fail-safe, timeouts, and refreshes ahead of time.
#include <flux/cache/testing/repository_contract.hpp>

#include <atomic>
#include <latch>
#include <limits>
#include <memory>
#include <stdexcept>

#include "anchors.hpp"
#include "eventually.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_stale() {}

using namespace std::chrono_literals;

namespace {

/// What a loader that may run behind the test shares with it.
struct Source {
  std::atomic<int> runs{0};
  std::atomic<int> done{0};
  std::atomic<bool> fails{false};
  std::latch open{1};  ///< what waits for it is held up until the test counts it down
};

auto counting(const std::shared_ptr<Source>& source) {
  return [source] {
    const int run = ++source->runs;
    if (source->fails) throw std::domain_error("the source is down");
    ++source->done;
    return run;
  };
}

auto held_up(const std::shared_ptr<Source>& source) {
  return [source] {
    const int run = ++source->runs;
    if (run > 1) source->open.wait();
    ++source->done;
    return run;
  };
}

}  // namespace

TEST_P(RepositoryContract, FlexibleServesTheOldValueAndRefreshesBehind) {
  const auto source = std::make_shared<Source>();
  const auto ask = [&] { return cache().flexible("k", {2s, 60s}, counting(source)); };
  EXPECT_EQ(ask(), 1);
  advance(1s);
  EXPECT_EQ(ask(), 1);
  EXPECT_EQ(source->runs.load(), 1) << "fresh: nothing is refreshed";
  advance(1s);
  EXPECT_EQ(ask(), 1) << "exactly at the end of the fresh life";
  EXPECT_TRUE(eventually([&] { return cache().get<int>("k") == 2; }));
  EXPECT_EQ(ask(), 2);
  EXPECT_EQ(source->runs.load(), 2);
}

TEST_P(RepositoryContract, OneRefreshAtATime) {
  const auto source = std::make_shared<Source>();
  const auto ask = [&] { return cache().flexible("k", {2s, 60s}, held_up(source)); };
  EXPECT_EQ(ask(), 1);
  advance(2s);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(ask(), 1);
  EXPECT_TRUE(eventually([&] { return source->runs == 2; }));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(ask(), 1);
  source->open.count_down();
  EXPECT_TRUE(eventually([&] { return cache().get<int>("k") == 2; }));
  EXPECT_EQ(source->runs.load(), 2);
}

TEST_P(RepositoryContract, AfterTheHardLimitOfFlexibleTheLoaderRunsInTheCall) {
  const auto source = std::make_shared<Source>();
  const auto ask = [&] { return cache().flexible("k", {1s, 2s}, counting(source)); };
  EXPECT_EQ(ask(), 1);
  advance(2s);
  EXPECT_EQ(ask(), 2);
}

TEST_P(RepositoryContract, FlexibleWithLivesTheWrongWayRoundIsRefused) {
  EXPECT_THROW(cache().flexible("k", {3s, 2s}, [] { return 1; }), std::invalid_argument);
}

TEST_P(RepositoryContract, AForgetWhileStaleLeavesNothingBehind) {
  const auto source = std::make_shared<Source>();
  cache().flexible("k", {1s, 60s}, counting(source));
  advance(1s);
  EXPECT_EQ(cache().flexible("k", {1s, 60s}, counting(source)), 1);
  EXPECT_TRUE(eventually([&] { return cache().get<int>("k") == 2; }));
  advance(1s);
  EXPECT_FALSE(cache().forget("k")) << "nothing fresh went";
  for (const Space space : {Space::values, Space::locks}) {
    EXPECT_TRUE(eventually([&] {
      std::size_t left = 0;
      const auto walked = cache().store()->scan(space, [&](std::string_view, const Entry&) { return ++left, true; });
      return !walked.ok() || left == 0;  // not every store can be walked over
    }));
  }
}

TEST_P(RepositoryContract, ARefreshThatFailsKeepsTheOldValueUntilTheHardLimit) {
  const auto source = std::make_shared<Source>();
  const auto ask = [&] { return cache().flexible("k", {1s, 3s}, counting(source)); };
  EXPECT_EQ(ask(), 1);
  advance(1s);
  source->fails = true;
  EXPECT_EQ(ask(), 1);
  // Idle, too: the refresh counts its failure before it gives its claim back, and until then no other one starts.
  EXPECT_TRUE(eventually([&] { return cache().stats().load_failures == 1 && cache().core().idle(); }));
  advance(1s);
  EXPECT_EQ(ask(), 1);
  EXPECT_TRUE(eventually([&] { return cache().stats().load_failures == 2 && cache().core().idle(); }));
  advance(1s);
  EXPECT_THROW(ask(), std::domain_error);
}

TEST_P(RepositoryContract, AFailureCoveredByFailSafeIsNotTriedAgainForAWhile) {
  const auto source = std::make_shared<Source>();
  const Options options{.ttl = Ttl(1s), .fail_safe = 10s, .throttle = 2s};
  const auto ask = [&] { return cache().remember("k", options, counting(source)); };
  EXPECT_EQ(ask(), 1);
  advance(1s);
  source->fails = true;
  EXPECT_EQ(ask(), 1);
  EXPECT_EQ(ask(), 1);
  EXPECT_EQ(source->runs.load(), 2) << "throttled";
  advance(2s);
  EXPECT_EQ(ask(), 1);
  EXPECT_EQ(source->runs.load(), 3);
}

TEST_P(RepositoryContract, AfterTheEndOfFailSafeTheLoadersExceptionComesThrough) {
  const auto source = std::make_shared<Source>();
  const Options options{.ttl = Ttl(1s), .fail_safe = 1s, .throttle = 100ms};
  EXPECT_EQ(cache().remember("k", options, counting(source)), 1);
  advance(2s);
  source->fails = true;
  EXPECT_THROW(cache().remember("k", options, counting(source)), std::domain_error);
}

TEST_P(RepositoryContract, AnEntryWrittenWithoutFailSafeIsNeverServedPastItsLife) {
  cache().put("k", 1, 1s);
  advance(1s);
  EXPECT_THROW(cache().remember("k", {.ttl = Ttl(1s), .fail_safe = 60s}, []() -> int { throw std::domain_error("x"); }),
               std::domain_error);
}

TEST_P(RepositoryContract, ALoaderMaySayThatItFailed) {
  const auto fails = [](Load<int>& load) { return load.fail("no answer"), 0; };
  EXPECT_THROW(cache().remember("k", 1s, fails), LoadFailed);
  const Options options{.ttl = Ttl(1s), .fail_safe = 60s};
  cache().remember("k", options, [] { return 1; });
  advance(1s);
  EXPECT_EQ(cache().load("k", options, fails).status, LoadStatus::stale);
  EXPECT_EQ(cache().remember("k", options, fails), 1);
}

TEST_P(RepositoryContract, WhereTheFirstLoadFailsTheFallbackIsAnswered) {
  const auto fails = []() -> int { throw std::domain_error("down"); };
  EXPECT_EQ(cache().remember("k", Options{.ttl = Ttl(1s)}, fails, 7), 7);
  EXPECT_FALSE(cache().has("k"));
  EXPECT_EQ(cache().remember(
                "k", Options{.ttl = Ttl(1s)}, [] { return 1; }, 7),
            1);
}

TEST_P(RepositoryContract, ALoaderThatFoundNothingChangedRenewsTheLife) {
  const Options options{.ttl = Ttl(1s), .fail_safe = 60s};
  cache().remember("k", options, [] { return std::string("old"); });
  advance(1s);
  const auto again = cache().remember("k", options, [](Load<std::string>& load) {
    EXPECT_EQ(load.stale(), "old");
    load.not_modified();
    return std::string("ignored");
  });
  EXPECT_EQ(again, "old");
  EXPECT_EQ(cache().get<std::string>("k"), "old");
}

TEST_P(RepositoryContract, TheStatusTellsWhereTheValueCameFrom) {
  const Options options{.ttl = Ttl(1s), .stale = 60s, .negative = 1s};
  const auto load = [] { return std::optional<int>(1); };
  EXPECT_EQ(cache().load("k", options, load).status, LoadStatus::miss);
  EXPECT_EQ(cache().load("k", options, load).status, LoadStatus::hit);
  advance(1s);
  const auto stale = cache().load("k", options, load);
  EXPECT_EQ(stale.status, LoadStatus::stale);
  EXPECT_EQ(stale.value, 1);
  const auto nothing = [] { return std::optional<int>(); };
  EXPECT_EQ(cache().load("n", options, nothing).status, LoadStatus::miss);
  EXPECT_EQ(cache().load("n", options, nothing).status, LoadStatus::negative);
  EXPECT_TRUE(eventually([&] { return cache().has("k"); }));
}

TEST_P(RepositoryContract, WithAStaleValueAtHandNobodyWaitsBeyondTheSoftTimeout) {
  const auto source = std::make_shared<Source>();
  const Options options{.ttl = Ttl(1s), .fail_safe = 60s, .soft_timeout = 20ms};
  const auto ask = [&] { return cache().load("k", options, held_up(source)); };
  EXPECT_EQ(ask().value, 1);
  advance(1s);
  const auto answer = ask();
  EXPECT_EQ(answer.value, 1);
  EXPECT_EQ(answer.status, LoadStatus::stale);
  EXPECT_EQ(source->done.load(), 1) << "the loader is still at it";
  source->open.count_down();
  EXPECT_TRUE(eventually([&] { return cache().get<int>("k") == 2; })) << "and its answer is stored";
}

TEST_P(RepositoryContract, WithoutAStaleValueTheSoftTimeoutWaits) {
  const auto source = std::make_shared<Source>();
  const Options options{.ttl = Ttl(60s), .fail_safe = 60s, .soft_timeout = 1ms};
  EXPECT_EQ(cache().remember("k", options,
                             [source] {
                               std::this_thread::sleep_for(30ms);
                               return ++source->runs;
                             }),
            1);
}

TEST_P(RepositoryContract, NobodyWaitsBeyondTheHardTimeoutAndTheLateAnswerIsStored) {
  const auto source = std::make_shared<Source>();
  const Options options{.ttl = Ttl(60s), .hard_timeout = 20ms};
  const auto slow = [source] {
    source->open.wait();
    return ++source->runs;
  };
  EXPECT_THROW(cache().remember("k", options, slow), LoadTimeout);
  EXPECT_FALSE(cache().has("k"));
  source->open.count_down();
  EXPECT_TRUE(eventually([&] { return cache().get<int>("k") == 1; }));
}

TEST_P(RepositoryContract, WhatIsForgottenWhileATimedOutLoaderStillRunsStaysForgotten) {
  const auto source = std::make_shared<Source>();
  const Options options{.ttl = Ttl(60s), .hard_timeout = 5ms};
  const auto slow = [source] {
    source->open.wait();
    return ++source->runs;
  };
  EXPECT_THROW(cache().remember("k", options, slow), LoadTimeout);
  EXPECT_FALSE(cache().forget("k"));
  source->open.count_down();
  EXPECT_TRUE(eventually([&] { return source->runs == 1 && cache().stats().loads == 1; }));
  // The loader has answered; what it answered must not come up any more.
  for (int i = 0; i < 20; ++i) {
    ASSERT_FALSE(cache().has("k"));
    std::this_thread::sleep_for(1ms);
  }
}

TEST_P(RepositoryContract, WhatIsForgottenWhileARefreshRunsBehindStaysForgotten) {
  const auto source = std::make_shared<Source>();
  EXPECT_EQ(cache().flexible("k", {1s, 60s}, held_up(source)), 1);
  advance(1s);
  EXPECT_EQ(cache().flexible("k", {1s, 60s}, held_up(source)), 1);
  EXPECT_TRUE(eventually([&] { return source->runs == 2; }));
  cache().forget("k");
  source->open.count_down();
  EXPECT_TRUE(eventually([&] { return source->done == 2; }));
  for (int i = 0; i < 20; ++i) {
    ASSERT_FALSE(cache().has("k"));
    std::this_thread::sleep_for(1ms);
  }
}

TEST_P(RepositoryContract, AReadLateInTheLifeStartsOneRefresh) {
  const auto source = std::make_shared<Source>();
  const Options options{.ttl = Ttl(2s), .eager = 0.5};
  const auto ask = [&] { return cache().remember("k", options, counting(source)); };
  EXPECT_EQ(ask(), 1);
  advance(500ms);
  EXPECT_EQ(ask(), 1);
  EXPECT_EQ(source->runs.load(), 1);
  advance(1s);
  EXPECT_EQ(ask(), 1) << "at once";
  EXPECT_TRUE(eventually([&] { return cache().get<int>("k") == 2; }));
  EXPECT_EQ(source->runs.load(), 2);
}

TEST_P(RepositoryContract, ReadsAreEagerByTheLifeThatTheLoaderSet) {
  const auto source = std::make_shared<Source>();
  const Options options{.ttl = Ttl(3600s), .eager = 0.5};
  const auto load = [source](Load<int>& load) { return load.ttl(20s), ++source->runs; };
  const auto read = [&] { return cache().remember("k", options, load); };
  EXPECT_EQ(read(), 1);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(read(), 1) << "early in the life nothing is loaded";
  if (GetParam().real_time) return;
  advance(11s);
  EXPECT_EQ(read(), 1);
  EXPECT_TRUE(eventually([&] { return cache().get<int>("k") == 2; }));
  EXPECT_EQ(source->runs.load(), 2);
}

TEST_P(RepositoryContract, ARefreshThatReadsItsOwnKeyIsServedTheFreshValue) {
  const Options options{.ttl = Ttl(20s), .eager = 0.1};
  cache().put("k", 1, 20s);
  advance(3s);
  const auto seen = std::make_shared<std::atomic<int>>(0);
  const auto curious = [seen, options, cache = cache()] {
    *seen = cache.remember("k", options, [] { return 2; });
    return 3;
  };
  EXPECT_EQ(cache().remember("k", options, curious), 1);
  EXPECT_TRUE(eventually([&] { return cache().get<int>("k") == 3; }));
  EXPECT_EQ(seen->load(), 1);
}

TEST_P(RepositoryContract, AnEagernessOutOfRangeIsIgnored) {
  for (const double eager : {-1.0, 0.0, 1.0, 7.0, std::numeric_limits<double>::quiet_NaN()}) {
    const auto source = std::make_shared<Source>();
    const Options options{.ttl = Ttl(2s), .eager = eager};
    const std::string key = "k" + std::to_string(eager);
    cache().remember(key, options, counting(source));
    advance(1900ms);
    EXPECT_EQ(cache().remember(key, options, counting(source)), 1);
    EXPECT_EQ(source->runs.load(), 1) << eager;
  }
}

TEST_P(RepositoryContract, TheLoaderSetsLifetimeAndTagsAndLeavesTheCallersOptionsAlone) {
  const Options options{.ttl = Ttl(60s), .tags = {"own"}};
  cache().remember("k", options, [](Load<int>& load) {
    load.tag("named");
    load.ttl(1s);
    return 1;
  });
  EXPECT_EQ(options.tags, Tags{"own"});
  EXPECT_EQ(options.ttl->length(), 60s);
  EXPECT_LE(cache().expires_in("k"), 1s);
  EXPECT_TRUE(cache().tags({"named", "own"}).has("k"));
  cache().tags({"named"}).flush();
  EXPECT_FALSE(cache().has("k"));
}

TEST_P(RepositoryContract, ALifetimeMayDependOnTheValue) {
  const auto lives = [](const int& value) { return value > 10 ? Ttl(60s) : Ttl(0s); };
  EXPECT_EQ(cache().remember("long", lives, [] { return 11; }), 11);
  EXPECT_EQ(cache().remember("short", lives, [] { return 1; }), 1);
  EXPECT_TRUE(cache().has("long"));
  EXPECT_FALSE(cache().has("short"));
  const auto nothing = [] { return std::optional<int>(); };
  EXPECT_EQ(cache().remember("nothing", lives, nothing), std::nullopt);
}

TEST_P(RepositoryContract, WithAnInfiniteBetaEachReadLoadsAndWithNoneNoReadDoes) {
  int runs = 0;
  const auto load = [&] { return ++runs; };
  const Options always{.ttl = Ttl(60s), .beta = std::numeric_limits<double>::infinity()};
  for (int i = 1; i <= 5; ++i) EXPECT_EQ(cache().remember("always", always, load), i);
  runs = 0;
  for (int i = 0; i < 5; ++i) EXPECT_EQ(cache().remember("never", {.ttl = Ttl(60s), .beta = 0}, load), 1);
}

TEST_P(RepositoryContract, ACallThatSkipsTheReadLoadsAndOneThatSkipsTheStoreStoresNothing) {
  int runs = 0;
  const auto load = [&] { return ++runs; };
  cache().remember("k", 60s, load);
  EXPECT_EQ(cache().remember("k", {.ttl = Ttl(60s), .skip_read = true}, load), 2);
  EXPECT_EQ(cache().get<int>("k"), 2);
  EXPECT_EQ(cache().remember("other", {.ttl = Ttl(60s), .skip_store = true}, load), 3);
  EXPECT_FALSE(cache().has("other"));
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
