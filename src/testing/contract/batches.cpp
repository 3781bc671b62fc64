// Batches answer what the single operations would, by index.
#include <flux/cache/testing/store_contract.hpp>

#include "anchors.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_batches() {}

using namespace std::chrono_literals;

const std::string kMissed(kMiss);

TEST_P(StoreContract, GetManyAnswersByIndex) {
  put("b", text("2"));
  EXPECT_EQ(got_many({"a", "b", "c"}), (std::vector<std::string>{kMissed, R"(text "2")", kMissed}));
}

TEST_P(StoreContract, GetManyOfNothingAnswersNothing) { EXPECT_TRUE(got_many({}).empty()); }

TEST_P(StoreContract, GetManyAnswersEachIndexOfARepeatedKey) {
  put("a", text("1")), put("b", integer(2));
  EXPECT_EQ(got_many({"a", "b", "a", "x", "a"}),
            (std::vector<std::string>{R"(text "1")", "integer 2", R"(text "1")", kMissed, R"(text "1")"}));
}

TEST_P(StoreContract, GetManyKeepsKeysThatLookAlikeApart) {
  put("1", text("one")), put("1.1", text("one one"));
  EXPECT_EQ(got_many({"1", "01", "1.1", "1.10"}),
            (std::vector<std::string>{R"(text "one")", kMissed, R"(text "one one")", kMissed}));
}

TEST_P(StoreContract, GetManyKeepsSpacesApart) {
  put({"k", Space::values}, text("value")), put({"k", Space::locks}, text("lock"));
  EXPECT_EQ(got_many({At("k", Space::locks), At("k", Space::values), At("k", Space::tags)}),
            (std::vector<std::string>{R"(text "lock")", R"(text "value")", kMissed}));
}

TEST_P(StoreContract, GetManyAgreesWithGetOverAThousandKeys) {
  std::vector<std::string> names;
  for (int i = 0; i < 1000; ++i) names.push_back("key " + std::to_string(i * 7919 % 1000));
  for (std::size_t i = 0; i < names.size(); i += 2)
    put(names[i], i % 4 == 0 ? text(names[i]) : integer(static_cast<std::int64_t>(i)));
  const std::vector<At> keys(names.begin(), names.end());
  const auto all = got_many(keys);
  for (std::size_t i = 0; i < names.size(); ++i) ASSERT_EQ(all[i], got(names[i])) << names[i];
}

TEST_P(StoreContract, GetManyHandsOverTagsNotesDeadlinesAndVersions) {
  const TagStamp tags[] = {{"t", 0}};
  put("k", {.value = text("v"), .expiry = in(60s), .tags = tags, .notes = "n"});
  const auto single = entry("k");
  ASSERT_TRUE(single);
  const Key key("k");
  bool seen = false;
  ASSERT_TRUE(store()
                  .get_many({&key, 1}, {},
                            [&](std::size_t, const Entry& entry) {
                              seen = true;
                              ASSERT_EQ(entry.tags.size(), 1u);
                              EXPECT_EQ(entry.tags[0].name, "t");
                              EXPECT_EQ(entry.notes, "n");
                              EXPECT_EQ(entry.expiry, single->view().expiry);
                              EXPECT_EQ(entry.version, single->view().version);
                            })
                  .ok());
  EXPECT_TRUE(seen);
}

TEST_P(StoreContract, PutManyWritesAll) {
  EXPECT_TRUE(put_many({{Key("a"), {.value = text("1")}},
                        {Key("b"), {.value = integer(2)}},
                        {Key("k", Space::limits), {.value = integer(3)}}})
                  .empty());
  EXPECT_EQ(got("a"), R"(text "1")");
  EXPECT_EQ(got("b"), "integer 2");
  EXPECT_EQ(got({"k", Space::limits}), "integer 3");
}

TEST_P(StoreContract, PutManyOfNothingDoesNothing) { EXPECT_TRUE(put_many({}).empty()); }

TEST_P(StoreContract, PutManyReplacesWhatWasThere) {
  put("a", text("old"), in(1s));
  put_many({{Key("a"), {.value = text("new")}}});
  advance(1s);
  EXPECT_EQ(got("a"), R"(text "new")");
}

TEST_P(StoreContract, PutManyOfARepeatedKeyKeepsTheLast) {
  EXPECT_TRUE(
      put_many(
          {{Key("a"), {.value = text("first")}}, {Key("b"), {.value = text("b")}}, {Key("a"), {.value = text("last")}}})
          .empty());
  EXPECT_EQ(got("a"), R"(text "last")");
}

