// A disk that is full or may not be written to, and a process without descriptors.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/file_cache.hpp"
#include "support/mount.hpp"

namespace flux::cache::testing {
namespace {

namespace fs = std::filesystem;

Errc put_error(const StoreProbe& cache, const std::string& key, const std::string& value) {
  auto answer = cache.store().put(Key(key), {.value = text(value)}, {});
  return answer.ok() ? Errc{} : answer.error().code;
}

TEST(FileDisk, OnAFullDiskPutsAreRefusedReadsGoOnAndNothingHalfStays) {
  const ScratchDirectory scratch;
  const Mount disk("tmpfs", scratch.path(), "tmpfs", 0, "size=256k");
  if (!disk.is_there()) GTEST_SKIP() << disk.why();
  const StoreProbe cache(make_file({.path = scratch / "cache"}));
  ASSERT_TRUE(cache.put("small", text("v")));
  ASSERT_TRUE(cache.put("over", text("old")));
  int written = 0;
  std::string last;
  for (; written < 100; ++written) {
    auto answer = cache.store().put(Key(std::to_string(written)), {.value = text(std::string(10'000, 'x'))}, {});
    if (answer.ok()) continue;
    EXPECT_EQ(answer.error().code, Errc::unavailable);
    EXPECT_NE(answer.error().message.find("No space left"), std::string::npos) << answer.error().message;
    last = std::to_string(written);
    break;
  }
  ASSERT_GT(written, 5);
  ASSERT_LT(written, 100);
  EXPECT_EQ(cache.got("small"), show(text("v")));
  EXPECT_EQ(cache.got(last), kMiss);
  EXPECT_EQ(cache.got("0"), show(text(std::string(10'000, 'x'))));
  EXPECT_EQ(put_error(cache, "over", std::string(50'000, 'y')), Errc::unavailable);
  EXPECT_EQ(cache.got("over"), kMiss);  // it is not to look new
  EXPECT_TRUE(cache.forget("0"));       // room again
  EXPECT_TRUE(cache.put("over", text("new")));
  EXPECT_EQ(cache.got("over"), show(text("new")));
  for (const auto& entry : fs::recursive_directory_iterator(scratch / "cache"))
    EXPECT_EQ(entry.path().string().find(".tmp"), std::string::npos);
}

TEST(FileDisk, OnAFullDiskAFlushStillEmptiesAndMakesRoom) {
  const ScratchDirectory scratch;
  const Mount disk("tmpfs", scratch.path(), "tmpfs", 0, "size=256k");
  if (!disk.is_there()) GTEST_SKIP() << disk.why();
  const StoreProbe cache(make_file({.path = scratch / "cache"}));
  ASSERT_TRUE(cache.put("k", text("v")));
  for (int i = 0; put_error(cache, std::to_string(i), std::string(10'000, 'x')) == Errc{};) ++i;
  cache.flush();
  cache.prune();
  EXPECT_EQ(cache.got("k"), kMiss);
  EXPECT_TRUE(cache.put("k", text(std::string(10'000, 'n'))));
}

TEST(FileDisk, AFullDiskFromTheStartRefusesEveryPut) {
  const ScratchDirectory scratch;
  const Mount disk("tmpfs", scratch.path(), "tmpfs", 0, "size=4k,nr_inodes=2");
  if (!disk.is_there()) GTEST_SKIP() << disk.why();
  const StoreProbe cache(make_file({.path = scratch / "cache"}));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(put_error(cache, "k", "v"), Errc::unavailable);
  EXPECT_EQ(cache.got("k"), kMiss);
}

TEST(FileDisk, InAReadOnlyDirectoryReadsGoOnAndWritesAreRefused) {
  const ScratchDirectory scratch;
  fs::create_directory(scratch / "disk");
  {
    const StoreProbe before(make_file({.path = scratch / "disk/cache"}));
    ASSERT_TRUE(before.put("k", text("v")));
    ASSERT_TRUE(before.put("damaged", text("v")));
    for (const auto& entry : fs::recursive_directory_iterator(scratch / "disk/cache")) {
      if (entry.is_regular_file() && bytes_of(entry.path()).find("damaged") != std::string::npos)
        fs::resize_file(entry.path(), fs::file_size(entry.path()) - 1);
    }
  }
  const std::string where = scratch / "disk";
  const Mount bound(where.c_str(), where, nullptr, MS_BIND, nullptr);
  if (!bound.is_there()) GTEST_SKIP() << bound.why();
  ASSERT_EQ(::mount(nullptr, where.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr), 0);
  const StoreProbe cache(make_file({.path = scratch / "disk/cache"}));
  EXPECT_EQ(cache.got("k"), show(text("v")));
  EXPECT_TRUE(cache.has("k"));
  EXPECT_EQ(put_error(cache, "k", "w"), Errc::unavailable);
  EXPECT_EQ(put_error(cache, "new", "w"), Errc::unavailable);
  EXPECT_FALSE(cache.store().forget(Key("k"), {}).ok());
  EXPECT_FALSE(cache.store().increment(Key("n"), 1, {}).ok());
  EXPECT_FALSE(cache.store().flush({}).ok());
  EXPECT_EQ(cache.prune(), 0U);
  EXPECT_EQ(cache.got("k"), show(text("v")));
  auto damaged = cache.store().get(Key("damaged"), {}, [](const Entry&) {});
  ASSERT_FALSE(damaged.ok());
  EXPECT_EQ(damaged.error().code, Errc::corrupt);
}

TEST(FileDisk, WithoutDescriptorsCallsAreRefusedAndAfterwardsAllIsAsItWas) {
  const FileCache cache;
  cache.put("k", text("v"));
  const StoreProbe fresh(cache.open({.prefix = "other"}));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  std::vector<int> taken;
  const rlimit few{64, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  for (int fd = 0; (fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) taken.push_back(fd);
  const Errc put = put_error(cache, "k", "w"), put_fresh = put_error(fresh, "k", "w");
  auto got = cache.store().get(Key("k"), {}, [](const Entry&) {});
  auto flushed = fresh.store().flush({});
  for (const int fd : taken) ::close(fd);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(put, Errc::unavailable);
  EXPECT_EQ(put_fresh, Errc::unavailable);
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code, Errc::unavailable);
  EXPECT_NE(got.error().message.find("Too many open files"), std::string::npos);
  EXPECT_FALSE(flushed.ok());
  EXPECT_EQ(cache.got("k"), show(text("v")));
  EXPECT_TRUE(fresh.put("k", text("w")));
}

}  // namespace
}  // namespace flux::cache::testing
