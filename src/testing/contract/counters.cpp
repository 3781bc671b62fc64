// Counters: exact, with their lifetime kept, and refused where there is no number.
#include <flux/cache/testing/store_contract.hpp>

#include <limits>

#include "anchors.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_counters() {}

using namespace std::chrono_literals;

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();

TEST_P(StoreContract, WhatIsMissingCountsFromZero) {
  EXPECT_EQ(increment("n", 5), 5);
  EXPECT_EQ(increment("down", -3), -3);
  EXPECT_EQ(increment("none", 0), 0);
  EXPECT_EQ(got("n"), "integer 5");
  EXPECT_EQ(got("none"), "integer 0");
}

TEST_P(StoreContract, ACounterGoesUpAndDownAndBelowZero) {
  EXPECT_EQ(increment("n", 2), 2);
  EXPECT_EQ(increment("n", -1), 1);
  EXPECT_EQ(increment("n", -1), 0);
  EXPECT_EQ(increment("n", -1), -1);
  EXPECT_EQ(increment("n", -10), -11);
  EXPECT_EQ(got("n"), "integer -11");
}

TEST_P(StoreContract, AnIntegerThatWasPutCounts) {
  put("n", integer(5));
  EXPECT_EQ(increment("n"), 6);
  EXPECT_EQ(got("n"), "integer 6");
}

TEST_P(StoreContract, TextThatIsAnIntegerCounts) {
  put("n", text("7"));
  EXPECT_EQ(increment("n"), 8);
  EXPECT_EQ(got("n"), "integer 8");
  put("n", text("-9223372036854775808"));
  EXPECT_EQ(increment("n"), kLeast + 1);
}

TEST_P(StoreContract, AnythingElseIsNotANumberAndStaysAsItIs) {
  for (const char* const text_there : {"", "abc", "1.5", "7x", " 7", "7 ", "--1", "0x10", "1e3"}) {
    put("n", text(text_there), in(60s));
    const std::uint64_t before = version("n");
    const auto answer = store().increment(Key("n"), 1, {});
    ASSERT_FALSE(answer.ok()) << text_there;
    EXPECT_EQ(answer.error().code, Errc::not_a_number) << text_there;
    EXPECT_EQ(got("n"), show(text(text_there)));
    EXPECT_EQ(version("n"), before);
  }
}

TEST_P(StoreContract, BytesAreNotANumber) {
  FLUX_CACHE_SKIP_UNLESS(!traits().objects, "encoded bytes are for stores below the border");
  put("n", bytes("7"));
  const auto answer = store().increment(Key("n"), 1, {});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Errc::not_a_number);
  EXPECT_EQ(got("n"), show(bytes("7")));
}

TEST_P(StoreContract, ACounterAtItsLimitOverflowsAndStays) {
  for (const auto& [there, by] :
       {std::pair{kMost, std::int64_t{1}}, {kMost - 5, kMost}, {kLeast, std::int64_t{-1}}, {kLeast + 5, kLeast}}) {
    put("n", integer(there));
    const auto answer = store().increment(Key("n"), by, {});
    ASSERT_FALSE(answer.ok()) << there << " and " << by;
    EXPECT_EQ(answer.error().code, Errc::overflow);
    EXPECT_EQ(got("n"), show(integer(there)));
  }
}

TEST_P(StoreContract, ACounterReachesItsLimits) {
  put("n", integer(kMost - 1));
  EXPECT_EQ(increment("n"), kMost);
  put("n", integer(kLeast + 1));
  EXPECT_EQ(increment("n", -1), kLeast);
  EXPECT_EQ(increment("new", kMost), kMost);
  EXPECT_EQ(increment("newest", kLeast), kLeast);
}

TEST_P(StoreContract, TextBeyondTheRangeOverflows) {
  for (const char* const beyond : {"9223372036854775807", "9223372036854775808", "99999999999999999999999"}) {
    put("n", text(beyond));
    const auto answer = store().increment(Key("n"), 1, {});
    ASSERT_FALSE(answer.ok()) << beyond;
    EXPECT_EQ(answer.error().code, Errc::overflow);
    EXPECT_EQ(got("n"), show(text(beyond)));
  }
}