TEST_P(StoreContract, PutManyGivesEachItsLifeTagsAndNotes) {
  const TagStamp tags[] = {{"t", 0}};
  put_many({{Key("short"), {.value = text("v"), .expiry = in(1s)}},
            {Key("long"), {.value = text("v"), .expiry = in(60s), .tags = tags, .notes = "n"}}});
  advance(1s);
  EXPECT_EQ(got("short"), kMiss);
  const auto there = entry("long");
  ASSERT_TRUE(there);
  ASSERT_EQ(there->view().tags.size(), 1u);
  EXPECT_EQ(there->view().notes, "n");
}

TEST_P(StoreContract, PutManyGivesEachAVersionOfItsOwn) {
  put("a", text("1"));
  const std::uint64_t before = version("a");
  put_many({{Key("a"), {.value = text("1")}}, {Key("b"), {.value = text("1")}}});
  EXPECT_NE(version("a"), before);
  EXPECT_NE(version("b"), 0u);
}

TEST_P(StoreContract, PutManyOfTenThousandIsThereAsAWhole) {
  std::vector<std::string> names;
  for (int i = 0; i < 10'000; ++i) names.push_back("bulk:" + std::to_string(i));
  std::vector<Item> items;
  for (const std::string& name : names) items.push_back({Key(name), {.value = text(name)}});
  EXPECT_TRUE(put_many(items).empty());
  const auto all = got_many({names.begin(), names.end()});
  for (std::size_t i = 0; i < names.size(); ++i) ASSERT_EQ(all[i], show(text(names[i])));
  EXPECT_EQ(forget_many({names.begin(), names.end()}), 10'000u);
  EXPECT_EQ(got(names[1234]), kMiss);
}

TEST_P(StoreContract, PutManyIsAllOrNothingWhereTheTraitsSaySo) {
  FLUX_CACHE_SKIP_UNLESS(traits().atomic_batches, "this store writes a batch item by item, and says so");
  FLUX_CACHE_SKIP_UNLESS(!traits().objects, "no item is refused by a store of live objects");
  static const Type unwritable{.name = "contract::Unwritable"};
  const Object object = std::make_shared<const int>(1);
  const std::vector<Item> items{{Key("a"), {.value = text("1")}},
                                {Key("b"), {.value = {.kind = Kind::object, .type = &unwritable, .object = &object}}},
                                {Key("c"), {.value = text("3")}}};
  const auto outcome = store().put_many(items);
  EXPECT_TRUE(!outcome.ok() || outcome->failed.size() == 3u);
  EXPECT_FALSE(has("a"));
  EXPECT_FALSE(has("c"));
}

TEST_P(StoreContract, PutManyNamesWhatItCouldNotWrite) {
  FLUX_CACHE_SKIP_UNLESS(!traits().objects, "no item is refused by a store of live objects");
  static const Type unwritable{.name = "contract::Unwritable"};
  const Object object = std::make_shared<const int>(1);
  const std::vector<Item> items{{Key("a"), {.value = text("1")}},
                                {Key("b"), {.value = {.kind = Kind::object, .type = &unwritable, .object = &object}}},
                                {Key("c"), {.value = text("3")}}};
  const auto outcome = store().put_many(items);
  if (!outcome.ok()) {
    EXPECT_EQ(outcome.error().code, Errc::not_serializable);
    for (const char* const key : {"a", "b", "c"}) EXPECT_FALSE(has(key)) << key;
    return;
  }
  ASSERT_TRUE(outcome->error);
  EXPECT_EQ(outcome->error->code, Errc::not_serializable);
  const auto failed = [&](std::size_t i) {
    return std::find(outcome->failed.begin(), outcome->failed.end(), i) != outcome->failed.end();
  };
  EXPECT_TRUE(failed(1));
  EXPECT_EQ(has("a"), !failed(0));
  EXPECT_EQ(has("b"), false);
  EXPECT_EQ(has("c"), !failed(2));
}

TEST_P(StoreContract, ForgetManyCountsLiveEntriesOnce) {
  put("a", text("1")), put("b", text("2")), put("c", text("3"));
  EXPECT_EQ(forget_many({"a", "x", "a", "b", "a"}), 2u);
  EXPECT_FALSE(has("a"));
  EXPECT_FALSE(has("b"));
  EXPECT_TRUE(has("c"));
}

TEST_P(StoreContract, ForgetManyOfNothingCountsNothing) { EXPECT_EQ(forget_many({}), 0u); }

TEST_P(StoreContract, ForgetManyKeepsSpacesApart) {
  put({"k", Space::values}, text("value")), put({"k", Space::locks}, text("lock"));
  EXPECT_EQ(forget_many({At("k", Space::values)}), 1u);
  EXPECT_EQ(got({"k", Space::locks}), R"(text "lock")");
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
