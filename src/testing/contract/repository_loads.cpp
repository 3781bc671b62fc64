// Loads: once per cold key, nothing stored that should not be, and no loader on a hit.
#include <flux/cache/layers/serialized.hpp>
#include <flux/cache/testing/crowd.hpp>
#include <flux/cache/testing/repository_contract.hpp>

#include <atomic>
#include <latch>
#include <map>
#include <stdexcept>

#include "anchors.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_verb_loads() {}

using namespace std::chrono_literals;

TEST_P(RepositoryContract, RememberLoadsOnAMissAloneAndStoresForTheLifetime) {
  int runs = 0;
  const auto load = [&] { return "loaded " + std::to_string(++runs); };
  EXPECT_EQ(cache().remember("k", 10s, load), "loaded 1");
  EXPECT_EQ(cache().remember("k", 10s, load), "loaded 1");
  EXPECT_EQ(cache().get<std::string>("k"), "loaded 1");
  EXPECT_LE(cache().expires_in("k"), 10s);
  EXPECT_EQ(cache().remember_forever("f", load), "loaded 2");
  EXPECT_EQ(cache().expires_in("f"), Duration::max());
}

TEST_P(RepositoryContract, RememberLoadsAgainAfterTheEnd) {
  int runs = 0;
  const auto load = [&] { return ++runs; };
  cache().remember("k", 2s, load);
  advance(2s);
  EXPECT_EQ(cache().remember("k", 2s, load), 2);
}

TEST_P(RepositoryContract, WhatALoaderThrowsPassesThroughAndStoresNothing) {
  const auto fails = [&]() -> int { throw std::domain_error("the loader's own"); };
  EXPECT_THROW(cache().remember("k", 10s, fails), std::domain_error);
  EXPECT_FALSE(cache().has("k"));
  EXPECT_EQ(cache().remember("k", 10s, [] { return 5; }), 5);
  EXPECT_EQ(cache().stats().load_failures, 1u);
}

TEST_P(RepositoryContract, AnEmptyAnswerIsHandedOnAndNotStored) {
  int runs = 0;
  const auto load = [&]() -> std::optional<int> { return ++runs > 2 ? std::optional(runs) : std::nullopt; };
  EXPECT_EQ(cache().remember("k", 10s, load), std::nullopt);
  EXPECT_FALSE(cache().has("k"));
  EXPECT_EQ(cache().remember("k", 10s, load), std::nullopt);
  EXPECT_EQ(cache().remember("k", 10s, load), 3);
  EXPECT_EQ(cache().remember("k", 10s, load), 3);
}

TEST_P(RepositoryContract, ARememberedEmptyAnswerSparesTheLoaderAndNothingElse) {
  int runs = 0;
  const auto load = [&]() -> std::optional<int> { return ++runs, std::nullopt; };
  const Options options{.ttl = Ttl(60s), .negative = 2s};
  EXPECT_EQ(cache().remember("k", options, load), std::nullopt);
  EXPECT_EQ(cache().remember("k", options, load), std::nullopt);
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(cache().get<int>("k"), std::nullopt);
  EXPECT_FALSE(cache().has("k"));
  EXPECT_FALSE(cache().forget("k"));
  EXPECT_EQ(cache().remember("again", options, load), std::nullopt);
  EXPECT_TRUE(cache().add("again", 1));
  EXPECT_EQ(cache().remember("third", options, load), std::nullopt);
  const int before = runs;
  advance(2s);
  EXPECT_EQ(cache().remember("third", options, load), std::nullopt);
  EXPECT_EQ(runs, before + 1);
}

TEST_P(RepositoryContract, ALoadWithALifeOfZeroIsAnsweredAndNotStored) {
  EXPECT_EQ(cache().remember("k", 0s, [] { return 5; }), 5);
  EXPECT_FALSE(cache().has("k"));
}

TEST_P(RepositoryContract, RememberHealsAValueOfAnotherType) {
  cache().put("k", "abc");
  EXPECT_EQ(cache().remember("k", 10s, [] { return 5; }), 5);
  EXPECT_EQ(cache().get<int>("k"), 5);
}

TEST_P(RepositoryContract, ALoaderMayLoadAnotherKey) {
  const int outer =
      cache().remember("outer", 10s, [&] { return 1 + cache().remember("inner", 10s, [] { return 41; }); });
  EXPECT_EQ(outer, 42);
  EXPECT_EQ(cache().get<int>("inner"), 41);
}

