// A store that cannot answer: reads miss, writes answer false, loads compute, counters say so.
#include <flux/cache/layers/chaos.hpp>
#include <flux/cache/testing/crowd.hpp>
#include <flux/cache/testing/repository_contract.hpp>

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "anchors.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_verb_faults() {}

using namespace std::chrono_literals;

namespace {

/// A repository whose store fails whenever the test says so.
struct Failing {
  Failing(const StorePtr& store, const Clock& clock, OnError on_error = OnError::soft)
      : chaos(make_chaos(store)), cache(chaos, {.on_error = on_error, .clock = &clock}, "contract") {}
  void down() { chaos->set({.fail_rate = 1}); }
  void up() { chaos->set({}); }

  std::shared_ptr<Chaos> chaos;
  Repository cache;
};

}  // namespace

TEST_P(RepositoryContract, AStoreThatIsDownNeverTakesItsProgramDown) {
  Failing failing(cache().store(), clock());
  failing.cache.put("k", 1);
  failing.down();
  EXPECT_EQ(failing.cache.get<int>("k"), std::nullopt);
  EXPECT_EQ(failing.cache.get("k", 7), 7);
  EXPECT_FALSE(failing.cache.has("k"));
  EXPECT_FALSE(failing.cache.put("k", 2));
  EXPECT_FALSE(failing.cache.add("k", 2));
  EXPECT_FALSE(failing.cache.touch("k", 1h));
  EXPECT_FALSE(failing.cache.forget("k"));
  EXPECT_FALSE(failing.cache.flush());
  EXPECT_EQ(failing.cache.pull<int>("k"), std::nullopt);
  EXPECT_EQ(failing.cache.remember("k", 1h, [] { return 42; }), 42);
  EXPECT_FALSE(failing.cache.many<int>({"k"}).at("k"));
  EXPECT_FALSE(failing.cache.put_many({{"k", 3}}));
  EXPECT_EQ(failing.cache.forget_many({"k"}), 0u);
  EXPECT_GT(failing.cache.stats().store_errors, 0u);
  failing.up();
  EXPECT_EQ(failing.cache.get<int>("k"), 1);
}

TEST_P(RepositoryContract, WhatCannotBeGuessedIsThrown) {
  Failing failing(cache().store(), clock());
  failing.down();
  EXPECT_THROW(failing.cache.increment("n"), StoreUnavailable);
  EXPECT_THROW(failing.cache.decrement("n"), StoreUnavailable);
}

TEST_P(RepositoryContract, WhoeverAsksIsToldWhatHappened) {
  Failing failing(cache().store(), clock());
  failing.down();
  const auto read = failing.cache.try_get<int>("k");
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, Errc::unavailable);
  EXPECT_EQ(read.error().store, "contract");
  EXPECT_EQ(read.error().key, "k");
  EXPECT_EQ(failing.cache.try_put("k", 1).error().code, Errc::unavailable);
  EXPECT_EQ(failing.cache.try_forget("k").error().code, Errc::unavailable);
  EXPECT_EQ(failing.cache.try_has("k").error().code, Errc::unavailable);
}

TEST_P(RepositoryContract, AStoreThatIsDownThrowsWhereThatIsWanted) {
  Failing failing(cache().store(), clock(), OnError::raise);
  failing.down();
  EXPECT_THROW(failing.cache.get<int>("k"), StoreUnavailable);
  EXPECT_THROW(failing.cache.put("k", 1), StoreUnavailable);
  EXPECT_THROW(failing.cache.forget("k"), StoreUnavailable);
  EXPECT_THROW(failing.cache.has("k"), StoreUnavailable);
}

TEST_P(RepositoryContract, AnOutageAndItsEndAreEvents) {
  Failing failing(cache().store(), clock());
  std::atomic<int> errors{0}, outages{0}, recoveries{0};
  const auto listening = failing.cache.listen([&](const Event& event) {
    errors += event.kind == EventKind::store_error;
    outages += event.kind == EventKind::outage;
    recoveries += event.kind == EventKind::recovered;
  });
  failing.down();
  for (int i = 0; i < 3; ++i) (void)failing.cache.get<int>("k");
  EXPECT_EQ(errors, 3);
  EXPECT_EQ(outages, 1);
  EXPECT_EQ(recoveries, 0);
  failing.up();
  for (int i = 0; i < 3; ++i) (void)failing.cache.get<int>("k");
  EXPECT_EQ(errors, 3);
  EXPECT_EQ(recoveries, 1);
  failing.down();
  for (int i = 0; i < 3; ++i) (void)failing.cache.put("k", i);
  failing.up();
  run_on_threads(4, [&] { return failing.cache.get<int>("k").has_value() ? 1L : 0L; });
  EXPECT_EQ(outages, 2) << "once for each outage";
  EXPECT_EQ(recoveries, 2) << "once for each outage";
}

