// Lifetimes: fresh, kept, gone; touch; and what a moving wall clock may do.
#include <flux/cache/testing/store_contract.hpp>

#include "anchors.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_lifetimes() {}

using namespace std::chrono_literals;

constexpr const char* kExact = "this store takes no clock, so exact moments cannot be reached";

TEST_P(StoreContract, AnEntryLivesUntilItsDeadlineAndIsGoneAtIt) {
  FLUX_CACHE_SKIP_UNLESS(!GetParam().real_time, kExact);
  put("k", text("v"), in(2s));
  advance(2s - grain());
  EXPECT_EQ(got("k"), R"(text "v")");
  EXPECT_TRUE(has("k"));
  advance(grain());
  EXPECT_EQ(got("k"), kMiss);
  EXPECT_FALSE(has("k"));
}

TEST_P(StoreContract, AnExpiredEntryIsAMiss) {
  put("k", text("v"), in(1s));
  advance(1s);
  EXPECT_EQ(got("k"), kMiss);
  EXPECT_EQ(stale("k"), kMiss);
  EXPECT_FALSE(has("k"));
  EXPECT_EQ(pulled("k"), kMiss);
  EXPECT_FALSE(touch("k", in(10s)));
  EXPECT_FALSE(forget("k"));
  EXPECT_EQ(got("k"), kMiss);
}

TEST_P(StoreContract, AMillisecondOfLifeIsKept) {
  FLUX_CACHE_SKIP_UNLESS(!GetParam().real_time, kExact);
  FLUX_CACHE_SKIP_UNLESS(grain() <= 1ms, "the grain of this store is coarser");
  put("k", text("v"), in(1ms));
  EXPECT_TRUE(has("k"));
  advance(1ms);
  EXPECT_FALSE(has("k"));
}

TEST_P(StoreContract, WithoutADeadlineAnEntryIsThereAfterAHundredYears) {
  FLUX_CACHE_SKIP_UNLESS(!GetParam().real_time, kExact);
  put("k", text("v"));
  advance(std::chrono::years(100));
  EXPECT_EQ(got("k"), R"(text "v")");
  prune();
  EXPECT_EQ(got("k"), R"(text "v")");
}

TEST_P(StoreContract, ADeadlineOfAHundredYearsIsNoOverflow) {
  FLUX_CACHE_SKIP_UNLESS(!GetParam().real_time, kExact);
  const Duration century = std::chrono::years(100);
  put("k", text("v"), in(century));
  EXPECT_TRUE(has("k"));
  advance(century - 1s);
  EXPECT_TRUE(has("k"));
  advance(1s);
  EXPECT_FALSE(has("k"));
}

TEST_P(StoreContract, ThirtyOneDaysAreNotAMomentInThePast) {
  put("k", text("v"), in(std::chrono::days(31)));
  EXPECT_TRUE(has("k"));
}

TEST_P(StoreContract, TheDeadlinesComeBackAsTheyWerePut) {
  const Expiry expiry = in(10s, 20s);
  put("k", text("v"), expiry);
  const auto there = entry("k");
  ASSERT_TRUE(there);
  const Duration slack = GetParam().real_time ? Duration(100ms) : grain() - Duration(1);
  EXPECT_LE(std::chrono::abs(there->view().expiry.fresh_until - expiry.fresh_until), slack);
  EXPECT_LE(std::chrono::abs(there->view().expiry.keep_until - expiry.keep_until), slack);
}

TEST_P(StoreContract, ADeadlineThatNeverComesComesBackAsNever) {
  put("k", text("v"));
  put("kept", text("v"), {.fresh_until = in(10s).fresh_until, .keep_until = kNever});
  const auto there = entry("k"), kept = entry("kept");
  ASSERT_TRUE(there && kept);
  EXPECT_EQ(there->view().expiry, Expiry{});
  EXPECT_EQ(kept->view().expiry.keep_until, kNever);
  EXPECT_NE(kept->view().expiry.fresh_until, kNever);
}

TEST_P(StoreContract, PastItsLifeAnEntryIsKeptForStaleReadsAlone) {
  put("k", text("v"), in(2s, 100s));
  advance(2s);
  EXPECT_EQ(stale("k"), R"(text "v")");
  EXPECT_EQ(got("k"), kMiss);
  EXPECT_FALSE(has("k"));
  EXPECT_EQ(got_many({"k"}), std::vector<std::string>{std::string(kMiss)});
  EXPECT_EQ(got_many({"k"}, true), std::vector<std::string>{R"(text "v")"});
  EXPECT_FALSE(touch("k", in(100s)));
  EXPECT_EQ(pulled("k"), kMiss);
  EXPECT_FALSE(has("k"));
}

