// What a program forgets, replaces or flushes while its server does not answer is not served when it answers again: on
// the stores as a manager makes them, with a breaker that stops asking.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>

#include "far_stores.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

class Amends : public ::testing::TestWithParam<FarStore> {
 protected:
  void SetUp() override {
    server_ = GetParam().start();
    if (server_ == nullptr) GTEST_SKIP() << "no server: " << Server::why_not();
    manager_.emplace(GetParam().over(server_->port(), 300ms));
    other_.emplace(GetParam().over(server_->port(), 5s));
  }
  /// Runs `meanwhile` once the server is silent, and the breaker, if `is_open`, has opened; then lets it answer, and
  /// waits until it does.
  template <class Work>
  void outage(bool is_open, Work meanwhile) {
    const Repository cache = manager_->store();
    server_->pause();
    for (int i = 0; is_open && i < 6; ++i) EXPECT_FALSE(cache.has("is anybody there"));
    meanwhile(cache);
    server_->resume();
    bool is_back = false;
    for (int i = 0; i < 2'000 && !is_back; ++i) {
      is_back = cache.try_get<int>("is anybody there").ok();
      if (!is_back) std::this_thread::sleep_for(5ms);
    }
    ASSERT_TRUE(is_back);
  }

  std::unique_ptr<Server> server_;
  std::optional<StoreManager> manager_, other_;
};

TEST_P(Amends, WhatWasForgottenOrReplacedMeanwhileIsGone) {
  for (const bool is_open : {false, true}) {
    const Repository cache = manager_->store(), other = other_->store();
    for (const char* const key : {"forgotten", "replaced", "batch", "written", "other"})
      ASSERT_TRUE(cache.put(key, "old", 600s)) << key;
    auto lock = cache.lock("l", 600s);
    ASSERT_TRUE(lock.try_lock());
    outage(is_open, [](const Repository& away) {
      EXPECT_FALSE(away.forget("forgotten"));
      EXPECT_FALSE(away.put("replaced", "new", 600s));
      EXPECT_EQ(away.forget_many({"batch"}), 0U);
      EXPECT_FALSE(away.put_many({{"written", "new"}}, 600s));
    });
    for (const Repository* each : {&cache, &other}) {
      for (const char* const key : {"forgotten", "replaced", "batch", "written"})
        EXPECT_NE(each->get<std::string>(key), "old") << key << (is_open ? ", breaker open" : "");
      EXPECT_EQ(each->get<std::string>("other"), "old");
    }
    EXPECT_TRUE(lock.release()) << "the lock is its owner's";
    EXPECT_TRUE(cache.put("forgotten", "newest", 600s));
    EXPECT_EQ(other.get<std::string>("forgotten"), "newest");
  }
}

TEST_P(Amends, AFlushMeanwhileHolds) {
  for (const bool is_open : {false, true}) {
    const Repository cache = manager_->store(), other = other_->store();
    ASSERT_TRUE(cache.put("k", "old", 600s));
    ASSERT_TRUE(cache.tags({"t"}).put("tagged", "old", 600s));
    outage(is_open, [](const Repository& away) { EXPECT_FALSE(away.tags({"t"}).flush()); });
    for (const Repository* each : {&cache, &other}) {
      EXPECT_EQ(each->get<std::string>("k"), "old");
      EXPECT_EQ(each->get<std::string>("tagged"), std::nullopt) << (is_open ? "breaker open" : "");
    }
    outage(is_open, [](const Repository& away) { EXPECT_FALSE(away.flush()); });
    for (const Repository* each : {&cache, &other}) EXPECT_EQ(each->get<std::string>("k"), std::nullopt);
    EXPECT_TRUE(cache.put("k", "new", 600s));
    EXPECT_EQ(other.get<std::string>("k"), "new");
  }
}

INSTANTIATE_TEST_SUITE_P(Far, Amends,
                         ::testing::Values(FarStore{"Redis", a_redis, over_redis},
                                           FarStore{"SharedRedis", a_redis, over_shared_redis},
                                           FarStore{"Memcached", a_memcached, over_memcached},
                                           FarStore{"Shards", a_redis, over_shards}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace flux::cache::testing
