// The database store with its file, its disk or its neighbours broken under it.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>
#include <flux/cache/testing/crowd.hpp>

#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "support/database.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class DatabaseFault : public ::testing::Test {
 protected:
  StorePtr open(SqliteConnection connection = {}, DatabaseConfig config = {}) {
    config.clock = &clock_;
    connection.database = path_;
    return make_database(config, connection);
  }
  void overwrite(const std::string& bytes) { std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes; }
  bool is_whole() { return RawDatabase(path_).text("PRAGMA integrity_check") == "ok"; }

  ScratchDirectory directory_;
  std::string path_ = directory_ / "cache.sqlite";
  FakeClock clock_;
};

template <class T>
std::string code_of(const Result<T>& answer) {
  return answer.ok() ? "none" : std::string(to_string(answer.error().code));
}

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
  EXPECT_EQ(code_of(store->has(Key("k"))), "unavailable");
  EXPECT_EQ(code_of(store->put(Key("k"), text_entry("v"), {})), "unavailable");
  path_ = directory_.path();  // a directory
  EXPECT_EQ(code_of(open()->put(Key("k"), text_entry("v"), {})), "unavailable");
}

// --- disks

/// A file system of its own, unmounted at the end.
class Mount {
 public:
  Mount(const char* source, const std::string& target, const char* type, unsigned long flags, const char* options)
      : target_(target) {
    fs::create_directories(target);
    mounted_ = ::mount(source, target.c_str(), type, flags, options) == 0;
  }
  ~Mount() {
    if (mounted_) ::umount2(target_.c_str(), MNT_DETACH);
  }
  Mount(const Mount&) = delete;
  Mount& operator=(const Mount&) = delete;
  explicit operator bool() const noexcept { return mounted_; }

 private:
  std::string target_;
  bool mounted_;
};

