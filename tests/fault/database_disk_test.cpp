// The database store on a disk that is full, or that may not be written to.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "support/database_fault.hpp"
#include "support/mount.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class DatabaseDisk : public DatabaseFault {};

TEST_F(DatabaseDisk, AFullDiskFailsWritesKeepsReadsAndComesBackByItself) {
  const Mount disk("tmpfs", directory_ / "small", "tmpfs", 0, "size=2m");
  if (!disk.is_there()) GTEST_SKIP() << disk.why();
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

TEST_F(DatabaseDisk, AReadOnlyDiskIsReadAndWritesFailUntilItCanBeWritten) {
  const std::string real = directory_ / "real", view = directory_ / "view";
  path_ = real + "/cache.sqlite";
  EXPECT_TRUE(put_text(*open(), "k", "v"));  // closed again: the log is folded in
  ASSERT_FALSE(fs::exists(path_ + "-wal"));
  StorePtr store;
  {
    const Mount bound(real.c_str(), view, nullptr, MS_BIND, nullptr);
    if (!bound.is_there()) GTEST_SKIP() << bound.why();
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

TEST_F(DatabaseDisk, AReadOnlyDiskWithALogThatWasNotFoldedInIsNotReadHalf) {
  const std::string real = directory_ / "real", view = directory_ / "view";
  path_ = real + "/cache.sqlite";
  const StorePtr writer = open();
  EXPECT_TRUE(put_text(*writer, "k", "v"));
  ASSERT_GT(fs::file_size(path_ + "-wal"), 0u);
  fs::create_directories(directory_ / "copy");
  for (const char* suffix : {"", "-wal"}) fs::copy_file(path_ + suffix, directory_ / "copy/cache.sqlite" + suffix);
  const Mount bound((directory_ / "copy").c_str(), view, nullptr, MS_BIND, nullptr);
  if (!bound.is_there()) GTEST_SKIP() << bound.why();
  ASSERT_EQ(::mount(nullptr, view.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr), 0);
  path_ = view + "/cache.sqlite";
  EXPECT_EQ(code_of(open()->has(Key("k"))), "unavailable");
}

}  // namespace
}  // namespace flux::cache::testing