TEST_P(RepositoryContract, ALoaderThatAsksForItsOwnKeyIsToldSo) {
  const auto itself = [&] { return cache().remember("k", 10s, [] { return 1; }); };
  EXPECT_THROW(cache().remember("k", 10s, itself), RecursiveLoad);
  EXPECT_EQ(cache().remember("k", 10s, [] { return 2; }), 2);
}

TEST_P(RepositoryContract, OfManyThreadsOnOneColdKeyOneLoads) {
  for (int round = 0; round < 5; ++round) {
    const std::string key = "cold " + std::to_string(round);
    std::atomic<int> runs{0};
    std::latch all_are_here(16);
    const long sum = run_on_threads(16, [&] {
      all_are_here.count_down();
      return cache().remember(key, 60s, [&] {
        all_are_here.wait();  // nobody can be late for the flight
        return ++runs * 100 + 7;
      });
    });
    EXPECT_EQ(runs.load(), 1);
    EXPECT_EQ(sum, 16 * 107);
  }
}

TEST_P(RepositoryContract, WhatTheLoaderThrowsReachesAllWhoWait) {
  std::atomic<int> runs{0};
  std::latch all_are_here(8);
  const long caught = run_on_threads(8, [&] {
    all_are_here.count_down();
    try {
      cache().remember("k", 60s, [&]() -> int {
        all_are_here.wait();
        ++runs;
        throw std::domain_error("the loader's own");
      });
    } catch (const std::domain_error&) {
      return 1;
    }
    return 0;
  });
  EXPECT_EQ(caught, 8);
  EXPECT_GE(runs.load(), 1);
  EXPECT_FALSE(cache().has("k"));
}

TEST_P(RepositoryContract, AForgetDuringALoadIsNotUndoneByIt) {
  const auto during = [&](const std::string& key, auto&& what) {
    const int answer = cache().remember(key, 60s, [&] { return what(), 1; });
    EXPECT_EQ(answer, 1) << key;
  };
  cache().put("forget", 0, 1s);
  advance(1s);
  during("forget", [&] { cache().forget("forget"); });
  EXPECT_FALSE(cache().has("forget"));
  during("flush", [&] { cache().flush(); });
  EXPECT_FALSE(cache().has("flush"));
  during("put", [&] { cache().put("put", 99); });
  EXPECT_EQ(cache().get<int>("put"), 99);
  during("forget_many", [&] { cache().forget_many({"forget_many"}); });
  EXPECT_FALSE(cache().has("forget_many"));
}

TEST_P(RepositoryContract, AFlushOfATagDuringALoadIsNotUndoneByIt) {
  const TagSet tagged = cache().tags({"red"});
  EXPECT_EQ(tagged.remember("k", 60s, [&] { return tagged.flush(), 1; }), 1);
  EXPECT_FALSE(cache().has("k"));
}

TEST_P(RepositoryContract, RememberManyLoadsWhatIsMissingInOneRun) {
  cache().put("b", 2);
  std::vector<std::vector<std::string>> asked;
  const auto load = [&](const std::vector<std::string>& missing) {
    asked.push_back(missing);
    return std::map<std::string, int>{{"a", 1}, {"d", 4}};  // c is left out, d was not asked for
  };
  const auto found = cache().remember_many<int>({"a", "b", "c"}, 60s, load);
  EXPECT_EQ(asked, (std::vector<std::vector<std::string>>{{"a", "c"}}));
  EXPECT_EQ(found.size(), 3u);
  EXPECT_EQ(found.at("a"), 1);
  EXPECT_EQ(found.at("b"), 2);
  EXPECT_FALSE(found.at("c"));
  EXPECT_EQ(cache().get<int>("a"), 1);
  EXPECT_EQ(cache().get<int>("d"), 4);
  EXPECT_FALSE(cache().has("c"));
}

