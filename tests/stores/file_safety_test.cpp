// Whose directory it is, and what somebody may have planted in it.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "support/file_cache.hpp"

namespace flux::cache::testing {
namespace {

namespace fs = std::filesystem;

Errc refusal_of(Result<bool> answer) {
  EXPECT_FALSE(answer.ok());
  return answer.ok() ? Errc{} : answer.error().code;
}
Errc put_refusal(Store& store) { return refusal_of(store.put(Key("k"), {.value = text("v")}, {})); }

TEST(FileSafety, ALinkInAnEntrysPlaceIsAMissAndIsReplacedAndItsTargetStaysAsItWas) {
  FileCache cache;
  const std::string place = cache.file_of("k");
  const std::string target = cache.scratch() / "target";
  fs::rename(place, target);  // even the bytes of a good entry count for nothing behind a link
  const std::string before = bytes_of(target);
  fs::create_symlink(target, place);
  EXPECT_EQ(cache.got("k"), kMiss);
  EXPECT_FALSE(cache.has("k"));
  EXPECT_FALSE(cache.forget("k"));
  EXPECT_TRUE(cache.put("k", text("new")));
  EXPECT_EQ(cache.got("k"), show(text("new")));
  EXPECT_FALSE(fs::is_symlink(place));
  EXPECT_EQ(bytes_of(target), before);
}

TEST(FileSafety, ADanglingLinkIsReplacedAndItsTargetIsNotMade) {
  FileCache cache;
  const std::string place = cache.file_of("k");
  fs::remove(place);
  fs::create_symlink(cache.scratch() / "nowhere", place);
  EXPECT_TRUE(cache.put("k", text("new"), {}, {When::absent}));
  EXPECT_FALSE(fs::exists(cache.scratch() / "nowhere"));
  EXPECT_EQ(cache.got("k"), show(text("new")));
}

TEST(FileSafety, APipeInAnEntrysPlaceIsAMissAndIsReplacedAndNobodyHangs) {
  FileCache cache;
  const std::string place = cache.file_of("k");
  fs::remove(place);
  ASSERT_EQ(::mkfifo(place.c_str(), 0600), 0);
  EXPECT_EQ(cache.got("k"), kMiss);
  EXPECT_FALSE(cache.forget("k"));
  EXPECT_EQ(cache.prune(), 0U);
  EXPECT_EQ(cache.increment("k", 5), 5);
  EXPECT_TRUE(fs::is_regular_file(place));
}

TEST(FileSafety, AFolderInAnEntrysPlaceIsAMissAndIsReplacedWhereItIsEmpty) {
  FileCache cache;
  const std::string place = cache.file_of("k");
  fs::remove(place);
  fs::create_directory(place);
  EXPECT_EQ(cache.got("k"), kMiss);
  EXPECT_TRUE(cache.put("k", text("new")));
  EXPECT_EQ(cache.got("k"), show(text("new")));
}

TEST(FileSafety, ASecondNameOfAnotherFileIsReplacedAndThatFileStaysAsItWas) {
  FileCache cache;
  const std::string place = cache.file_of("k");
  const std::string mine = cache.scratch() / "mine";
  write_bytes(mine, "precious");
  fs::remove(place);
  fs::create_hard_link(mine, place);
  EXPECT_TRUE(cache.put("k", text("new")));
  EXPECT_EQ(cache.got("k"), show(text("new")));
  EXPECT_EQ(bytes_of(mine), "precious");
}

TEST(FileSafety, AnEntryThatABackupLinkedElsewhereIsLeftToTheBackup) {
  FileCache cache;
  cache.put("k", text("old"));
  const std::string backup = cache.scratch() / "backup";
  fs::create_hard_link(cache.file(), backup);
  const std::string before = bytes_of(backup);
  EXPECT_TRUE(cache.put("k", text("new")));
  EXPECT_EQ(cache.got("k"), show(text("new")));
  EXPECT_EQ(bytes_of(backup), before);
}

TEST(FileSafety, ALinkInAFoldersPlaceIsNotFollowed) {
  for (const int levels : {1, 2}) {
    FileCache cache;
    fs::path folder = fs::path(cache.file_of("k")).parent_path();
    for (int i = 1; i < levels; ++i) folder = folder.parent_path();
    const std::string elsewhere = cache.scratch() / "elsewhere";
    fs::rename(folder, elsewhere);
    fs::create_directory_symlink(elsewhere, folder);
    EXPECT_EQ(cache.got("k"), kMiss);
    EXPECT_TRUE(cache.put("k", text("new")));
    EXPECT_EQ(cache.got("k"), show(text("new")));
    EXPECT_FALSE(fs::is_symlink(folder));
    EXPECT_TRUE(fs::is_directory(elsewhere));
  }
}

TEST(FileSafety, ADirectoryOfAnotherUserIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "giving a directory away needs root";
  FileCache cache;
  fs::create_directory(cache.path());
  ASSERT_EQ(::chown(cache.path().c_str(), 12345, 12345), 0);
  EXPECT_EQ(put_refusal(cache.store()), Errc::denied);
  EXPECT_EQ(refusal_of(cache.store().get(Key("k"), {}, [](const Entry&) {})), Errc::denied);
  EXPECT_EQ(cache.store().flush({}).error().code, Errc::denied);
  const auto error = cache.store().put(Key("k"), {}, {});
  EXPECT_NE(error.error().message.find("12345"), std::string::npos);
  EXPECT_NE(error.error().message.find(cache.path()), std::string::npos);
}

TEST(FileSafety, ADirectoryThatOthersMayWriteToIsRefused) {
  for (const auto open : {fs::perms::group_write, fs::perms::others_write}) {
    FileCache cache;
    fs::create_directory(cache.path());
    fs::permissions(cache.path(), fs::perms(0700) | open);
    EXPECT_EQ(put_refusal(cache.store()), Errc::denied);
    EXPECT_TRUE(fs::is_empty(cache.path()));
  }
}

TEST(FileSafety, TheOverrideWorksAndIsLoud) {
  FileCache cache;
  fs::create_directory(cache.path());
  fs::permissions(cache.path(), fs::perms(0777));
  const StoreProbe store(cache.open({.allow_unsafe_directory = true}));
  ::testing::internal::CaptureStderr();
  EXPECT_TRUE(store.put("k", text("v")));
  EXPECT_EQ(store.got("k"), show(text("v")));
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find(cache.path()), std::string::npos);
  EXPECT_NE(said.find("warning"), std::string::npos);
}

TEST(FileSafety, APathThatIsALinkIsRefusedAndTakenWithTheOverride) {
  FileCache cache;
  fs::create_directory(cache.scratch() / "real");
  fs::permissions(cache.scratch() / "real", fs::perms(0700));
  fs::create_directory_symlink(cache.scratch() / "real", cache.path());
  EXPECT_EQ(put_refusal(cache.store()), Errc::bad_config);
  const StoreProbe store(cache.open({.allow_unsafe_directory = true}));
  EXPECT_TRUE(store.put("k", text("v")));
}

TEST(FileSafety, ADirectoryThatHoldsForeignFilesIsRefusedByEveryCallAndStaysAsItWas) {
  FileCache cache;
  fs::create_directory(cache.path());
  fs::permissions(cache.path(), fs::perms(0700));
  write_bytes(cache.path() + "/thesis.txt", "precious");
  EXPECT_EQ(put_refusal(cache.store()), Errc::bad_config);
  EXPECT_EQ(refusal_of(cache.store().get(Key("k"), {}, [](const Entry&) {})), Errc::bad_config);
  auto flushed = cache.store().flush({});
  ASSERT_FALSE(flushed.ok());
  EXPECT_EQ(flushed.error().code, Errc::bad_config);
  EXPECT_EQ(cache.store().prune(100).error().code, Errc::bad_config);
  EXPECT_EQ(bytes_of(cache.path() + "/thesis.txt"), "precious");
  EXPECT_EQ(std::distance(fs::directory_iterator(cache.path()), {}), 1);
}

TEST(FileSafety, ForeignFilesBesideTheEntriesSurviveFlushAndPrune) {
  FileCache cache;
  cache.put("k", text("v"));
  write_bytes(cache.path() + "/notes.txt", "precious");
  fs::create_directory(cache.path() + "/photos");
  write_bytes(cache.path() + "/photos/cat.png", "precious");
  cache.flush();
  cache.clock().travel(std::chrono::hours(1000));
  cache.prune();
  EXPECT_EQ(bytes_of(cache.path() + "/notes.txt"), "precious");
  EXPECT_EQ(bytes_of(cache.path() + "/photos/cat.png"), "precious");
}

TEST(FileSafety, TheRootAndTheHomeDirectoryAreNeverACache) {
  const ScratchDirectory scratch;
  const char* const home = std::getenv("HOME");
  const std::string saved = home != nullptr ? home : "";
  ::setenv("HOME", scratch.path().c_str(), 1);
  for (const std::string& path : {std::string("/"), scratch.path(), scratch.path() + "/", scratch.path() + "/."}) {
    const FileConfig config{.path = path};
    const auto checked = config.validate();
    ASSERT_FALSE(checked.ok()) << path;
    EXPECT_EQ(checked.error().code, Errc::bad_config);
    EXPECT_NE(checked.error().message.find("path"), std::string::npos);
    const StorePtr store = make_file(config);
    EXPECT_EQ(put_refusal(*store), Errc::bad_config) << path;
    EXPECT_FALSE(store->flush({}).ok()) << path;
  }
  ::setenv("HOME", saved.c_str(), 1);
}

TEST(FileSafety, APrefixWithASpaceANulOrALineBreakIsABadConfiguration) {
  for (const std::string& prefix :
       {std::string("a b"), std::string("a\0b", 3), std::string("a\r"), std::string("a\n")}) {
    const auto checked = FileConfig{.prefix = prefix}.validate();
    ASSERT_FALSE(checked.ok());
    EXPECT_EQ(checked.error().code, Errc::bad_config);
    EXPECT_NE(checked.error().message.find("prefix"), std::string::npos);
  }
  EXPECT_TRUE(FileConfig{.prefix = "shop:"}.validate().ok());
}

TEST(FileSafety, NumbersOutOfRangeAreABadConfiguration) {
  EXPECT_FALSE(FileConfig{.timeout = Duration(-1)}.validate().ok());
  EXPECT_FALSE(FileConfig{.max_value = std::uint64_t{1} << 31}.validate().ok());
  EXPECT_FALSE(FileConfig{.path = "/etc/passwd"}.validate().ok());
}

TEST(FileSafety, AFileWhereTheDirectoryBelongsIsRefused) {
  FileCache cache;
  write_bytes(cache.path(), "precious");
  EXPECT_EQ(put_refusal(cache.store()), Errc::bad_config);
  EXPECT_EQ(bytes_of(cache.path()), "precious");
}

}  // namespace
}  // namespace flux::cache::testing
