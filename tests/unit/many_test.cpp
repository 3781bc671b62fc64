// The answers of a batch: each key once, found by its text however many there are, and a string where one is wanted.
#include <flux/cache/many.hpp>

#include <gtest/gtest.h>
#include <flux/cache/layers/serialized.hpp>
#include <flux/cache/repository.hpp>
#include <flux/cache/stores/memory.hpp>

#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace flux::cache {
namespace {

/// Every name three times over, so that the repeats lie far apart.
std::vector<std::string> thrice(std::size_t count) {
  std::vector<std::string> names;
  for (int round = 0; round < 3; ++round)
    for (std::size_t i = 0; i < count; ++i) names.push_back("name_" + std::to_string(i));
  return names;
}

Many<int> numbered(const std::vector<std::string>& names) {
  detail::AskedKeys asked(Keys(names).views());
  auto rows = detail::misses<int>(asked);
  for (std::size_t i = 0; i < rows.size(); i += 2) rows[i].second = static_cast<int>(i);
  return {std::move(asked), std::move(rows)};
}

// Up to eight keys are compared one after another, more are found by a table.
TEST(Many, HoldsEachKeyOnceInItsOrderAndFindsItInAny) {
  for (const std::size_t count : {1U, 2U, 3U, 8U, 9U, 1000U}) {
    SCOPED_TRACE(count);
    const Many<int> many = numbered(thrice(count));
    ASSERT_EQ(many.size(), count);
    std::size_t next = 0;
    for (const auto& [key, value] : many) EXPECT_EQ(key, "name_" + std::to_string(next++));
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t at = (i * 7 + 3) % count;
      const std::string name = "name_" + std::to_string(at);
      EXPECT_EQ(many.has(name), at % 2 == 0) << name;
      EXPECT_EQ(many.at(name), at % 2 == 0 ? std::optional<int>(static_cast<int>(at)) : std::nullopt) << name;
    }
    EXPECT_FALSE(many.has("another"));
    EXPECT_THROW((void)many.at("another"), std::out_of_range);
    EXPECT_THROW((void)many.at(""), std::out_of_range);
  }
}

TEST(Many, NothingAskedIsNothingFound) {
  EXPECT_TRUE(Many<int>().empty());
  EXPECT_TRUE(numbered({}).empty());
  EXPECT_FALSE(numbered({}).has("name_0"));
  EXPECT_THROW((void)Many<int>().at("name_0"), std::out_of_range);
}

TEST(Many, ACopyOutlivesWhatItIsOf) {
  std::optional<Many<int>> first = numbered(thrice(20));
  const Many<int> copy = *first;
  const Many<int> moved = std::move(*first);
  first.reset();
  for (const Many<int>* each : {&copy, &moved}) {
    EXPECT_EQ(each->at("name_18"), 18);
    EXPECT_EQ(each->begin()->first, "name_0");
  }
}

struct Note {
  std::string words;
};

TEST(Many, AnAnswerOverTheReadersLimitsIsAMissAloneOrThrowsAsTheConfigurationSays) {
  const StorePtr memory = make_memory({.max_size = 10});
  const Repository writer(make_serialized(memory), RepositoryOptions{}, "writer");
  ASSERT_TRUE(writer.put("short", Note{"a"}) && writer.put("long", Note{std::string(100, 'x')}));
  const FrameOptions narrow{.limits = {.length = 10}};
  const Repository soft(make_serialized(memory, narrow), RepositoryOptions{}, "soft");
  ASSERT_EQ(soft.try_get<Note>("long").error().code, Errc::too_large);
  soft.reset_stats();
  const auto answers = soft.many<Note>({"long", "short"});
  EXPECT_FALSE(answers.has("long"));
  EXPECT_TRUE(answers.has("short"));
  EXPECT_EQ(soft.stats().hits, 1u);
  EXPECT_EQ(soft.stats().misses, 1u);

  const Repository loud(make_serialized(memory, narrow), RepositoryOptions{.on_error = OnError::raise}, "loud");
  EXPECT_THROW((void)loud.get<Note>("long"), Exception);
  EXPECT_THROW((void)loud.many<Note>({"long", "short"}), Exception);
  const auto told = loud.try_many<Note>({"short", "long"});
  ASSERT_FALSE(told.ok());
  EXPECT_EQ(told.error().code, Errc::too_large);
  EXPECT_EQ(told.error().key, "long");
  EXPECT_TRUE(loud.many<Note>({"short"}).has("short"));
}

TEST(Many, AKeyIsAStringWhereOneIsWanted) {
  const Many<int> many = numbered({"a", "b"});
  std::vector<std::string> order;
  std::map<std::string, std::optional<int>> map;
  std::string last;
  for (const auto& [key, value] : many) {
    order.push_back(key);
    map[key] = value;
    last = key;
  }
  EXPECT_EQ(order, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ((std::map<std::string, std::optional<int>>(many.begin(), many.end())), map);
  EXPECT_EQ(last, "b");
}

}  // namespace
}  // namespace flux::cache
