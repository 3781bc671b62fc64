// The verbs one by one: defaults, lifetimes, counters, bad keys, events and counts.
#include <flux/cache/layers/serialized.hpp>
#include <flux/cache/testing/crowd.hpp>
#include <flux/cache/testing/recorder.hpp>
#include <flux/cache/testing/repository_contract.hpp>

#include <limits>

#include "anchors.hpp"
#include "sanitized.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_verbs() {}

using namespace std::chrono_literals;

TEST_P(RepositoryContract, AnEmptyStoreMisses) {
  EXPECT_EQ(cache().get<std::string>("k"), std::nullopt);
  EXPECT_TRUE(cache().missing("k"));
  EXPECT_EQ(cache().get_shared<std::string>("k"), nullptr);
  EXPECT_EQ(cache().expires_in("k"), std::nullopt);
  EXPECT_FALSE(cache().forget("k"));
  EXPECT_EQ(cache().pull<int>("k"), std::nullopt);
  const auto answer = cache().try_get<int>("k");
  ASSERT_TRUE(answer.ok());
  EXPECT_FALSE(*answer);
}

TEST_P(RepositoryContract, ADefaultIsAnsweredAndNotStored) {
  EXPECT_EQ(cache().get("k", "d"), "d");
  EXPECT_EQ(cache().pull("k", "d"), "d");
  EXPECT_FALSE(cache().has("k"));
}

TEST_P(RepositoryContract, ACallableDefaultRunsOnAMissAlone) {
  int calls = 0;
  const auto otherwise = [&] { return ++calls; };
  EXPECT_EQ(cache().get("k", otherwise), 1);
  EXPECT_FALSE(cache().has("k"));
  cache().put("k", 42);
  EXPECT_EQ(cache().get("k", otherwise), 42);
  EXPECT_EQ(cache().pull("k", otherwise), 42);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(cache().pull("k", otherwise), 2);
}

TEST_P(RepositoryContract, ALifetimeOfZeroOrLessRemovesAndAnswersTrue) {
  cache().put("k", 1);
  EXPECT_TRUE(cache().put("k", 2, 0s));
  EXPECT_FALSE(cache().has("k"));
  EXPECT_TRUE(cache().put("absent", 2, 0s));
  EXPECT_TRUE(cache().put("absent", 2, -5s));
  EXPECT_TRUE(cache().put("absent", 2, Options{.seconds = 0}));
  EXPECT_FALSE(cache().has("absent"));
}

TEST_P(RepositoryContract, ADateInThePastRemovesAndOneAheadHolds) {
  cache().put("k", 1);
  EXPECT_TRUE(cache().put("k", 2, {.until = clock().wall() - 1s}));
  EXPECT_FALSE(cache().has("k"));
  EXPECT_TRUE(cache().put("k", 3, {.until = clock().wall() + 10s}));
  const auto left = cache().expires_in("k");
  ASSERT_TRUE(left);
  EXPECT_LE(*left, 10s);
  EXPECT_GE(*left, 9s);
}

TEST_P(RepositoryContract, ADateLeavesWhatIsLeftUntilItWhenTheCallIsMade) {
  if (GetParam().real_time) GTEST_SKIP() << "needs a clock that can be set";
  const auto date = std::chrono::time_point_cast<std::chrono::system_clock::duration>(clock().wall() + 1s);
  advance(3ms);
  EXPECT_TRUE(cache().put("k", 1, {.until = date}));
  EXPECT_EQ(cache().expires_in("k"), 997ms);
  advance(996ms);
  EXPECT_TRUE(cache().has("k"));
  advance(1ms);
  EXPECT_FALSE(cache().has("k"));
}

TEST_P(RepositoryContract, TheLongestLifetimesEndNothing) {
  for (const Ttl longest : {Ttl(std::chrono::seconds::max()), Ttl(std::chrono::hours::max()), Ttl(Duration::max())}) {
    EXPECT_TRUE(cache().put("k", 1, longest));
    EXPECT_TRUE(cache().add("a", 1, longest));
    EXPECT_TRUE(cache().touch("k", longest));
    EXPECT_EQ(cache().get<int>("k"), 1);
    EXPECT_GT(cache().expires_in("k"), 24h * 365 * 100);
    EXPECT_EQ(cache().forget_many({"k", "a"}), 2u);
  }
}

