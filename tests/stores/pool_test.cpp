// The pool of connections that the stores of servers share: bounds, what idles, what died, and a server that is down.
#include "net/pool.hpp"

#include <gtest/gtest.h>
#include <flux/cache/testing/crowd.hpp>

#include <array>
#include <atomic>
#include <new>

namespace flux::cache::detail::net {
namespace {

using namespace std::chrono_literals;

/// What the connections of a test have in common.
struct World {
  std::atomic<int> made{0}, there{0};
  std::atomic<bool> is_quiet{true};
};

class One final : public Pooled {
 public:
  explicit One(World& world) : number(++world.made), world_(world) { ++world_.there; }
  ~One() override { --world_.there; }
  bool is_quiet() noexcept override { return world_.is_quiet; }
  void abandon() noexcept override {}

  const int number;

 private:
  World& world_;
};

class Pools : public ::testing::Test {
 protected:
  Pool::Dial dial() {
    return [this](const Deadline&) { return std::unique_ptr<Pooled>(std::make_unique<One>(world_)); };
  }
  static Deadline soon() { return Deadline::in(10s); }
  /// Takes one and hands it back: its number.
  static int used(Pool& pool) {
    auto lease = pool.take(soon());
    EXPECT_TRUE(lease.ok());
    const int number = lease->as<One>().number;
    lease->hand_back(Deadline::Clock::now());
    return number;
  }

