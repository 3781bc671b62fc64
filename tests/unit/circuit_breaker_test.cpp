// The circuit breaker: when it opens, whom it lets through to try, and what it costs a store that is down.
#include <flux/cache/circuit_breaker.hpp>
#include <flux/cache/layers/breaker.hpp>
#include <flux/cache/layers/chaos.hpp>
#include <flux/cache/testing/crowd.hpp>
#include <flux/cache/testing/fake_clock.hpp>
#include <flux/cache/testing/reference_store.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

namespace {

using namespace flux::cache;
using namespace flux::cache::testing;
using namespace std::chrono_literals;
using State = CircuitBreaker::State;

class Breaker : public ::testing::Test {
 protected:
  CircuitBreaker::Pass pass() {
    const auto pass = breaker_.enter();
    EXPECT_TRUE(pass);
    return pass;
  }
  void fail() { breaker_.fail(pass()); }
  void succeed() { breaker_.succeed(pass()); }
  void open() {
    while (breaker_.state() == State::closed) fail();
  }
  long passed_of_64() {
    return run_on_threads(64, [&] { return breaker_.enter() ? 1L : 0L; });
  }

  /// The pass of one of 64 threads that ask at once; the last, where more than one gets it.
  CircuitBreaker::Pass one_of_64(std::atomic<int>& passed) {
    std::mutex mutex;
    std::optional<CircuitBreaker::Pass> got;
    run_on_threads(64, [&] {
      const auto pass = breaker_.enter();
      if (!pass) return;
      ++passed;
      const std::scoped_lock lock(mutex);
      got = pass;
    });
    return got.value();
  }

