// Rows of the database store: keys that fall together, damage, counters, lifetimes, and what reclaims them.
#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "support/database_store.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

class DatabaseRows : public DatabaseStore {};

// --- buckets: keys whose hashes fall together

/// Moves a key's row to another row number of its bucket, and puts a foreign key's row into its place.
void crowd_out(RawDatabase& raw, std::string_view key) {
  const std::string where = " WHERE key=CAST('" + std::string(key) + "' AS BLOB)";
  raw.run("UPDATE cache SET key=CAST('foreign' AS BLOB)" + where);
}

TEST_F(DatabaseRows, KeysOfOneHashStandSideBySide) {
  const StorePtr store = open();
  RawDatabase raw(path_);
  EXPECT_TRUE(put_text(*store, "k", "first"));
  crowd_out(raw, "k");
  EXPECT_EQ(text_of(*store, "k"), std::nullopt);
  EXPECT_TRUE(put_text(*store, "k", "second"));
  EXPECT_EQ(text_of(*store, "k"), "second");
  EXPECT_EQ(raw.number("SELECT count(*) FROM cache"), 2);
  EXPECT_EQ(raw.number("SELECT max(id)-min(id) FROM cache"), 1);
  EXPECT_TRUE(put_text(*store, "k", "third"));
  EXPECT_EQ(text_of(*store, "k"), "third");
  EXPECT_EQ(raw.number("SELECT count(*) FROM cache"), 2);
}

TEST_F(DatabaseRows, AKeyThatStandsAsideStaysTheSameWhenItsNeighbourGoes) {
  const StorePtr store = open();
  RawDatabase raw(path_);
  EXPECT_TRUE(put_text(*store, "k", "first"));
  crowd_out(raw, "k");
  EXPECT_EQ(*store->increment(Key("n"), 1, {}), 1);
  crowd_out(raw, "n");
  EXPECT_TRUE(put_text(*store, "k", "aside"));
  EXPECT_EQ(*store->increment(Key("n"), 5, {}), 5);
  raw.run("DELETE FROM cache WHERE key=CAST('foreign' AS BLOB)");
  EXPECT_EQ(text_of(*store, "k"), "aside");
  EXPECT_FALSE(*store->put(Key("k"), text_entry("x"), {When::absent}));
  EXPECT_TRUE(put_text(*store, "k", "again"));
  EXPECT_EQ(text_of(*store, "k"), "again");
  EXPECT_EQ(*store->increment(Key("n"), 1, {}), 6);
  EXPECT_EQ(raw.number("SELECT count(*) FROM cache"), 2);
  EXPECT_TRUE(*store->forget(Key("k"), {}));
  EXPECT_EQ(text_of(*store, "k"), std::nullopt);
}

TEST_F(DatabaseRows, AllVerbsFindAKeyThatStandsAside) {
  const StorePtr store = open();
  RawDatabase raw(path_);
  for (const char* key : {"touch", "pull", "cas", "add", "many"}) {
    EXPECT_TRUE(put_text(*store, key, "first"));
    crowd_out(raw, key);
    EXPECT_TRUE(*store->put(Key(key), text_entry("aside"), {When::absent})) << key;
  }
  EXPECT_TRUE(*store->touch(Key("touch"), in(1s)));
  EXPECT_TRUE(*store->pull(Key("pull"), {}, [](const Entry& entry) { EXPECT_EQ(entry.value.text, "aside"); }));
  EXPECT_EQ(text_of(*store, "pull"), std::nullopt);
  std::uint64_t version = 0;
  EXPECT_TRUE(*store->get(Key("cas"), {}, [&](const Entry& entry) { version = entry.version; }));
  EXPECT_TRUE(*store->put(Key("cas"), text_entry("swapped"), {When::unchanged, version}));
  EXPECT_EQ(text_of(*store, "cas"), "swapped");
  EXPECT_FALSE(*store->put(Key("add"), text_entry("again"), {When::absent}));
  const Item item{Key("many"), text_entry("batch")};
  EXPECT_TRUE(store->put_many({&item, 1})->failed.empty());
  EXPECT_EQ(text_of(*store, "many"), "batch");
  const Key keys[] = {Key("many"), Key("cas")};
  EXPECT_EQ(*store->forget_many(keys), 2u);
}

