// The database store with its file or its neighbours broken under it.
#include <flux/cache/testing/crowd.hpp>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "support/database_fault.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

// --- locks

TEST_F(DatabaseFault, AWriteUnderAForeignLockFailsAtItsDeadlineAndReadsGoOn) {
  const StorePtr store = open({.busy_timeout = 50ms});
  EXPECT_TRUE(put_text(*store, "k", "v"));
  RawDatabase raw(path_);
  raw.run("BEGIN IMMEDIATE");
  EXPECT_EQ(code_of(store->put(Key("k"), text_entry("w"), {})), "timeout");
  EXPECT_EQ(code_of(store->increment(Key("n"), 1, {})), "timeout");
  EXPECT_EQ(code_of(store->forget(Key("k"), {})), "timeout");
  EXPECT_EQ(code_of(store->flush({})), "timeout");
  const Item items[] = {{Key("a"), text_entry("1")}, {Key("b"), text_entry("2")}};
  EXPECT_EQ(store->put_many(items)->failed.size(), 2u);
  EXPECT_EQ(text_of(*store, "k"), "v");
  raw.run("COMMIT");
  EXPECT_TRUE(put_text(*store, "k", "w"));
}

TEST_F(DatabaseFault, AWriteWaitsForALockThatIsLetGoInTime) {
  const StorePtr store = open({.busy_timeout = 60s});
  EXPECT_TRUE(put_text(*store, "k", "v"));
  RawDatabase raw(path_);
  raw.run("BEGIN IMMEDIATE");
  std::thread other([&] { EXPECT_TRUE(put_text(*store, "k", "w")); });
  std::this_thread::sleep_for(20ms);
  raw.run("COMMIT");
  other.join();
  EXPECT_EQ(text_of(*store, "k"), "w");
}

TEST_F(DatabaseFault, ManyProcessesMayMakeTheFileAtOnce) {
  for (int round = 0; round < 5; ++round) {
    path_ = directory_ / ("fresh/" + std::to_string(round) + ".sqlite");
    EXPECT_EQ(run_in_processes(8,
                               [&](int index) {
                                 const StorePtr store = open();
                                 return put_text(*store, "k" + std::to_string(index), "v") &&
                                        store->increment(Key("n"), 1, {}).ok();
                               }),
              8);
    EXPECT_EQ(text_of(*open(), "n"), "8");
  }
}

// --- the schema, changed by somebody else

TEST_F(DatabaseFault, ADroppedTableIsMadeAnew) {
  const StorePtr store = open();
  EXPECT_TRUE(put_text(*store, "k", "v"));
  RawDatabase raw(path_);
  raw.run("DROP TABLE cache");
  EXPECT_EQ(text_of(*store, "k"), std::nullopt);
  raw.run("DROP TABLE cache");
  EXPECT_TRUE(put_text(*store, "k", "w"));
  EXPECT_EQ(text_of(*store, "k"), "w");
  raw.run("DROP TABLE cache");
  EXPECT_EQ(*store->increment(Key("n"), 2, {}), 2);
  raw.run("DROP TABLE cache");
  EXPECT_FALSE(*store->forget(Key("k"), {}));
  raw.run("DROP TABLE cache");
  EXPECT_TRUE(store->flush({}).ok());
}

TEST_F(DatabaseFault, ALostMetaTableMeansAColdCache) {
  const StorePtr store = open();
  EXPECT_TRUE(put_text(*store, "k", "v"));
  RawDatabase raw(path_);
  raw.run("DROP TABLE cache_meta");
  EXPECT_EQ(text_of(*store, "k"), std::nullopt);
  EXPECT_TRUE(put_text(*store, "k", "w"));
  EXPECT_EQ(text_of(*store, "k"), "w");
}

TEST_F(DatabaseFault, TablesMadeAnewByAnotherProcessAreFoundByEveryVerb) {
  const auto verbs = {+[](Store& store) { return text_of(store, "k") == "w"; },
                      +[](Store& store) { return *store.forget(Key("k"), {}); },
                      +[](Store& store) { return *store.touch(Key("k"), {}); },
                      +[](Store& store) { return *store.has(Key("k")); },
                      +[](Store& store) { return !*store.put(Key("k"), text_entry("x"), {When::absent}); },
                      +[](Store& store) { return *store.put(Key("k"), text_entry("x"), {When::present}); },
                      +[](Store& store) { return *store.pull(Key("k"), {}, [](const Entry&) {}); },
                      +[](Store& store) { return store.flush({}).ok() && text_of(store, "k") == std::nullopt; },
                      +[](Store& store) {
                        const Key keys[] = {Key("k")};
                        return *store.forget_many(keys) == 1;
                      }};
  const StorePtr store = open();
  for (const auto verb : verbs) {
    EXPECT_TRUE(put_text(*store, "k", "v"));
    RawDatabase(path_).run("DROP TABLE cache; DROP TABLE cache_meta");
    EXPECT_EQ(run_in_processes(1, [&] { return put_text(*open(), "k", "w") ? 1 : 0; }), 1);
    EXPECT_TRUE(verb(*store));
  }
}

