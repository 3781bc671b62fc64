#include <gtest/gtest.h>
#include <flux/cache/testing/crowd.hpp>
#include <flux/cache/testing/fake_clock.hpp>

namespace flux::cache::testing {

using namespace std::chrono_literals;

TEST(FakeClock, StandsStillUntilItIsMoved) {
  const FakeClock clock;
  const Instant before = clock.now();
  EXPECT_EQ(clock.now(), before);
  EXPECT_GT(before, Instant{});
  EXPECT_LT(before, kNever);
}

TEST(FakeClock, ATravelMovesTheLineAndTheWall) {
  FakeClock clock;
  const Instant line = clock.now();
  const WallTime wall = clock.wall();
  clock.travel(59min);
  EXPECT_EQ(clock.now() - line, 59min);
  EXPECT_EQ(clock.wall() - wall, 59min);
}

TEST(FakeClock, AJumpMovesTheWallAlone) {
  FakeClock clock;
  const Instant line = clock.now();
  const WallTime wall = clock.wall();
  clock.jump_wall(-1h);
  EXPECT_EQ(clock.now(), line);
  EXPECT_EQ(clock.wall() - wall, -1h);
}

TEST(FakeClock, TakesTheDateItIsGiven) {
  const WallTime date(Duration(1'700'000'000'000'000));
  EXPECT_EQ(FakeClock(date).wall(), date);
}

TEST(FakeClock, TurnsDeadlinesIntoWallTimeAndBack) {
  FakeClock clock;
  const Instant deadline = clock.now() + 10s;
  EXPECT_EQ(clock.from_wall(clock.to_wall(deadline)), deadline);
  EXPECT_EQ(clock.from_wall(clock.to_wall(kNever)), kNever);
  clock.travel(3s);
  EXPECT_EQ(clock.to_wall(deadline) - clock.wall(), 7s);
}

TEST(FakeClock, TravelsOfManyThreadsAddUp) {
  FakeClock clock;
  const Instant before = clock.now();
  run_on_threads(8, [&] {
    for (int i = 0; i < 1000; ++i) clock.travel(1ms);
  });
  EXPECT_EQ(clock.now() - before, 8s);
}

}  // namespace flux::cache::testing
