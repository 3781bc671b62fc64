// The database store: the contract, and what is its own. Its faults stand in tests/fault/.
#include <sys/stat.h>
#include <unistd.h>
#include <flux/cache/detail/stable_hash.hpp>
#include <flux/cache/testing/crowd.hpp>
#include <flux/cache/testing/repository_contract.hpp>

#include <filesystem>
#include <limits>
#include <memory>
#include <set>

#include "support/database.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

// --- the contract

std::shared_ptr<ScratchDirectory> contract_directory;

StorePtr on_contract_file(const Clock& clock) {
  return make_database({.prefix = "contract:", .clock = &clock}, {.database = *contract_directory / "cache.sqlite"});
}
StorePtr on_fresh_contract_file(const Clock& clock) {
  contract_directory = std::make_shared<ScratchDirectory>();
  return on_contract_file(clock);
}
StorePtr in_memory(const Clock& clock) { return make_database({.clock = &clock}, {.database = ":memory:"}); }

INSTANTIATE_TEST_SUITE_P(Database, StoreContract,
                         pipelines({.make = on_fresh_contract_file, .again = on_contract_file}), pipeline_name);
INSTANTIATE_TEST_SUITE_P(Database, RepositoryContract, repositories({.make = on_fresh_contract_file}), repository_name);
INSTANTIATE_TEST_SUITE_P(DatabaseInMemory, StoreContract, ::testing::Values(ContractParam{.make = in_memory}),
                         pipeline_name);

// --- its own

class DatabaseStore : public ::testing::Test {
 protected:
  StorePtr open(DatabaseConfig config = {}) {
    config.clock = &clock_;
    return make_database(config, {.database = path_});
  }
  Expiry in(Duration life) const { return Expiry::at(after(clock_.now(), life)); }

  ScratchDirectory directory_;
  std::string path_ = directory_ / "cache.sqlite";
  FakeClock clock_;
};

