#include <flux/cache/clock.hpp>

#include <ctime>
#include <new>

namespace flux::cache {
inline namespace v1 {
namespace {

Duration read(clockid_t which) noexcept {
  timespec time{};
  ::clock_gettime(which, &time);
  return std::chrono::duration_cast<Duration>(std::chrono::seconds(time.tv_sec) +
                                              std::chrono::nanoseconds(time.tv_nsec));
}

class SystemClock final : public Clock {
 public:
  Instant now() const noexcept override { return Instant(read(CLOCK_MONOTONIC)); }
  WallTime wall() const noexcept override { return WallTime(read(CLOCK_REALTIME)); }
};

}  // namespace

const Clock& system_clock() noexcept {
  // Never destroyed: caches may be asked in static destructors.
  alignas(SystemClock) static unsigned char room[sizeof(SystemClock)];
  static const Clock* const clock = new (room) SystemClock;
  return *clock;
}

}  // namespace v1
}  // namespace flux::cache
