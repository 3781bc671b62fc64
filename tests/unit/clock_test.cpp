// clock.hpp: the two lines of time and the way between them.
#include <gtest/gtest.h>
#include <flux/cache/clock.hpp>

namespace flux::cache {
namespace {

using namespace std::chrono_literals;

class FixedClock final : public Clock {
 public:
  Instant now() const noexcept override { return Instant(100s); }
  WallTime wall() const noexcept override { return WallTime(1'000'000s); }
};

TEST(SystemClock, NeverGoesBack) {
  Instant last = system_clock().now();
  for (int i = 0; i < 10'000; ++i) {
    const Instant next = system_clock().now();
    ASSERT_GE(next, last);
    last = next;
  }
}

TEST(SystemClock, TellsTheWallsDate) {
  const auto before = std::chrono::system_clock::now();
  const WallTime wall = system_clock().wall();
  const auto after = std::chrono::system_clock::now();
  EXPECT_GE(wall, std::chrono::time_point_cast<Duration>(before));
  EXPECT_LE(wall, after);
}

TEST(SystemClock, IsOneForTheWholeProcess) { EXPECT_EQ(&system_clock(), &system_clock()); }

TEST(Clock, ADeadlineGoesToTheWallAndBack) {
  const FixedClock clock;
  EXPECT_EQ(clock.to_wall(Instant(160s)), WallTime(1'000'060s));
  EXPECT_EQ(clock.from_wall(WallTime(1'000'060s)), Instant(160s));
}

TEST(Clock, NeverStaysNeverOnBothLines) {
  const FixedClock clock;
  EXPECT_EQ(clock.to_wall(kNever), WallTime::max());
  EXPECT_EQ(clock.from_wall(WallTime::max()), kNever);
}

TEST(After, AddsALengthToAMoment) { EXPECT_EQ(after(Instant(5s), 3s), Instant(8s)); }

TEST(After, SaturatesAtNever) {
  EXPECT_EQ(after(Instant(5s), Duration::max()), kNever);
  EXPECT_EQ(after(kNever, 1s), kNever);
}

}  // namespace
}  // namespace flux::cache
