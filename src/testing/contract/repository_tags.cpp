// Tags as a program uses them.
#include <flux/cache/testing/repository_contract.hpp>

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

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