TEST_F(DatabaseRows, WhoDoesNotKnowYetThatKeysStandAsideMakesNoSecondRow) {
  const StorePtr store = open(), other = open();
  RawDatabase raw(path_);
  EXPECT_TRUE(put_text(*store, "k", "first"));
  EXPECT_TRUE(put_text(*store, "neighbour", "stays"));
  crowd_out(raw, "k");
  EXPECT_TRUE(put_text(*store, "k2", "seen"));  // it has just seen that nothing stands aside
  EXPECT_TRUE(put_text(*other, "k", "aside"));
  raw.run("DELETE FROM cache WHERE key=CAST('foreign' AS BLOB)");
  EXPECT_TRUE(put_text(*store, "k", "again"));
  EXPECT_EQ(raw.number("SELECT count(*) FROM cache WHERE key=CAST('k' AS BLOB)"), 1);
  for (const StorePtr& each : {store, other}) {
    EXPECT_EQ(text_of(*each, "k"), "again");
    EXPECT_EQ(text_of(*each, "neighbour"), "stays");
    EXPECT_EQ(text_of(*each, "k2"), "seen");
  }
  EXPECT_TRUE(store->flush({}).ok());
  EXPECT_EQ(text_of(*other, "k"), std::nullopt);
  EXPECT_TRUE(put_text(*store, "k", "after"));
  EXPECT_EQ(text_of(*other, "k"), "after");
}

TEST_F(DatabaseRows, ABatchFindsKeysThatStandAsideAmongManyThatDoNot) {
  const StorePtr store = open();
  RawDatabase raw(path_);
  std::vector<std::string> names;
  for (int i = 0; i < 300; ++i) names.push_back("k" + std::to_string(i));
  for (const bool aside : {false, true}) {
    if (aside) crowd_out(raw, "k150");
    std::vector<Item> items;
    std::vector<Key> keys{Key("missing")};
    for (const std::string& name : names) items.push_back({Key(name), text_entry(name)}), keys.emplace_back(name);
    EXPECT_TRUE(store->put_many(items)->failed.empty()) << aside;
    std::vector<std::size_t> seen;
    EXPECT_TRUE(store
                    ->get_many(keys, {},
                               [&](std::size_t at, const Entry& entry) {
                                 seen.push_back(at);
                                 EXPECT_EQ(entry.value.text, keys[at].text());
                               })
                    .ok());
    EXPECT_EQ(seen.size(), names.size());
    EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
    EXPECT_EQ(raw.number("SELECT count(*) FROM cache"), aside ? 301 : 300);
  }
}

TEST_F(DatabaseRows, AFullBucketIsAnErrorAndNeverAnotherKeysPlace) {
  const StorePtr store = open();
  RawDatabase raw(path_);
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(put_text(*store, "k", "v"));
    raw.run("UPDATE cache SET key=CAST('foreign" + std::to_string(i) + "' AS BLOB) WHERE key=CAST('k' AS BLOB)");
  }
  const auto refused = store->put(Key("k"), text_entry("v"), {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Errc::unavailable);
  EXPECT_EQ(raw.number("SELECT count(*) FROM cache"), 8);
  raw.run("UPDATE cache SET keep_until=1 WHERE key=CAST('foreign5' AS BLOB)");
  EXPECT_TRUE(put_text(*store, "k", "in the place of an expired one"));
  EXPECT_EQ(raw.number("SELECT count(*) FROM cache"), 8);
}

TEST_F(DatabaseRows, WhatABatchThatIsUndoneHadChangedIsNotBelieved) {
  const StorePtr store = open(), other = open();
  RawDatabase raw(path_);
  std::vector<Item> items;
  const std::vector<std::string> names{"full", "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8", "k9"};
  for (const std::string& name : names) {
    for (int i = 0; i < (name == "full" ? 8 : 1); ++i) {
      EXPECT_TRUE(put_text(*other, name, "v"));
      raw.run("UPDATE cache SET key=CAST('" + name + "-" + std::to_string(i) + "' AS BLOB) WHERE key=CAST('" + name +
              "' AS BLOB)");
    }
    items.push_back({Key(name), text_entry("v")});
  }
  raw.run(  // as if none stood aside yet
      "UPDATE cache_meta SET number=number/2*2 WHERE substr(name,1,1)=CAST('h' AS BLOB);"
      "UPDATE cache SET home=home/2*2");
  EXPECT_EQ(store->put_many(items)->failed.size(), names.size());
  EXPECT_TRUE(put_text(*store, "x", "seen by all"));
  EXPECT_EQ(text_of(*other, "x"), "seen by all");
}