TEST_P(RepositoryContract, WithoutALifetimeThePutHoldsForEver) {
  cache().put("k", 1, 1s), cache().put("k", 2);
  EXPECT_EQ(cache().expires_in("k"), Duration::max());
  cache().forever("f", 1);
  EXPECT_EQ(cache().expires_in("f"), Duration::max());
}

TEST_P(RepositoryContract, TheStoresOwnLifetimeHoldsWhereNoneIsNamed) {
  const Repository mine = with({.ttl = Ttl(10s)});
  mine.put("k", 1), mine.put("named", 1, 60s), mine.increment("n");
  ASSERT_TRUE(mine.expires_in("k") && mine.expires_in("named") && mine.expires_in("n"));
  EXPECT_LE(*mine.expires_in("k"), 10s);
  EXPECT_GT(*mine.expires_in("named"), 50s);
  EXPECT_LE(*mine.expires_in("n"), 10s);
  mine.forever("f", 1);
  EXPECT_EQ(mine.expires_in("f"), Duration::max());
}

TEST_P(RepositoryContract, TheUnitsOfALifetimeAddUp) {
  cache().put("k", 1, {.days = 1, .hours = 2, .minutes = 3, .seconds = 4, .milliseconds = 5});
  const auto left = cache().expires_in("k");
  ASSERT_TRUE(left);
  EXPECT_LE(*left, 26h + 3min + 4s + 5ms);
  EXPECT_GT(*left, 26h + 3min + 3s);
}

TEST_P(RepositoryContract, JitterOnlyShortens) {
  for (int i = 0; i < 200; ++i) {
    cache().put("k", 1, {.ttl = Ttl(60s), .jitter = 10s});
    const auto left = cache().expires_in("k");
    ASSERT_TRUE(left);
    ASSERT_LE(*left, 60s);
    ASSERT_GE(*left, 49s);
  }
}

TEST_P(RepositoryContract, AnEntryEndsWithItsLifetime) {
  cache().put("k", 1, 2s);
  EXPECT_TRUE(cache().has("k"));
  advance(2s);
  EXPECT_FALSE(cache().has("k"));
  EXPECT_EQ(cache().get<int>("k"), std::nullopt);
  EXPECT_EQ(cache().expires_in("k"), std::nullopt);
  EXPECT_FALSE(cache().forget("k"));
  EXPECT_TRUE(cache().add("k", 2));
}

TEST_P(RepositoryContract, AddStoresOnlyWhereNothingLives) {
  EXPECT_TRUE(cache().add("k", 1, 10s));
  EXPECT_FALSE(cache().add("k", 2, 1h));
  EXPECT_EQ(cache().get<int>("k"), 1);
  EXPECT_LE(cache().expires_in("k"), 10s);
}

TEST_P(RepositoryContract, AddWithALifetimeOfZeroOrLessIsFalseAndLeavesWhatIsThere) {
  cache().put("k", 1);
  EXPECT_FALSE(cache().add("k", 2, 0s));
  EXPECT_FALSE(cache().add("absent", 2, -1s));
  EXPECT_EQ(cache().get<int>("k"), 1);
  EXPECT_FALSE(cache().has("absent"));
}

TEST_P(RepositoryContract, TouchGivesAnotherLife) {
  cache().put("k", "v", 2s);
  EXPECT_TRUE(cache().touch("k", 1h));
  EXPECT_FALSE(cache().touch("absent", 1h));
  advance(3s);
  EXPECT_EQ(cache().get<std::string>("k"), "v");
  EXPECT_TRUE(cache().touch("k", 0s));
  EXPECT_FALSE(cache().has("k"));
  EXPECT_FALSE(cache().touch("k", 1h));
}

