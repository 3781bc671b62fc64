// The engine, one fact a test: what is bounded, what goes first, what is reclaimed, what is heard of it.
#include "engine_fixture.hpp"

#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

using namespace flux::cache;
using namespace flux::cache::testing;
using namespace std::chrono_literals;

namespace {

class EngineBounds : public EngineTest {};

TEST_F(EngineBounds, TheItemBoundIsExactAndAlwaysKept) {
  Engine& engine = make({.max_items = 1000});
  for (int index = 0; index < 5000; ++index) {
    put(engine, "k" + std::to_string(index), "v");
    ASSERT_LE(engine.figures().entries, 1000u);
  }
  EXPECT_EQ(engine.figures().entries, 1000u);
}

TEST_F(EngineBounds, TheByteBoundIsAlwaysKept) {
  Engine& engine = make({.max_bytes = 1 << 20});
  for (int index = 0; index < 5000; ++index) {
    put(engine, "k" + std::to_string(index), std::string(static_cast<std::size_t>(index % 3000), 'x'));
    ASSERT_LE(engine.figures().bytes, std::uint64_t{1} << 20);
  }
  EXPECT_GT(engine.figures().bytes, (std::uint64_t{1} << 20) - 8192);
}

TEST_F(EngineBounds, WhatIsLargerThanAnEighthIsRefusedAndTheOldValueIsGone) {
  Engine& engine = make({.max_bytes = 1 << 20});
  put(engine, "k", "small");
  EXPECT_FALSE(put(engine, "k", std::string(1 << 18, 'x')));
  EXPECT_FALSE(has(engine, "k"));
}

TEST_F(EngineBounds, TheListenerHearsEachRemovalOnceWithItsCause) {
  Heard heard;
  Engine& engine = make({.max_items = 3, .policy = engine::Policy::fifo, .listener = heard.listener()});
  put(engine, "a", "1");
  put(engine, "a", "2");
  put(engine, "b", "1");
  engine.erase("b", hash("b"));
  engine.put("c", hash("c"), Draft::of("1").until(clock_.now() + 1s));
  clock_.advance(2s);
  engine.maintain();
  put(engine, "d", "1");
  put(engine, "e", "1");
  put(engine, "f", "1");
  const std::vector<std::pair<std::string, Cause>> expected = {
      {"a", Cause::replaced}, {"b", Cause::forgotten}, {"c", Cause::expired}, {"a", Cause::size}};
  EXPECT_EQ(heard.removals, expected);
}

TEST_F(EngineBounds, WhatHadExpiredBeforeItMadeRoomIsToldAsExpired) {
  for (const auto policy : {engine::Policy::fifo, engine::Policy::lru, engine::Policy::adaptive}) {
    Heard heard;
    Engine& engine = make({.max_items = 3, .policy = policy, .listener = heard.listener()});
    for (const char* key : {"a", "b", "c"}) engine.put(key, hash(key), Draft::of("1").until(clock_.now() + 10ms));
    clock_.advance(10ms);  // within one tick: no sweep comes by
    std::size_t expired = 0;
    for (int i = 0; i < 10; ++i) {
      engine.put(std::to_string(i), hash(std::to_string(i)), Draft::of("1").until(clock_.now() + 1h));
      ASSERT_EQ(heard.removals.size(), static_cast<std::size_t>(i) + 1);
      const auto& [key, cause] = heard.removals.back();
      const bool is_old = key == "a" || key == "b" || key == "c";
      EXPECT_EQ(cause, is_old ? Cause::expired : Cause::size) << key;
      expired += is_old;
    }
    EXPECT_GT(expired, 0U);
    EXPECT_EQ(engine.figures().expired, expired);
    EXPECT_EQ(engine.figures().evicted, 10 - expired);
  }
}

TEST_F(EngineBounds, AListenerThatThrowsHarmsNothing) {
  Engine& engine = make({.listener = {[](void*, const engine::Removal&) { throw std::runtime_error("no"); }, nullptr}});
  put(engine, "k", "1");
  EXPECT_TRUE(put(engine, "k", "2"));
  EXPECT_EQ(get(engine, "k"), "2");
}

TEST_F(EngineBounds, AListenerMayUseTheEngine) {
  struct Context {
    Engine* engine = nullptr;
    int heard = 0;
  } context;
  Engine& engine = make({.listener = {[](void* self, const engine::Removal& removal) {
                                        auto& context = *static_cast<Context*>(self);
                                        ++context.heard;
                                        put(*context.engine, "gone:" + std::string(removal.key), "v");
                                      },
                                      &context}});
  context.engine = &engine;
  put(engine, "k", "1");
  engine.erase("k", hash("k"));
  EXPECT_EQ(context.heard, 1);
  EXPECT_TRUE(has(engine, "gone:k"));
}

TEST_F(EngineBounds, LruEvictsInTheTextbookOrder) {
  Engine& engine = make({.max_items = 3, .policy = engine::Policy::lru});
  put(engine, "a", "1");
  put(engine, "b", "1");
  put(engine, "c", "1");
  has(engine, "a");
  put(engine, "d", "1");
  EXPECT_FALSE(has(engine, "b"));
  EXPECT_TRUE(has(engine, "c"));
  put(engine, "a", "2");
  put(engine, "e", "1");
  EXPECT_FALSE(has(engine, "d"));
  EXPECT_TRUE(has(engine, "a"));
}

TEST_F(EngineBounds, FifoEvictsTheOldestHoweverOftenItIsRead) {
  Engine& engine = make({.max_items = 3, .policy = engine::Policy::fifo});
  put(engine, "a", "1");
  put(engine, "b", "1");
  put(engine, "c", "1");
  for (int round = 0; round < 10; ++round) has(engine, "a");
  put(engine, "d", "1");
  EXPECT_FALSE(has(engine, "a"));
}

TEST_F(EngineBounds, ExpiredEntriesAreReclaimedInBoundedSteps) {
  Engine& engine = make({.max_items = 4000});
  for (int index = 0; index < 4000; ++index) {
    const std::string key = "k" + std::to_string(index);
    engine.put(key, hash(key), Draft::of("v").until(clock_.now() + 1s));
  }
  clock_.advance(2s);
  std::uint64_t before = engine.figures().expired;
  for (int index = 0; index < 200; ++index) {
    put(engine, "new" + std::to_string(index), "v");
    const std::uint64_t now = engine.figures().expired;
    ASSERT_LE(now - before, 64u);
    before = now;
  }
  EXPECT_EQ(engine.figures().expired, 4000u);
}

TEST_F(EngineBounds, ReadersAloneSweepWhatHasExpired) {
  Engine& engine = make({.max_items = 50'000});
  for (int index = 0; index < 20'000; ++index) {
    const std::string key = "k" + std::to_string(index);
    engine.put(key, hash(key), Draft::of("v").until(clock_.now() + 1s));
  }
  put(engine, "stays", "v");
  clock_.advance(2s);
  for (int index = 0; index < 100'000; ++index) has(engine, "stays");
  EXPECT_LE(engine.figures().entries, 500u);
}

TEST_F(EngineBounds, AScanOfOneTimeKeysKeepsMostOfAHotSet) {
  Engine& engine = make({.max_items = 1000});
  const auto read_through = [&](const std::string& key) {
    if (has(engine, key)) return true;
    put(engine, key, "v");
    return false;
  };
  for (int round = 0; round < 20; ++round)
    for (int index = 0; index < 500; ++index) read_through("hot" + std::to_string(index));
  for (int index = 0; index < 200'000; ++index) {
    read_through("once" + std::to_string(index));
    if (index % 4 == 0) read_through("hot" + std::to_string(index / 4 % 500));
  }
  int kept = 0;
  for (int index = 0; index < 500; ++index) kept += has(engine, "hot" + std::to_string(index));
  EXPECT_GE(kept, 400);
}

TEST_F(EngineBounds, TheStudyTellsWhatOtherSizesWouldBring) {
  Engine& engine = make({.max_items = 4000});
  std::uint64_t state = 1;
  for (int index = 0; index < 400'000; ++index) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    const std::string key = std::to_string((state >> 33) % 12'000);
    if (!has(engine, key)) put(engine, key, "v");
  }
  const std::vector<engine::Estimate> estimates = engine.estimates();
  ASSERT_EQ(estimates.size(), 3u);
  // Keys asked for evenly: the hit ratio is the share of them that fits.
  EXPECT_NEAR(estimates[0].hit_ratio, 2000.0 / 12'000, 0.08);
  EXPECT_NEAR(estimates[1].hit_ratio, 4000.0 / 12'000, 0.08);
  EXPECT_NEAR(estimates[2].hit_ratio, 8000.0 / 12'000, 0.08);
}

}  // namespace