TEST_F(DatabaseFault, ALostColumnMeansAColdCache) {
  const StorePtr store = open();
  EXPECT_TRUE(put_text(*store, "k", "v"));
  RawDatabase(path_).run("ALTER TABLE cache DROP COLUMN labels");
  EXPECT_EQ(text_of(*store, "k"), std::nullopt);
  EXPECT_TRUE(put_text(*store, "k", "w"));
  EXPECT_EQ(text_of(*store, "k"), "w");
}

// --- a file that cannot be read

TEST_F(DatabaseFault, GarbageIsSetAsideAndTheStoreStartsAnew) {
  overwrite(std::string(100'000, 'x'));
  const StorePtr store = open();
  const auto first = store->get(Key("k"), {}, [](const Entry&) {});
  ASSERT_FALSE(first.ok());
  EXPECT_EQ(first.error().code, Errc::corrupt);
  EXPECT_NE(first.error().message.find(".corrupt-1"), std::string::npos) << first.error().message;
  EXPECT_EQ(fs::file_size(path_ + ".corrupt-1"), 100'000u);
  EXPECT_TRUE(put_text(*store, "k", "v"));
  EXPECT_EQ(text_of(*store, "k"), "v");
  EXPECT_FALSE(fs::exists(path_ + ".corrupt-2"));
}

TEST_F(DatabaseFault, EachBrokenFileGetsANameOfItsOwn) {
  for (int round = 1; round <= 3; ++round) {
    overwrite("0123456789 and no database at all");
    const StorePtr store = open();
    EXPECT_FALSE(put_text(*store, "k", "v"));
    EXPECT_TRUE(put_text(*store, "k", "v"));
    EXPECT_TRUE(fs::exists(path_ + ".corrupt-" + std::to_string(round)));
  }
}

TEST_F(DatabaseFault, AFileWithPagesOverwrittenIsSetAside) {
  {
    const StorePtr store = open();
    for (int i = 0; i < 2000; ++i) ASSERT_TRUE(put_text(*store, std::to_string(i), std::string(200, 'v')));
  }
  {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    const auto size = static_cast<std::streamoff>(fs::file_size(path_));
    for (std::streamoff page = 4096; page < size; page += 4096) file.seekp(page) << std::string(4096, '\xee');
  }
  const StorePtr store = open();
  EXPECT_EQ(text_of(*store, "7"), "<corrupt>");
  EXPECT_TRUE(fs::exists(path_ + ".corrupt-1"));
  EXPECT_TRUE(put_text(*store, "7", "v"));
  EXPECT_EQ(text_of(*store, "7"), "v");
  EXPECT_TRUE(is_whole());
}

TEST_F(DatabaseFault, HalfAFileNeverGivesAWrongValueAndHealsItself) {
  {
    const StorePtr store = open();
    for (int i = 0; i < 2000; ++i) ASSERT_TRUE(put_text(*store, std::to_string(i), std::to_string(i)));
  }
  fs::resize_file(path_, fs::file_size(path_) / 2 / 4096 * 4096);
  const StorePtr store = open();
  for (int i = 0; i < 2000; ++i) {
    const auto text = text_of(*store, std::to_string(i));
    EXPECT_TRUE(text == std::nullopt || text == std::to_string(i) || text == "<corrupt>") << *text;
  }
  EXPECT_TRUE(put_text(*store, "new", "v"));
  EXPECT_EQ(text_of(*store, "new"), "v");
}

TEST_F(DatabaseFault, RefusesInsteadWhereItWasToldTo) {
  overwrite(std::string(10'000, 'x'));
  const StorePtr store = open({.on_corrupt = OnCorrupt::refuse});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(code_of(store->has(Key("k"))), "corrupt");
    EXPECT_EQ(code_of(store->put(Key("k"), text_entry("v"), {})), "corrupt");
  }
  EXPECT_EQ(fs::file_size(path_), 10'000u);
  EXPECT_FALSE(fs::exists(path_ + ".corrupt-1"));
}

TEST_F(DatabaseFault, ADatabaseThatHoldsTablesOfOthersIsNeverSetAside) {
  RawDatabase(path_).run("CREATE TABLE orders (id INTEGER PRIMARY KEY, what TEXT)");
  const StorePtr store = open();
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(put_text(*store, std::to_string(i), std::string(200, 'v')));
  const auto root = RawDatabase(path_).number("SELECT rootpage FROM sqlite_master WHERE name='cache'");
  RawDatabase(path_).run("PRAGMA wal_checkpoint(TRUNCATE)");
  {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp((root - 1) * 4096) << std::string(4096, '\xee');
  }
  const StorePtr again = open();
  EXPECT_EQ(text_of(*again, "7"), "<corrupt>");
  EXPECT_EQ(text_of(*again, "7"), "<corrupt>");
  EXPECT_FALSE(fs::exists(path_ + ".corrupt-1"));
}

TEST_F(DatabaseFault, OfManyProcessesOneSetsTheBrokenFileAside) {
  overwrite(std::string(100'000, 'x'));
  EXPECT_EQ(run_in_processes(8,
                             [&](int index) {
                               const StorePtr store = open();
                               const std::string key = std::to_string(index);
                               for (int i = 0; i < 20 && !put_text(*store, key, key); ++i) {
                               }
                               clock_.travel(2s);
                               for (int i = 0; i < 20 && !put_text(*store, key, key); ++i) {
                               }
                               return text_of(*store, key) == key ? 1 : 0;
                             }),
            8);
  EXPECT_TRUE(fs::exists(path_ + ".corrupt-1"));
  EXPECT_FALSE(fs::exists(path_ + ".corrupt-2"));
  const StorePtr store = open();
  for (int index = 0; index < 8; ++index) EXPECT_EQ(text_of(*store, std::to_string(index)), std::to_string(index));
  EXPECT_TRUE(is_whole());
}

TEST_F(DatabaseFault, AFileTruncatedToNothingHealsItself) {
  const StorePtr store = open();
  EXPECT_TRUE(put_text(*store, "k", "v"));
  fs::resize_file(path_, 0);
  const StorePtr other = open();
  EXPECT_EQ(text_of(*other, "k"), "<corrupt>");
  EXPECT_TRUE(put_text(*other, "k", "w"));
  clock_.travel(2s);
  EXPECT_EQ(text_of(*store, "k"), "w");
  EXPECT_TRUE(put_text(*store, "k", "x"));
  EXPECT_EQ(text_of(*other, "k"), "x");
  EXPECT_TRUE(is_whole());
}

TEST_F(DatabaseFault, ALoneStoreNoticesThatItsFileWasTruncated) {
  const StorePtr store = open();
  EXPECT_TRUE(put_text(*store, "k", "v"));
  fs::resize_file(path_, 0);
  clock_.travel(2s);
  EXPECT_EQ(text_of(*store, "k"), "<corrupt>");
  EXPECT_TRUE(put_text(*store, "k", "w"));
  EXPECT_EQ(text_of(*store, "k"), "w");
}

TEST_F(DatabaseFault, AnEmptyFileIsAnEmptyStore) {
  overwrite("");
  const StorePtr store = open();
  EXPECT_EQ(text_of(*store, "k"), std::nullopt);
  EXPECT_TRUE(put_text(*store, "k", "v"));
}

TEST_F(DatabaseFault, AFileUnlinkedUnderTheStoreIsNoticed) {
  const StorePtr store = open();
  EXPECT_TRUE(put_text(*store, "k", "v"));
  fs::remove(path_);
  clock_.travel(2s);
  EXPECT_EQ(text_of(*store, "k"), std::nullopt);
  EXPECT_TRUE(put_text(*store, "k", "w"));
  EXPECT_EQ(text_of(*open(), "k"), "w");
  EXPECT_TRUE(is_whole());
}

TEST_F(DatabaseFault, AFileReplacedUnderTheStoreIsNoticed) {
  const std::string other = directory_ / "other.sqlite";
  EXPECT_TRUE(put_text(*make_database({.clock = &clock_}, {.database = other}), "k", "of the other file"));
  const StorePtr store = open();
  EXPECT_TRUE(put_text(*store, "k", "v"));
  fs::rename(other, path_);
  clock_.travel(2s);
  EXPECT_EQ(text_of(*store, "k"), "of the other file");
  EXPECT_TRUE(put_text(*store, "k", "w"));
  EXPECT_EQ(text_of(*store, "k"), "w");
  EXPECT_TRUE(is_whole());
}

TEST_F(DatabaseFault, ADirectoryRemovedUnderTheStoreIsMadeAnew) {
  path_ = directory_ / "inner/cache.sqlite";
  const StorePtr store = open();
  EXPECT_TRUE(put_text(*store, "k", "v"));
  fs::remove_all(directory_ / "inner");
  clock_.travel(2s);
  EXPECT_EQ(text_of(*store, "k"), std::nullopt);
  EXPECT_TRUE(put_text(*store, "k", "w"));
  EXPECT_EQ(text_of(*store, "k"), "w");
}

TEST_F(DatabaseFault, APlaceWhereNoFileCanBeIsAnErrorOfEachCall) {
  path_ = "/proc/no/such/place/cache.sqlite";
  const StorePtr store = open();
  const auto expect_told = [&](const Result<bool>& answer) {
    EXPECT_EQ(code_of(answer), "unavailable");
    EXPECT_TRUE(answer.error().message.starts_with(path_)) << answer.error().message;
  };
  expect_told(store->has(Key("k")));
  expect_told(store->put(Key("k"), text_entry("v"), {}));
  path_ = directory_.path();  // a directory
  expect_told(open()->put(Key("k"), text_entry("v"), {}));
}

}  // namespace
}  // namespace flux::cache::testing