TEST_F(DatabaseRows, TwoTablesGiveAKeyDifferentRows) {
  EXPECT_TRUE(put_text(*open({.table = "one"}), "k", "v"));
  EXPECT_TRUE(put_text(*open({.table = "two"}), "k", "v"));
  RawDatabase raw(path_);
  EXPECT_NE(raw.number("SELECT id FROM one"), raw.number("SELECT id FROM two"));
}

// --- damage

struct Damage {
  const char* name;
  const char* sql;
};

class DamagedRow : public DatabaseRows, public ::testing::WithParamInterface<Damage> {};

TEST_P(DamagedRow, IsAMissOnceAndThenGone) {
  const StorePtr store = open();
  const TagStamp tags[] = {{"tag", 7}};
  Entry entry = text_entry("a value of some length", in(1h));
  entry.tags = tags;
  entry.notes = "notes";
  EXPECT_TRUE(*store->put(Key("text"), entry, {}));
  EXPECT_TRUE(*store->put(Key("number"), number_entry(41, in(1h)), {}));
  RawDatabase raw(path_);
  raw.run(GetParam().sql);
  int damaged = 0;
  for (const char* key : {"text", "number"}) {
    const auto answer = store->get(Key(key), {}, [](const Entry&) {});
    if (answer.ok() && *answer) continue;
    ++damaged;
    if (!answer.ok()) {
      EXPECT_EQ(answer.error().code, Errc::corrupt) << answer.error().to_string();
    }
    EXPECT_EQ(text_of(*store, key), std::nullopt) << key;
  }
  EXPECT_GE(damaged, 1);
  EXPECT_LE(raw.number("SELECT count(*) FROM cache"), 2 - damaged);
}

INSTANTIATE_TEST_SUITE_P(
    Bytes, DamagedRow,
    ::testing::Values(Damage{"Value",
                             "UPDATE cache SET value=CAST('a value of sOme length' AS BLOB) WHERE value IS NOT NULL"},
                      Damage{"ShortenedValue", "UPDATE cache SET value=substr(value,1,5) WHERE value IS NOT NULL"},
                      Damage{"LostValue", "UPDATE cache SET value=NULL WHERE value IS NOT NULL"},
                      Damage{"ForeignTypeOfValue", "UPDATE cache SET value=3.5 WHERE value IS NOT NULL"},
                      Damage{"Number", "UPDATE cache SET number=number+1024 WHERE number IS NOT NULL"},
                      Damage{"LostNumber", "UPDATE cache SET number=NULL WHERE number IS NOT NULL"},
                      Damage{"Kind", "UPDATE cache SET kind=CASE kind WHEN 1 THEN 2 ELSE 5 END"},
                      Damage{"UnknownKind", "UPDATE cache SET kind=kind+64"},
                      Damage{"Proof", "UPDATE cache SET proof=proof+256"},
                      Damage{"Labels", "UPDATE cache SET labels=substr(labels,1,6) WHERE labels IS NOT NULL"},
                      Damage{"LostLabels", "UPDATE cache SET labels=NULL WHERE labels IS NOT NULL"},
                      Damage{"LongerLife", "UPDATE cache SET fresh_until=fresh_until+65536"},
                      Damage{"LongerKeep", "UPDATE cache SET keep_until=keep_until+16777216"},
                      Damage{"RowOfAnotherKey",
                             "UPDATE cache SET value=(SELECT value FROM cache WHERE value IS NOT NULL), kind=3,"
                             " proof=(SELECT proof FROM cache WHERE value IS NOT NULL) WHERE number IS NOT NULL"}),
    [](const auto& info) { return info.param.name; });

TEST_F(DatabaseRows, ACounterThatWasDamagedIsNotCountedOn) {
  const StorePtr store = open();
  EXPECT_EQ(*store->increment(Key("n"), 41, {}), 41);
  RawDatabase raw(path_);
  raw.run("UPDATE cache SET number=number+1024");
  const auto answer = store->increment(Key("n"), 1, {});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Errc::corrupt);
  EXPECT_EQ(*store->increment(Key("n"), 1, {}), 1);
}