TEST_P(StoreContract, AnIntegerAboveTheSignedRangeOverflows) {
  put("n", unsigned_integer(std::uint64_t{1} << 63));
  const auto answer = store().increment(Key("n"), -1, {});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Errc::overflow);
  EXPECT_EQ(got("n"), "unsigned 9223372036854775808");
}

TEST_P(StoreContract, ACounterKeepsTheLifeItHas) {
  put("n", integer(1), in(3s));
  advance(1s);
  EXPECT_EQ(increment("n", 1, in(1000s)), 2);
  advance(2s);
  EXPECT_EQ(got("n"), kMiss);
}

TEST_P(StoreContract, ANewCounterTakesTheLifeOfTheCall) {
  EXPECT_EQ(increment("n", 1, in(1s)), 1);
  EXPECT_EQ(increment("n", 1), 2);
  advance(1s);
  EXPECT_EQ(got("n"), kMiss);
}

TEST_P(StoreContract, AnExpiredCounterStartsAgain) {
  EXPECT_EQ(increment("n", 7, in(1s)), 7);
  advance(1s);
  EXPECT_EQ(increment("n", 1, in(60s)), 1);
  EXPECT_EQ(got("n"), "integer 1");
}

TEST_P(StoreContract, ACounterThatIsKeptPastItsLifeStartsAgain) {
  put("n", integer(7), in(1s, 100s));
  advance(1s);
  EXPECT_EQ(increment("n"), 1);
  EXPECT_EQ(got("n"), "integer 1");
}

TEST_P(StoreContract, TextThatHasExpiredIsNoObstacleToACounter) {
  put("n", text("abc"), in(1s, 100s));
  advance(1s);
  EXPECT_EQ(increment("n"), 1);
}

TEST_P(StoreContract, AnEndlessCounterStaysEndless) {
  increment("n");
  EXPECT_EQ(increment("n", 1, in(1s)), 2);
  advance(2s);
  EXPECT_EQ(got("n"), "integer 2");
}

TEST_P(StoreContract, ACounterKeepsItsTagsAndNotes) {
  const TagStamp tags[] = {{"t", 0}};
  put("n", {.value = integer(1), .tags = tags, .notes = "noted"});
  const auto before = entry("n");
  increment("n");
  const auto after = entry("n");
  ASSERT_TRUE(before && after);
  ASSERT_EQ(after->view().tags.size(), 1u);
  EXPECT_EQ(after->view().tags[0].name, "t");
  EXPECT_EQ(after->view().tags[0].epoch, before->view().tags[0].epoch);
  EXPECT_EQ(after->view().notes, "noted");
}

TEST_P(StoreContract, ANewCounterTakesTheTagsAndNotesOfTheCall) {
  const TagStamp tags[] = {{"t", 0}};
  const auto answer = store().increment(Key("n"), 4, {.tags = tags, .notes = "noted"});
  ASSERT_TRUE(answer.ok());
  const auto there = entry("n");
  ASSERT_TRUE(there);
  ASSERT_EQ(there->view().tags.size(), 1u);
  EXPECT_EQ(there->view().tags[0].name, "t");
  EXPECT_EQ(there->view().notes, "noted");
  EXPECT_EQ(show(there->view().value), "integer 4");
}

TEST_P(StoreContract, APutOverACounterIsWhatCountsOn) {
  increment("n", 10);
  put("n", integer(100));
  EXPECT_EQ(increment("n"), 101);
  put("n", text("abc"));
  EXPECT_EQ(got("n"), R"(text "abc")");
}

TEST_P(StoreContract, AForgottenCounterStartsAgain) {
  increment("n", 10);
  forget("n");
  EXPECT_EQ(increment("n"), 1);
  flush();
  EXPECT_EQ(increment("n"), 1);
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
