// testing::fake(): the facade in a test.
#include <gtest/gtest.h>
#include <flux/cache.hpp>
#include <flux/cache/testing.hpp>

namespace flux::cache {
namespace {

using namespace std::chrono_literals;

TEST(Fake, PutsTheFacadeOverAnEmptyStoreAndTurnsItsTime) {
  auto fake = testing::fake();
  EXPECT_TRUE(Cache::missing("k"));
  Cache::put("k", 1, 1h);
  fake.travel(59min);
  EXPECT_TRUE(Cache::has("k"));
  fake.travel(1min);
  EXPECT_TRUE(Cache::missing("k"));
}

TEST(Fake, GivesTheFacadeBackAsItWas) {
  Cache::put("outside", 1, 1h);
  {
    auto fake = testing::fake();
    EXPECT_TRUE(Cache::missing("outside"));
    Cache::put("inside", 1, 1h);
  }
  EXPECT_TRUE(Cache::has("outside"));
  EXPECT_TRUE(Cache::missing("inside"));
}

TEST(Fake, TurnsLimitsAndLocksAsWell) {
  auto fake = testing::fake();
  auto limiter = Cache::rate_limiter("login", {.max_attempts = 2, .per = 1min});
  EXPECT_TRUE(limiter.attempt());
  EXPECT_TRUE(limiter.attempt());
  EXPECT_FALSE(limiter.attempt());
  EXPECT_EQ(limiter.remaining(), 0);
  EXPECT_LE(limiter.available_in(), 1min);
  fake.travel(61s);
  EXPECT_TRUE(limiter.attempt());
  Lock lock = Cache::lock("job", 10s);
  ASSERT_TRUE(lock.try_lock());
  fake.travel(10s - 1us);
  EXPECT_FALSE(Cache::lock("job", 10s).try_lock());
  fake.travel(1us);
  EXPECT_TRUE(Cache::lock("job", 10s).try_lock());
}

}  // namespace
}  // namespace flux::cache
