// Several keys at once: order, repeats, defaults, and one round trip.
#include <flux/cache/testing/recorder.hpp>
#include <flux/cache/testing/repository_contract.hpp>

#include <map>

#include "anchors.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_verb_batches() {}

using namespace std::chrono_literals;

namespace {

template <class T>
std::vector<std::string> keys_of(const Many<T>& many) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : many) keys.push_back(key);
  return keys;
}

}  // namespace

TEST_P(RepositoryContract, ManyAnswersInTheOrderAsked) {
  cache().put("b", 2);
  const auto found = cache().many<int>({"a", "b", "c"});
  EXPECT_EQ(keys_of(found), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(found.at("b"), 2);
  EXPECT_FALSE(found.at("a") || found.at("c"));
  EXPECT_THROW(found.at("never asked"), std::out_of_range);
}

TEST_P(RepositoryContract, DefaultsFillOnlyWhatIsMissing) {
  cache().put("b", 2);
  const auto found = cache().many<int>({"a", "b"});
  EXPECT_EQ(found.value_or("a", 7), 7);
  EXPECT_EQ(found.value_or("b", 7), 2);
  EXPECT_FALSE(cache().has("a"));
}

TEST_P(RepositoryContract, RepeatedKeysCollapseToOneAnswer) {
  cache().put("a", 1);
  const auto found = cache().many<int>({"a", "b", "a", "b", "a"});
  EXPECT_EQ(keys_of(found), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(found.at("a"), 1);
}

TEST_P(RepositoryContract, KeysThatLookLikeOneNumberStayApart) {
  cache().put("1", "one"), cache().put("1.1", "one point one");
  const auto found = cache().many<std::string>({"1", "01", "1.1"});
  EXPECT_EQ(found.size(), 3u);
  EXPECT_EQ(found.at("1"), "one");
  EXPECT_FALSE(found.at("01"));
  EXPECT_EQ(found.at("1.1"), "one point one");
}

TEST_P(RepositoryContract, ManyReadsValuesOfDifferentTypes) {
  EXPECT_TRUE(cache().put_many({{"text", "t"}, {"number", 2}, {"list", std::vector<int>{1, 2}}}, 1h));
  const auto found = cache().many({"text", "number", "list", "absent"});
  EXPECT_EQ(found.get<std::string>("text"), "t");
  EXPECT_EQ(found.get<int>("number"), 2);
  EXPECT_EQ(found.get<std::vector<int>>("list"), (std::vector<int>{1, 2}));
  EXPECT_FALSE(found.has("absent"));
  EXPECT_EQ(found.get<int>("text"), std::nullopt);
}

TEST_P(RepositoryContract, AnotherTypeInABatchIsAMissOfItsOwn) {
  cache().put_many({{"good", 1}, {"bad", "abc"}});
  cache().reset_stats();
  const auto found = cache().many<int>({"good", "bad"});
  EXPECT_EQ(found.at("good"), 1);
  EXPECT_FALSE(found.at("bad"));
  EXPECT_EQ(cache().stats().wrong_type, 1u);
  EXPECT_EQ(cache().stats().hits, 1u);
}

TEST_P(RepositoryContract, PutManyGivesAllOneLife) {
  EXPECT_TRUE(cache().put_many({{"a", 1}, {"b", 2}}, 2s));
  EXPECT_TRUE(cache().put_many(std::map<std::string, int>{{"c", 3}}, {.hours = 1}));
  advance(2s);
  EXPECT_FALSE(cache().has("a") || cache().has("b"));
  EXPECT_EQ(cache().get<int>("c"), 3);
}

TEST_P(RepositoryContract, PutManyWithALifeOfZeroRemovesAll) {
  cache().put_many({{"a", 1}, {"b", 2}});
  EXPECT_TRUE(cache().put_many({{"a", 1}, {"b", 2}}, 0s));
  EXPECT_FALSE(cache().has("a") || cache().has("b"));
}

TEST_P(RepositoryContract, PutManyWithOneBadKeyWritesNothing) {
  EXPECT_THROW(cache().put_many({{"a", 1}, {"", 2}, {"c", 3}}), InvalidKey);
  EXPECT_FALSE(cache().has("a") || cache().has("c"));
}

TEST_P(RepositoryContract, ForgetManyAnswersHowManyWent) {
  cache().put_many({{"a", 1}, {"b", 2}, {"c", 3}});
  EXPECT_EQ(cache().forget_many({"a", "absent", "a", "b"}), 2u);
  EXPECT_EQ(cache().forget_many(std::vector<std::string>{"a", "b"}), 0u);
  EXPECT_TRUE(cache().has("c"));
}

TEST_P(RepositoryContract, NothingAskedIsNothingSent) {
  const auto recorder = std::make_shared<Recorder>(cache().store());
  const Repository mine(recorder, {.clock = &clock()}, "contract");
  EXPECT_TRUE(mine.many<int>(std::vector<std::string>{}).empty());
  EXPECT_TRUE(mine.put_many(std::map<std::string, int>{}));
  EXPECT_EQ(mine.forget_many(std::vector<std::string>{}), 0u);
  EXPECT_EQ(recorder->story(), "");
}

TEST_P(RepositoryContract, ABatchIsOneCallOfTheStore) {
  const auto recorder = std::make_shared<Recorder>(cache().store());
  const Repository mine(recorder, {.clock = &clock()}, "contract");
  mine.put_many({{"a", 1}, {"b", 2}, {"c", 3}});
  mine.many<int>({"a", "b", "c", "d"});
  mine.forget_many({"a", "b", "c", "d"});
  EXPECT_EQ(recorder->story(), "put_many get_many forget_many");
}

TEST_P(RepositoryContract, ASingleVerbIsOneCallOfTheStore) {
  const auto recorder = std::make_shared<Recorder>(cache().store());
  const Repository mine(recorder, {.clock = &clock()}, "contract");
  mine.put("k", 1), mine.get<int>("k"), mine.has("k"), mine.add("k", 2), mine.touch("k", 1h);
  mine.increment("k"), mine.pull<int>("k"), mine.forget("k"), mine.flush();
  EXPECT_EQ(recorder->story(), "put get has put touch increment pull forget flush");
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