TEST_F(DatabaseStore, TouchesNoDiskBeforeItsFirstUse) {
  const StorePtr store = open();
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_TRUE(put_text(*store, "k", "v"));
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(DatabaseStore, MakesTheDirectoriesOfItsFile) {
  path_ = directory_ / "a/b/cache.sqlite";
  EXPECT_TRUE(put_text(*open(), "k", "v"));
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(DatabaseStore, ItsFilesAreForTheirOwnerAloneWhateverTheUmask) {
  const mode_t before = ::umask(0);
  path_ = directory_ / "inner/cache.sqlite";
  const StorePtr store = open();
  EXPECT_TRUE(put_text(*store, "k", "v"));
  EXPECT_EQ(::umask(before), 0u);
  for (const char* suffix : {"", "-wal", "-shm"}) {
    struct stat file;
    ASSERT_EQ(::stat((path_ + suffix).c_str(), &file), 0) << suffix;
    EXPECT_EQ(file.st_mode & 0777, 0600u) << suffix;
  }
  struct stat inner;
  ASSERT_EQ(::stat((directory_ / "inner").c_str(), &inner), 0);
  EXPECT_EQ(inner.st_mode & 0777, 0700u);
}

TEST_F(DatabaseStore, ARelativePathStandsFromWhereTheStoreWasMade) {
  const std::string before = std::filesystem::current_path();
  std::filesystem::current_path(directory_.path());
  path_ = "here.sqlite";
  const StorePtr store = open();
  std::filesystem::current_path(before);
  EXPECT_TRUE(put_text(*store, "k", "v"));
  EXPECT_TRUE(std::filesystem::exists(directory_ / "here.sqlite"));
}

TEST_F(DatabaseStore, RefusesNamesThatAreNoTables) {
  for (const char* table : {"", "cache; DROP TABLE users--", "a\"b", "a'b", "1st", "a.b.c", ".a", "a.", "a-b",
                            "caf\xc3\xa9", "sqlite_master"}) {
    const DatabaseConfig config{.table = table};
    EXPECT_FALSE(config.validate().ok()) << table;
    EXPECT_EQ(config.validate().error().code, Errc::bad_config) << table;
    EXPECT_EQ(config.validate().error().key, "table") << table;
    const auto answer = open(config)->has(Key("k"));
    ASSERT_FALSE(answer.ok()) << table;
    EXPECT_EQ(answer.error().code, Errc::bad_config) << table;
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
  for (const char* table : {"cache", "Cache_2", "_c", "main.cache"})
    EXPECT_TRUE(put_text(*open({.table = table}), "k", "v"));
}

TEST_F(DatabaseStore, RefusesOptionsOutOfTheirRange) {
  EXPECT_EQ((DatabaseConfig{.sweep = 1001}).validate().error().key, "sweep");
  EXPECT_EQ((DatabaseConfig{.max_value = 900'000'001}).validate().error().key, "max_value");
  EXPECT_EQ((SqliteConnection{.database = "x", .busy_timeout = 0s}).validate().error().key, "busy_timeout");
  EXPECT_EQ((SqliteConnection{.database = "x", .connections = 0}).validate().error().key, "connections");
  EXPECT_EQ((SqliteConnection{.database = "x", .connections = 65}).validate().error().key, "connections");
  EXPECT_EQ((SqliteConnection{.database = "x", .recheck = 0s}).validate().error().key, "recheck");
  EXPECT_EQ((SqliteConnection{.database = "x", .cache_bytes = 1}).validate().error().key, "cache_bytes");
  EXPECT_EQ((SqliteConnection{.database = "x", .checkpoint_pages = 0}).validate().error().key, "checkpoint_pages");
  EXPECT_EQ((SqliteConnection{.database = std::string("x\0y", 3)}).validate().error().key, "database");
  EXPECT_TRUE((SqliteConnection{.database = "x"}).validate().ok());
}

TEST_F(DatabaseStore, AKeyIsNeverPartOfTheStatement) {
  RawDatabase raw(path_);
  raw.run("CREATE TABLE users (name TEXT); INSERT INTO users VALUES ('ann')");
  const StorePtr store = open();
  EXPECT_TRUE(put_text(*store, "k", "v"));
  EXPECT_EQ(text_of(*store, "' OR 1=1 --"), std::nullopt);
  EXPECT_FALSE(*store->forget(Key("' OR 1=1 --"), {}));
  EXPECT_TRUE(put_text(*store, "'; DROP TABLE users; --", "w"));
  EXPECT_EQ(text_of(*store, "'; DROP TABLE users; --"), "w");
  EXPECT_EQ(text_of(*store, "k"), "v");
  EXPECT_EQ(raw.text("SELECT name FROM users"), "ann");
}

TEST_F(DatabaseStore, PrefixesThatContinueEachOtherStayApart) {
  const StorePtr shorter = open({.prefix = "a"}), longer = open({.prefix = "ab"}), none = open();
  EXPECT_TRUE(put_text(*shorter, "bc", "a+bc"));
  EXPECT_TRUE(put_text(*longer, "c", "ab+c"));
  EXPECT_TRUE(put_text(*none, "abc", "abc"));
  EXPECT_EQ(text_of(*shorter, "bc"), "a+bc");
  EXPECT_EQ(text_of(*longer, "c"), "ab+c");
  EXPECT_EQ(text_of(*none, "abc"), "abc");
  EXPECT_TRUE(shorter->flush({}).ok());
  EXPECT_EQ(text_of(*shorter, "bc"), std::nullopt);
  EXPECT_EQ(text_of(*longer, "c"), "ab+c");
  EXPECT_EQ(text_of(*none, "abc"), "abc");
}

TEST_F(DatabaseStore, TablesOfOneFileStayApart) {
  const StorePtr one = open({.table = "one"}), two = open({.table = "two"});
  EXPECT_TRUE(put_text(*one, "k", "1"));
  EXPECT_TRUE(put_text(*two, "k", "2"));
  EXPECT_TRUE(one->flush({}).ok());
  EXPECT_EQ(text_of(*one, "k"), std::nullopt);
  EXPECT_EQ(text_of(*two, "k"), "2");
}

TEST_F(DatabaseStore, LeavesTheTablesOfOthersAlone) {
  RawDatabase raw(path_);
  raw.run("CREATE TABLE orders (id INTEGER PRIMARY KEY, what TEXT); INSERT INTO orders VALUES (1, 'tea')");
  const StorePtr store = open();
  EXPECT_TRUE(put_text(*store, "k", "v"));
  EXPECT_TRUE(store->flush({}).ok());
  EXPECT_TRUE(store->prune(1000).ok());
  EXPECT_EQ(raw.text("SELECT what FROM orders WHERE id=1"), "tea");
  EXPECT_EQ(raw.number("PRAGMA user_version"), 0);
}

TEST_F(DatabaseStore, RefusesATableOfTheSameNameThatIsNotItsOwn) {
  RawDatabase raw(path_);
  raw.run(
      "CREATE TABLE cache (key TEXT PRIMARY KEY, value TEXT, expiration INTEGER); INSERT INTO cache VALUES "
      "('k','v',1)");
  const auto answer = open()->put(Key("k"), text_entry("mine"), {});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Errc::bad_config);
  EXPECT_EQ(raw.text("SELECT value FROM cache"), "v");
  EXPECT_TRUE(put_text(*open({.table = "other"}), "k", "v"));
}

TEST_F(DatabaseStore, RefusesAMetaTableThatIsNotItsOwn) {
  RawDatabase raw(path_);
  raw.run("CREATE TABLE cache_meta (a TEXT); INSERT INTO cache_meta VALUES ('theirs')");
  const auto answer = open()->put(Key("k"), text_entry("mine"), {});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Errc::bad_config);
  EXPECT_EQ(raw.text("SELECT a FROM cache_meta"), "theirs");
}

TEST_F(DatabaseStore, AnOlderSchemaIsMadeAnew) {
  EXPECT_TRUE(put_text(*open(), "k", "v"));
  {
    RawDatabase raw(path_);
    raw.run("UPDATE cache_meta SET number=0 WHERE name=CAST('schema' AS BLOB); ALTER TABLE cache DROP COLUMN proof");
  }
  const StorePtr store = open();
  EXPECT_EQ(text_of(*store, "k"), std::nullopt);
  EXPECT_TRUE(put_text(*store, "k", "w"));
  EXPECT_EQ(text_of(*store, "k"), "w");
}

TEST_F(DatabaseStore, ALaterSchemaIsLeftAlone) {
  EXPECT_TRUE(put_text(*open(), "k", "v"));
  RawDatabase raw(path_);
  raw.run("UPDATE cache_meta SET number=99 WHERE name=CAST('schema' AS BLOB)");
  const auto answer = open()->put(Key("k"), text_entry("w"), {});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Errc::bad_config);
  EXPECT_EQ(raw.number("SELECT count(*) FROM cache"), 1);
}