  World world_;
};

TEST_F(Pools, LendWhatIsThereBeforeTheyMakeMore) {
  Pool pool({}, dial());
  EXPECT_EQ(pool.size(), 0U);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(used(pool), 1);
  {
    auto first = pool.take(soon()), second = pool.take(soon());
    ASSERT_TRUE(first.ok() && second.ok());
    EXPECT_FALSE(first->is_fresh());
    EXPECT_TRUE(second->is_fresh());
    EXPECT_EQ(pool.size(), 2U);
    second->hand_back(Deadline::Clock::now());
    first->hand_back(Deadline::Clock::now());
  }
  EXPECT_EQ(used(pool), 1) << "the latest used";
  EXPECT_EQ(world_.made, 2);
}

TEST_F(Pools, HaveABound) {
  Pool pool({.most = 2, .longest_wait = 5ms}, dial());
  auto first = pool.take(soon()), second = pool.take(soon());
  ASSERT_TRUE(first.ok() && second.ok());
  const auto third = pool.take(soon());
  ASSERT_FALSE(third.ok());
  EXPECT_EQ(third.error().code, Errc::rejected);
  EXPECT_EQ(third.error().message, "all 2 connections are in use");
  second->hand_back(Deadline::Clock::now());
  EXPECT_TRUE(pool.take(soon()).ok());
}

TEST_F(Pools, NeverLendOneToTwoAndServeAllOfACrowd) {
  Pool pool({.most = 4, .longest_wait = 60s}, dial());
  std::array<std::atomic<int>, 5> users{};
  const long wrong = testing::run_on_threads(50, [&] {
    long wrong = 0;
    for (int i = 0; i < 200; ++i) {
      auto lease = pool.take(Deadline::in(60s));
      if (!lease.ok()) return wrong + 1'000;
      auto& mine = users[static_cast<std::size_t>(lease->as<One>().number)];
      wrong += mine.fetch_add(1) != 0;
      mine.fetch_sub(1);
      lease->hand_back(Deadline::Clock::now());
    }
    return wrong;
  });
  EXPECT_EQ(wrong, 0);
  EXPECT_LE(world_.made, 4);
}

TEST_F(Pools, OneThatIsNotHandedBackIsDestroyedAndItsPlaceIsFree) {
  Pool pool({.most = 1, .longest_wait = 60s}, dial());
  for (int i = 1; i <= 5; ++i) {
    auto lease = pool.take(soon());
    ASSERT_TRUE(lease.ok());
    EXPECT_EQ(lease->as<One>().number, i);
  }
  EXPECT_EQ(world_.there, 0);
  EXPECT_EQ(pool.size(), 0U);
  // Also for those who wait for it.
  std::atomic<int> served{0};
  testing::run_on_threads(8, [&] { served += pool.take(Deadline::in(60s)).ok(); });
  EXPECT_EQ(served, 8);
}

TEST_F(Pools, WhatHasIdledIsLookedAtBeforeItIsLentAgain) {
  Pool careful({.check_after = Duration(0)}, dial());
  EXPECT_EQ(used(careful), 1);
  EXPECT_EQ(used(careful), 1);
  world_.is_quiet = false;  // the peer hung up, or said something that nobody asked for
  EXPECT_EQ(used(careful), 2);
  EXPECT_EQ(world_.there, 1);
  Pool trusting({.check_after = 1h}, dial());
  const int first = used(trusting);
  EXPECT_EQ(used(trusting), first) << "a moment is no idling";
}

TEST_F(Pools, WhatIdlesForLongIsClosed) {
  Pool pool({.idle_limit = Duration(0)}, dial());
  EXPECT_EQ(used(pool), 1);
  EXPECT_EQ(world_.there, 1) << "the last one stays for the next call";
  pool.trim();
  EXPECT_EQ(world_.there, 0);
  EXPECT_EQ(pool.size(), 0U);
  {
    auto first = pool.take(soon()), second = pool.take(soon()), third = pool.take(soon());
    ASSERT_TRUE(first.ok() && second.ok() && third.ok());
    for (auto* each : {&first, &second, &third}) (*each)->hand_back(Deadline::Clock::now());
  }
  EXPECT_EQ(world_.there, 1) << "those above the last one go when another comes back";
  Pool patient({.idle_limit = 1h}, dial());
  EXPECT_EQ(used(patient), used(patient));
  patient.trim();
  EXPECT_EQ(patient.size(), 1U);
}

TEST_F(Pools, WhatIdlesIsDroppedWhereItsNeighbourBroke) {
  Pool pool({}, dial());
  {
    auto first = pool.take(soon()), second = pool.take(soon());
    ASSERT_TRUE(first.ok() && second.ok());
    first->hand_back(Deadline::Clock::now());
    pool.drop_idle();
    EXPECT_EQ(world_.there, 1);
  }
  EXPECT_EQ(world_.there, 0);
  EXPECT_EQ(used(pool), 3);
}

TEST_F(Pools, AServerThatIsDownIsTriedByOneNowAndThen) {
  std::atomic<int> tries{0};
  std::atomic<bool> is_down{true};
  Pool pool({}, [&](const Deadline&) -> Result<std::unique_ptr<Pooled>> {
    ++tries;
    if (is_down) return Error{Errc::denied, "who are you"};
    return std::unique_ptr<Pooled>(std::make_unique<One>(world_));
  });
  testing::run_on_threads(16, [&] {
    for (int i = 0; i < 1'000; ++i) {
      const auto lease = pool.take(soon());
      EXPECT_FALSE(lease.ok());
      EXPECT_EQ(lease.error().code, Errc::denied) << "the last try's error";
    }
  });
  EXPECT_LT(tries, 1'000) << "of 16,000 calls";
  EXPECT_EQ(pool.size(), 0U);
  is_down = false;
  bool is_back = false;
  for (const auto end = Deadline::in(20s); !is_back && !end.is_past();) is_back = pool.take(soon()).ok();
  EXPECT_TRUE(is_back);
}

TEST_F(Pools, ADialWithoutMemoryIsAnErrorAndItsPlaceIsFree) {
  Pool pool({.most = 1}, [](const Deadline&) -> Result<std::unique_ptr<Pooled>> { throw std::bad_alloc(); });
  const auto lease = pool.take(soon());
  ASSERT_FALSE(lease.ok());
  EXPECT_EQ(lease.error().code, Errc::unavailable);
  EXPECT_EQ(pool.size(), 0U);
}

}  // namespace
}  // namespace flux::cache::detail::net
