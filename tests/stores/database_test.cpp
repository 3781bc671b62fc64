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

#include "support/database_store.hpp"

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

TEST_F(DatabaseStore, TheFirstSchemaIsTakenOnWithItsEntries) {
  EXPECT_TRUE(put_text(*open(), "k", "v"));
  RawDatabase raw(path_);
  raw.run(
      "UPDATE cache_meta SET number=1 WHERE name=CAST('schema' AS BLOB); UPDATE cache SET home=-home;"
      "UPDATE cache_meta SET number=-number WHERE substr(name,1,1)=CAST('h' AS BLOB)");
  const auto before = raw.number("PRAGMA schema_version");
  const StorePtr store = open();
  EXPECT_EQ(text_of(*store, "k"), "v");
  EXPECT_EQ(raw.number("SELECT number FROM cache_meta WHERE name=CAST('schema' AS BLOB)"), 2);
  EXPECT_NE(raw.number("PRAGMA schema_version"), before) << "who has it open would not look again";
  EXPECT_TRUE(put_text(*store, "k", "w"));
  EXPECT_EQ(text_of(*open(), "k"), "w");
  EXPECT_EQ(raw.number("SELECT count(*) FROM cache"), 1);
  ASSERT_TRUE(store->flush({}).ok());
  EXPECT_EQ(text_of(*store, "k"), std::nullopt);
  EXPECT_TRUE(put_text(*store, "k", "x"));
  EXPECT_EQ(text_of(*open(), "k"), "x");
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
