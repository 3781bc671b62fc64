#include <flux/cache/patterns/hot_keys.hpp>
#include <flux/cache/stores/memory.hpp>
#include <flux/cache/testing/crowd.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <stdexcept>

namespace flux::cache {
namespace {

/// Key numbers by Zipf's law: the n-th is asked for 1/n times as often as the first.
class Zipf {
 public:
  explicit Zipf(std::size_t keys) : sums_(keys) {
    double sum = 0;
    for (std::size_t i = 0; i < keys; ++i) sums_[i] = sum += 1.0 / static_cast<double>(i + 1);
  }
  std::size_t operator()(std::mt19937_64& random) const {
    const double at = std::uniform_real_distribution<double>(0, sums_.back())(random);
    return static_cast<std::size_t>(std::lower_bound(sums_.begin(), sums_.end(), at) - sums_.begin());
  }

 private:
  std::vector<double> sums_;
};

TEST(HotKeys, FindsTheTrueTopTenOfAMillionReads) {
  constexpr std::size_t kKeys = 100'000;
  HotKeys hot;
  std::vector<std::uint64_t> truth(kKeys, 0);
  std::mt19937_64 random(7);
  const Zipf zipf(kKeys);
  for (int i = 0; i < 1'000'000; ++i) {
    const std::size_t key = zipf(random);
    ++truth[key];
    hot.note("key " + std::to_string(key));
  }
  std::vector<std::size_t> order(kKeys);
  for (std::size_t i = 0; i < kKeys; ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return truth[a] > truth[b]; });
  const auto top = hot.top(10);
  ASSERT_EQ(top.size(), 10u);
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(top[i].key, "key " + std::to_string(order[i])) << i;
    EXPECT_GE(top[i].count, truth[order[i]]);
    EXPECT_LE(top[i].count - top[i].error, truth[order[i]]);
  }
}

TEST(HotKeys, KeepsToItsBoundsWhateverIsAsked) {
  HotKeys hot({.tracked = 1'000'000, .max_bytes = 100'000});
  for (int i = 0; i < 200'000; ++i) hot.note(std::string(400, 'k') + std::to_string(i));
  hot.note(std::string(513, 'k'));
  const auto all = hot.top(1'000'000);
  EXPECT_LE(all.size(), 100'000u / 400);
  EXPECT_GE(all.size(), 100u);
  for (const HotKey& one : all) EXPECT_LE(one.key.size(), 512u);
  EXPECT_THROW(HotKeys({.tracked = 0}), std::invalid_argument);
}

TEST(HotKeys, CountsTheReadsOfARepositoryFromAllThreadsUntilItEnds) {
  const Repository cache(make_memory());
  cache.put("a", 1);
  {
    HotKeys hot(cache, {.tracked = 10});
    testing::run_on_threads(4, [&] {
      for (int i = 0; i < 1'000; ++i) (void)cache.get<int>(i % 4 == 0 ? "absent" : "a");
    });
    cache.put("b", 2);
    const auto top = hot.top(5);
    ASSERT_EQ(top.size(), 2u);
    EXPECT_EQ(top[0].key, "a");
    EXPECT_EQ(top[0].count, 3'000u);
    EXPECT_EQ(top[1].count, 1'000u);
    EXPECT_EQ(top[0].error + top[1].error, 0u);
    hot.clear();
    EXPECT_TRUE(hot.top(5).empty());
  }
  (void)cache.get<int>("a");
}

}  // namespace
}  // namespace flux::cache