TEST_P(RepositoryContract, CountersCount) {
  EXPECT_EQ(cache().increment("n"), 1);
  EXPECT_EQ(cache().increment("n", 5), 6);
  EXPECT_EQ(cache().decrement("n", 2), 4);
  EXPECT_EQ(cache().decrement("down"), -1);
  EXPECT_EQ(cache().get<int>("n"), 4);
  cache().put("put", 10, 1h);
  EXPECT_EQ(cache().increment("put"), 11);
  EXPECT_LE(cache().expires_in("put"), 1h);
  EXPECT_EQ(cache().increment("new", 1, {.minutes = 1}), 1);
  EXPECT_LE(cache().expires_in("new"), 1min);
  cache().put("text", "7");
  EXPECT_EQ(cache().increment("text"), 8);
  EXPECT_EQ(cache().get<int>("text"), 8);
}

TEST_P(RepositoryContract, WhatIsNoNumberIsToldAndStays) {
  cache().put("text", "abc"), cache().put("list", std::vector<int>{1}), cache().put("real", 1.5);
  for (const char* const key : {"text", "list", "real"}) {
    EXPECT_THROW(cache().increment(key), NotANumber) << key;
    const auto answer = cache().try_increment(key);
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code, Errc::not_a_number);
    EXPECT_EQ(answer.error().key, key);
  }
  EXPECT_EQ(cache().get<std::string>("text"), "abc");
  EXPECT_EQ(cache().get<std::vector<int>>("list"), std::vector<int>{1});
  EXPECT_EQ(cache().get<double>("real"), 1.5);
}

TEST_P(RepositoryContract, OverflowIsToldAndChangesNothing) {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();
  cache().put("most", kMost), cache().put("least", kLeast);
  EXPECT_THROW(cache().increment("most"), Overflow);
  EXPECT_THROW(cache().decrement("least"), Overflow);
  EXPECT_THROW(cache().decrement("most", kLeast), Overflow);
  EXPECT_EQ(cache().get<std::int64_t>("most"), kMost);
  EXPECT_EQ(cache().get<std::int64_t>("least"), kLeast);
}

TEST_P(RepositoryContract, ABadKeyIsRefusedBeforeItReachesTheStore) {
  const auto recorder = std::make_shared<Recorder>(cache().store());
  const Repository mine(recorder, {.clock = &clock()}, "contract");
  const std::string too_long(64 * 1024 + 1, 'k');
  for (const std::string& bad : {std::string(), too_long}) {
    EXPECT_THROW(mine.get<int>(bad), InvalidKey);
    EXPECT_THROW(mine.get(bad, 1), InvalidKey);
    EXPECT_THROW(mine.get_shared<int>(bad), InvalidKey);
    EXPECT_THROW(mine.has(bad), InvalidKey);
    EXPECT_THROW(mine.put(bad, 1), InvalidKey);
    EXPECT_THROW(mine.put(bad, 1, 0s), InvalidKey);
    EXPECT_THROW(mine.add(bad, 1), InvalidKey);
    EXPECT_THROW(mine.touch(bad, 1s), InvalidKey);
    EXPECT_THROW(mine.forget(bad), InvalidKey);
    EXPECT_THROW(mine.pull<int>(bad), InvalidKey);
    EXPECT_THROW(mine.increment(bad), InvalidKey);
    EXPECT_THROW(mine.expires_in(bad), InvalidKey);
    EXPECT_THROW(mine.many<int>({"k", bad}), InvalidKey);
    EXPECT_THROW(mine.forget_many({"k", bad}), InvalidKey);
    EXPECT_THROW(mine.put_many({{"k", 1}, {bad, 2}}), InvalidKey);
    EXPECT_THROW(mine.remember(bad, 1s, [] { return 1; }), InvalidKey);
    EXPECT_EQ(mine.try_get<int>(bad).error().code, Errc::bad_key);
    EXPECT_EQ(mine.try_put(bad, 1).error().code, Errc::bad_key);
  }
  EXPECT_EQ(recorder->story(), "");
}

TEST_P(RepositoryContract, AKeyOfTheGreatestLengthIsGood) {
  const std::string longest(64 * 1024, 'k');
  EXPECT_TRUE(cache().put(longest, 1));
  EXPECT_EQ(cache().get<int>(longest), 1);
}

TEST_P(RepositoryContract, FlushEmptiesAndAFlushThatIsProhibitedDoesNot) {
  cache().put("k", 1);
  const Repository careful = with({.prohibit_flush = true});
  EXPECT_FALSE(careful.flush());
  EXPECT_EQ(careful.try_flush().error().code, Errc::prohibited);
  EXPECT_TRUE(cache().has("k"));
  EXPECT_TRUE(cache().flush());
  EXPECT_FALSE(cache().has("k"));
}

