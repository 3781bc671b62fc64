// What stands in the golden files of stores, as the first release put it there.
#pragma once
#include <flux/cache/testing/store_probe.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace flux::cache::testing::golden {

inline constexpr TagStamp kTags[] = {{"users", 0x0123456789abcdef}, {"team 3", 7}};
inline const std::string kAnyBytes("any\0bytes\xff", 10);

inline void put_entries(const StoreProbe& store, const Expiry& of_text = {}) {
  store.put("integer", integer(-7));
  store.put("unsigned", unsigned_integer(UINT64_MAX));
  store.put("placeholder", ValueView{});
  store.put("text", text(kAnyBytes), of_text);
  store.put("overwritten", text("the older value"));
  store.put("overwritten", {.value = bytes("the newer value"), .tags = kTags, .notes = "some notes"});
  store.put({"lock", Space::locks}, text("owner"));
  store.put(std::string(5000, 'k'), text(std::string(5000, 'v')));
}

/// All of it is there, and can be written over.
inline void expect_entries(const StoreProbe& store) {
  EXPECT_EQ(store.got("integer"), show(integer(-7)));
  EXPECT_EQ(store.got("unsigned"), show(unsigned_integer(UINT64_MAX)));
  EXPECT_EQ(store.stale("placeholder"), show(ValueView{}));
  EXPECT_EQ(store.got("text"), show(text(kAnyBytes)));
  EXPECT_EQ(store.got({"lock", Space::locks}), show(text("owner")));
  EXPECT_EQ(store.got(std::string(5000, 'k')), show(text(std::string(5000, 'v'))));
  const Entry wanted{.value = bytes("the newer value"), .tags = kTags, .notes = "some notes"};
  const auto seen = store.entry("overwritten");
  ASSERT_TRUE(seen.has_value());
  EXPECT_EQ(show(seen->view()), show(wanted));
  EXPECT_EQ(store.increment("integer"), -6);
  EXPECT_TRUE(store.put("overwritten", text("again")));
  EXPECT_EQ(store.got("overwritten"), show(text("again")));
}

}  // namespace flux::cache::testing::golden
