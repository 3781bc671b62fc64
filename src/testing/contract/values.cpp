// What is put comes back: every kind of value, every size, and all that travels with it.
#include <flux/cache/testing/store_contract.hpp>

#include <limits>

#include "anchors.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_values() {}

TEST_P(StoreContract, AnEmptyStoreMissesWithoutAnError) {
  EXPECT_EQ(got("k"), kMiss);
  EXPECT_EQ(stale("k"), kMiss);
  EXPECT_FALSE(has("k"));
  EXPECT_FALSE(forget("k"));
  EXPECT_EQ(pulled("k"), kMiss);
}

TEST_P(StoreContract, WhatWasPutComesBack) {
  EXPECT_TRUE(put("k", text("v")));
  EXPECT_EQ(got("k"), R"(text "v")");
  EXPECT_TRUE(has("k"));
}

TEST_P(StoreContract, ReadingDoesNotRemove) {
  put("k", text("v"));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(got("k"), R"(text "v")");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(stale("k"), R"(text "v")");
}

TEST_P(StoreContract, PresenceDecidesAndNotTruth) {
  put("zero", integer(0));
  put("empty", text(""));
  EXPECT_TRUE(has("zero") && has("empty"));
  EXPECT_EQ(got("zero"), "integer 0");
  EXPECT_EQ(got("empty"), R"(text "")");
}

TEST_P(StoreContract, IntegersComeBackAtTheirLimits) {
  for (const std::int64_t number :
       {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1} << 53, (std::int64_t{1} << 53) + 1,
        std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()}) {
    put("n", integer(number));
    EXPECT_EQ(got("n"), show(integer(number)));
  }
}

TEST_P(StoreContract, UnsignedIntegersAboveTheSignedRangeComeBack) {
  for (const std::uint64_t number :
       {std::uint64_t{1} << 63, (std::uint64_t{1} << 63) + 1, std::numeric_limits<std::uint64_t>::max()}) {
    put("n", unsigned_integer(number));
    EXPECT_EQ(got("n"), show(unsigned_integer(number)));
  }
}

TEST_P(StoreContract, TextThatLooksLikeANumberStaysText) {
  for (const char* const like : {"0", "7", "-1", "007", " 1", "1 ", "+1", "1.5", "1e3", "nan", "-", "null", "true",
                                 "9223372036854775808", "-9223372036854775809", "{}", "[]", "\""}) {
    put("t", text(like));
    EXPECT_EQ(got("t"), show(text(like)));
  }
}

TEST_P(StoreContract, TextOfAnyBytesComesBack) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  for (const std::string& value : {all, std::string("\0", 1), std::string("a\0b", 3), std::string("\r\n"),
                                   std::string("END\r\n"), std::string("\xff\xfe\xfd"), std::string("\xc3\x28")}) {
    put("t", text(value));
    EXPECT_EQ(got("t"), show(text(value)));
  }
}

TEST_P(StoreContract, EachByteAloneComesBack) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string value(1, static_cast<char>(byte));
    put("t", text(value));
    ASSERT_EQ(got("t"), show(text(value)));
  }
}

TEST_P(StoreContract, BytesComeBackAsBytes) {
  FLUX_CACHE_SKIP_UNLESS(!traits().objects, "encoded bytes are for stores below the border");
  for (const std::string& value :
       {std::string(), std::string("\0\1\2", 3), std::string("7"), std::string(5000, '\0')}) {
    put("b", bytes(value));
    EXPECT_EQ(got("b"), show(bytes(value)));
  }
}

