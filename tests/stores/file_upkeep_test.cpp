// Flushing, pruning, and directories that vanish or are replaced under a store.
#include <sys/file.h>
#include <sys/stat.h>
#include <utime.h>

#include <ctime>
#include <thread>

#include "support/file_cache.hpp"

namespace flux::cache::testing {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

TEST(FileUpkeep, PruneTakesExpiredEntriesThatNobodyReads) {
  FileCache cache;
  for (int i = 0; i < 300; ++i) cache.put("dies" + std::to_string(i), integer(i), cache.in(1s));
  for (int i = 0; i < 20; ++i) cache.put("stays" + std::to_string(i), integer(i), cache.in(1h));
  for (int i = 0; i < 10; ++i) cache.put({"lock" + std::to_string(i), Space::locks}, integer(i), cache.in(1s));
  cache.clock().travel(1s);
  EXPECT_EQ(cache.files().size(), 330U);
  EXPECT_EQ(cache.prune(), 310U);
  EXPECT_EQ(cache.files().size(), 20U);
  EXPECT_EQ(cache.got("stays7"), show(integer(7)));
}

TEST(FileUpkeep, PruneTakesNoMoreThanItsBudgetAndGoesOnWhereItStopped) {
  FileCache cache;
  for (int i = 0; i < 100; ++i) cache.put("dies" + std::to_string(i), integer(i), cache.in(1s));
  cache.clock().travel(1s);
  EXPECT_EQ(cache.prune(30), 30U);
  EXPECT_EQ(cache.files().size(), 70U);
  EXPECT_EQ(cache.prune(30), 30U);
  EXPECT_EQ(cache.prune(30), 30U);
  EXPECT_EQ(cache.prune(30), 10U);
  EXPECT_EQ(cache.prune(30), 0U);
  EXPECT_TRUE(cache.files().empty());
  EXPECT_EQ(cache.prune(0), 0U);
}

TEST(FileUpkeep, PruneKeepsWhatIsKeptPastItsFreshLife) {
  FileCache cache;
  cache.put("k", text("v"), {after(cache.clock().now(), 1s), after(cache.clock().now(), 10s)});
  cache.clock().travel(5s);
  EXPECT_EQ(cache.prune(), 0U);
  EXPECT_EQ(cache.stale("k"), show(text("v")));
  cache.clock().travel(5s);
  EXPECT_EQ(cache.prune(), 1U);
}

TEST(FileUpkeep, AnExpiredEntryThatIsForgottenLeavesNoBytes) {
  FileCache cache;
  cache.put("k", text("v"), cache.in(1s));
  cache.clock().travel(1s);
  EXPECT_FALSE(cache.forget("k"));
  EXPECT_TRUE(cache.files().empty());
}

TEST(FileUpkeep, ALockThatIsLetGoLeavesAnEmptyFileToTheNextHolderAndPruneTakesIt) {
  FileCache cache;
  const At lock{"lock", Space::locks};
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(cache.add(lock, integer(i)));
    EXPECT_FALSE(cache.add(lock, integer(i)));
    EXPECT_TRUE(cache.forget(lock, cache.version(lock)));
    EXPECT_FALSE(cache.forget(lock));
    EXPECT_EQ(cache.got(lock), kMiss);
  }
  EXPECT_EQ(cache.files().size(), 1U);
  EXPECT_EQ(cache.prune(), 1U);
  EXPECT_TRUE(cache.files().empty());
}

TEST(FileUpkeep, AFlushOfManyEntriesTouchesNoneOfThem) {
  FileCache cache(memory_backed_directory());
  for (int i = 0; i < 2000; ++i) cache.put("k" + std::to_string(i), integer(i));
  cache.flush();
  EXPECT_TRUE(cache.files().empty());
  EXPECT_GT(cache.trash().size(), 1900U);  // all but the handful that a flush reclaims at once
  EXPECT_EQ(cache.got("k1"), kMiss);
}

TEST(FileUpkeep, PruneReclaimsWhatAFlushPutAside) {
  FileCache cache(memory_backed_directory());
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 200; ++i) cache.put("k" + std::to_string(i), integer(i));
    cache.flush();
  }
  const std::size_t aside = cache.trash().size();
  EXPECT_GT(aside, 0U);
  EXPECT_EQ(cache.prune(100), 100U);
  EXPECT_EQ(cache.trash().size(), aside - 100);
  EXPECT_EQ(cache.prune(), aside - 100);
  EXPECT_TRUE(cache.trash().empty());
  for (const auto& entry : fs::recursive_directory_iterator(cache.path()))
    EXPECT_EQ(entry.path().string().find("trash"), std::string::npos) << entry.path();
}

TEST(FileUpkeep, AFlushLeavesTagsLocksAndLimits) {
  FileCache cache;
  for (const Space space : {Space::values, Space::tags, Space::locks, Space::limits})
    cache.put({"k", space}, text("v"));
  cache.flush();
  EXPECT_EQ(cache.got("k"), kMiss);
  for (const Space space : {Space::tags, Space::locks, Space::limits})
    EXPECT_EQ(cache.got({"k", space}), show(text("v")));
}

TEST(FileUpkeep, AFlushSeenByAnotherStoreHoldsAtOnce) {
  FileCache cache;
  const StoreProbe other(cache.open());
  cache.put("k", text("v"));
  EXPECT_EQ(other.got("k"), show(text("v")));
  other.flush();
  EXPECT_EQ(cache.got("k"), kMiss);
  cache.put("k", text("w"));
  EXPECT_EQ(other.got("k"), show(text("w")));
}