TEST_P(StoreContract, PullGoesByTheLifeHoweverItReadsAndRemovesWhatIsKept) {
  put("k", text("v"), in(2s, 100s));
  advance(2s);
  const auto there = store().pull(Key("k"), {.stale = true}, [](const Entry&) {});
  ASSERT_TRUE(there.ok()) << there.error().to_string();
  EXPECT_FALSE(*there);
  EXPECT_EQ(stale("k"), kMiss);
}

TEST_P(StoreContract, WhatIsKeptGoesAtItsSecondDeadline) {
  FLUX_CACHE_SKIP_UNLESS(!GetParam().real_time, kExact);
  put("k", text("v"), in(2s, 3s));
  advance(5s - grain());
  EXPECT_EQ(stale("k"), R"(text "v")");
  advance(grain());
  EXPECT_EQ(stale("k"), kMiss);
}

TEST_P(StoreContract, ForgettingWhatIsKeptRemovesItAndAnswersFalse) {
  put("k", text("v"), in(1s, 100s));
  advance(1s);
  EXPECT_FALSE(forget("k"));
  EXPECT_EQ(stale("k"), kMiss);
}

TEST_P(StoreContract, ForgettingManyCountsOnlyWhatLivedAndRemovesTheRest) {
  put("dying", text("v"), in(1s, 100s)), put("alive", text("v"));
  advance(1s);
  EXPECT_EQ(forget_many({"dying", "alive"}), 1u);
  EXPECT_EQ(stale("dying"), kMiss);
}

TEST_P(StoreContract, APlaceholderIsSeenByStaleReadsAlone) {
  put("k", {.value = {}, .expiry = {now(), in(100s).fresh_until}, .notes = "being loaded"});
  EXPECT_EQ(got("k"), kMiss);
  EXPECT_FALSE(has("k"));
  EXPECT_FALSE(touch("k", {}));
  const auto there = entry("k", true);
  ASSERT_TRUE(there);
  EXPECT_EQ(there->view().value.kind, Kind::none);
  EXPECT_EQ(there->view().notes, "being loaded");
  EXPECT_EQ(increment("k", 5), 5);
}

TEST_P(StoreContract, AnEntryWhoseLifeIsOverReplacesWhatWasThere) {
  put("k", text("old"));
  put("k", text("late"), Expiry::at(now()));
  EXPECT_EQ(got("k"), kMiss);
  EXPECT_EQ(stale("k"), kMiss);
  put("k", text("old"));
  put("k", text("late"), Expiry::at(now() - 5s));
  EXPECT_EQ(stale("k"), kMiss);
}

TEST_P(StoreContract, TouchLengthensALife) {
  put("k", text("v"), in(2s));
  EXPECT_TRUE(touch("k", in(60s)));
  advance(3s);
  EXPECT_EQ(got("k"), R"(text "v")");
}

TEST_P(StoreContract, TouchShortensALife) {
  put("k", text("v"));
  EXPECT_TRUE(touch("k", in(1s)));
  EXPECT_TRUE(has("k"));
  advance(1s);
  EXPECT_FALSE(has("k"));
}

TEST_P(StoreContract, TouchMakesALifeEndless) {
  put("k", text("v"), in(2s));
  EXPECT_TRUE(touch("k", {}));
  advance(3s);
  EXPECT_TRUE(has("k"));
}

TEST_P(StoreContract, TouchWithAMomentInThePastRemoves) {
  put("k", text("v"));
  ASSERT_TRUE(store().touch(Key("k"), Expiry::at(now())).ok());
  EXPECT_EQ(stale("k"), kMiss);
}

TEST_P(StoreContract, TouchLeavesValueTagsAndNotesAsTheyWere) {
  const TagStamp tags[] = {{"a", 0}, {"b", 0}};
  put("k", {.value = text("v"), .expiry = in(2s), .tags = tags, .notes = "n"});
  const auto before = entry("k");
  EXPECT_TRUE(touch("k", in(60s)));
  const auto after = entry("k");
  ASSERT_TRUE(before && after);
  EXPECT_EQ(show(after->view()), show(before->view()));
}

