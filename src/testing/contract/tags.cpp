// Tags, where a store or a layer understands them: who goes at a flush, who stays, and who comes too late.
#include <flux/cache/testing/crowd.hpp>
#include <flux/cache/testing/store_contract.hpp>

#include <atomic>

#include "anchors.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_tags() {}

using namespace std::chrono_literals;

#define FLUX_CACHE_NEEDS_TAGS() FLUX_CACHE_SKIP_UNLESS(traits().tags, "this store leaves tags to the layer above it")

namespace {

/// Tags as a writer names them; epoch 0 is stamped by the store.
class Labels {
 public:
  Labels(std::initializer_list<std::string_view> names) {
    for (const std::string_view name : names) stamps_.push_back({name, 0});
  }
  Labels(const std::vector<std::string_view>& names, const std::vector<std::uint64_t>& epochs) {
    for (std::size_t i = 0; i < names.size(); ++i) stamps_.push_back({names[i], epochs[i]});
  }
  Entry of(const ValueView& value, const Expiry& expiry = {}) const {
    return {.value = value, .expiry = expiry, .tags = stamps_};
  }

 private:
  std::vector<TagStamp> stamps_;
};

}  // namespace

TEST_P(StoreContract, AFlushOfATagRemovesWhatCarriesItAndNothingElse) {
  FLUX_CACHE_NEEDS_TAGS();
  put("a", Labels{"red"}.of(text("1"))), put("ab", Labels{"red", "blue"}.of(text("2")));
  put("b", Labels{"blue"}.of(text("3"))), put("none", text("4"));
  flush_tags({"red"});
  EXPECT_EQ(got("a"), kMiss);
  EXPECT_EQ(got("ab"), kMiss);
  EXPECT_EQ(got("b"), R"(text "3")");
  EXPECT_EQ(got("none"), R"(text "4")");
}

TEST_P(StoreContract, AFlushOfTwoTagsRemovesOnlyWhatCarriesBoth) {
  FLUX_CACHE_NEEDS_TAGS();
  put("a", Labels{"red"}.of(text("1"))), put("b", Labels{"blue"}.of(text("2")));
  put("ab", Labels{"red", "blue"}.of(text("3"))), put("ba", Labels{"blue", "red"}.of(text("4")));
  put("abc", Labels{"blue", "green", "red"}.of(text("5")));
  flush_tags({"red", "blue"});
  EXPECT_EQ(got("a"), R"(text "1")");
  EXPECT_EQ(got("b"), R"(text "2")");
  for (const char* const key : {"ab", "ba", "abc"}) EXPECT_EQ(got(key), kMiss) << key;
}

TEST_P(StoreContract, AFlushOfAnyOfTwoTagsRemovesWhatCarriesEither) {
  FLUX_CACHE_NEEDS_TAGS();
  put("a", Labels{"red"}.of(text("1"))), put("b", Labels{"blue"}.of(text("2")));
  put("c", Labels{"green"}.of(text("3")));
  flush_tags({"red", "blue"}, true);
  EXPECT_EQ(got("a"), kMiss);
  EXPECT_EQ(got("b"), kMiss);
  EXPECT_EQ(got("c"), R"(text "3")");
}

TEST_P(StoreContract, AFlushOfAnUnknownTagChangesNothing) {
  FLUX_CACHE_NEEDS_TAGS();
  put("k", Labels{"red"}.of(text("v")));
  flush_tags({"unknown"}), flush_tags({"red", "unknown"}), flush_tags({"RED"}), flush_tags({"re"}),
      flush_tags({"red "});
  EXPECT_EQ(got("k"), R"(text "v")");
}

TEST_P(StoreContract, ATagThatIsNamedTwiceCountsOnce) {
  FLUX_CACHE_NEEDS_TAGS();
  put("k", Labels{"red"}.of(text("v")));
  flush_tags({"red", "red"});
  EXPECT_EQ(got("k"), kMiss);
}

