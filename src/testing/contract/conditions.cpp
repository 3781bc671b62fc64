// Writes and removals under a condition: absent, present, unchanged, and by version.
#include <flux/cache/testing/store_contract.hpp>

#include "anchors.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_conditions() {}

constexpr Duration kLife(2'000'000);
constexpr Duration kGrace(60'000'000);

TEST_P(StoreContract, AddWritesWhereNothingIs) {
  EXPECT_TRUE(add("k", text("first")));
  EXPECT_EQ(got("k"), R"(text "first")");
}

TEST_P(StoreContract, AddLeavesWhatIsThereAsItIs) {
  const TagStamp tags[] = {{"t", 0}};
  put("k", {.value = text("first"), .expiry = in(kLife), .tags = tags, .notes = "n"});
  const auto before = entry("k");
  EXPECT_FALSE(add("k", text("second")));
  const auto after = entry("k");
  ASSERT_TRUE(before && after);
  EXPECT_EQ(show(after->view()), show(before->view()));
  EXPECT_EQ(after->view().expiry, before->view().expiry);
  EXPECT_EQ(after->view().version, before->view().version);
}

TEST_P(StoreContract, AddWritesOverWhatHasExpired) {
  put("k", text("old"), in(kLife));
  advance(kLife);
  EXPECT_TRUE(add("k", text("new")));
  EXPECT_EQ(got("k"), R"(text "new")");
}

TEST_P(StoreContract, AddWritesOverWhatIsKeptPastItsLife) {
  put("k", text("old"), in(kLife, kGrace));
  advance(kLife);
  ASSERT_EQ(stale("k"), R"(text "old")");
  EXPECT_TRUE(add("k", text("new")));
  EXPECT_EQ(got("k"), R"(text "new")");
}

TEST_P(StoreContract, AddWritesOverAPlaceholder) {
  put("k", {.value = {}, .expiry = {now(), after(now(), kGrace)}});
  EXPECT_TRUE(add("k", text("new")));
  EXPECT_EQ(got("k"), R"(text "new")");
}

TEST_P(StoreContract, AddWritesAfterForgetAndPullAndFlush) {
  put("a", text("1")), put("b", text("2")), put("c", text("3"));
  forget("a"), pulled("b");
  EXPECT_TRUE(add("a", text("new")));
  EXPECT_TRUE(add("b", text("new")));
  flush();
  EXPECT_TRUE(add("c", text("new")));
  EXPECT_EQ(got("c"), R"(text "new")");
}

TEST_P(StoreContract, WhenPresentWritesOnlyOverWhatLives) {
  const Write present{.when = When::present};
  EXPECT_FALSE(put("k", text("v"), {}, present));
  EXPECT_EQ(stale("k"), kMiss);
  put("k", text("v"), in(kLife, kGrace));
  EXPECT_TRUE(put("k", text("w"), in(kLife, kGrace), present));
  EXPECT_EQ(got("k"), R"(text "w")");
  advance(kLife);
  EXPECT_FALSE(put("k", text("x"), {}, present));
  EXPECT_EQ(stale("k"), R"(text "w")");
}

TEST_P(StoreContract, WhenUnchangedWritesOverTheVersionThatWasRead) {
  put("k", text("v"));
  EXPECT_TRUE(put("k", text("w"), {}, {When::unchanged, version("k")}));
  EXPECT_EQ(got("k"), R"(text "w")");
}

TEST_P(StoreContract, WhenUnchangedRefusesAnOlderVersion) {
  put("k", text("v"));
  const std::uint64_t old = version("k");
  put("k", text("v"));
  EXPECT_FALSE(put("k", text("late"), {}, {When::unchanged, old}));
  EXPECT_EQ(got("k"), R"(text "v")");
}

TEST_P(StoreContract, WhenUnchangedRefusesWhereNothingIs) {
  put("k", text("v"));
  const std::uint64_t old = version("k");
  forget("k");
  EXPECT_FALSE(put("k", text("late"), {}, {When::unchanged, old}));
  EXPECT_EQ(stale("k"), kMiss);
}

TEST_P(StoreContract, WhenUnchangedRefusesWhatWasForgottenAndPutAgain) {
  put("k", text("v"));
  const std::uint64_t old = version("k");
  forget("k"), put("k", text("v"));
  EXPECT_FALSE(put("k", text("late"), {}, {When::unchanged, old}));
}

