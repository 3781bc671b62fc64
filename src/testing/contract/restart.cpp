// Another instance on the same entries: what a restart finds, and what a second process sees.
#include <flux/cache/testing/store_contract.hpp>

#include <limits>

#include "anchors.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_restart() {}

using namespace std::chrono_literals;

constexpr const char* kAlone = "no second instance sees the entries of this store";

#define FLUX_CACHE_SECOND(name)   \
  const StoreProbe name(again()); \
  FLUX_CACHE_SKIP_UNLESS(name.share() != nullptr, kAlone)

TEST_P(StoreContract, WhatOneInstanceWritesAnotherReads) {
  FLUX_CACHE_SECOND(second);
  const TagStamp tags[] = {{"t", 0}, {"u", 0}};
  put("text", {.value = text("v"), .expiry = in(60s, 60s), .tags = tags, .notes = "n"});
  put("number", integer(std::numeric_limits<std::int64_t>::min()));
  put("above", unsigned_integer(std::numeric_limits<std::uint64_t>::max()));
  put("binary", text(std::string_view("\0\r\n\xff", 4)));
  put({"owner", Space::locks}, text("me"));
  const auto here = entry("text"), there = second.entry("text");
  ASSERT_TRUE(here && there);
  EXPECT_EQ(show(there->view()), show(here->view()));
  EXPECT_EQ(there->view().expiry, here->view().expiry);
  EXPECT_EQ(there->view().version, here->view().version);
  EXPECT_EQ(second.got("number"), got("number"));
  EXPECT_EQ(second.got("above"), got("above"));
  EXPECT_EQ(second.got("binary"), got("binary"));
  EXPECT_EQ(second.got({"owner", Space::locks}), R"(text "me")");
}

TEST_P(StoreContract, WhatOneInstanceChangesAnotherSees) {
  FLUX_CACHE_SECOND(second);
  put("k", text("v"));
  EXPECT_EQ(second.got("k"), R"(text "v")");
  EXPECT_FALSE(second.add("k", text("w")));
  second.put("k", text("w"));
  EXPECT_EQ(got("k"), R"(text "w")");
  EXPECT_TRUE(second.forget("k"));
  EXPECT_EQ(got("k"), kMiss);
  EXPECT_EQ(second.increment("n", 2), 2);
  EXPECT_EQ(increment("n", 3), 5);
  EXPECT_EQ(second.increment("n", 1), 6);
  EXPECT_EQ(pulled("n"), "integer 6");
  EXPECT_FALSE(second.has("n"));
}

TEST_P(StoreContract, VersionsHoldAcrossInstances) {
  FLUX_CACHE_SECOND(second);
  put("k", text("v"));
  const std::uint64_t read = second.version("k");
  put("k", text("w"));
  EXPECT_FALSE(second.put("k", text("late"), {}, {When::unchanged, read}));
  EXPECT_TRUE(second.put("k", text("x"), {}, {When::unchanged, version("k")}));
  EXPECT_NE(version("k"), read);
  EXPECT_FALSE(forget("k", read));
}

TEST_P(StoreContract, AFlushIsSeenByAnotherInstance) {
  FLUX_CACHE_SECOND(second);
  put("k", text("v"));
  ASSERT_TRUE(second.has("k"));
  flush();
  EXPECT_EQ(second.stale("k"), kMiss);
  second.put("k", text("w"));
  EXPECT_EQ(got("k"), R"(text "w")");
  second.flush();
  EXPECT_EQ(stale("k"), kMiss);
}

TEST_P(StoreContract, AnInstanceBornAfterAFlushDoesNotServeWhatWasFlushed) {
  put("k", text("v")), put({"k", Space::locks}, text("l"));
  flush();
  FLUX_CACHE_SECOND(second);
  EXPECT_EQ(second.stale("k"), kMiss);
  EXPECT_EQ(second.got({"k", Space::locks}), R"(text "l")");
}

TEST_P(StoreContract, LifetimesHoldAcrossARestart) {
  FLUX_CACHE_SKIP_UNLESS(traits().persistent, "the entries of this store end with the process");
  FLUX_CACHE_SKIP_UNLESS(GetParam().again != nullptr, kAlone);
  put("short", text("v"), in(2s, 3s)), put("long", text("v"), in(60s)), put("endless", text("v"));
  watch(nullptr);
  advance(2s);
  watch(again());
  EXPECT_EQ(got("short"), kMiss);
  EXPECT_EQ(stale("short"), R"(text "v")");
  EXPECT_EQ(got("long"), R"(text "v")");
  EXPECT_EQ(got("endless"), R"(text "v")");
  const auto there = entry("long");
  ASSERT_TRUE(there);
  if (!GetParam().real_time) {
    EXPECT_EQ(there->view().expiry.fresh_until, now() + 58s);
  }
}

TEST_P(StoreContract, VersionsAreNotRepeatedAfterARestart) {
  FLUX_CACHE_SKIP_UNLESS(traits().persistent, "the entries of this store end with the process");
  FLUX_CACHE_SKIP_UNLESS(GetParam().again != nullptr, kAlone);
  std::vector<std::uint64_t> seen;
  for (int life = 0; life < 4; ++life) {
    for (int i = 0; i < 5; ++i) {
      put("k", text("v"));
      for (const std::uint64_t old : seen) ASSERT_NE(version("k"), old);
      seen.push_back(version("k"));
    }
    forget("k");
    watch(nullptr);
    watch(again());
  }
}

TEST_P(StoreContract, CountersGoOnAfterARestart) {
  FLUX_CACHE_SKIP_UNLESS(traits().persistent, "the entries of this store end with the process");
  FLUX_CACHE_SKIP_UNLESS(GetParam().again != nullptr, kAlone);
  for (int life = 1; life <= 3; ++life) {
    EXPECT_EQ(increment("n"), life);
    watch(nullptr);
    watch(again());
  }
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