TEST_P(StoreContract, WhatWasFlushedByItsTagIsGoneForEveryOperation) {
  FLUX_CACHE_NEEDS_TAGS();
  const std::vector<At> keys{"get", "has", "pull", "touch", "forget", "add", "present", "count", "many", "many too"};
  for (const At& key : keys) put(key, Labels{"red"}.of(integer(5), in(60s, 60s)));
  flush_tags({"red"});
  EXPECT_EQ(got("get"), kMiss);
  EXPECT_EQ(stale("get"), kMiss);
  EXPECT_FALSE(has("has"));
  EXPECT_EQ(pulled("pull"), kMiss);
  EXPECT_FALSE(touch("touch", in(60s)));
  EXPECT_EQ(got("touch"), kMiss);
  EXPECT_FALSE(forget("forget"));
  EXPECT_TRUE(add("add", text("new")));
  EXPECT_EQ(got("add"), R"(text "new")");
  EXPECT_FALSE(put("present", text("new"), {}, {.when = When::present}));
  EXPECT_EQ(increment("count"), 1);
  EXPECT_EQ(got_many({"many"}), std::vector<std::string>{std::string(kMiss)});
  EXPECT_EQ(forget_many({"many", "many too"}), 0u);
}

TEST_P(StoreContract, WhatWasFlushedByItsTagIsNotListed) {
  FLUX_CACHE_NEEDS_TAGS();
  if (!list()) GTEST_SKIP() << "this store cannot list its entries, and says so";
  put("gone", Labels{"red"}.of(text("1"))), put("there", Labels{"blue"}.of(text("2"))), put("plain", text("3"));
  flush_tags({"red"});
  const auto listed = list();
  std::vector<std::string> keys;
  for (const auto& [key, shown] : *listed) keys.push_back(key);
  EXPECT_EQ(keys, (std::vector<std::string>{"plain", "there"}));
}

TEST_P(StoreContract, WhatIsPutAfterTheFlushOfItsTagLives) {
  FLUX_CACHE_NEEDS_TAGS();
  for (int round = 0; round < 5; ++round) {
    put("k", Labels{"red"}.of(integer(round)));
    EXPECT_EQ(got("k"), "integer " + std::to_string(round));
    flush_tags({"red"});
    EXPECT_EQ(got("k"), kMiss);
  }
  put("both", Labels{"red", "blue"}.of(text("v")));
  flush_tags({"red", "blue"});
  put("both", Labels{"red", "blue"}.of(text("w")));
  EXPECT_EQ(got("both"), R"(text "w")");
}

TEST_P(StoreContract, TheTagsOfAnOlderValueDoNotGovernANewerOne) {
  FLUX_CACHE_NEEDS_TAGS();
  put("k", Labels{"red"}.of(text("old"))), put("k", Labels{"blue"}.of(text("new")));
  flush_tags({"red"});
  EXPECT_EQ(got("k"), R"(text "new")");
  put("k", text("plain"));
  flush_tags({"blue"});
  EXPECT_EQ(got("k"), R"(text "plain")");
}

TEST_P(StoreContract, ForgetAndFlushTakeTaggedEntriesToo) {
  FLUX_CACHE_NEEDS_TAGS();
  put("a", Labels{"red"}.of(text("1"))), put("b", Labels{"red"}.of(text("2")));
  EXPECT_TRUE(forget("a"));
  flush();
  EXPECT_EQ(stale("b"), kMiss);
}

TEST_P(StoreContract, TouchAndIncrementKeepWhatATagGoverns) {
  FLUX_CACHE_NEEDS_TAGS();
  put("k", Labels{"red"}.of(text("v"), in(10s))), put("n", Labels{"red"}.of(integer(1)));
  EXPECT_TRUE(touch("k", in(60s)));
  EXPECT_EQ(increment("n"), 2);
  flush_tags({"red"});
  EXPECT_EQ(got("k"), kMiss);
  EXPECT_EQ(increment("n"), 1);
}

TEST_P(StoreContract, ANewCounterIsFlushedByTheTagsOfItsCall) {
  FLUX_CACHE_NEEDS_TAGS();
  ASSERT_TRUE(store().increment(Key("n"), 5, Labels{"red"}.of({})).ok());
  EXPECT_EQ(got("n"), "integer 5");
  flush_tags({"red"});
  EXPECT_EQ(increment("n"), 1);
}

