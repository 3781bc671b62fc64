// Locks on every store: one owner at a time, for a lease, with fences that grow.
#include <flux/cache/testing/crowd.hpp>
#include <flux/cache/testing/repository_contract.hpp>

#include <atomic>
#include <chrono>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "anchors.hpp"
#include "eventually.hpp"
#include "sanitized.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_locks() {}

using namespace std::chrono_literals;

TEST_P(RepositoryContract, ALockHasOneOwner) {
  Lock mine = cache().lock("l", 60s);
  Lock other = cache().lock("l", 60s);
  EXPECT_TRUE(mine.try_lock());
  EXPECT_FALSE(other.try_lock());
  EXPECT_FALSE(mine.try_lock()) << "not re-entrant";
  EXPECT_FALSE(other.release()) << "not the owner";
  EXPECT_FALSE(other.try_lock());
  EXPECT_TRUE(mine.release());
  EXPECT_FALSE(mine.release());
  EXPECT_TRUE(other.try_lock());
}

TEST_P(RepositoryContract, ALockEndsExactlyWithItsLease) {
  const Duration grain = cache().traits().grain;
  if (GetParam().real_time) GTEST_SKIP() << "needs a clock that can be set";
  Lock mine = cache().lock("l", 2s);
  Lock other = cache().lock("l", 2s);
  ASSERT_TRUE(mine.try_lock());
  advance(2s - grain);
  EXPECT_FALSE(other.try_lock());
  advance(grain);
  EXPECT_TRUE(other.try_lock());
  EXPECT_FALSE(mine.release()) << "lost to the other";
  mine.unlock();
  EXPECT_FALSE(cache().lock("l", 2s).try_lock()) << "and the other still holds it";
}

TEST_P(RepositoryContract, AnotherHandleLetsGoByTheOwnersToken) {
  Lock mine = cache().lock("l", 60s);
  ASSERT_TRUE(mine.try_lock());
  EXPECT_FALSE(cache().restore_lock("l", "somebody").release());
  EXPECT_FALSE(cache().lock("l", 60s).try_lock());
  EXPECT_TRUE(cache().restore_lock("l", mine.owner()).release());
  EXPECT_TRUE(cache().lock("l", 60s).try_lock());
}

TEST_P(RepositoryContract, ForceFreesALockWhoeverHoldsIt) {
  Lock mine = cache().lock("l", 60s);
  ASSERT_TRUE(mine.try_lock());
  cache().lock("l", 60s).force_unlock();
  Lock other = cache().lock("l", 60s);
  EXPECT_TRUE(other.try_lock());
  EXPECT_FALSE(mine.release());
}

TEST_P(RepositoryContract, ALockRefreshedLivesOnAndOneLostCannotBe) {
  Lock mine = cache().lock("l", 2s);
  ASSERT_TRUE(mine.try_lock());
  advance(1s);
  EXPECT_TRUE(mine.refresh(2s));
  advance(1s);
  EXPECT_FALSE(cache().lock("l", 2s).try_lock());
  advance(1s);
  Lock other = cache().lock("l", 60s);
  EXPECT_TRUE(other.try_lock());
  EXPECT_FALSE(mine.refresh(60s));
}

TEST_P(RepositoryContract, EachAcquisitionHasAHigherFence) {
  std::uint64_t last = 0;
  for (int i = 0; i < 6; ++i) {
    Lock lock = cache().lock("l", 1s);
    ASSERT_TRUE(lock.try_lock());
    EXPECT_GT(lock.fence(), last);
    last = lock.fence();
    switch (i % 3) {
      case 0: lock.unlock(); break;
      case 1: advance(1s); break;
      default: can_list() ? (void)cache().flush_locks() : lock.unlock(); break;
    }
  }
}

TEST_P(RepositoryContract, AHandleThatGoesOutOfScopeLetsGo) {
  {
    Lock mine = cache().lock("l", 60s);
    ASSERT_TRUE(mine.try_lock());
    Lock moved = std::move(mine);
    EXPECT_FALSE(cache().lock("l", 60s).try_lock());
  }
  EXPECT_TRUE(cache().lock("l", 60s).try_lock());
}

TEST_P(RepositoryContract, WorkUnderALockLetsGoAfterItThrownOrNot) {
  EXPECT_EQ(cache().lock("l", 60s).run([] { return 7; }), 7);
  EXPECT_THROW(cache().lock("l", 60s).run([] { throw std::domain_error("x"); }), std::domain_error);
  Lock mine = cache().lock("l", 60s);
  ASSERT_TRUE(mine.try_lock());
  EXPECT_THROW(cache().lock("l", 60s).run([] {}, 0s), LockTimeout);
  EXPECT_FALSE(cache().lock("l", 60s).try_lock_for(0s));
  EXPECT_FALSE(cache().lock("l", 60s).try_lock_for(5ms));
}