TEST_F(DatabaseFault, AFullDiskFailsWritesKeepsReadsAndComesBackByItself) {
  const Mount disk("tmpfs", directory_ / "small", "tmpfs", 0, "size=2m");
  if (!disk) GTEST_SKIP() << "mounting a small disk needs privileges: " << std::strerror(errno);
  path_ = directory_ / "small/cache.sqlite";
  const StorePtr store = open({.checkpoint_pages = 50});
  EXPECT_TRUE(put_text(*store, "k", "old"));
  EXPECT_TRUE(put_text(*store, "room", "v"));
  const std::string ballast = directory_ / "small/ballast";
  {
    const int file = ::open(ballast.c_str(), O_CREAT | O_WRONLY, 0600);
    ASSERT_GE(file, 0);
    const std::string block(4096, 'b');
    while (::write(file, block.data(), block.size()) > 0) {
    }
    ::close(file);
  }
  std::string failure;
  for (int i = 0; i < 200 && failure.empty(); ++i) {
    const auto written = store->put(Key("k" + std::to_string(i)), text_entry(std::string(20'000, 'x')), {});
    if (!written.ok()) failure = to_string(written.error().code);
  }
  EXPECT_EQ(failure, "unavailable");
  EXPECT_EQ(text_of(*store, "k"), "old");
  EXPECT_EQ(text_of(*store, "room"), "v");
  const std::string large(50'000, 'x');
  const Item items[] = {{Key("a"), text_entry(large)}, {Key("b"), text_entry(large)}};
  EXPECT_EQ(store->put_many(items)->failed.size(), 2u);
  fs::remove(ballast);
  EXPECT_TRUE(put_text(*store, "k", "new"));
  EXPECT_EQ(text_of(*store, "k"), "new");
  EXPECT_EQ(store->put_many(items)->failed.size(), 0u);
  EXPECT_TRUE(is_whole());
}

TEST_F(DatabaseFault, AReadOnlyDiskIsReadAndWritesFailUntilItCanBeWritten) {
  const std::string real = directory_ / "real", view = directory_ / "view";
  path_ = real + "/cache.sqlite";
  EXPECT_TRUE(put_text(*open(), "k", "v"));  // closed again: the log is folded in
  ASSERT_FALSE(fs::exists(path_ + "-wal"));
  StorePtr store;
  {
    const Mount bound(real.c_str(), view, nullptr, MS_BIND, nullptr);
    if (!bound) GTEST_SKIP() << "mounting needs privileges: " << std::strerror(errno);
    ASSERT_EQ(::mount(nullptr, view.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr), 0);
    path_ = view + "/cache.sqlite";
    store = open();
    EXPECT_EQ(text_of(*store, "k"), "v");
    EXPECT_EQ(text_of(*store, "absent"), std::nullopt);
    EXPECT_TRUE(*store->has(Key("k")));
    EXPECT_EQ(code_of(store->put(Key("k"), text_entry("w"), {})), "unavailable");
    EXPECT_EQ(code_of(store->increment(Key("n"), 1, {})), "unavailable");
    EXPECT_EQ(code_of(store->forget(Key("k"), {})), "unavailable");
    EXPECT_EQ(code_of(store->flush({})), "unavailable");
    EXPECT_EQ(text_of(*open({}, {.prefix = "a prefix that was never written"}), "k"), std::nullopt);
    EXPECT_EQ(text_of(*store, "k"), "v");
    ASSERT_EQ(::mount(nullptr, view.c_str(), nullptr, MS_REMOUNT | MS_BIND, nullptr), 0);
    clock_.travel(2s);
    EXPECT_TRUE(put_text(*store, "k", "w"));
    EXPECT_EQ(text_of(*store, "k"), "w");
    store.reset();
  }
}

TEST_F(DatabaseFault, AReadOnlyDiskWithALogThatWasNotFoldedInIsNotReadHalf) {
  const std::string real = directory_ / "real", view = directory_ / "view";
  path_ = real + "/cache.sqlite";
  const StorePtr writer = open();
  EXPECT_TRUE(put_text(*writer, "k", "v"));
  ASSERT_GT(fs::file_size(path_ + "-wal"), 0u);
  fs::create_directories(directory_ / "copy");
  for (const char* suffix : {"", "-wal"}) fs::copy_file(path_ + suffix, directory_ / "copy/cache.sqlite" + suffix);
  const Mount bound((directory_ / "copy").c_str(), view, nullptr, MS_BIND, nullptr);
  if (!bound) GTEST_SKIP() << "mounting needs privileges: " << std::strerror(errno);
  ASSERT_EQ(::mount(nullptr, view.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr), 0);
  path_ = view + "/cache.sqlite";
  EXPECT_EQ(code_of(open()->has(Key("k"))), "unavailable");
}

// --- a process that dies

TEST_F(DatabaseFault, AHundredKillsLoseNothingThatWasAcknowledged) {
  const std::string progress = directory_ / "progress";
  EXPECT_TRUE(open()->increment(Key("n"), 0, {}).ok());
  long expected = 0;
  for (int round = 0; round < 100; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const StorePtr store = open();
      const int file = ::open(progress.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600);
      const std::string large(20'000, static_cast<char>('a' + round % 26));
      for (long i = 1;; ++i) {
        if (!store->increment(Key("n"), 1, {}).ok()) ::_exit(1);
        if (::pwrite(file, &i, sizeof i, 0) != sizeof i) ::_exit(1);
        if (!put_text(*store, "large", large)) ::_exit(1);
      }
    }
    // Somewhere in the middle of its work, however slow the machine is.
    for (int waited = 0; waited < 30'000 && (!fs::exists(progress) || fs::file_size(progress) == 0); ++waited)
      std::this_thread::sleep_for(1ms);
    std::this_thread::sleep_for(std::chrono::microseconds(137 * (round % 41)));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
    long acknowledged = 0;
    if (const int file = ::open(progress.c_str(), O_RDONLY); file >= 0) {
      if (::read(file, &acknowledged, sizeof acknowledged) != sizeof acknowledged) acknowledged = 0;
      ::close(file);
      fs::remove(progress);
    }
    const StorePtr store = open();
    const long counted = std::stol(text_of(*store, "n").value_or("-1"));
    const long done = counted - expected;
    EXPECT_TRUE(done == acknowledged || done == acknowledged + 1) << done << " of " << acknowledged;
    expected = counted;
    if (const auto large = text_of(*store, "large")) {
      ASSERT_EQ(large->size(), 20'000u);
      EXPECT_EQ(*large, std::string(20'000, large->front()));
    }
  }
  EXPECT_GT(expected, 0);
  EXPECT_TRUE(is_whole());
}

TEST_F(DatabaseFault, AKillDuringFlushAndPruneLeavesACleanStart) {
  for (int round = 0; round < 20; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const StorePtr store = open();
      for (long i = 0;; ++i) {
        put_text(*store, std::to_string(i % 100), std::string(500, 'x'));
        if (i % 10 == 0) (void)store->flush({});
        if (i % 15 == 0) (void)store->prune(50);
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5 + round));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const StorePtr store = open();
    EXPECT_TRUE(store->flush({}).ok());
    EXPECT_EQ(text_of(*store, "1"), std::nullopt);
    EXPECT_TRUE(put_text(*store, "k", "v"));
    EXPECT_TRUE(store->prune(100'000).ok());
    EXPECT_EQ(text_of(*store, "k"), "v");
  }
  EXPECT_TRUE(is_whole());
  EXPECT_EQ(RawDatabase(path_).number("SELECT count(*) FROM cache"), 1);
}

}  // namespace
}  // namespace flux::cache::testing
