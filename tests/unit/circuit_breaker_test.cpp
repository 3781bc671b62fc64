// The circuit breaker: when it opens, whom it lets through to try, and what it costs a store that is down.
#include <flux/cache/circuit_breaker.hpp>
#include <flux/cache/layers/breaker.hpp>
#include <flux/cache/layers/chaos.hpp>
#include <flux/cache/testing/crowd.hpp>
#include <flux/cache/testing/fake_clock.hpp>
#include <flux/cache/testing/reference_store.hpp>

#include <gtest/gtest.h>

#include <stdexcept>

namespace {

using namespace flux::cache;
using namespace flux::cache::testing;
using namespace std::chrono_literals;
using State = CircuitBreaker::State;

class Breaker : public ::testing::Test {
 protected:
  void fail() {
    ASSERT_TRUE(breaker_.enter());
    breaker_.fail();
  }
  void open() {
    while (breaker_.state() == State::closed) fail();
  }
  long passed_of_64() {
    return run_on_threads(64, [&] { return breaker_.enter() ? 1L : 0L; });
  }

  FakeClock clock_;
  CircuitBreaker breaker_{
      {.failure_threshold = 5, .timeout = 10s, .back_off = 2, .max_timeout = 30s, .clock = &clock_}};
};

TEST_F(Breaker, SixtyFourFailingThreadsOpenItOnce) {
  run_on_threads(64, [&] {
    for (int i = 0; i < 100; ++i)
      if (breaker_.enter()) breaker_.fail();
    return 0L;
  });
  EXPECT_EQ(breaker_.state(), State::open);
  EXPECT_EQ(breaker_.openings(), 1u);
  EXPECT_EQ(passed_of_64(), 0);
}

TEST_F(Breaker, OpensAtTheThresholdAndASuccessBetweenStartsTheCountAgain) {
  for (int i = 0; i < 4; ++i) fail();
  ASSERT_TRUE(breaker_.enter());
  breaker_.succeed();
  for (int i = 0; i < 4; ++i) fail();
  EXPECT_EQ(breaker_.state(), State::closed);
  fail();
  EXPECT_EQ(breaker_.state(), State::open);
}

TEST_F(Breaker, AfterThePauseOneProbePassesAtATime) {
  open();
  clock_.travel(10s - 1us);
  EXPECT_EQ(passed_of_64(), 0);
  clock_.travel(1us);
  EXPECT_EQ(breaker_.state(), State::half_open);
  EXPECT_EQ(passed_of_64(), 1);
  EXPECT_EQ(passed_of_64(), 0) << "while that one is under way";
  breaker_.succeed();
  EXPECT_EQ(breaker_.state(), State::closed);
  EXPECT_EQ(passed_of_64(), 64);
}

TEST_F(Breaker, EachFailedProbeKeepsItOpenForLongerUpToTheMost) {
  open();
  for (const Duration pause : {10s, 20s, 30s, 30s}) {
    clock_.travel(pause - 1us);
    EXPECT_FALSE(breaker_.enter());
    clock_.travel(1us);
    fail();
    EXPECT_EQ(breaker_.state(), State::open);
  }
  EXPECT_EQ(breaker_.openings(), 5u);
  clock_.travel(30s);
  ASSERT_TRUE(breaker_.enter());
  breaker_.succeed();
  open();
  clock_.travel(10s);
  EXPECT_EQ(breaker_.state(), State::half_open) << "once it was closed, the first pause holds again";
}

TEST_F(Breaker, MayWantSeveralProbesToSucceed) {
  CircuitBreaker careful({.failure_threshold = 1, .timeout = 1s, .close_after = 2, .clock = &clock_});
  ASSERT_TRUE(careful.enter());
  careful.fail();
  clock_.travel(1s);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(careful.state(), State::half_open);
    ASSERT_TRUE(careful.enter());
    careful.succeed();
  }
  EXPECT_EQ(careful.state(), State::closed);
}

TEST_F(Breaker, GoesByTheSteadyLineWhateverTheWallDoes) {
  open();
  clock_.jump_wall(std::chrono::hours(1));
  EXPECT_EQ(breaker_.state(), State::open);
  clock_.jump_wall(-std::chrono::hours(2));
  clock_.travel(10s);
  EXPECT_EQ(breaker_.state(), State::half_open);
}

TEST_F(Breaker, WhatTheWorkThrowsCountsAndPassesThrough) {
  for (int i = 0; i < 5; ++i)
    EXPECT_THROW(breaker_.call([]() -> int { throw std::domain_error("down"); }), std::domain_error);
  EXPECT_THROW(breaker_.call([] { return 1; }), CircuitOpen);
  clock_.travel(10s);
  EXPECT_EQ(breaker_.call([] { return 1; }), 1);
  EXPECT_EQ(breaker_.state(), State::closed);
}

TEST_F(Breaker, OptionsThatMakeNoSenseAreRefused) {
  EXPECT_THROW(CircuitBreaker({.failure_threshold = 0}), std::invalid_argument);
  EXPECT_THROW(CircuitBreaker({.timeout = Duration(0)}), std::invalid_argument);
  EXPECT_THROW(CircuitBreaker({.close_after = 0}), std::invalid_argument);
  EXPECT_THROW(CircuitBreaker({.back_off = 0.5}), std::invalid_argument);
}

TEST(BreakerLayer, AsksAStoreThatIsDownNoMoreUntilOneProbeSucceeds) {
  FakeClock clock;
  const auto chaos = make_chaos(make_reference({.clock = &clock}));
  const StorePtr store = make_breaker(chaos, {.failure_threshold = 5, .timeout = 10s, .clock = &clock});
  const auto get = [&] { return store->get(Key("k"), {}, [](const Entry&) {}); };
  chaos->set({.fail_rate = 1});
  for (int i = 0; i < 100; ++i) EXPECT_EQ(get().error().code, Errc::unavailable);
  EXPECT_EQ(chaos->counts().calls, 5u);
  clock.travel(10s);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(get().ok());
  EXPECT_EQ(chaos->counts().calls, 6u) << "one probe";
  chaos->set({});
  EXPECT_FALSE(get().ok());
  clock.travel(20s);
  EXPECT_TRUE(get().ok());
  EXPECT_TRUE(get().ok());
  EXPECT_EQ(chaos->counts().calls, 8u);
}

TEST(BreakerLayer, AMissIsNoFailure) {
  const StorePtr store = make_breaker(make_reference({}), {.failure_threshold = 1});
  for (int i = 0; i < 3; ++i) {
    const auto there = store->get(Key("absent"), {}, [](const Entry&) {});
    ASSERT_TRUE(there.ok());
    EXPECT_FALSE(*there);
  }
}

}  // namespace
