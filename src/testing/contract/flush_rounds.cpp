#include "flush_rounds.hpp"

#include <flux/cache/testing/crowd.hpp>

#include <algorithm>
#include <atomic>
#include <thread>

namespace flux::cache {
inline namespace v1 {
namespace testing {
namespace detail {

namespace {

struct alignas(64) Repeater {
  std::atomic<std::int64_t> begun{0};
  std::atomic<std::int64_t> over{0};
  std::atomic<std::int64_t> late{0};  ///< answers of what a flush had ended
};
using Repeaters = std::array<Repeater, kRepeaters>;

Numbers count(const Repeaters& all, std::atomic<std::int64_t> Repeater::*what) {
  Numbers numbers{};
  for (std::size_t i = 0; i < kRepeaters; ++i) numbers[i] = (all[i].*what).load();
  return numbers;
}

void wait_for_one_more(const Repeaters& all, const Numbers& begun) {
  for (std::size_t i = 0; i < kRepeaters; ++i)
    while (all[i].over.load() <= begun[i]) std::this_thread::yield();
}

/// Where the put and the flush are quicker than the operation, it would never find what was put: so most flushes wait
/// until one has begun since, and some a little longer.
void let_one_begin(const Repeaters& all, int round) {
  if (round % 3 == 0) return;
  const Repeater& one = all[static_cast<std::size_t>(round / 3) % kRepeaters];
  const std::int64_t begun = one.begun.load();
  while (one.begun.load() == begun) std::this_thread::yield();
  if (round % 3 == 1) std::this_thread::yield();
}

}  // namespace

std::int64_t AroundFlush::most() const {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < kRepeaters; ++i) sum += begun_by_look[i] - over_before[i];
  return sum;
}

std::int64_t AroundFlush::least() const {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < kRepeaters; ++i) sum += std::max<std::int64_t>(0, over_by_look[i] - begun_by_end[i]);
  return sum;
}

std::string FlushRounds::run(int rounds) const {
  Repeaters repeaters;
  std::atomic<std::int64_t> phase{0};  // odd from the end of a flush to the next put
  std::atomic<bool> stop{false};
  std::string first;
  int wrong = 0;

  const auto look_at = [&](AroundFlush& around, int round, const char* when) {
    around.over_by_look = count(repeaters, &Repeater::over);
    const std::string seen = look();
    around.begun_by_look = count(repeaters, &Repeater::begun);
    if (is_right(seen, around)) return;
    if (wrong++ == 0)
      first = seen + " in round " + std::to_string(round) + ", " + when + ", where between " +
              std::to_string(around.least()) + " and " + std::to_string(around.most()) + " operations count";
  };
  run_on_threads(static_cast<int>(kRepeaters) + 1, [&](int thread) {
    if (thread > 0) {
      const auto i = static_cast<std::size_t>(thread - 1);
      Repeater& me = repeaters[i];
      while (!stop.load()) {
        const std::int64_t before = phase.load();
        const bool found = repeat(i, ++me.begun);
        if (found && before % 2 == 1 && phase.load() == before) ++me.late;
        ++me.over;
        std::this_thread::yield();  // or on few cores nobody else gets on
      }
      return;
    }
    for (int round = 0; round < rounds; ++round) {
      AroundFlush around;
      put(round);
      let_one_begin(repeaters, round);
      around.over_before = count(repeaters, &Repeater::over);
      flush(round);
      around.begun_by_end = count(repeaters, &Repeater::begun);
      ++phase;
      look_at(around, round, "at once");
      wait_for_one_more(repeaters, around.begun_by_end);
      look_at(around, round, "when all was over");
      ++phase;
    }
    stop.store(true);
  });

  std::string report;
  if (wrong > 0) report = "wrong in " + std::to_string(wrong) + " looks: " + first;
  std::int64_t late = 0;
  for (const Repeater& one : repeaters) late += one.late.load();
  if (late > 0) report += (report.empty() ? "" : "; ") + std::to_string(late) + " operations found what was flushed";
  return report;
}

}  // namespace detail
}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