TEST_P(RepositoryContract, WhoWaitsForALockGetsItWhenItIsFree) {
  Lock mine = cache().lock("l", 600s);
  ASSERT_TRUE(mine.try_lock());
  std::atomic<bool> waiting{false}, got{false};
  std::jthread other([&] {
    Lock lock = cache().lock("l", 600s);
    waiting = true;
    got = lock.try_lock_for(30s);
  });
  EXPECT_TRUE(eventually([&] { return waiting.load(); }));
  EXPECT_FALSE(got);
  mine.unlock();
  other.join();
  EXPECT_TRUE(got);
}

TEST_P(RepositoryContract, OneAtATimeIsInsideALock) {
  const int rounds = kSanitized ? 10 : 50;
  int inside = 0, counted = 0;  // no atomics: the lock is what orders them
  std::atomic<int> crowded{0};
  run_on_threads(6, [&] {
    for (int i = 0; i < rounds; ++i)
      cache().lock("l", 600s).run(
          [&] {
            if (++inside != 1) ++crowded;
            ++counted;
            --inside;
          },
          120s);
  });
  EXPECT_EQ(crowded.load(), 0);
  EXPECT_EQ(counted, 6 * rounds);
}

TEST_P(RepositoryContract, OfEightWhoWaitForALockNobodyWaitsMuchLongerThanTheOthersHoldIt) {
  constexpr int kWaiters = 8;
  constexpr auto kHold = 20ms;
  std::atomic<int> served{0};
  std::atomic<long> worst{0};
  run_on_threads(kWaiters, [&] {
    const auto begun = std::chrono::steady_clock::now();
    cache().lock("l", 600s).run(
        [&] {
          const std::chrono::duration<double, std::milli> waited = std::chrono::steady_clock::now() - begun;
          long seen = worst;
          while (seen < static_cast<long>(waited.count()) &&
                 !worst.compare_exchange_weak(seen, static_cast<long>(waited.count()))) {
          }
          std::this_thread::sleep_for(kHold);
          ++served;
        },
        120s);
  });
  EXPECT_EQ(served, kWaiters);
  // 200 ms where the machine has time for it.
  EXPECT_LE(worst, kWaiters * kHold.count() + (kSanitized ? 10'000 : 2'000));
}

TEST_P(RepositoryContract, LocksAndValuesLeaveEachOtherAlone) {
  Lock mine = cache().lock("k", 60s);
  ASSERT_TRUE(mine.try_lock());
  EXPECT_FALSE(cache().has("k"));
  cache().put("k", 1);
  cache().flush();
  EXPECT_FALSE(cache().lock("k", 60s).try_lock()) << "a flush frees no lock";
  cache().put("k", 1);
  if (!can_list()) GTEST_SKIP() << "this store cannot list its locks, and says so";
  EXPECT_TRUE(cache().flush_locks());
  EXPECT_EQ(cache().get<int>("k"), 1);
  EXPECT_TRUE(cache().lock("k", 60s).try_lock());
}

TEST_P(RepositoryContract, ALockNeverStandsInTheWayOfALoad) {
  Lock mine = cache().lock("load:k", 60s), plain = cache().lock("k", 60s);
  ASSERT_TRUE(mine.try_lock() && plain.try_lock());
  const Options options{.ttl = Ttl(1s), .fail_safe = 60s};
  EXPECT_EQ(cache().remember("k", options, [] { return 1; }), 1);
  advance(1s);
  EXPECT_EQ(cache().remember("k", options, [] { return 2; }), 2);
}

TEST_P(RepositoryContract, WithoutOverlappingRunsWhereNobodyElseDoes) {
  int runs = 0;
  EXPECT_TRUE(cache().without_overlapping("job", 60s, [&] {
    ++runs;
    EXPECT_FALSE(cache().without_overlapping("job", 60s, [&] { ++runs; }));
  }));
  EXPECT_EQ(runs, 1);
  EXPECT_TRUE(cache().without_overlapping("job", 60s, [&] { ++runs; }));
}

TEST_P(RepositoryContract, ALockMeetsTheStandardsRequirements) {
  Lock lock = cache().lock("l", 60s);
  {
    const std::unique_lock held(lock);
    EXPECT_TRUE(held.owns_lock());
    EXPECT_FALSE(cache().lock("l", 60s).try_lock());
  }
  const std::unique_lock again(lock, 1s);
  EXPECT_TRUE(again.owns_lock());
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