TEST(FileUpkeep, TemporariesOlderThanAnHourAreTakenAndYoungerOnesAreNot) {
  FileCache cache;
  cache.put("k", text("v"));
  const std::string old = cache.path() + "/.flux-cache-0123.tmp", young = cache.path() + "/.flux-cache-4567.tmp";
  write_bytes(old, "x");
  write_bytes(young, "x");
  const utimbuf times{std::time(nullptr) - 3700, std::time(nullptr) - 3700};
  ASSERT_EQ(::utime(old.c_str(), &times), 0);
  cache.prune();
  EXPECT_FALSE(fs::exists(old));
  EXPECT_TRUE(fs::exists(young));
  EXPECT_EQ(cache.got("k"), show(text("v")));
}

TEST(FileUpkeep, ADirectoryRemovedUnderAStoreIsMadeAgain) {
  FileCache cache;
  cache.put("k", text("v"));
  fs::remove_all(cache.path());
  EXPECT_EQ(cache.got("k"), kMiss);
  EXPECT_FALSE(cache.forget("k"));
  EXPECT_TRUE(cache.put("k", text("w")));
  EXPECT_EQ(cache.got("k"), show(text("w")));
  EXPECT_EQ(StoreProbe(cache.open()).got("k"), show(text("w")));
}

TEST(FileUpkeep, AnyFolderRemovedUnderAStoreIsMadeAgain) {
  FileCache cache;
  for (int levels = 1; levels <= 4; ++levels) {
    fs::path folder = cache.file_of("k");
    for (int i = 0; i < levels; ++i) folder = folder.parent_path();
    fs::remove_all(folder);
    EXPECT_EQ(cache.got("k"), kMiss) << levels;
    EXPECT_EQ(cache.increment("n", 3), 3) << levels;
    EXPECT_TRUE(cache.put("k", text("w"), {}, {When::absent})) << levels;
    EXPECT_EQ(cache.got("k"), show(text("w"))) << levels;
    fs::remove_all(cache.path());
  }
}

TEST(FileUpkeep, ADirectoryReplacedUnderAStoreIsFoundByTheNextFlush) {
  FileCache cache;
  cache.put("k", text("old"));
  fs::rename(cache.path(), cache.scratch() / "aside");
  const StoreProbe other(cache.open());
  other.put("k", text("new"));
  cache.flush();
  EXPECT_EQ(other.got("k"), kMiss);
  EXPECT_EQ(cache.got("k"), kMiss);
  EXPECT_TRUE(cache.put("k", text("newer")));
  EXPECT_EQ(other.got("k"), show(text("newer")));
}

TEST(FileUpkeep, ADamagedMarkerMeansAnEmptyCacheThatWorks) {
  for (const std::string& damage :
       {std::string(), std::string("garbage"), std::string("flux::cache file store\nformat 1\nseed 0\n")}) {
    FileCache cache;
    cache.put("k", text("v"));
    write_bytes(cache.path() + "/.flux-cache", damage);
    const StoreProbe next(cache.open());
    EXPECT_EQ(next.got("k"), kMiss);
    EXPECT_TRUE(next.put("k", text("w")));
    EXPECT_EQ(next.got("k"), show(text("w")));
    EXPECT_EQ(next.prune(), 1U);
    EXPECT_EQ(StoreProbe(cache.open()).got("k"), show(text("w")));
  }
}

TEST(FileUpkeep, ADirectoryInAnotherFormatIsRefused) {
  FileCache cache;
  cache.put("k", text("v"));
  write_bytes(cache.path() + "/.flux-cache", "flux::cache file store\nformat 2\nsomething new\n");
  auto answer = StoreProbe(cache.open()).store().put(Key("k"), {.value = text("w")}, {});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Errc::bad_config);
  EXPECT_EQ(bytes_of(cache.path() + "/.flux-cache"), "flux::cache file store\nformat 2\nsomething new\n");
}

TEST(FileUpkeep, ManyStoresThatOpenAtOnceAgreeOnOneMarker) {
  for (int round = 0; round < 20; ++round) {
    FileCache cache;
    std::vector<std::thread> openers;
    for (int i = 0; i < 8; ++i) {
      openers.emplace_back([&cache, i] { StoreProbe(cache.open()).put("k" + std::to_string(i), integer(i)); });
    }
    for (std::thread& opener : openers) opener.join();
    for (int i = 0; i < 8; ++i) EXPECT_EQ(cache.got("k" + std::to_string(i)), show(integer(i)));
  }
}

TEST(FileUpkeep, AWriteWaitsNoLongerThanItsLimitAndReadsGoOn) {
  FileCache cache;
  const StoreProbe store(cache.open({.timeout = 20ms}));
  store.put("k", text("v"));
  const int holder = ::open(cache.file().c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(::flock(holder, LOCK_EX), 0);
  auto answer = store.store().put(Key("k"), {.value = text("w")}, {});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Errc::timeout);
  EXPECT_EQ(store.got("k"), show(text("v")));
  EXPECT_EQ(store.prune(), 0U);
  ::close(holder);
  EXPECT_TRUE(store.put("k", text("w")));
}

}  // namespace
}  // namespace flux::cache::testing