TEST_P(RepositoryContract, EventsTellWhatHappenedInOrder) {
  std::vector<std::string> heard;
  const auto tell = [&](const Event& event) {
    heard.push_back(std::string(to_string(event.kind)) + " " + std::string(event.key));
    EXPECT_EQ(event.store, "contract");
    if (event.kind == EventKind::miss) {
      EXPECT_NE(event.cause, MissCause::none);
    }
  };
  {
    const auto listening = cache().listen(tell);
    cache().put("k", 1);
    (void)cache().get<int>("k");
    (void)cache().get<int>("absent");
    (void)cache().get<std::vector<int>>("k");
    (void)cache().many<int>({"k", "absent"});
    cache().forget("k");
    cache().forget("k");
    cache().flush();
  }
  cache().put("unheard", 1);
  EXPECT_EQ(heard, (std::vector<std::string>{"put k", "hit k", "miss absent", "miss k", "hit k", "miss absent",
                                             "forget k", "flush "}));
}

TEST_P(RepositoryContract, AListenerThatThrowsHarmsNobody) {
  const auto listening = cache().listen([](const Event&) { throw std::runtime_error("a listener's own fault"); });
  EXPECT_TRUE(cache().put("k", 1));
  EXPECT_EQ(cache().get<int>("k"), 1);
}

TEST_P(RepositoryContract, HitsAndMissesAddUpToTheReads) {
  constexpr int kThreads = 8;
  const Traits traits = cache().store()->traits();
  const int reads = kSanitized || traits.shared || traits.persistent || GetParam().real_time ? 500 : 100'000;
  for (int i = 0; i < 10; ++i) cache().put("k" + std::to_string(i), i);
  cache().reset_stats();
  run_on_threads(kThreads, [&](int thread) {
    for (int i = 0; i < reads; ++i) (void)cache().get<int>("k" + std::to_string((i + thread) % 20));
  });
  const Stats stats = cache().stats();
  EXPECT_EQ(stats.hits, static_cast<std::uint64_t>(kThreads * reads / 2));
  EXPECT_EQ(stats.misses, static_cast<std::uint64_t>(kThreads * reads / 2));
  EXPECT_DOUBLE_EQ(stats.hit_ratio, 50.0);
}

TEST_P(RepositoryContract, APutOfWhatIsTooLargeLeavesNoOldValueInItsPlace) {
  const RepositoryOptions options{.clock = &clock()};
  const Repository small(make_serialized(cache().store(), {.max_bytes = 200}), options, "small");
  const std::string large(300, 'x');
  EXPECT_TRUE(small.put("k", "old"));
  EXPECT_FALSE(small.put("k", large));
  EXPECT_EQ(small.get<std::string>("k"), std::nullopt);
  EXPECT_TRUE(small.put("k", "old"));
  EXPECT_FALSE(small.add("k", large));
  EXPECT_EQ(small.get<std::string>("k"), "old") << "which an add does not touch";
  EXPECT_EQ(small.stats().put_failures, 2u);
}

TEST_P(RepositoryContract, CountsTellWhatWasDoneAndAResetForgetsIt) {
  EXPECT_EQ(cache().stats().hit_ratio, 0.0);
  cache().put("a", 1), cache().put("b", 2), cache().add("a", 3), cache().increment("n");
  (void)cache().get<int>("a");
  (void)cache().many<int>({"a", "x", "y"});
  cache().forget("a"), cache().forget("a"), cache().flush();
  Stats stats = cache().stats();
  EXPECT_EQ(stats.puts, 3u);
  EXPECT_EQ(stats.hits, 2u);
  EXPECT_EQ(stats.misses, 2u);
  EXPECT_EQ(stats.forgets, 1u);
  EXPECT_EQ(stats.flushes, 1u);
  EXPECT_EQ(stats.store_errors, 0u);
  cache().reset_stats();
  stats = cache().stats();
  EXPECT_EQ(stats.puts + stats.hits + stats.misses + stats.forgets + stats.flushes, 0u);
  EXPECT_EQ(stats.hit_ratio, 0.0);
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