TEST_P(RepositoryContract, AnyAnswerEndsAnOutageForThoseWhoListen) {
  Failing failing(cache().store(), clock());
  int recoveries = 0;
  const auto listening =
      failing.cache.listen([&](const Event& event) { recoveries += event.kind == EventKind::recovered; });
  const std::vector<std::function<void()>> verbs{
      [&] { (void)failing.cache.put("k", 1); },        [&] { (void)failing.cache.put_many({{"k", 1}, {"l", 2}}); },
      [&] { (void)failing.cache.many<int>({"k"}); },   [&] { (void)failing.cache.increment("n"); },
      [&] { (void)failing.cache.touch("k", 60s); },    [&] { (void)failing.cache.has("k"); },
      [&] { (void)failing.cache.forget_many({"k"}); }, [&] { (void)failing.cache.forget("k"); }};
  for (std::size_t i = 0; i < verbs.size(); ++i) {
    failing.down();
    (void)failing.cache.get<int>("k");
    failing.up();
    verbs[i]();
    EXPECT_EQ(recoveries, static_cast<int>(i) + 1) << "of verb " << i;
  }
}

TEST_P(RepositoryContract, AStoreThatComesAndGoesIsToldOfNowAndThenAndALastingOutageInAnyCase) {
  if (GetParam().real_time) GTEST_SKIP() << "needs a clock that can be set";
  Failing failing(cache().store(), clock());
  int outages = 0, recoveries = 0;
  const auto listening = failing.cache.listen([&](const Event& event) {
    outages += event.kind == EventKind::outage;
    recoveries += event.kind == EventKind::recovered;
  });
  for (int i = 0; i < 600; ++i) {  // away for 50 ms, back for 50 ms
    failing.down();
    (void)failing.cache.get<int>("k");
    advance(50ms);
    failing.up();
    (void)failing.cache.get<int>("k");
    advance(50ms);
  }
  EXPECT_GE(outages, 60) << "in a minute";
  EXPECT_LE(outages, 16 + 60);
  EXPECT_EQ(recoveries, outages) << "of those alone that were told";
  failing.down();
  const int before = outages;
  for (int i = 0; i < 3; ++i, advance(1s)) (void)failing.cache.get<int>("k");
  EXPECT_EQ(outages, before + 1) << "the one that lasts";
  EXPECT_EQ(recoveries, before);
}

TEST_P(RepositoryContract, WhereTheStoreGoesAwayDuringALoadTheAnswerIsHandedOn) {
  Failing failing(cache().store(), clock());
  const auto load = [&] { return failing.down(), 7; };
  EXPECT_EQ(failing.cache.remember("k", 1h, load), 7);
  EXPECT_GT(failing.cache.stats().store_errors, 0u);
  failing.up();
  EXPECT_EQ(failing.cache
                .remember_many<int>({"a", "b"}, 1h,
                                    [&](const std::vector<std::string>&) {
                                      return failing.down(), std::map<std::string, int>{{"a", 1}, {"b", 2}};
                                    })
                .at("b"),
            2);
  failing.up();
  EXPECT_FALSE(failing.cache.has("k"));
}

TEST_P(RepositoryContract, AReadThatTheStoreCannotAnswerIsAMiss) {
  Failing failing(cache().store(), clock());
  failing.cache.put("k", 1);
  failing.down();
  (void)failing.cache.get<int>("k"), (void)failing.cache.get<int>("k");
  failing.up();
  (void)failing.cache.get<int>("k");
  const Stats stats = failing.cache.stats();
  EXPECT_EQ(stats.misses, 2u);
  EXPECT_EQ(stats.hits, 1u);
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
