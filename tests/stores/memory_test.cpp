// What is the memory store's own: its bounds, who makes room, and who hears of it. The contract stands in
// tests/contract/.
#include <flux/cache/repository.hpp>
#include <flux/cache/stores/memory.hpp>
#include <flux/cache/testing/crowd.hpp>
#include <flux/cache/testing/fake_clock.hpp>
#include <flux/cache/testing/store_probe.hpp>

#include <gtest/gtest.h>

#include <array>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "testing/contract/sanitized.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

constexpr std::array kPolicies{"adaptive", "lru", "fifo"};

/// The entries, and the bytes that they and their keys are charged with.
std::pair<std::uint64_t, std::uint64_t> held(const StorePtr& store) {
  std::uint64_t entries = 0, bytes = 0;
  EXPECT_TRUE(store
                  ->scan(Space::values,
                         [&](std::string_view key, const Entry& entry) {
                           ++entries;
                           const ValueView& value = entry.value;
                           bytes += key.size() + value.text.size();
                           if (value.kind == Kind::object) bytes += value.type->weigh(value.object->get());
                           return true;
                         })
                  .ok());
  return {entries, bytes};
}

TEST(MemoryStore, NeverHoldsMoreEntriesThanItsBoundHoweverTheyAreWritten) {
  for (const char* const policy : kPolicies) {
    SCOPED_TRACE(policy);
    const StorePtr store = make_memory({.max_size = 1'000, .policy = policy});
    const Repository cache(store);
    for (int i = 0; i < 3'000; ++i) {
      const std::string key = std::to_string(i);
      cache.put("put " + key, i);
      cache.add("add " + key, key);
      cache.increment("n " + key);
      cache.put_many({{"a " + key, i}, {"b " + key, std::vector<int>{i}}});
      cache.remember("load " + key, 1h, [&] { return i; });
      if (i % 100 == 0) {
        ASSERT_LE(held(store).first, 1'000u);
      }
    }
    EXPECT_EQ(held(store).first, 1'000u);
    run_on_threads(8, [&](int thread) {
      for (int i = 0; i < 5'000; ++i) cache.put(std::to_string(thread) + " " + std::to_string(i), i);
    });
    EXPECT_LE(held(store).first, 1'000u);
  }
}

TEST(MemoryStore, KeepsToItsBoundOfBytesByTheWeightOfItsObjects) {
  for (const char* const policy : kPolicies) {
    SCOPED_TRACE(policy);
    constexpr std::uint64_t kBound = 4 << 20;
    const StorePtr store = make_memory({.max_size = 0, .max_bytes = kBound, .policy = policy});
    const Repository cache(store);
    for (int i = 0; i < 20'000; ++i) {
      cache.put("k" + std::to_string(i), std::vector<std::string>(static_cast<std::size_t>(1 + i % 7),
                                                                  std::string(static_cast<std::size_t>(i % 500), 'x')));
      if (i % 500 == 0) {
        ASSERT_LE(held(store).second, kBound);
      }
    }
    EXPECT_LE(held(store).second, kBound);
    EXPECT_GT(held(store).second, kBound / 2) << "and uses what it may";
  }
}

TEST(MemoryStore, RefusesWhatIsLargerThanItsBoundsAllowAndKeepsNoOldValueInItsPlace) {
  const Repository cache(make_memory({.max_size = 0, .max_bytes = 1 << 20}));
  EXPECT_TRUE(cache.put("k", "old"));
  const auto refused = cache.try_put("k", std::string(1 << 20, 'x'));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Errc::too_large);
  EXPECT_EQ(refused.error().key, "k");
  EXPECT_FALSE(cache.has("k"));
  const Repository narrow(make_memory({.max_value = 100}));
  EXPECT_TRUE(narrow.put("k", std::string(50, 'x')));
  EXPECT_EQ(narrow.try_put("k", std::string(101, 'x')).error().code, Errc::too_large);
  EXPECT_EQ(narrow.try_put("o", std::vector<std::string>(10, std::string(50, 'x'))).error().code, Errc::too_large);
}

TEST(MemoryStore, MakesRoomAsItsPolicySays) {
  const auto left = [](const char* policy) {
    const Repository cache(make_memory({.max_size = 3, .policy = policy}));
    cache.put("a", 1), cache.put("b", 1), cache.put("c", 1);
    (void)cache.get<int>("a");
    cache.put("d", 1);
    std::string left;
    for (const char* const key : {"a", "b", "c", "d"})
      if (cache.has(key)) left += key;
    return left;
  };
  EXPECT_EQ(left("lru"), "acd");
  EXPECT_EQ(left("fifo"), "bcd");
}

TEST(MemoryStore, AScanOfAMillionOneTimeKeysKeepsMostOfAHotSet) {
  constexpr int kHot = 500, kScan = kSanitized ? 50'000 : 1'000'000;
  const Repository cache(make_memory({.max_size = 1'000}));
  const auto read_through = [&](const std::string& key) {
    if (!cache.get<int>(key)) cache.put(key, 1);
  };
  for (int round = 0; round < 20; ++round)
    for (int i = 0; i < kHot; ++i) read_through("hot " + std::to_string(i));
  for (int i = 0; i < kScan; ++i) {
    read_through("once " + std::to_string(i));
    if (i % 4 == 0) read_through("hot " + std::to_string(i / 4 % kHot));
  }
  int kept = 0;
  for (int i = 0; i < kHot; ++i) kept += cache.has("hot " + std::to_string(i));
  EXPECT_GE(kept, kHot * 8 / 10);
}

TEST(MemoryStore, ItsListenerHearsEachRemovalOnceWithItsCause) {
  FakeClock clock;
  std::vector<std::pair<std::string, RemovalCause>> heard;
  const StorePtr store = make_memory(
      {.max_size = 3, .policy = "fifo", .clock = &clock, .on_removal = [&](std::string_view key, RemovalCause cause) {
         heard.emplace_back(key, cause);
       }});
  const Repository cache(store, {.clock = &clock});
  cache.put("a", 1), cache.put("a", std::string("2"));
  cache.put("b", 1), cache.forget("b");
  cache.put("c", 1), (void)cache.pull<int>("c");
  cache.put("d", 1, 1s), clock.travel(2s), (void)cache.prune();
  cache.put("e", 1), cache.put("f", 1), cache.put("g", 1);
  using Row = std::pair<std::string, RemovalCause>;
  EXPECT_EQ(heard, (std::vector<Row>{{"a", RemovalCause::replaced},
                                     {"b", RemovalCause::forgotten},
                                     {"c", RemovalCause::forgotten},
                                     {"d", RemovalCause::expired},
                                     {"a", RemovalCause::size}}));
  heard.clear();
  cache.flush(), (void)cache.prune();
  ASSERT_EQ(heard.size(), 3u);
  for (const Row& row : heard) EXPECT_EQ(row.second, RemovalCause::flushed) << row.first;
}

TEST(MemoryStore, ItsListenerHearsOfAnExpiredEntryThatMadeRoomThatItHadExpired) {
  FakeClock clock;
  std::vector<std::pair<std::string, RemovalCause>> heard;
  const StorePtr store = make_memory(
      {.max_size = 2, .policy = "lru", .clock = &clock, .on_removal = [&](std::string_view key, RemovalCause cause) {
         heard.emplace_back(key, cause);
       }});
  const Repository cache(store, {.clock = &clock});
  cache.put("dead", 1, 5ms), cache.put("alive", 1, 1h);
  clock.travel(5ms);
  cache.put("b", 1), cache.put("c", 1);
  using Row = std::pair<std::string, RemovalCause>;
  EXPECT_EQ(heard, (std::vector<Row>{{"dead", RemovalCause::expired}, {"alive", RemovalCause::size}}));
}

TEST(MemoryStore, AListenerThatThrowsOrUsesTheCacheHarmsNobody) {
  const Repository* here = nullptr;
  int heard = 0;
  const Repository cache(make_memory({.on_removal = [&](std::string_view key, RemovalCause) {
    ++heard;
    if (here != nullptr) here->put(std::string(key) + " went " + std::to_string(heard), 1);
    throw std::runtime_error("a listener's own fault");
  }}));
  here = &cache;
  cache.put("k", 1), cache.put("k", std::string("2"));
  EXPECT_EQ(cache.get<std::string>("k"), "2");
  EXPECT_TRUE(cache.forget("k"));
  EXPECT_EQ(heard, 2);
  EXPECT_TRUE(cache.has("k went 1") && cache.has("k went 2"));
  here = nullptr;
}

TEST(MemoryStore, LocksLimitsAndLoadsNeverMakeRoom) {
  const Repository cache(make_memory({.max_size = 10, .policy = "fifo"}));
  Lock lock = cache.lock("l", 1h);
  ASSERT_TRUE(lock.try_lock());
  RateLimiter limiter = cache.rate_limiter("r", {.max_attempts = 1, .per = 1h});
  ASSERT_TRUE(limiter.attempt());
  const auto press = [&] {
    for (int i = 0; i < 1'000; ++i) cache.put(std::to_string(i), i);
    return 7;
  };
  EXPECT_EQ(cache.remember("k", 1h, press), 7);
  EXPECT_EQ(cache.get<int>("k"), 7) << "what was loaded under pressure is stored";
  press();
  EXPECT_FALSE(cache.lock("l", 1h).try_lock());
  EXPECT_FALSE(limiter.attempt());
  lock.unlock();
}

TEST(MemoryStore, WhatHasExpiredGivesItsRoomBackToWritersAndToPrune) {
  FakeClock clock;
  const StorePtr store = make_memory({.clock = &clock});
  const Repository cache(store, {.clock = &clock});
  for (int i = 0; i < 2'000; ++i) cache.put("dies " + std::to_string(i), i, 1s);
  cache.put("stays", 1);
  clock.travel(2s);
  EXPECT_EQ(cache.prune(100'000).value_or(0), 2'000u);
  EXPECT_EQ(held(store).first, 1u);
}

}  // namespace
}  // namespace flux::cache::testing
