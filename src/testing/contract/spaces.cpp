// The four spaces are apart; flush empties the values alone, of this store alone.
#include <flux/cache/testing/store_contract.hpp>

#include <array>

#include "anchors.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_spaces() {}

using namespace std::chrono_literals;

constexpr std::array kSpaces{Space::values, Space::tags, Space::locks, Space::limits};

TEST_P(StoreContract, TheSameTextInFourSpacesIsFourEntries) {
  for (std::size_t i = 0; i < kSpaces.size(); ++i) put({"k", kSpaces[i]}, integer(static_cast<std::int64_t>(i)));
  for (std::size_t i = 0; i < kSpaces.size(); ++i) EXPECT_EQ(got({"k", kSpaces[i]}), "integer " + std::to_string(i));
  EXPECT_TRUE(forget({"k", Space::tags}));
  EXPECT_FALSE(has({"k", Space::tags}));
  for (const Space space : {Space::values, Space::locks, Space::limits}) EXPECT_TRUE(has({"k", space}));
}

TEST_P(StoreContract, ASpaceCannotBeReachedByAKeyOfAnother) {
  put({"k", Space::locks}, text("lock"));
  for (const char* const key : {"k", "locks:k", "locks/k", "lock:k", "2k", "2:k", "l:k"})
    EXPECT_EQ(got({key, Space::values}), kMiss);
  for (const char* const odd : {"locks:k", "tags:k", "limits:k", "t:k", "1k"}) {
    put({odd, Space::values}, text("value"));
    for (const Space space : {Space::tags, Space::locks, Space::limits}) EXPECT_EQ(got({odd, space}), kMiss);
  }
  EXPECT_EQ(got({"k", Space::locks}), R"(text "lock")");
}

TEST_P(StoreContract, EachOperationStaysInItsSpace) {
  put({"k", Space::values}, integer(1));
  EXPECT_FALSE(has({"k", Space::limits}));
  EXPECT_EQ(increment({"k", Space::limits}, 10, in(60s)), 10);
  EXPECT_TRUE(add({"k", Space::locks}, text("owner")));
  EXPECT_FALSE(touch({"k", Space::tags}, in(60s)));
  EXPECT_EQ(pulled({"k", Space::tags}), kMiss);
  EXPECT_EQ(pulled({"k", Space::locks}), R"(text "owner")");
  EXPECT_EQ(got({"k", Space::values}), "integer 1");
  EXPECT_EQ(got({"k", Space::limits}), "integer 10");
}

TEST_P(StoreContract, FlushEmptiesTheValues) {
  for (int i = 0; i < 100; ++i) put("k" + std::to_string(i), text("v"), i % 2 == 0 ? Expiry{} : in(60s, 60s));
  flush();
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(stale("k" + std::to_string(i)), kMiss);
    EXPECT_FALSE(has("k" + std::to_string(i)));
    EXPECT_FALSE(forget("k" + std::to_string(i)));
  }
  if (const auto listed = list()) {
    EXPECT_TRUE(listed->empty());
  }
}

TEST_P(StoreContract, FlushLeavesTagsLocksAndLimitsAlone) {
  for (const Space space : kSpaces) put({"k", space}, text("v"));
  flush();
  EXPECT_FALSE(has({"k", Space::values}));
  for (const Space space : {Space::tags, Space::locks, Space::limits}) EXPECT_EQ(got({"k", space}), R"(text "v")");
}

TEST_P(StoreContract, FlushTakesWhatIsKeptPastItsLife) {
  put("k", text("v"), in(1s, 100s));
  advance(1s);
  flush();
  EXPECT_EQ(stale("k"), kMiss);
}

TEST_P(StoreContract, FlushOfAnEmptyStoreIsNoError) {
  flush(), flush();
  EXPECT_EQ(got("k"), kMiss);
}

TEST_P(StoreContract, WhatIsPutAfterAFlushIsThere) {
  for (int round = 0; round < 20; ++round) {
    put("k", integer(round));
    flush();
    EXPECT_EQ(got("k"), kMiss);
    put("k", integer(round + 100));
    EXPECT_EQ(got("k"), "integer " + std::to_string(round + 100));
  }
}

TEST_P(StoreContract, FlushDoesNotReachAnotherStore) {
  const StoreProbe other(GetParam().make(clock()));
  ASSERT_TRUE(other.share());
  put("k", text("mine"));
  if (other.got("k") != kMiss)
    GTEST_SKIP() << "make answers the same entries again; the prefix is the store's own test";
  other.put("k", text("theirs"));
  flush();
  EXPECT_EQ(other.got("k"), R"(text "theirs")");
}

TEST_P(StoreContract, FlushOfTagsIsRefusedWhereTheTraitsSaySo) {
  FLUX_CACHE_SKIP_UNLESS(!traits().tags, "this store flushes tags itself");
  put("k", text("v"));
  const std::string_view tags[] = {"t"};
  for (const bool any : {false, true}) {
    const auto answer = store().flush({tags, any});
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code, Errc::unsupported);
  }
  EXPECT_TRUE(has("k"));
}

TEST_P(StoreContract, ScanListsTheKeptEntriesOfOneSpace) {
  if (!list()) GTEST_SKIP() << "this store cannot list its entries, and says so";
  put("a", text("1")), put("b", integer(2)), put("kept", text("3"), in(1s, 100s)), put("dead", text("4"), in(1s));
  put({"lock", Space::locks}, text("5"));
  advance(1s);
  using Row = std::pair<std::string, std::string>;
  EXPECT_EQ(*list(), (std::vector<Row>{{"a", raw("a")}, {"b", "integer 2"}, {"kept", raw("kept")}}));
  EXPECT_EQ(*list(Space::locks), (std::vector<Row>{{"lock", raw({"lock", Space::locks})}}));
  EXPECT_TRUE(list(Space::tags)->empty());
}

TEST_P(StoreContract, ScanEndsWhereItsVisitorSaysSo) {
  if (!list()) GTEST_SKIP() << "this store cannot list its entries, and says so";
  for (int i = 0; i < 10; ++i) put("k" + std::to_string(i), text("v"));
  int visits = 0;
  EXPECT_TRUE(store().scan(Space::values, [&](std::string_view, const Entry&) { return ++visits < 3; }).ok());
  EXPECT_EQ(visits, 3);
}

TEST_P(StoreContract, ScanListsThousandsEachOnce) {
  if (!list()) GTEST_SKIP() << "this store cannot list its entries, and says so";
  for (int i = 0; i < 3000; ++i) put("k" + std::to_string(i), integer(i));
  const auto all = list();
  ASSERT_EQ(all->size(), 3000u);
  for (std::size_t i = 1; i < all->size(); ++i) ASSERT_NE((*all)[i - 1].first, (*all)[i].first);
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