TEST_P(StoreContract, TouchAnswersFalseWhereNothingLives) {
  EXPECT_FALSE(touch("k", in(60s)));
  EXPECT_EQ(stale("k"), kMiss);
}

TEST_P(StoreContract, TouchRevivesNothing) {
  put("gone", text("v"), in(1s)), put("kept", text("v"), in(1s, 100s));
  advance(1s);
  EXPECT_FALSE(touch("gone", in(60s)));
  EXPECT_FALSE(touch("kept", in(60s)));
  EXPECT_FALSE(has("gone"));
  EXPECT_FALSE(has("kept"));
}

TEST_P(StoreContract, PruneLeavesWhatIsKeptAndTakesWhatIsNot) {
  for (int i = 0; i < 20; ++i) put("dead" + std::to_string(i), text("v"), in(1s));
  for (int i = 0; i < 5; ++i) put("kept" + std::to_string(i), text("v"), in(1s, 1000s));
  for (int i = 0; i < 5; ++i) put("alive" + std::to_string(i), text("v"));
  advance(1s);
  EXPECT_LE(prune(), 20u);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(stale("dead" + std::to_string(i)), kMiss);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(stale("kept" + std::to_string(i)), R"(text "v")");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(got("alive" + std::to_string(i)), R"(text "v")");
}

TEST_P(StoreContract, AWallThatGoesBackDoesNotLengthenLives) {
  FLUX_CACHE_SKIP_UNLESS(!GetParam().real_time, kExact);
  FLUX_CACHE_SKIP_UNLESS(!traits().persistent && !traits().shared, "entries that outlive the process go by the wall");
  put("k", text("v"), in(2s));
  jump_wall(-1h);
  advance(2s - grain());
  EXPECT_TRUE(has("k"));
  advance(grain());
  EXPECT_FALSE(has("k"));
}

TEST_P(StoreContract, AWallThatGoesForwardDoesNotShortenLives) {
  FLUX_CACHE_SKIP_UNLESS(!GetParam().real_time, kExact);
  FLUX_CACHE_SKIP_UNLESS(!traits().persistent && !traits().shared, "entries that outlive the process go by the wall");
  put("k", text("v"), in(2s));
  jump_wall(24h);
  EXPECT_TRUE(has("k"));
  advance(2s);
  EXPECT_FALSE(has("k"));
}

TEST_P(StoreContract, AWallThatGoesForwardEndsWhatOutlivesTheProcess) {
  FLUX_CACHE_SKIP_UNLESS(!GetParam().real_time, kExact);
  FLUX_CACHE_SKIP_UNLESS(traits().persistent || traits().shared, "entries that end with the process have no wall");
  FLUX_CACHE_SKIP_UNLESS(!traits().objects, "a store of objects may have a part that ends with the process");
  put("short", text("v"), in(1h)), put("long", text("v"), in(48h)), put("endless", text("v"));
  jump_wall(24h);
  EXPECT_EQ(got("short"), kMiss);
  EXPECT_FALSE(has("short"));
  EXPECT_EQ(stale("short"), kMiss);
  const auto there = entry("long");
  ASSERT_TRUE(there);
  EXPECT_GT(there->view().expiry.fresh_until, now());
  EXPECT_LE(there->view().expiry.fresh_until, now() + 24h);
  EXPECT_TRUE(has("endless"));
  put("short", text("w"), in(1h));
  EXPECT_EQ(got("short"), R"(text "w")");
}

TEST_P(StoreContract, AWallThatGoesForwardEndsNoEndlessLife) {
  FLUX_CACHE_SKIP_UNLESS(!GetParam().real_time, kExact);
  put("k", text("v"));
  jump_wall(std::chrono::years(50));
  EXPECT_EQ(got("k"), R"(text "v")");
  jump_wall(-std::chrono::years(60));
  EXPECT_EQ(got("k"), R"(text "v")");
  const auto there = entry("k");
  ASSERT_TRUE(there);
  EXPECT_EQ(there->view().expiry, Expiry{});
}

TEST_P(StoreContract, AWallThatJumpsLeavesWhatIsPutAfterwardsInOrder) {
  FLUX_CACHE_SKIP_UNLESS(!GetParam().real_time, kExact);
  for (const Duration jump : {Duration(24h), Duration(-48h)}) {
    jump_wall(jump);
    put("k", text("v"), in(2s));
    advance(2s - grain());
    EXPECT_TRUE(has("k"));
    advance(grain());
    EXPECT_FALSE(has("k"));
  }
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