  FakeClock clock_;
  CircuitBreaker breaker_{
      {.failure_threshold = 5, .timeout = 10s, .back_off = 2, .max_timeout = 30s, .clock = &clock_}};
};

TEST_F(Breaker, SixtyFourFailingThreadsOpenItOnce) {
  run_on_threads(64, [&] {
    for (int i = 0; i < 100; ++i)
      if (const auto pass = breaker_.enter()) breaker_.fail(pass);
    return 0L;
  });
  EXPECT_EQ(breaker_.state(), State::open);
  EXPECT_EQ(breaker_.openings(), 1u);
  EXPECT_EQ(passed_of_64(), 0);
}

TEST_F(Breaker, OpensAtTheThresholdAndASuccessBetweenStartsTheCountAgain) {
  for (int i = 0; i < 4; ++i) fail();
  succeed();
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
  std::atomic<int> passed{0};
  const auto probe = one_of_64(passed);
  EXPECT_EQ(passed, 1);
  EXPECT_EQ(passed_of_64(), 0) << "while that one is under way";
  breaker_.succeed(probe);
  EXPECT_EQ(breaker_.state(), State::closed);
  EXPECT_EQ(passed_of_64(), 64);
}

TEST_F(Breaker, ACallFromBeforeTheOpeningThatEndsDuringAProbeDecidesNothing) {
  const auto early = pass(), late = pass();
  open();
  clock_.travel(10s);
  const auto probe = pass();
  breaker_.succeed(early);
  EXPECT_EQ(breaker_.state(), State::half_open) << "it was sent before the server went down";
  EXPECT_EQ(passed_of_64(), 0) << "the probe is still the only one";
  breaker_.fail(late);
  EXPECT_EQ(breaker_.state(), State::half_open);
  EXPECT_EQ(breaker_.openings(), 1u);
  breaker_.succeed(probe);
  EXPECT_EQ(breaker_.state(), State::closed);
}

TEST_F(Breaker, ACallFromBeforeAnOutageThatEndsAfterItCountsForNothing) {
  std::vector<CircuitBreaker::Pass> early;
  for (int i = 0; i < 20; ++i) early.push_back(pass());
  open();
  clock_.travel(10s);
  succeed();
  for (int i = 0; i < 10; ++i) breaker_.fail(early[static_cast<std::size_t>(i)]);
  EXPECT_EQ(breaker_.state(), State::closed);
  for (int i = 0; i < 4; ++i) fail();
  for (int i = 10; i < 20; ++i) breaker_.succeed(early[static_cast<std::size_t>(i)]);
  fail();
  EXPECT_EQ(breaker_.state(), State::open) << "nor does it interrupt a row of failures";
}

TEST_F(Breaker, AfterAResetNothingOfBeforeCounts) {
  for (int i = 0; i < 4; ++i) fail();
  const auto early = pass();
  breaker_.reset();
  breaker_.fail(early);
  for (int i = 0; i < 4; ++i) fail();
  EXPECT_EQ(breaker_.state(), State::closed);
  fail();
  clock_.travel(10s);
  const auto probe = pass();
  breaker_.reset();
  open();
  clock_.travel(10s);
  const auto other = pass();
  breaker_.fail(probe);
  EXPECT_EQ(breaker_.state(), State::half_open);
  EXPECT_EQ(passed_of_64(), 0) << "the other's place is its own";
  breaker_.succeed(other);
  EXPECT_EQ(breaker_.state(), State::closed);
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
  succeed();
  open();
  clock_.travel(10s);
  EXPECT_EQ(breaker_.state(), State::half_open) << "once it was closed, the first pause holds again";
}

TEST(BreakerByTheMachinesClock, ProbesOfManyThatOpenedTogetherComeApartAndNoneLate) {
  std::deque<CircuitBreaker> many;
  for (int i = 0; i < 64; ++i) many.emplace_back(BreakerOptions{.failure_threshold = 1, .timeout = 1s});
  for (CircuitBreaker& one : many) one.fail(one.enter());
  const auto latest = std::chrono::steady_clock::now() + 1s;
  bool came_apart = false;
  std::ptrdiff_t probing = 0;
  while (std::chrono::steady_clock::now() < latest + 1ms) {
    probing = std::ranges::count_if(many, [](auto& one) { return one.state() == CircuitBreaker::State::half_open; });
    came_apart = came_apart || (probing > 0 && probing < 64);
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_TRUE(came_apart);
  probing = std::ranges::count_if(many, [](auto& one) { return one.state() == CircuitBreaker::State::half_open; });
  EXPECT_EQ(probing, 64);
}

TEST_F(Breaker, MayWantSeveralProbesToSucceed) {
  CircuitBreaker careful({.failure_threshold = 1, .timeout = 1s, .close_after = 2, .clock = &clock_});
  careful.fail(careful.enter());
  clock_.travel(1s);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(careful.state(), State::half_open);
    careful.succeed(careful.enter());
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

TEST(BreakerLayer, WhatAReceiverThrowsIsNoFailureAndEndsAProbe) {
  FakeClock clock;
  const auto chaos = make_chaos(make_reference({.clock = &clock}));
  const StorePtr store = make_breaker(chaos, {.failure_threshold = 2, .timeout = 10s, .clock = &clock});
  const auto get = [&] { return store->get(Key("k"), {}, [](const Entry&) {}); };
  const auto throws = [&] { (void)store->get(Key("k"), {}, [](const Entry&) { throw std::logic_error("mine"); }); };
  ASSERT_TRUE(store->put(Key("k"), {.value = {.kind = Kind::integer, .number = 1}}, {}).ok());
  for (int i = 0; i < 5; ++i) EXPECT_THROW(throws(), std::logic_error);
  EXPECT_TRUE(get().ok());
  chaos->set({.fail_rate = 1});
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(get().ok());
  chaos->set({});
  clock.travel(10s);
  EXPECT_THROW(throws(), std::logic_error) << "the probe";
  EXPECT_TRUE(get().ok());
}

// The thread that probes is not in the child, and nobody else would be let in for it.
TEST(BreakerLayer, AChildOfForkThatBeginsDuringAProbeIsLetIn) {
  FakeClock clock;
  const auto chaos = make_chaos(make_reference({.clock = &clock}));
  const StorePtr store = make_breaker(chaos, {.failure_threshold = 2, .timeout = 10s, .clock = &clock});
  const auto get = [&] { return store->get(Key("k"), {}, [](const Entry&) {}); };
  ASSERT_TRUE(store->put(Key("k"), {.value = {.kind = Kind::integer, .number = 1}}, {}).ok());
  chaos->set({.fail_rate = 1});
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(get().ok());
  chaos->set({});
  clock.travel(10s);
  long refused = -1;
  EXPECT_TRUE(store
                  ->get(Key("k"), {},
                        [&](const Entry&) {
                          EXPECT_FALSE(get().ok()) << "one probe at a time";
                          refused = run_in_processes(2, [&] { return get().ok() ? 0 : 1; });
                        })
                  .ok());
  EXPECT_EQ(refused, 0);
  EXPECT_TRUE(get().ok());
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
