// What is left to chance: how jitter spreads, and how early what is costly is computed anew. The bounds are so wide
// that a right store fails them less than once in 10^9 runs.
#include <flux/cache/testing/repository_contract.hpp>

#include <array>
#include <cmath>

#include "anchors.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_chance() {}

using namespace std::chrono_literals;

TEST_P(RepositoryContract, JitterIsSpreadEvenly) {
  constexpr int kPuts = 2'000, kBins = 10;
  std::array<int, kBins> bins{};
  for (int i = 0; i < kPuts; ++i) {
    cache().put("k", 1, {.ttl = Ttl(60s), .jitter = 6s});
    const auto left = cache().expires_in("k");
    ASSERT_TRUE(left);
    ASSERT_LE(*left, 60s);
    ASSERT_GE(*left, GetParam().real_time ? 52s : 54s);
    const auto bin = (60s - *left) / (6s / kBins);
    ++bins[static_cast<std::size_t>(std::min<Duration::rep>(bin, kBins - 1))];
  }
  double chi_square = 0;
  for (const int count : bins) chi_square += std::pow(count - kPuts / kBins, 2) / (kPuts / kBins);
  EXPECT_LT(chi_square, 75) << "with 9 degrees of freedom, 10^-9 lies at 63";
}

TEST_P(RepositoryContract, JitterOnTheLongestLifetimesDoesNotOverflow) {
  for (const Ttl life : {Ttl::forever(), Ttl(Duration::max() - 1us), Ttl(std::chrono::hours(24 * 365 * 200'000))})
    for (const Duration jitter : {Duration(6s), Duration::max()}) {
      EXPECT_TRUE(cache().put("k", 1, {.ttl = life, .jitter = jitter}));
      EXPECT_TRUE(cache().has("k"));
      cache().forget("k");
    }
}

// With a second left, a read computes anew with a chance of e^(-1 s / cost).
TEST_P(RepositoryContract, WhatCostsMoreIsComputedAnewEarlier) {
  if (GetParam().real_time) GTEST_SKIP() << "this store cannot take a clock, and the loads here take minutes";
  constexpr int kTrials = 300;
  const Options options{.ttl = Ttl(5h), .beta = 1};
  for (const Duration cost : {Duration(250ms), Duration(1s), Duration(4s)}) {
    const auto key = [&](int i) { return std::to_string(cost.count()) + " " + std::to_string(i); };
    for (int i = 0; i < kTrials; ++i) cache().remember(key(i), options, [&] { return advance(cost), i; });
    // Each lives longer than the one before by one cost.
    advance(5h - kTrials * cost - 1s);
    int early = 0;
    for (int i = 0; i < kTrials; ++i) {
      advance(cost);
      ASSERT_EQ(cache().remember(key(i), options, [&] { return ++early, i; }), i);
    }
    const double chance = std::exp(-1.0 / std::chrono::duration<double>(cost).count());
    EXPECT_NEAR(early, kTrials * chance, 6.5 * std::sqrt(kTrials * chance * (1 - chance)) + 1) << cost.count();
  }
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
