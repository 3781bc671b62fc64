// Local<K, V>: the typed door, one fact a test.
#include <flux/cache/local.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace flux::cache;
using namespace std::chrono_literals;

struct User {
  std::string name;
  std::vector<int> roles;
};
struct Point {
  int x, y;
};
enum class Color : std::uint8_t { red, green };

class ManualClock final : public Clock {
 public:
  Instant now() const noexcept override { return Instant(Duration(now_)); }
  WallTime wall() const noexcept override { return WallTime(Duration(now_)); }
  void advance(Duration by) { now_ += by.count(); }

 private:
  std::int64_t now_ = 1'000'000;
};

TEST(Local, ObjectsComeBackAsTheSameObject) {
  Local<std::string, User> users;
  const auto user = std::make_shared<const User>(User{"ann", {1, 2}});
  users.put_shared("ann", user);
  EXPECT_EQ(users.get_shared("ann").get(), user.get());
  EXPECT_EQ(users.get("ann")->roles, (std::vector<int>{1, 2}));
}

TEST(Local, PlainValuesAreCopiedIntoTheEntry) {
  Local<int, Point> points;
  points.put(7, {1, 2});
  const auto point = points.get(7);
  ASSERT_TRUE(point.has_value());
  EXPECT_EQ(point->x, 1);
  EXPECT_EQ(point->y, 2);
  EXPECT_FALSE(points.get(8).has_value());
}

TEST(Local, StringsAreLentAsViews) {
  Local<std::string, std::string> texts;
  texts.put("k", "some text");
  std::size_t size = 0;
  EXPECT_TRUE(texts.with("k", [&](std::string_view text) { size = text.size(); }));
  EXPECT_EQ(size, 9u);
}

TEST(Local, TheEmptyKeyIsAKeyLikeAnyOther) {
  Local<std::string, int> numbers;
  EXPECT_FALSE(numbers.has(""));
  numbers.put("", 1);
  EXPECT_EQ(numbers.get(""), 1);
}

TEST(Local, CompositeKeysAreDistinctPartByPart) {
  Local<std::pair<std::string, std::string>, int> numbers;
  numbers.put({"a", "bc"}, 1);
  numbers.put({"ab", "c"}, 2);
  EXPECT_EQ(numbers.get({"a", "bc"}), 1);
  EXPECT_EQ(numbers.get({"ab", "c"}), 2);
  Local<std::tuple<int, Color, std::string>, int> more;
  more.put({1, Color::green, "x"}, 3);
  EXPECT_EQ(more.get({1, Color::green, "x"}), 3);
  EXPECT_FALSE(more.has({1, Color::red, "x"}));
}

TEST(Local, AnEntryDiesWithItsTtl) {
  ManualClock clock;
  Local<std::string, int> numbers({.ttl = 10s, .clock = &clock});
  numbers.put("a", 1);
  numbers.put("b", 2, 20s);
  clock.advance(10s);
  EXPECT_FALSE(numbers.has("a"));
  EXPECT_TRUE(numbers.has("b"));
  EXPECT_TRUE(numbers.touch("b", 1h));
  clock.advance(30min);
  EXPECT_EQ(numbers.get("b"), 2);
}

TEST(Local, ATtlOfZeroRemoves) {
  Local<std::string, int> numbers;
  numbers.put("a", 1);
  EXPECT_TRUE(numbers.put("a", 2, 0s));
  EXPECT_FALSE(numbers.has("a"));
}

TEST(Local, AddHasOneWinnerAmongThreads) {
  Local<std::string, int> numbers;
  std::atomic<int> wins{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 8; ++thread) threads.emplace_back([&, thread] { wins += numbers.add("k", thread); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wins, 1);
}

TEST(Local, PullGivesTheValueToOneOfManyThreads) {
  Local<std::string, User> users;
  users.put("k", User{"ann", {}});
  std::atomic<int> pulled{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 8; ++thread) threads.emplace_back([&] { pulled += users.pull("k").has_value(); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(pulled, 1);
}

TEST(Local, ManyKeepsTheOrderOfItsKeys) {
  Local<std::string, std::string> texts;
  std::vector<std::string> keys;
  for (int index = 0; index < 100; ++index) keys.push_back("k" + std::to_string(index));
  for (int index = 0; index < 100; index += 3)
    texts.put(keys[static_cast<std::size_t>(index)], "v" + std::to_string(index));
  std::map<std::size_t, std::string> found;
  EXPECT_EQ(texts.many(keys, [&](std::size_t index, const std::string& text) { found[index] = text; }), 34u);
  for (const auto& [index, text] : found) EXPECT_EQ(text, "v" + std::to_string(index));
}

TEST(Local, GetOrLoadsOnceAndKeeps) {
  Local<int, std::string> texts;
  int loads = 0;
  const auto load = [&] {
    ++loads;
    return std::string("loaded");
  };
  EXPECT_EQ(texts.get_or(1, load), "loaded");
  EXPECT_EQ(texts.get_or(1, load), "loaded");
  EXPECT_EQ(loads, 1);
}

/// 40,000 keys for which std::hash, an identity on integers, answers the same in any table of 2^k buckets.
TEST(Local, KeysThatCollideUnderTheStandardHashAreSpread) {
  Local<std::uint64_t, std::uint64_t> numbers({.max_items = 100'000});
  for (std::uint64_t index = 0; index < 40'000; ++index) numbers.put(index << 40, index);
  std::uint64_t right = 0;
  for (std::uint64_t index = 0; index < 40'000; ++index) right += numbers.get(index << 40) == index;
  EXPECT_EQ(right, 40'000u);
  EXPECT_EQ(numbers.machine().check(), "");
}

TEST(Local, FlushEmptiesAtOnce) {
  Local<int, int> numbers;
  for (int index = 0; index < 1000; ++index) numbers.put(index, index);
  numbers.flush();
  EXPECT_EQ(numbers.size(), 0u);
  EXPECT_FALSE(numbers.has(5));
}

}  // namespace