TEST_P(RepositoryContract, WhatALoaderOfManyAddsHidesNoPutAndSurvivesNoFlushOfItsTag) {
  const TagSet red = cache().tags({"red"});
  const auto meanwhile = [&](const auto& work) {
    return [&, work](const std::vector<std::string>&) {
      work();
      return std::map<std::string, int>{{"asked", 1}, {"added", 2}};
    };
  };
  (void)red.remember_many<int>({"asked"}, 60s, meanwhile([&] { red.put("added", 20, 60s); }));
  EXPECT_EQ(red.get<int>("added"), 20);
  red.flush();
  (void)red.remember_many<int>({"asked"}, 60s, meanwhile([&] { red.flush(); }));
  EXPECT_FALSE(cache().has("asked"));
  EXPECT_FALSE(cache().has("added"));
  (void)red.remember_many<int>({"asked"}, 60s, meanwhile([] {}));
  EXPECT_EQ(red.get<int>("added"), 2);
}

TEST_P(RepositoryContract, WhatALoaderOfManyAddsSurvivesNoFlushOfTheStore) {
  const auto meanwhile = [&](bool flush) {
    return [&, flush](const std::vector<std::string>&) {
      if (flush) cache().flush();
      return std::map<std::string, int>{{"asked", 1}, {"added", 2}};
    };
  };
  EXPECT_EQ(cache().remember_many<int>({"asked"}, 60s, meanwhile(true)).at("asked"), 1);
  EXPECT_FALSE(cache().has("asked"));
  EXPECT_FALSE(cache().has("added"));
  EXPECT_EQ(cache().remember("added", 60s, [] { return 3; }), 3) << "and nothing is left that a load would wait for";
  cache().flush();
  (void)cache().remember_many<int>({"asked"}, 60s, meanwhile(false));
  EXPECT_EQ(cache().get<int>("added"), 2);
  EXPECT_EQ(cache().stats().put_failures, 0u);
}

TEST_P(RepositoryContract, WhatTheStoreCannotKeepIsHandedOnAndNobodyWaitsForIt) {
  const RepositoryOptions options{.clock = &clock()};
  const Repository small(make_serialized(cache().store(), {.max_bytes = 200}), options, "small");
  const std::string large(300, 'x');
  const auto nothing_kept = [&](const char* key) {
    auto there = small.store()->get(Key(key), {.as = nullptr, .stale = true}, [](const Entry&) {});
    return there.ok() && !*there;
  };
  int runs = 0;
  for (int i = 1; i <= 2; ++i) {
    EXPECT_EQ(small.remember("k", 60s, [&] { return ++runs, large; }), large);
    EXPECT_EQ(runs, i);
    ASSERT_TRUE(nothing_kept("k")) << "or the next caller waits for its end";
  }
  using Texts = std::map<std::string, std::string>;
  const auto two = [&](const std::vector<std::string>&) { return Texts{{"asked", large}, {"added", large}}; };
  EXPECT_EQ(small.remember_many<std::string>({"asked"}, 60s, two).at("asked"), large);
  ASSERT_TRUE(nothing_kept("asked") && nothing_kept("added"));
  EXPECT_EQ(small.remember("added", 60s, [] { return std::string("small"); }), "small");
  EXPECT_EQ(small.get<std::string>("added"), "small");
}

TEST_P(RepositoryContract, WhereEveryKeyIsThereNoLoaderRuns) {
  cache().put_many({{"a", 1}, {"b", 2}});
  const auto found = cache().remember_many<int>({"a", "b"}, 60s, [](const std::vector<std::string>&) {
    ADD_FAILURE() << "the loader ran";
    return std::map<std::string, int>{};
  });
  EXPECT_EQ(found.at("a"), 1);
  EXPECT_EQ(found.at("b"), 2);
}

TEST_P(RepositoryContract, FailSafeServesTheOldValueWhereTheLoaderFails) {
  const Options options{.ttl = Ttl(2s), .fail_safe = 60s};
  EXPECT_EQ(cache().remember("k", options, [] { return 1; }), 1);
  advance(2s);
  EXPECT_FALSE(cache().has("k"));
  EXPECT_EQ(cache().get<int>("k"), std::nullopt);
  EXPECT_EQ(cache().remember("k", options, []() -> int { throw std::domain_error("down"); }), 1);
  EXPECT_EQ(cache().stats().stale_hits, 1u);
}

TEST_P(RepositoryContract, WithoutFailSafeNoOldValueIsServed) {
  cache().remember("k", 2s, [] { return 1; });
  advance(2s);
  EXPECT_THROW(cache().remember("k", Options{.ttl = Ttl(2s), .fail_safe = 60s},
                                []() -> int { throw std::domain_error("down"); }),
               std::domain_error);
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
