// Tags as a program uses them.
#include <flux/cache/testing/recorder.hpp>
#include <flux/cache/testing/repository_contract.hpp>

#include <algorithm>

#include "anchors.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_verb_tags() {}

using namespace std::chrono_literals;

TEST_P(RepositoryContract, ATaggedEntryIsFoundUnderAnyOfItsTagsAndUnderNone) {
  EXPECT_TRUE(cache().tags({"a", "b"}).put("k", 1, 1h));
  EXPECT_EQ(cache().tags({"a", "b"}).get<int>("k"), 1);
  EXPECT_EQ(cache().tags({"b", "a"}).get<int>("k"), 1);
  EXPECT_EQ(cache().tags({"a"}).get<int>("k"), 1);
  EXPECT_EQ(cache().get<int>("k"), 1);
}

TEST_P(RepositoryContract, AnEntryWithoutTheTagIsAMissUnderIt) {
  cache().put("plain", 1), cache().tags({"a"}).put("k", 2);
  EXPECT_FALSE(cache().tags({"a"}).get<int>("plain"));
  EXPECT_FALSE(cache().tags({"a", "b"}).get<int>("k"));
  EXPECT_FALSE(cache().tags({"b"}).has("k"));
  EXPECT_FALSE(cache().tags({"b"}).forget("k"));
  EXPECT_FALSE(cache().tags({"b"}).touch("k", 1h));
  EXPECT_FALSE(cache().tags({"b"}).pull<int>("k"));
  EXPECT_EQ(cache().tags({"b"}).forget_many({"k", "plain"}), 0u);
  EXPECT_EQ(cache().get<int>("k"), 2);
}

TEST_P(RepositoryContract, FlushUnderTagsRemovesWhatCarriesAllOfThem) {
  cache().tags({"a"}).put("a", 1), cache().tags({"b"}).put("b", 2), cache().tags({"a", "b"}).put("ab", 3);
  cache().tags({"a", "b", "c"}).put("abc", 4), cache().put("none", 5);
  EXPECT_TRUE(cache().tags({"a", "b"}).flush());
  EXPECT_TRUE(cache().has("a") && cache().has("b") && cache().has("none"));
  EXPECT_FALSE(cache().has("ab") || cache().has("abc"));
  EXPECT_TRUE(cache().tags({"a"}).flush());
  EXPECT_FALSE(cache().has("a"));
  EXPECT_TRUE(cache().has("b"));
}

TEST_P(RepositoryContract, FlushAnyRemovesWhatCarriesOneOfThem) {
  cache().tags({"a"}).put("a", 1), cache().tags({"b"}).put("b", 2), cache().tags({"c"}).put("c", 3);
  EXPECT_TRUE(cache().tags({"a", "b"}).flush_any());
  EXPECT_FALSE(cache().has("a") || cache().has("b"));
  EXPECT_TRUE(cache().has("c"));
}

TEST_P(RepositoryContract, TagsOfTheCallAndOfItsOptionsCountAlike) {
  cache().put("options", 1, {.hours = 1, .tags = {"a"}});
  cache().tags({"b"}).put("both", 2, {.hours = 1, .tags = {"a"}});
  EXPECT_EQ(cache().tags({"a", "b"}).get<int>("both"), 2);
  cache().tags({"a"}).flush();
  EXPECT_FALSE(cache().has("options") || cache().has("both"));
}

TEST_P(RepositoryContract, RepeatedTagsCountOnceAndAnEmptyListIsNone) {
  cache().tags({"a", "a", "a"}).put("k", 1), cache().tags({}).put("plain", 2);
  EXPECT_EQ(cache().tags({"a"}).get<int>("k"), 1);
  EXPECT_EQ(cache().tags({}).get<int>("plain"), 2);
  EXPECT_TRUE(cache().tags({"a", "a"}).flush());
  EXPECT_FALSE(cache().has("k"));
  EXPECT_TRUE(cache().has("plain"));
}

TEST_P(RepositoryContract, ABadTagIsRefused) {
  EXPECT_THROW(cache().tags({""}).put("k", 1), InvalidTag);
  EXPECT_THROW(cache().tags({std::string(257, 't')}).put("k", 1), InvalidTag);
  Tags many;
  for (int i = 0; i < 65; ++i) many.push_back(std::to_string(i));
  EXPECT_THROW(cache().tags(many).put("k", 1), InvalidTag);
  EXPECT_THROW(cache().put("k", 1, {.tags = {""}}), InvalidTag);
  EXPECT_FALSE(cache().has("k"));
  many.pop_back();
  EXPECT_TRUE(cache().tags(many).put("k", 1));
  EXPECT_EQ(cache().tags(many).get<int>("k"), 1);
}

TEST_P(RepositoryContract, PutManyAndManyUnderTags) {
  EXPECT_TRUE(cache().tags({"a"}).put_many({{"x", 1}, {"y", 2}}, 1h));
  cache().put("z", 3);
  const auto found = cache().tags({"a"}).many<int>({"x", "y", "z"});
  EXPECT_EQ(found.at("x"), 1);
  EXPECT_EQ(found.at("y"), 2);
  EXPECT_FALSE(found.at("z"));
  cache().tags({"a"}).flush();
  EXPECT_FALSE(cache().has("x") || cache().has("y"));
  EXPECT_TRUE(cache().has("z"));
}