TEST_F(DatabaseRows, ADamagedEntryIsNotPulled) {
  const StorePtr store = open();
  EXPECT_TRUE(put_text(*store, "k", "value"));
  RawDatabase(path_).run("UPDATE cache SET value=CAST('vALUE' AS BLOB)");
  const auto answer = store->pull(Key("k"), {}, [](const Entry&) { FAIL(); });
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Errc::corrupt);
}

TEST_F(DatabaseRows, ABatchReadsPastADamagedEntry) {
  const StorePtr store = open();
  for (const char* key : {"a", "b", "c"}) EXPECT_TRUE(put_text(*store, key, key));
  RawDatabase raw(path_);
  raw.run("UPDATE cache SET proof=proof+1 WHERE key=CAST('b' AS BLOB)");
  const Key keys[] = {Key("a"), Key("b"), Key("c")};
  std::vector<std::string> seen(3);
  const auto found = [&](std::size_t i, const Entry& entry) { seen[i] = entry.value.text; };
  const auto unreadable = [&](std::size_t i, std::unique_ptr<Error> why) {
    seen[i] = std::string(to_string(why->code)) + " " + why->key;
  };
  EXPECT_TRUE(store->get_many(keys, {}, {found, unreadable}).ok());
  EXPECT_EQ(seen, (std::vector<std::string>{"a", "corrupt b", "c"}));
  EXPECT_EQ(raw.number("SELECT count(*) FROM cache"), 2);
}