// --- buckets: keys whose hashes fall together

/// Moves a key's row to another row number of its bucket, and puts a foreign key's row into its place.
void crowd_out(RawDatabase& raw, std::string_view key) {
  const std::string where = " WHERE key=CAST('" + std::string(key) + "' AS BLOB)";
  raw.run("UPDATE cache SET key=CAST('foreign' AS BLOB)" + where);
}

TEST_F(DatabaseStore, KeysOfOneHashStandSideBySide) {
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

TEST_F(DatabaseStore, AKeyThatStandsAsideStaysTheSameWhenItsNeighbourGoes) {
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

TEST_F(DatabaseStore, AllVerbsFindAKeyThatStandsAside) {
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

TEST_F(DatabaseStore, AFullBucketIsAnErrorAndNeverAnotherKeysPlace) {
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

TEST_F(DatabaseStore, TwoTablesGiveAKeyDifferentRows) {
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

class DamagedRow : public DatabaseStore, public ::testing::WithParamInterface<Damage> {};

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

TEST_F(DatabaseStore, ACounterThatWasDamagedIsNotCountedOn) {
  const StorePtr store = open();
  EXPECT_EQ(*store->increment(Key("n"), 41, {}), 41);
  RawDatabase raw(path_);
  raw.run("UPDATE cache SET number=number+1024");
  const auto answer = store->increment(Key("n"), 1, {});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Errc::corrupt);
  EXPECT_EQ(*store->increment(Key("n"), 1, {}), 1);
}

TEST_F(DatabaseStore, ADamagedEntryIsNotPulled) {
  const StorePtr store = open();
  EXPECT_TRUE(put_text(*store, "k", "value"));
  RawDatabase(path_).run("UPDATE cache SET value=CAST('vALUE' AS BLOB)");
  const auto answer = store->pull(Key("k"), {}, [](const Entry&) { FAIL(); });
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Errc::corrupt);
}

TEST_F(DatabaseStore, ABatchReadsPastADamagedEntry) {
  const StorePtr store = open();
  for (const char* key : {"a", "b", "c"}) EXPECT_TRUE(put_text(*store, key, key));
  RawDatabase raw(path_);
  raw.run("UPDATE cache SET proof=proof+1 WHERE key=CAST('b' AS BLOB)");
  const Key keys[] = {Key("a"), Key("b"), Key("c")};
  std::set<std::size_t> found;
  EXPECT_TRUE(store->get_many(keys, {}, [&](std::size_t i, const Entry&) { found.insert(i); }).ok());
  EXPECT_EQ(found, (std::set<std::size_t>{0, 2}));
  EXPECT_EQ(raw.number("SELECT count(*) FROM cache"), 2);
}

TEST_F(DatabaseStore, ATouchedEntryAndACountedOneStillCheckOut) {
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

TEST_F(DatabaseStore, ACounterMeetsBothLimitsExactly) {
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

TEST_F(DatabaseStore, WhatWasFlushedIsReclaimedByPrune) {
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

TEST_F(DatabaseStore, PruneTakesTheExpiredAndNothingElse) {
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

TEST_F(DatabaseStore, WritesReclaimWhatIsDeadWithoutBeingAsked) {
  const StorePtr store = open();
  RawDatabase raw(path_);
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 200; ++i) EXPECT_TRUE(put_text(*store, std::to_string(round) + ":" + std::to_string(i), "v"));
    EXPECT_TRUE(store->flush({}).ok());
  }
  EXPECT_LT(raw.number("SELECT count(*) FROM cache"), 1000);
}

TEST_F(DatabaseStore, SeveralStoresPruneOneTableTogether) {
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

TEST_F(DatabaseStore, AValueOverTheLimitIsRefusedAndTheOldOneStays) {
  const StorePtr store = open({.max_value = 100});
  EXPECT_TRUE(put_text(*store, "k", std::string(100, 'a')));
  const auto refused = store->put(Key("k"), text_entry(std::string(101, 'b')), {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Errc::too_large);
  EXPECT_EQ(text_of(*store, "k"), std::string(100, 'a'));
  EXPECT_EQ(store->traits().max_value_bytes, 100u);
}

TEST_F(DatabaseStore, ABatchWithOneRefusedEntryWritesNothing) {
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

TEST_F(DatabaseStore, DeadlinesFarBeyondTheCalendarAreForEver) {
  const StorePtr store = open();
  EXPECT_TRUE(put_text(*store, "k", "v", Expiry::at(kNever - Duration(1))));
  clock_.travel(std::chrono::hours(24 * 365 * 100));
  EXPECT_EQ(text_of(*store, "k"), "v");
}

// --- processes and threads

TEST_F(DatabaseStore, AFlushInOneProcessIsSeenByTheOthersAtOnce) {
  const StorePtr store = open();
  EXPECT_TRUE(put_text(*store, "k", "v"));
  EXPECT_EQ(text_of(*store, "k"), "v");
  EXPECT_EQ(run_in_processes(1, [&] { return store->flush({}).ok() ? 1 : 0; }), 1);
  EXPECT_EQ(text_of(*store, "k"), std::nullopt);
  EXPECT_EQ(run_in_processes(1, [&] { return put_text(*store, "k", "w") ? 1 : 0; }), 1);
  EXPECT_EQ(text_of(*store, "k"), "w");
}

TEST_F(DatabaseStore, AChildOfForkOpensItsOwnConnections) {
  const StorePtr store = open();
  EXPECT_TRUE(put_text(*store, "k", "v"));
  for (int round = 0; round < 20; ++round) {
    EXPECT_EQ(run_in_processes(2,
                               [&] {
                                 long right = 0;
                                 for (int i = 0; i < 50; ++i)
                                   right += text_of(*store, "k") == "v" && store->increment(Key("n"), 1, {}).ok();
                                 return right;
                               }),
              100);
    EXPECT_EQ(text_of(*store, "k"), "v");
  }
  EXPECT_EQ(text_of(*store, "n"), "2000");
}

TEST_F(DatabaseStore, AChildOfForkWorksWhileTheParentsThreadsAreBusy) {
  const StorePtr store = open();
  EXPECT_TRUE(put_text(*store, "k", "v"));
  std::atomic<bool> stop{false};
  std::atomic<long> wrong{0};
  std::vector<std::thread> busy;
  for (int thread = 0; thread < 3; ++thread)
    busy.emplace_back([&, thread] {
      for (int i = 0; !stop; ++i) {
        if (text_of(*store, "k") != "v") ++wrong;
        if (!put_text(*store, "t" + std::to_string(thread), std::to_string(i))) ++wrong;
      }
    });
  for (int round = 0; round < 30; ++round)
    EXPECT_EQ(
        run_in_processes(1, [&] { return text_of(*store, "k") == "v" && put_text(*store, "child", "c") ? 1 : 0; }), 1);
  stop = true;
  for (auto& thread : busy) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(DatabaseStore, AForkInsideAReceiverLeavesTheParentWhole) {
  const StorePtr store = open();
  EXPECT_TRUE(put_text(*store, "k", "v"));
  long child = 0;
  EXPECT_TRUE(*store->get(Key("k"), {}, [&](const Entry&) {
    child = run_in_processes(1, [&] { return text_of(*store, "k") == "<unavailable>" ? 1 : 0; });
  }));
  EXPECT_EQ(child, 1);
  EXPECT_EQ(text_of(*store, "k"), "v");
}

TEST_F(DatabaseStore, AReceiverMayReadThroughTheSameStore) {
  const StorePtr store = open();
  EXPECT_TRUE(put_text(*store, "a", "1"));
  EXPECT_TRUE(put_text(*store, "b", "2"));
  std::optional<std::string> inner;
  EXPECT_TRUE(*store->get(Key("a"), {}, [&](const Entry&) { inner = text_of(*store, "b"); }));
  EXPECT_EQ(inner, "2");
}

TEST_F(DatabaseStore, MoreThreadsThanConnectionsAllGetTheirTurn) {
  const StorePtr store = make_database({}, {.database = path_, .connections = 2});
  EXPECT_EQ(run_on_threads(24,
                           [&](int index) {
                             long done = 0;
                             for (int i = 0; i < 20; ++i)
                               done += put_text(*store, std::to_string(index), std::to_string(i)) ? 1 : 0;
                             return done;
                           }),
            24 * 20);
}

TEST_F(DatabaseStore, WaitsForAConnectionNoLongerThanItMay) {
  const StorePtr store = make_database({}, {.database = path_, .busy_timeout = 30ms, .connections = 1});
  EXPECT_TRUE(put_text(*store, "k", "v"));
  std::optional<std::string> inner;
  EXPECT_TRUE(
      *store->get(Key("k"), {}, [&](const Entry&) { std::thread([&] { inner = text_of(*store, "k"); }).join(); }));
  EXPECT_EQ(inner, "<rejected>");
  EXPECT_EQ(text_of(*store, "k"), "v");
}

TEST_F(DatabaseStore, AReceiverThatThrowsGivesTheConnectionBack) {
  const StorePtr store = make_database({}, {.database = path_, .busy_timeout = 30ms, .connections = 1});
  EXPECT_TRUE(put_text(*store, "k", "v"));
  for (int i = 0; i < 3; ++i)
    EXPECT_THROW((void)store->get(Key("k"), {}, [](const Entry&) { throw std::runtime_error("no"); }),
                 std::runtime_error);
  EXPECT_TRUE(put_text(*store, "k", "w"));
  EXPECT_EQ(text_of(*store, "k"), "w");
}

TEST_F(DatabaseStore, MixedLoadOfEightProcessesNeverMeetsALock) {
  const StorePtr store = open();
  EXPECT_EQ(*store->increment(Key("n"), 1, {}), 1);
  constexpr int kRounds = 100;
  EXPECT_EQ(
      run_in_processes(8,
                       [&](int index) {
                         long right = 0;
                         const std::string own = "own" + std::to_string(index);
                         for (int i = 0; i < kRounds; ++i) {
                           const std::string now = std::to_string(i);
                           const Item items[] = {{Key("x"), text_entry(now)}, {Key("y"), text_entry(now)}};
                           right += store->put(Key(own), text_entry(now), {}).ok() && text_of(*store, own) == now &&
                                    store->put(Key("add" + now), text_entry(own), {When::absent}).ok() &&
                                    store->increment(Key("n"), 1, {}).ok() && store->put_many(items)->failed.empty() &&
                                    store->forget(Key("add" + std::to_string(i - 5)), {}).ok() && store->prune(10).ok();
                         }
                         return right;
                       }),
      8 * kRounds);
  EXPECT_EQ(text_of(*store, "n"), std::to_string(8 * kRounds + 1));
  EXPECT_EQ(text_of(*store, "x"), text_of(*store, "y"));
}

TEST_F(DatabaseStore, AReadNeverWaitsForAWriter) {
  const StorePtr store = make_database({}, {.database = path_, .busy_timeout = 20ms});
  EXPECT_TRUE(put_text(*store, "k", "v"));
  RawDatabase raw(path_);
  raw.run("BEGIN IMMEDIATE");
  EXPECT_EQ(text_of(*store, "k"), "v");
  EXPECT_FALSE(*store->put(Key("k"), text_entry("w"), {When::absent}));
  raw.run("COMMIT");
}

TEST_F(DatabaseStore, TheSameKeyHasTheSameRowInEveryRelease) {
  // What is stored must be found by later builds: the hash of a known key under a known seed.
  EXPECT_EQ(cache::detail::stable_hash128("user_7", 1).low, cache::detail::stable_hash64("user_7", 1));
  const StorePtr store = open();
  EXPECT_TRUE(put_text(*store, "user_7", "v"));
  RawDatabase raw(path_);
  const auto seed =
      static_cast<std::uint64_t>(raw.number("SELECT number FROM cache_meta WHERE name=CAST('seed' AS BLOB)"));
  std::string home("h\0", 2);
  for (int shift = 0; shift < 64; shift += 8) home += static_cast<char>(seed >> shift);
  const std::uint64_t hash = cache::detail::stable_hash64("user_7", cache::detail::stable_hash64(home, seed));
  EXPECT_EQ(raw.number("SELECT id FROM cache"), static_cast<std::int64_t>(hash & ~std::uint64_t{7}));
}

TEST_F(DatabaseStore, SaysWhatItIs) {
  const Traits traits = open()->traits();
  EXPECT_EQ(traits.kind, "database");
  EXPECT_TRUE(traits.shared && traits.persistent && traits.atomic_batches);
  EXPECT_FALSE(traits.objects || traits.tags);
  const Traits memory = make_database({}, {.database = ":memory:"})->traits();
  EXPECT_FALSE(memory.shared || memory.persistent);
}

}  // namespace
}  // namespace flux::cache::testing
