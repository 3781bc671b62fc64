// Rate limits and funnels on every store.
#include <flux/cache/testing/crowd.hpp>
#include <flux/cache/testing/repository_contract.hpp>

#include <atomic>
#include <stdexcept>

#include "anchors.hpp"
#include "sanitized.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_limits() {}

using namespace std::chrono_literals;

namespace {

constexpr RateAlgorithm kAlgorithms[] = {RateAlgorithm::fixed, RateAlgorithm::sliding, RateAlgorithm::token_bucket};

}  // namespace

TEST_P(RepositoryContract, AttemptsAreCountedUpToTheLimit) {
  for (const RateAlgorithm algorithm : kAlgorithms) {
    RateLimiter limiter = cache().rate_limiter("api " + std::to_string(static_cast<int>(algorithm)),
                                               {.max_attempts = 3, .per = 600s, .algorithm = algorithm});
    EXPECT_EQ(limiter.available_in(), Duration::zero());
    for (int left = 3; left > 0; --left) {
      EXPECT_EQ(limiter.remaining(), left);
      EXPECT_TRUE(limiter.attempt());
    }
    EXPECT_FALSE(limiter.attempt());
    EXPECT_EQ(limiter.remaining(), 0);
    EXPECT_TRUE(limiter.too_many());
    EXPECT_GT(limiter.available_in(), Duration::zero());
    EXPECT_LE(limiter.available_in(), Duration(1200s)) << "two windows at the most";
    limiter.clear();
    EXPECT_EQ(limiter.remaining(), 3);
    EXPECT_FALSE(limiter.attempt(4)) << "more than there ever is";
    EXPECT_TRUE(limiter.attempt(3));
  }
}

TEST_P(RepositoryContract, AttemptsComeBackWithTime) {
  for (const RateAlgorithm algorithm : kAlgorithms) {
    RateLimiter limiter = cache().rate_limiter("api " + std::to_string(static_cast<int>(algorithm)),
                                               {.max_attempts = 2, .per = 1s, .algorithm = algorithm});
    EXPECT_TRUE(limiter.attempt(2));
    EXPECT_FALSE(limiter.attempt());
    advance(2s);
    EXPECT_EQ(limiter.remaining(), 2);
    EXPECT_EQ(limiter.available_in(), Duration::zero());
    EXPECT_TRUE(limiter.attempt(2));
    EXPECT_FALSE(limiter.attempt());
  }
}

TEST_P(RepositoryContract, ATokenBucketFillsEvenly) {
  RateLimiter limiter =
      cache().rate_limiter("api", {.max_attempts = 4, .per = 4s, .algorithm = RateAlgorithm::token_bucket});
  EXPECT_TRUE(limiter.attempt(4));
  advance(1s);
  EXPECT_GE(limiter.remaining(), 1);
  EXPECT_TRUE(limiter.attempt());
  if (GetParam().real_time) return;
  EXPECT_FALSE(limiter.attempt());
  EXPECT_EQ(limiter.available_in(), Duration(1s));
}

TEST_P(RepositoryContract, ACrowdGetsExactlyTheLimit) {
  for (const RateAlgorithm algorithm : kAlgorithms) {
    const int limit = 40;
    const long granted = run_on_threads(6, [&] {
      RateLimiter limiter = cache().rate_limiter("crowd " + std::to_string(static_cast<int>(algorithm)),
                                                 {.max_attempts = limit, .per = 3600s, .algorithm = algorithm});
      long granted = 0;
      for (int i = 0; i < 15; ++i) granted += limiter.attempt();
      return granted;
    });
    EXPECT_EQ(granted, limit);
  }
}

TEST_P(RepositoryContract, AFlushLeavesLimitsAlone) {
  RateLimiter limiter = cache().rate_limiter("api", {.max_attempts = 1, .per = 600s});
  EXPECT_TRUE(limiter.attempt());
  cache().tags({"api"}).put("api", 1);
  cache().tags({"api"}).flush();
  cache().flush();
  EXPECT_FALSE(limiter.attempt());
}

TEST_P(RepositoryContract, NeverMoreThanTheLimitAreInAFunnel) {
  const int rounds = kSanitized ? 5 : 15;
  std::atomic<int> inside{0}, most{0}, done{0};
  run_on_threads(6, [&] {
    Funnel funnel = cache().funnel("f", {.limit = 3, .release_after = 600s});
    for (int i = 0; i < rounds; ++i)
      funnel.run(
          [&] {
            const int now = ++inside;
            int seen = most.load();
            while (now > seen && !most.compare_exchange_weak(seen, now)) {
            }
            std::this_thread::yield();
            ++done;
            --inside;
          },
          120s);
  });
  EXPECT_LE(most.load(), 3);
  EXPECT_EQ(done.load(), 6 * rounds);
}

TEST_P(RepositoryContract, APlaceInAFunnelIsGivenBack) {
  Funnel funnel = cache().funnel("f", {.limit = 1, .release_after = 2s});
  EXPECT_THROW(funnel.run([] { throw std::domain_error("x"); }), std::domain_error);
  FunnelPlace place = funnel.try_enter();
  EXPECT_TRUE(place);
  EXPECT_FALSE(funnel.try_enter());
  EXPECT_FALSE(funnel.try_enter_for(5ms));
  EXPECT_EQ(funnel.run([] { return 1; }, 0s, [] { return 2; }), 2) << "full";
  EXPECT_THROW(funnel.run([] {}, 0s), LockTimeout);
  place.leave();
  EXPECT_TRUE(funnel.try_enter());
  FunnelPlace left_behind = funnel.try_enter();
  EXPECT_TRUE(left_behind);
  advance(2s);
  EXPECT_TRUE(funnel.try_enter()) << "its lease is over";
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