TEST_P(StoreContract, ValuesOfAllSizesComeBack) {
  for (const std::size_t size : {1u,   15u,   16u,   23u,   24u,   63u,   64u,    255u,   256u,   511u,    512u,
                                 513u, 1023u, 1024u, 4095u, 4096u, 4097u, 65535u, 65536u, 65537u, 200'000u}) {
    if (size > traits().max_value_bytes) break;
    std::string value(size, '\0');
    for (std::size_t i = 0; i < size; ++i) value[i] = static_cast<char>((i * 131 + size) >> 3);
    put("sized", text(value));
    ASSERT_EQ(got("sized"), show(text(value))) << size << " bytes";
  }
}

TEST_P(StoreContract, AMebibyteComesBack) {
  FLUX_CACHE_SKIP_UNLESS(traits().max_value_bytes >= (1u << 20), "this store keeps no value of 1 MiB");
  const std::string value = [] {
    std::string value(1 << 20, '\0');
    std::uint32_t state = 1;
    for (char& byte : value) byte = static_cast<char>((state = state * 1664525u + 1013904223u) >> 24);
    return value;
  }();
  put("big", text(value));
  EXPECT_EQ(got("big"), show(text(value)));
  put("big", text("small"));
  EXPECT_EQ(got("big"), R"(text "small")");
}

TEST_P(StoreContract, AnotherValueReplacesValueLifetimeTagsAndNotesTogether) {
  const TagStamp old_tags[] = {{"old", 0}, {"older", 0}};
  put("k", {.value = text("old"),
            .expiry = in(Duration(10'000'000), Duration(10'000'000)),
            .tags = old_tags,
            .notes = "old notes"});
  put("k", integer(2));
  const auto now_there = entry("k", true);
  ASSERT_TRUE(now_there);
  EXPECT_EQ(show(now_there->view()), "integer 2");
  EXPECT_EQ(now_there->view().expiry, Expiry{});
}

TEST_P(StoreContract, AShorterLifeReplacesALongerOne) {
  put("k", text("long"));
  put("k", text("short"), in(Duration(2'000'000)));
  advance(Duration(2'000'000));
  EXPECT_EQ(stale("k"), kMiss);
}

TEST_P(StoreContract, KindsReplaceOneAnother) {
  for (int round = 0; round < 2; ++round) {
    put("k", integer(1));
    EXPECT_EQ(got("k"), "integer 1");
    put("k", text("one"));
    EXPECT_EQ(got("k"), R"(text "one")");
    put("k", unsigned_integer(std::uint64_t{1} << 63));
    EXPECT_EQ(got("k"), "unsigned 9223372036854775808");
  }
}

TEST_P(StoreContract, TagsComeBackInTheirOrder) {
  const TagStamp tags[] = {{"users", 0}, {"team:7", 0}, {"a b\r\n", 0}};
  put("k", {.value = text("v"), .tags = tags});
  const auto there = entry("k");
  ASSERT_TRUE(there);
  ASSERT_EQ(there->view().tags.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(there->view().tags[i].name, tags[i].name);
}

TEST_P(StoreContract, TheEpochsOfTagsComeBack) {
  FLUX_CACHE_SKIP_UNLESS(!traits().tags, "this store stamps epochs itself");
  const TagStamp tags[] = {{"a", 1}, {"b", std::numeric_limits<std::uint64_t>::max()}, {"c", std::uint64_t{1} << 63}};
  const Entry put_there{.value = text("v"), .tags = tags};
  put("k", put_there);
  const auto there = entry("k");
  ASSERT_TRUE(there);
  EXPECT_EQ(show(there->view()), show(put_there));
}

TEST_P(StoreContract, SixtyFourTagsComeBack) {
  std::vector<std::string> names;
  std::vector<TagStamp> tags;
  for (int i = 0; i < 64; ++i) names.push_back(std::to_string(i) + std::string(250, 't'));
  for (const std::string& name : names) tags.push_back({name, 0});
  put("k", {.value = text("v"), .tags = tags});
  const auto there = entry("k");
  ASSERT_TRUE(there);
  ASSERT_EQ(there->view().tags.size(), 64u);
  for (std::size_t i = 0; i < 64; ++i) EXPECT_EQ(there->view().tags[i].name, names[i]);
}

TEST_P(StoreContract, TheMostTagsAndTheLongestNotesComeBackTogether) {
  std::vector<std::string> names;
  std::vector<TagStamp> tags;
  for (int i = 0; i < 64; ++i) names.push_back(std::to_string(100 + i) + std::string(253, 't'));
  for (const std::string& name : names) tags.push_back({name, 0});
  const std::string notes(64 * 1024, 'n');
  put("k", {.value = text("v"), .tags = tags, .notes = notes});
  const auto there = entry("k");
  ASSERT_TRUE(there);
  EXPECT_EQ(there->view().tags.size(), 64u);
  EXPECT_EQ(there->view().notes.size(), notes.size());
  EXPECT_EQ(got("k"), R"(text "v")");
}

TEST_P(StoreContract, NotesComeBackUpToTheirLimit) {
  std::string notes;
  for (int i = 0; i < 64 * 1024; ++i) notes += static_cast<char>(i * 7);
  for (const std::string_view some :
       {std::string_view(notes).substr(0, 1), std::string_view(notes).substr(0, 300), std::string_view(notes)}) {
    const Entry put_there{.value = integer(1), .notes = some};
    put("k", put_there);
    const auto there = entry("k");
    ASSERT_TRUE(there);
    EXPECT_EQ(show(there->view()), show(put_there));
  }
}

TEST_P(StoreContract, AnEntryOfAnObjectIsRefusedByNameWhereOnlyBytesAreKept) {
  FLUX_CACHE_SKIP_UNLESS(!traits().objects, "this store keeps live objects");
  static const Type unwritable{.name = "contract::Unwritable"};
  const Object object = std::make_shared<const int>(1);
  const auto answer =
      store().put(Key("k"), {.value = {.kind = Kind::object, .type = &unwritable, .object = &object}}, {});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Errc::not_serializable);
  EXPECT_NE(answer.error().message.find("contract::Unwritable"), std::string::npos) << answer.error().message;
  EXPECT_FALSE(has("k"));
}

TEST_P(StoreContract, EachWriteHasAVersionOfItsOwnAndNeverZero) {
  std::vector<std::uint64_t> seen;
  const auto look = [&] {
    const std::uint64_t version = this->version("k");
    EXPECT_NE(version, 0u);
    for (const std::uint64_t old : seen) EXPECT_NE(version, old);
    seen.push_back(version);
  };
  for (int i = 0; i < 20; ++i) put("k", text("same")), look();
  increment("n"), forget("k");
  for (int i = 0; i < 20; ++i) forget("k"), put("k", text("same")), look();
  for (int i = 0; i < 20; ++i) flush(), put("k", text("same")), look();
}

TEST_P(StoreContract, AReadLeavesTheVersionAlone) {
  put("k", text("v"));
  const std::uint64_t before = version("k");
  got("k"), has("k"), got_many({"k"}), list();
  EXPECT_EQ(version("k"), before);
}

TEST_P(StoreContract, ForgetAnswersTrueWhereSomethingLived) {
  put("k", text("v"));
  EXPECT_TRUE(forget("k"));
  EXPECT_EQ(stale("k"), kMiss);
  EXPECT_FALSE(forget("k"));
}

TEST_P(StoreContract, ForgetLeavesOtherKeysAlone) {
  put("a", text("1")), put("b", text("2"));
  forget("a");
  EXPECT_EQ(got("b"), R"(text "2")");
}

TEST_P(StoreContract, PullHandsOverAndRemoves) {
  put("k", text("v"));
  EXPECT_EQ(pulled("k"), R"(text "v")");
  EXPECT_EQ(stale("k"), kMiss);
  EXPECT_EQ(pulled("k"), kMiss);
}

TEST_P(StoreContract, PullHandsOverTagsAndNotes) {
  const TagStamp tags[] = {{"t", 0}};
  put("k", {.value = text("v"), .tags = tags, .notes = "noted"});
  std::string notes, tag;
  const auto there = store().pull(Key("k"), {}, [&](const Entry& entry) {
    notes = entry.notes;
    if (!entry.tags.empty()) tag = entry.tags[0].name;
  });
  ASSERT_TRUE(there.ok() && *there);
  EXPECT_EQ(notes, "noted");
  EXPECT_EQ(tag, "t");
}

TEST_P(StoreContract, AReceiverMayTakeItsTimeAndThrowAway) {
  put("k", text("v"));
  const auto there = store().get(Key("k"), {}, [](const Entry&) {});
  ASSERT_TRUE(there.ok());
  EXPECT_TRUE(*there);
}

// As a decoder of the user's may.
TEST_P(StoreContract, WhatAReceiverThrowsPassesThroughAndHarmsNobody) {
  struct Thrown {};
  const std::vector<Key> keys{Key("a"), Key("b"), Key("c")};
  put("a", text("1")), put("b", text("2")), put("c", text("3"));
  for (int round = 1; round <= 5; ++round) {
    EXPECT_THROW((void)store().get(Key("a"), {}, [](const Entry&) { throw Thrown(); }), Thrown);
    EXPECT_EQ(got("b"), R"(text "2")");
    for (int i = 0; i < 3; ++i)
      EXPECT_THROW((void)store().get_many(keys, {},
                                          [](std::size_t index, const Entry&) {
                                            if (index == 1) throw Thrown();
                                          }),
                   Thrown);
    EXPECT_EQ(got_many({"c", "none", "a"}),
              (std::vector<std::string>{R"(text "3")", std::string(kMiss), R"(text "1")"}));
    EXPECT_EQ(increment("n"), round);
    put("p", text("v"));
    EXPECT_THROW((void)store().pull(Key("p"), {}, [](const Entry&) { throw Thrown(); }), Thrown);
    EXPECT_TRUE(put("p", text("w")));
    EXPECT_EQ(pulled("p"), R"(text "w")");
  }
}

TEST_P(StoreContract, TraitsStayTheSame) {
  const Traits before = traits();
  put("k", text("v")), flush();
  const Traits after = traits();
  EXPECT_FALSE(before.kind.empty());
  EXPECT_EQ(before.kind, after.kind);
  EXPECT_EQ(before.objects, after.objects);
  EXPECT_EQ(before.shared, after.shared);
  EXPECT_EQ(before.persistent, after.persistent);
  EXPECT_EQ(before.tags, after.tags);
  EXPECT_EQ(before.grain, after.grain);
  EXPECT_GT(before.grain, Duration::zero());
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