TEST_P(StoreContract, PutManyLabelsEachOfItsEntries) {
  FLUX_CACHE_NEEDS_TAGS();
  const Labels red{"red"}, blue{"blue"};
  put_many({{Key("a"), red.of(text("1"))}, {Key("b"), red.of(text("2"))}, {Key("c"), blue.of(text("3"))}});
  flush_tags({"red"});
  EXPECT_EQ(got_many({"a", "b", "c"}), (std::vector<std::string>{"miss", "miss", R"(text "3")"}));
}

TEST_P(StoreContract, AFlushOfTagsLeavesTheOtherSpacesAlone) {
  FLUX_CACHE_NEEDS_TAGS();
  put({"red", Space::locks}, text("owner")), put({"red", Space::limits}, integer(3));
  flush_tags({"red"});
  EXPECT_EQ(got({"red", Space::locks}), R"(text "owner")");
  EXPECT_EQ(got({"red", Space::limits}), "integer 3");
}

TEST_P(StoreContract, ATagAndAKeyOfOneNameAreTwoThings) {
  FLUX_CACHE_NEEDS_TAGS();
  put("red", Labels{"blue"}.of(text("v")));
  flush_tags({"red"});
  EXPECT_EQ(got("red"), R"(text "v")");
  forget("red");
  put("k", Labels{"red"}.of(text("w")));
  EXPECT_EQ(got("k"), R"(text "w")");
}

TEST_P(StoreContract, TagsOfAnyBytesAreApart) {
  FLUX_CACHE_NEEDS_TAGS();
  const std::vector<std::string> tags{"a",   "A",   "a ",  std::string("a\0", 2), std::string("a\0b", 3), "a\r\n",
                                      "a:b", "a/b", "\xff"};
  for (const std::string& tag : tags) put("of " + tag, Labels{tag}.of(text(tag)));
  for (std::size_t gone = 0; gone < tags.size(); ++gone) {
    flush_tags({tags[gone]});
    for (std::size_t i = 0; i < tags.size(); ++i) ASSERT_EQ(has("of " + tags[i]), i > gone) << gone << " and " << i;
  }
}

TEST_P(StoreContract, EpochsStandUntilTheirTagIsFlushed) {
  FLUX_CACHE_NEEDS_TAGS();
  const auto before = epochs({"red", "blue", "red"});
  EXPECT_EQ(before[0], before[2]);
  EXPECT_EQ(epochs({"red", "blue"}), (std::vector<std::uint64_t>{before[0], before[1]}));
  put("k", Labels{"red"}.of(text("v")));
  EXPECT_EQ(epochs({"red"})[0], before[0]);
  flush_tags({"red"});
  EXPECT_NE(epochs({"red"})[0], before[0]);
  EXPECT_EQ(epochs({"blue"})[0], before[1]);
}

TEST_P(StoreContract, AValueStampedBeforeTheFlushOfItsTagNeverAppears) {
  FLUX_CACHE_NEEDS_TAGS();
  const auto before = epochs({"red", "blue"});
  const Labels stamped({"red", "blue"}, before);
  put("in time", stamped.of(text("v")));
  EXPECT_EQ(got("in time"), R"(text "v")");
  flush_tags({"blue"});
  put("late", stamped.of(text("v"))), put_many({{Key("late too"), stamped.of(text("v"))}});
  EXPECT_EQ(got("in time"), kMiss);
  EXPECT_EQ(got("late"), kMiss);
  EXPECT_EQ(got("late too"), kMiss);
  EXPECT_FALSE(has("late"));
}

TEST_P(StoreContract, AValueStampedBeforeTheFlushOfBothItsTagsNeverAppears) {
  FLUX_CACHE_NEEDS_TAGS();
  const auto before = epochs({"red", "blue", "green"});
  flush_tags({"red", "blue"});
  put("both", Labels({"red", "blue"}, {before[0], before[1]}).of(text("v")));
  put("three", Labels({"red", "green", "blue"}, {before[0], before[2], before[1]}).of(text("v")));
  EXPECT_EQ(got("both"), kMiss);
  EXPECT_EQ(got("three"), kMiss);
}