TEST_F(DatabaseRows, ATouchedEntryAndACountedOneStillCheckOut) {
  const StorePtr store = open();
  EXPECT_TRUE(*store->put(Key("k"), text_entry("v", {after(clock_.now(), 1s), after(clock_.now(), 5s)}), {}));
  EXPECT_TRUE(*store->touch(Key("k"), {after(clock_.now(), 7s), after(clock_.now(), 9s)}));
  EXPECT_TRUE(*store->touch(Key("k"), {}));
  EXPECT_EQ(text_of(*store, "k"), "v");
  EXPECT_TRUE(*store->put(Key("n"), number_entry(-5, in(1h)), {}));
  for (const std::int64_t by : {std::int64_t{7}, std::int64_t{-1'000'000'000'000}, std::int64_t{3}})
    EXPECT_TRUE(store->increment(Key("n"), by, {}).ok());
  EXPECT_TRUE(*store->touch(Key("n"), in(2h)));
  EXPECT_EQ(*store->increment(Key("n"), std::numeric_limits<std::int64_t>::max(), {}),
            std::numeric_limits<std::int64_t>::max() - 999'999'999'995);
  EXPECT_EQ(text_of(*store, "n"), std::to_string(std::numeric_limits<std::int64_t>::max() - 999'999'999'995));
}

// --- counters

TEST_F(DatabaseRows, ACounterMeetsBothLimitsExactly) {
  using Limits = std::numeric_limits<std::int64_t>;
  const StorePtr store = open();
  EXPECT_EQ(*store->increment(Key("up"), Limits::max() - 1, {}), Limits::max() - 1);
  EXPECT_EQ(*store->increment(Key("up"), 1, {}), Limits::max());
  EXPECT_EQ(store->increment(Key("up"), 1, {}).error().code, Errc::overflow);
  EXPECT_EQ(text_of(*store, "up"), std::to_string(Limits::max()));
  EXPECT_EQ(*store->increment(Key("up"), Limits::min(), {}), -1);
  EXPECT_EQ(*store->increment(Key("down"), Limits::min(), {}), Limits::min());
  EXPECT_EQ(store->increment(Key("down"), -1, {}).error().code, Errc::overflow);
  EXPECT_EQ(*store->increment(Key("down"), Limits::max(), {}), -1);
}

// --- reclaiming

TEST_F(DatabaseRows, WhatWasFlushedIsReclaimedByPrune) {
  const StorePtr store = open({.sweep = 0});
  for (int i = 0; i < 500; ++i) EXPECT_TRUE(put_text(*store, "k" + std::to_string(i), "v"));
  EXPECT_TRUE(store->flush({}).ok());
  EXPECT_TRUE(put_text(*store, "new", "v"));
  RawDatabase raw(path_);
  EXPECT_EQ(raw.number("SELECT count(*) FROM cache"), 501);
  EXPECT_EQ(*store->prune(100), 100u);
  EXPECT_EQ(raw.number("SELECT count(*) FROM cache"), 401);
  EXPECT_EQ(*store->prune(10'000), 400u);
  EXPECT_EQ(*store->prune(10'000), 0u);
  EXPECT_EQ(text_of(*store, "new"), "v");
}

TEST_F(DatabaseRows, PruneTakesTheExpiredAndNothingElse) {
  const StorePtr store = open({.sweep = 0});
  for (int i = 0; i < 3000; ++i) {
    Entry entry = text_entry("v", i % 3 == 0 ? in(1s) : i % 3 == 1 ? in(1h) : Expiry{});
    ASSERT_TRUE(*store->put(Key("k" + std::to_string(i)), entry, {}));
  }
  EXPECT_TRUE(*store->put(Key("kept"), text_entry("v", {after(clock_.now(), 1s), after(clock_.now(), 1h)}), {}));
  clock_.travel(2s);
  EXPECT_EQ(*store->prune(100'000), 1000u);
  EXPECT_EQ(RawDatabase(path_).number("SELECT count(*) FROM cache"), 2001);
  EXPECT_EQ(text_of(*store, "kept", {.stale = true}), "v");
}

TEST_F(DatabaseRows, WritesReclaimWhatIsDeadWithoutBeingAsked) {
  const StorePtr store = open();
  RawDatabase raw(path_);
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 200; ++i) EXPECT_TRUE(put_text(*store, std::to_string(round) + ":" + std::to_string(i), "v"));
    EXPECT_TRUE(store->flush({}).ok());
  }
  EXPECT_LT(raw.number("SELECT count(*) FROM cache"), 1000);
}

TEST_F(DatabaseRows, SeveralStoresPruneOneTableTogether) {
  const StorePtr one = open({.prefix = "1", .sweep = 0}), two = open({.prefix = "2", .sweep = 0});
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(put_text(*one, std::to_string(i), "v", in(1s)));
    EXPECT_TRUE(put_text(*two, std::to_string(i), "v"));
  }
  EXPECT_TRUE(two->flush({}).ok());
  clock_.travel(1min);
  EXPECT_EQ(*one->prune(1000), 200u);
  EXPECT_EQ(*two->prune(1000), 0u);
}

// --- limits and lifetimes

TEST_F(DatabaseRows, AValueOverTheLimitIsRefusedAndTheOldOneStays) {
  const StorePtr store = open({.max_value = 100});
  EXPECT_TRUE(put_text(*store, "k", std::string(100, 'a')));
  const auto refused = store->put(Key("k"), text_entry(std::string(101, 'b')), {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Errc::too_large);
  EXPECT_EQ(text_of(*store, "k"), std::string(100, 'a'));
  EXPECT_EQ(store->traits().max_value_bytes, 100u);
}

TEST_F(DatabaseRows, ABatchWithOneRefusedEntryWritesNothing) {
  const StorePtr store = open({.max_value = 10});
  const std::string long_text(11, 'x');
  const Item items[] = {{Key("a"), text_entry("1")}, {Key("b"), text_entry(long_text)}, {Key("c"), text_entry("3")}};
  const auto written = store->put_many(items);
  ASSERT_TRUE(written.ok());
  EXPECT_EQ(written->failed, (std::vector<std::size_t>{0, 1, 2}));
  ASSERT_NE(written->error, nullptr);
  EXPECT_EQ(written->error->code, Errc::too_large);
  EXPECT_EQ(text_of(*store, "a"), std::nullopt);
}

TEST_F(DatabaseRows, DeadlinesFarBeyondTheCalendarAreForEver) {
  const StorePtr store = open();
  EXPECT_TRUE(put_text(*store, "k", "v", Expiry::at(kNever - Duration(1))));
  clock_.travel(std::chrono::hours(24 * 365 * 100));
  EXPECT_EQ(text_of(*store, "k"), "v");
}

}  // namespace
}  // namespace flux::cache::testing
