// Read-through and write-through: what readers see is what the source holds.
#include <gtest/gtest.h>
#include <flux/cache/patterns/read_through.hpp>
#include <flux/cache/patterns/write_through.hpp>
#include <flux/cache/stores/memory.hpp>
#include <flux/cache/testing/crowd.hpp>
#include <flux/cache/testing/fake_clock.hpp>

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

/// A table that counts how often it is asked, and can be away.
struct Table {
  std::optional<int> read(std::string_view key) {
    ++reads;
    if (is_away) throw std::runtime_error("the table is away");
    const std::scoped_lock guard(mutex);
    const auto found = rows.find(std::string(key));
    return found == rows.end() ? std::nullopt : std::optional(found->second);
  }
  void write(std::string_view key, int value) {
    if (is_away) throw std::runtime_error("the table is away");
    const std::scoped_lock guard(mutex);
    rows[std::string(key)] = value;
  }

  std::mutex mutex;
  std::map<std::string, int> rows;
  std::atomic<int> reads{0};
  std::atomic<bool> is_away{false};
};

struct Through : ::testing::Test {
  ReadThrough<int> reader(const Options& options = {.hours = 1}) {
    return {cache, options, [this](std::string_view key) { return table.read(key); }};
  }
  WriteThrough<int> writer(AfterWrite after = AfterWrite::put) {
    return {cache, {.hours = 1}, [this](std::string_view key, int value) { table.write(key, value); }, after};
  }

  FakeClock clock;
  Table table;
  Repository cache{make_memory({.clock = &clock}), {.clock = &clock}};
};

TEST_F(Through, AReadAsksTheSourceOnceInALife) {
  table.rows["k"] = 7;
  const auto read = reader();
  EXPECT_EQ(read.get("k"), 7);
  EXPECT_EQ(read.get("k"), 7);
  EXPECT_EQ(table.reads, 1);
  clock.travel(1h);
  EXPECT_EQ(read.get("k"), 7);
  EXPECT_EQ(table.reads, 2);
}

TEST_F(Through, WhatTheSourceHasNotIsAskedAgainUnlessItIsRemembered) {
  const auto plain = reader();
  EXPECT_FALSE(plain.get("nothing"));
  EXPECT_FALSE(plain.get("nothing"));
  EXPECT_EQ(table.reads, 2);
  const auto spared = reader({.hours = 1, .negative = 1min});
  EXPECT_FALSE(spared.get("other"));
  EXPECT_FALSE(spared.get("other"));
  EXPECT_EQ(table.reads, 3);
}

TEST_F(Through, WhatTheLoaderThrowsReachesTheCallerAndIsNotStored) {
  table.rows["k"] = 7;
  table.is_away = true;
  const auto read = reader();
  EXPECT_THROW(read.get("k"), std::runtime_error);
  table.is_away = false;
  EXPECT_EQ(read.get("k"), 7);
}

TEST_F(Through, AnEntryThatIsForgottenOrReloadedIsReadAnew) {
  table.rows["k"] = 1;
  const auto read = reader();
  EXPECT_EQ(read.get("k"), 1);
  table.rows["k"] = 2;
  EXPECT_EQ(read.get("k"), 1);
  EXPECT_TRUE(read.forget("k"));
  EXPECT_EQ(read.get("k"), 2);
  table.rows["k"] = 3;
  EXPECT_EQ(read.reload("k"), 3);
  EXPECT_EQ(read.get("k"), 3);
}

TEST_F(Through, AWriteIsInTheSourceAndInTheCache) {
  const auto read = reader();
  EXPECT_TRUE(writer().put("k", 5));
  EXPECT_EQ(table.rows["k"], 5);
  EXPECT_EQ(read.get("k"), 5);
  EXPECT_EQ(table.reads, 0);
}

TEST_F(Through, AfterAWriteThatForgetsTheNextReadLoads) {
  const auto read = reader();
  const auto write = writer(AfterWrite::forget);
  EXPECT_TRUE(write.put("k", 5));
  EXPECT_EQ(read.get("k"), 5);
  EXPECT_EQ(table.reads, 1);
  EXPECT_TRUE(write.put("k", 6));
  EXPECT_EQ(read.get("k"), 6);
  EXPECT_EQ(table.reads, 2);
}

TEST_F(Through, AWriteThatTheSourceRefusedLeavesNothingOldThatLooksNew) {
  const auto write = writer();
  write.put("k", 5);
  table.is_away = true;
  EXPECT_THROW(write.put("k", 6), std::runtime_error);
  EXPECT_FALSE(cache.has("k"));
  table.is_away = false;
  EXPECT_EQ(reader().get("k"), 5);
}

TEST_F(Through, OfManyWritersTheCacheHoldsWhatTheSourceGotLast) {
  const auto write = writer();
  for (int round = 0; round < 100; ++round) {
    run_on_threads(4, [&](int thread) { write.put("k", round * 4 + thread); });
    ASSERT_EQ(cache.get<int>("k"), table.rows["k"]) << round;
  }
}

TEST_F(Through, AReadThatLoadedBeforeAWriteStoresNothingAfterIt) {
  const auto write = writer();
  for (int round = 0; round < 100; ++round) {
    table.rows["k"] = -1;
    cache.forget("k");
    const ReadThrough<int> slow(cache, {.hours = 1}, [&](std::string_view key) {
      const auto value = table.read(key);
      std::this_thread::yield();
      return value;
    });
    run_on_threads(2, [&](int thread) { thread == 0 ? void(slow.get("k")) : void(write.put("k", round)); });
    ASSERT_EQ(slow.get("k"), round);
  }
}

}  // namespace
}  // namespace flux::cache::testing