TEST_P(StoreContract, WhenUnchangedRefusesWhatWasFlushedAndPutAgain) {
  put("k", text("v"));
  const std::uint64_t old = version("k");
  flush();
  EXPECT_FALSE(put("k", text("late"), {}, {When::unchanged, old}));
  EXPECT_EQ(stale("k"), kMiss);
  put("k", text("v"));
  EXPECT_FALSE(put("k", text("late"), {}, {When::unchanged, old}));
}

TEST_P(StoreContract, WhenUnchangedSeesWhatIsKeptPastItsLife) {
  put("k", text("v"), in(kLife, kGrace));
  const std::uint64_t there = version("k");
  advance(kLife);
  EXPECT_EQ(version("k"), there);
  EXPECT_TRUE(put("k", text("renewed"), {}, {When::unchanged, there}));
  EXPECT_EQ(got("k"), R"(text "renewed")");
}

TEST_P(StoreContract, WhenUnchangedTakesWhatIsNoLongerKeptForAbsent) {
  put("k", text("v"), in(kLife));
  const std::uint64_t there = version("k");
  advance(kLife);
  EXPECT_FALSE(put("k", text("late"), {}, {When::unchanged, there}));
  EXPECT_EQ(stale("k"), kMiss);
}

TEST_P(StoreContract, WhenUnchangedFromVersionZeroWritesOnlyWhereNothingIsKept) {
  const Write from_nothing{When::unchanged, 0};
  EXPECT_TRUE(put("k", text("first"), in(kLife, kGrace), from_nothing));
  EXPECT_FALSE(put("k", text("second"), {}, from_nothing));
  advance(kLife);
  EXPECT_FALSE(put("k", text("second"), {}, from_nothing));
  EXPECT_EQ(stale("k"), R"(text "first")");
  forget("k");
  EXPECT_TRUE(put("k", text("second"), in(kLife), from_nothing));
  advance(kLife);
  EXPECT_TRUE(put("k", text("third"), {}, from_nothing));
  EXPECT_EQ(got("k"), R"(text "third")");
}

TEST_P(StoreContract, ACounterChangesTheVersion) {
  increment("n");
  const std::uint64_t old = version("n");
  increment("n");
  EXPECT_FALSE(put("n", integer(100), {}, {When::unchanged, old}));
  EXPECT_EQ(got("n"), "integer 2");
}

TEST_P(StoreContract, VersionsAreOfTheKeyAndNotOfItsNeighbour) {
  put("a", text("1")), put("b", text("2"));
  const std::uint64_t of_a = version("a"), of_b = version("b");
  put("a", text("1"));
  EXPECT_TRUE(put("b", text("3"), {}, {When::unchanged, of_b}));
  EXPECT_FALSE(put("a", text("3"), {}, {When::unchanged, of_a}));
}

TEST_P(StoreContract, ForgetByVersionRemovesThatVersionAlone) {
  put("k", text("v"));
  const std::uint64_t old = version("k");
  put("k", text("w"));
  EXPECT_FALSE(forget("k", old));
  EXPECT_EQ(got("k"), R"(text "w")");
  EXPECT_TRUE(forget("k", version("k")));
  EXPECT_EQ(stale("k"), kMiss);
}

TEST_P(StoreContract, ForgetByVersionWhereNothingIsAnswersFalse) { EXPECT_FALSE(forget("k", 42)); }

TEST_P(StoreContract, ForgetByVersionRemovesWhatIsKeptPastItsLifeAndAnswersFalse) {
  put("k", text("v"), in(kLife, kGrace));
  const std::uint64_t there = version("k");
  advance(kLife);
  EXPECT_FALSE(forget("k", there + 1));
  EXPECT_EQ(stale("k"), R"(text "v")");
  EXPECT_FALSE(forget("k", there));
  EXPECT_EQ(stale("k"), kMiss);
}

TEST_P(StoreContract, ARefusedWriteChangesNothingElse) {
  put("other", text("o"));
  const std::uint64_t other = version("other");
  put("k", text("v"));
  put("k", text("no"), {}, {.when = When::absent});
  put("k", text("no"), {}, {When::unchanged, version("k") + 1});
  EXPECT_EQ(version("other"), other);
  EXPECT_EQ(got("k"), R"(text "v")");
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
