// What comes and goes leaves nothing behind: no entries, no rules of tags, no memory.
//
// FLUX_TEST_GROWTH_CYCLES=1000000 makes it the long run.
#include <flux/cache/testing/repository_contract.hpp>

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "anchors.hpp"
#include "sanitized.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_growth() {}

using namespace std::chrono_literals;

namespace {

constexpr long kShort = kSanitized ? 500 : 2'000;
constexpr long kBatch = 250;

long cycles() {
  const char* const asked = std::getenv("FLUX_TEST_GROWTH_CYCLES");
  return asked != nullptr ? std::max(std::atol(asked), kShort) : kShort;
}

/// What a store holds: the entries of all spaces with the length of what stands in them.
struct Holdings {
  long entries = 0;
  long bytes = 0;
};

Holdings holdings(const Repository& cache) {
  while (cache.prune(100'000).value_or(0) > 0) {
  }
  Holdings all;
  for (const Space space : {Space::values, Space::tags, Space::locks, Space::limits})
    (void)cache.store()->scan(space, [&](std::string_view key, const Entry& entry) {
      ++all.entries;
      all.bytes += static_cast<long>(key.size() + entry.value.text.size() + entry.notes.size());
      return true;
    });
  return all;
}

long resident_bytes() {
  long total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

/// Runs the cycles, and compares what is held after the first tenth with what is held at the end, each time once
/// `end_lives` has let pass what lives.
template <class Cycle, class EndLives>
void expect_no_growth(const Repository& cache, Cycle cycle, EndLives end_lives) {
  const long all = cycles();
  Holdings early;
  long resident = 0;
  for (long i = 0; i < all; ++i) {
    if (i == all / 10) end_lives(), early = holdings(cache), resident = resident_bytes();
    cycle(i);
  }
  end_lives();
  const Holdings late = holdings(cache);
  EXPECT_LE(late.entries, early.entries + 10);
  EXPECT_LE(late.bytes, early.bytes + 4'096);
  if (!kSanitized) {
    EXPECT_LE(resident_bytes() - resident, 16L << 20) << "of " << resident;
  }
}

}  // namespace

TEST_P(RepositoryContract, WhatIsPutUnderTagsAndExpiresLeavesNothing) {
  if (GetParam().real_time) GTEST_SKIP() << "needs a clock that can be set";
  expect_no_growth(
      cache(),
      [&](long i) {
        const std::string tag = "tag " + std::to_string(i % 10);
        ASSERT_TRUE(cache().tags({tag, "all"}).put("k" + std::to_string(i), i, 1s));
        if (i % kBatch == 0) {
          advance(1s);
          (void)cache().prune(10 * kBatch);
        }
      },
      [&] { advance(1s); });
}

TEST_P(RepositoryContract, FlushesOfOneTagLeaveNothing) {
  expect_no_growth(
      cache(),
      [&](long i) {
        if (i % kBatch == 0) cache().tags({"red"}).put("k", i, 60s);
        ASSERT_TRUE(cache().tags({"red"}).flush());
      },
      [] {});
  EXPECT_FALSE(cache().has("k"));
}

TEST_P(RepositoryContract, FlushesOfTagsTogetherLeaveABoundedList) {
  expect_no_growth(
      cache(),
      [&](long i) {
        const TagSet both = cache().tags({"red", i % 2 == 0 ? "blue" : "green"});
        if (i % kBatch == 0) both.put("k", i, 60s);
        ASSERT_TRUE(both.flush());
      },
      [] {});
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