TEST_P(RepositoryContract, ACounterUnderATagStartsAgainAfterItsFlush) {
  EXPECT_EQ(cache().tags({"a"}).increment("n", 5), 5);
  EXPECT_EQ(cache().increment("n"), 6);
  cache().tags({"a"}).flush();
  EXPECT_EQ(cache().tags({"a"}).increment("n"), 1);
}

TEST_P(RepositoryContract, TouchUnderATagLeavesTheTag) {
  cache().tags({"a"}).put("k", 1, 2s);
  EXPECT_TRUE(cache().touch("k", 1h));
  cache().tags({"a"}).flush();
  EXPECT_FALSE(cache().has("k"));
}

TEST_P(RepositoryContract, RememberUnderTagsThatAreLackingLoadsAgainAndLabels) {
  cache().put("k", 1);
  EXPECT_EQ(cache().tags({"a"}).remember("k", 1h, [] { return 2; }), 2);
  EXPECT_EQ(cache().tags({"a"}).get<int>("k"), 2);
  cache().tags({"a"}).flush();
  EXPECT_FALSE(cache().has("k"));
}

TEST_P(RepositoryContract, TagsThatTheLoaderNamesCountAsMuch) {
  cache().remember("k", 1h, [](Load<int>& load) {
    load.tag("a");
    return 1;
  });
  EXPECT_EQ(cache().tags({"a"}).get<int>("k"), 1);
  cache().tags({"a"}).flush();
  EXPECT_FALSE(cache().has("k"));
}

TEST_P(RepositoryContract, TagsBeyondAllMeasureAreRefused) {
  Tags ten_thousand;
  for (int i = 0; i < 10'000; ++i) ten_thousand.push_back(std::to_string(i));
  EXPECT_THROW(cache().tags(ten_thousand).put("k", 1), InvalidTag);
  EXPECT_THROW(cache().tags({std::string(1 << 20, 't')}).put("k", 1), InvalidTag);
  EXPECT_FALSE(cache().has("k"));
  const auto name_them_all = [&](Load<int>& load) {
    for (const std::string& tag : ten_thousand) load.tag(tag);
    return 1;
  };
  EXPECT_THROW(cache().remember("k", 1h, name_them_all), InvalidTag);
  EXPECT_FALSE(cache().has("k"));
  EXPECT_EQ(cache().remember("k", 1h, [] { return 2; }), 2) << "and what failed holds nobody up";
}

TEST_P(RepositoryContract, AFlushOfATagNobodyCarriesSucceeds) {
  cache().tags({"a"}).put("k", 1);
  EXPECT_TRUE(cache().tags({"unknown"}).flush());
  EXPECT_TRUE(cache().tags({"unknown", "too"}).flush());
  EXPECT_TRUE(cache().tags({"unknown"}).flush_any());
  EXPECT_EQ(cache().tags({"a"}).get<int>("k"), 1);
}

TEST_P(RepositoryContract, ForgetWithoutTagsRemovesWhatCarriesSome) {
  cache().tags({"a", "b"}).put("k", 1);
  EXPECT_TRUE(cache().forget("k"));
  EXPECT_FALSE(cache().tags({"a"}).has("k"));
}

TEST_P(RepositoryContract, AFlushOfTagsLeavesLocksAndLimitsAlone) {
  Lock lock = cache().lock("a", 60s);
  ASSERT_TRUE(lock.try_lock());
  RateLimiter limiter = cache().rate_limiter("a", {.max_attempts = 2, .per = 60s});
  EXPECT_TRUE(limiter.attempt());
  cache().tags({"a"}).flush();
  cache().tags({"a", "b"}).flush_any();
  EXPECT_FALSE(cache().lock("a", 60s).try_lock());
  EXPECT_EQ(limiter.remaining(), 1);
}

TEST_P(RepositoryContract, TheKeysOfATagAreThoseThatLive) {
  if (!can_list()) GTEST_SKIP() << "this store cannot list its entries, and says so";
  cache().tags({"a"}).put("lives", 1), cache().tags({"a", "b"}).put("both", 2);
  cache().tags({"a"}).put("dies", 3, 1s), cache().tags({"a"}).put("goes", 4), cache().put("plain", 5);
  cache().tags({"a"}).put("relabelled", 6), cache().tags({"b"}).put("relabelled", 7);
  cache().forget("goes");
  advance(1s);
  auto keys = cache().keys_of("a");
  std::sort(keys.begin(), keys.end());
  EXPECT_EQ(keys, (std::vector<std::string>{"both", "lives"}));
  cache().tags({"b"}).flush();
  EXPECT_EQ(cache().keys_of("a"), (std::vector<std::string>{"lives"}));
  cache().tags({"a"}).flush();
  EXPECT_TRUE(cache().keys_of("a").empty());
}

TEST_P(RepositoryContract, ManyUnderTagsIsOneCallOfTheStore) {
  const auto recorder = std::make_shared<Recorder>(cache().store());
  const Repository mine(recorder, {.clock = &clock()}, "contract");
  mine.tags({"a", "b"}).put_many({{"x", 1}, {"y", 2}, {"z", 3}});
  recorder->clear();
  const auto found = mine.tags({"a", "b"}).many<int>({"x", "y", "z", "absent"});
  EXPECT_EQ(found.at("z"), 3);
  EXPECT_EQ(recorder->story(), "get_many");
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