TEST_P(StoreContract, ManyFlushesOfPairsNeverLetAPairThrough) {
  FLUX_CACHE_NEEDS_TAGS();
  std::vector<std::string> others;
  for (int i = 0; i < 40; ++i) others.push_back("other " + std::to_string(i));
  for (const std::string& other : others) put("of " + other, Labels{"red", other}.of(text(other)));
  put("red", Labels{"red"}.of(text("v")));
  for (std::size_t i = 0; i < others.size(); ++i) {
    flush_tags({"red", others[i]});
    for (std::size_t j = 0; j <= i; ++j) ASSERT_FALSE(has("of " + others[j])) << "after " << i << " flushes: " << j;
  }
}

TEST_P(StoreContract, ATagLivesAsLongAsWhatCarriesIt) {
  FLUX_CACHE_NEEDS_TAGS();
  FLUX_CACHE_SKIP_UNLESS(!GetParam().real_time, "this store takes no clock, so a year cannot be waited for");
  put("short", Labels{"red"}.of(text("v"), in(1s)));
  put("long", Labels{"red"}.of(text("v"), in(std::chrono::days(365))));
  put("endless", Labels{"red"}.of(text("v")));
  advance(std::chrono::days(364));
  prune();
  EXPECT_EQ(got("long"), R"(text "v")");
  flush_tags({"red"});
  EXPECT_EQ(got("long"), kMiss);
  EXPECT_EQ(got("endless"), kMiss);
}

TEST_P(StoreContract, WhatAFlushOfItsTagHasEndedIsNotSwapped) {
  FLUX_CACHE_NEEDS_TAGS();
  const Labels red{"red"}, blue{"blue"}, both{"blue", "red"}, stamped({"blue"}, epochs({"blue"}));
  for (const Entry& late : {Entry{.value = text("plain")}, red.of(text("red")), blue.of(text("blue")),
                            both.of(text("both")), stamped.of(text("stamped"))}) {
    put("k", red.of(text("old")));
    const std::uint64_t old = version("k");
    flush_tags({"red"});
    EXPECT_FALSE(put("k", late, {When::unchanged, old})) << late.value.text;
    EXPECT_EQ(stale("k"), kMiss) << late.value.text;
  }
  put("kept", red.of(text("old"), in(1s, 3600s)));
  advance(1s);
  const std::uint64_t kept = version("kept");
  flush_tags({"red"});
  EXPECT_FALSE(put("kept", text("late"), {}, {When::unchanged, kept}));
  EXPECT_EQ(stale("kept"), kMiss);

  put("alive", red.of(text("old")));
  EXPECT_TRUE(put("alive", text("new"), {}, {When::unchanged, version("alive")}));
  flush_tags({"red"});
  EXPECT_EQ(got("alive"), R"(text "new")") << "it had no tags any more";
}

TEST_P(StoreContract, AFlushOfATagIsSeenByAnotherInstance) {
  FLUX_CACHE_NEEDS_TAGS();
  const StoreProbe second(again());
  FLUX_CACHE_SKIP_UNLESS(second.share() != nullptr, "no second instance sees the entries of this store");
  put("k", Labels{"red"}.of(text("v")));
  ASSERT_TRUE(second.has("k"));
  second.flush_tags({"red"});
  EXPECT_EQ(stale("k"), kMiss);
  put("k", Labels{"red"}.of(text("w")));
  flush_tags({"red"});
  EXPECT_EQ(second.stale("k"), kMiss);
  const StoreProbe third(again());
  EXPECT_EQ(third.stale("k"), kMiss);
}

TEST_P(StoreContract, WhatWasReadBeforeAFlushOfItsTagIsInvisibleAfterIt) {
  FLUX_CACHE_NEEDS_TAGS();
  std::atomic<std::int64_t> data{0};
  std::atomic<bool> stop{false};
  std::atomic<int> risen{0};
  run_on_threads(5, [&](int i) {
    if (i > 0) {
      while (!stop.load()) {
        const auto stamps = epochs({"red"});  // before the data is read
        put("k", Labels({"red"}, stamps).of(integer(data.load())));
      }
      return;
    }
    for (int round = 0; round < rounds(300); ++round) {
      const std::int64_t now = ++data;
      flush_tags({"red"});
      const auto copy = entry("k", true);
      if (copy && copy->view().value.number < now) ++risen;
    }
    stop.store(true);
  });
  EXPECT_EQ(risen.load(), 0);
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
