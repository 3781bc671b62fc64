// What the file store makes of keys, prefixes and sizes on the disk.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <set>
#include <thread>

#include "support/file_cache.hpp"

namespace flux::cache::testing {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

TEST(FileLayout, KeysThatLookLikePathsStayInsideTheDirectoryAndApart) {
  FileCache cache;
  std::vector<std::string> keys = {"../../etc/passwd",
                                   "/etc/passwd",
                                   ".",
                                   "..",
                                   "a/b",
                                   "con",
                                   "nul.txt",
                                   "dot.",
                                   "space ",
                                   "space",
                                   "K",
                                   "k",
                                   "a\\b",
                                   "~",
                                   "-rf",
                                   "*",
                                   std::string("nul\0x", 5),
                                   "caff\xc3\xa9",
                                   "\xff\xfe"};
  keys.push_back(std::string(300, 'x'));
  keys.push_back(std::string(250, 'x') + std::string(50, 'y'));
  for (const std::string& key : keys) EXPECT_TRUE(cache.put(key, text(key)));
  for (const std::string& key : keys) EXPECT_EQ(cache.got(key), show(text(key)));
  EXPECT_EQ(cache.files().size(), keys.size());
  int strangers = 0;
  for (const auto& entry : fs::directory_iterator(cache.scratch().path())) strangers += entry.path() != cache.path();
  EXPECT_EQ(strangers, 0);
}

TEST(FileLayout, NamesAreEqualUnderAVolumeThatIgnoresCase) {
  FileCache cache;
  for (int i = 0; i < 500; ++i) cache.put("Key" + std::to_string(i), integer(i));
  std::set<std::string> folded;
  for (std::string name : cache.files()) {
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    folded.insert(name);
  }
  EXPECT_EQ(folded.size(), 500U);
}

TEST(FileLayout, EntriesAreSpreadOverManyFolders) {
  FileCache cache;
  for (int i = 0; i < 1000; ++i) cache.put("key" + std::to_string(i), integer(i));
  std::set<std::string> folders;
  for (const std::string& name : cache.files()) folders.insert(fs::path(name).parent_path().string());
  EXPECT_GT(folders.size(), 200U);
  EXPECT_LE(folders.size(), 256U);
}

TEST(FileLayout, DirectoriesHave0700AndFiles0600WhateverTheUmask) {
  for (const mode_t mask : {mode_t{0}, mode_t{0277}}) {
    FileCache cache;
    const mode_t before = ::umask(mask);
    std::atomic<bool> is_over{false};
    std::atomic<int> changed{0};
    std::thread watch([&] {
      const std::string wanted = [&] {
        char text[16];
        std::snprintf(text, sizeof text, "%04o", static_cast<unsigned>(mask));
        return std::string(text);
      }();
      while (!is_over) {
        std::ifstream status("/proc/self/status");
        for (std::string line; std::getline(status, line);)
          changed += line.starts_with("Umask:") && !line.ends_with(wanted);
      }
    });
    std::vector<std::thread> writers;
    for (int thread = 0; thread < 8; ++thread) {
      writers.emplace_back([&, thread] {
        for (int i = 0; i < 50; ++i) cache.put(std::to_string(thread * 1000 + i), text("v"));
      });
    }
    for (std::thread& writer : writers) writer.join();
    is_over = true;
    watch.join();
    ::umask(before);
    EXPECT_EQ(changed, 0);
    EXPECT_EQ(fs::status(cache.path()).permissions(), fs::perms(0700));
    for (const auto& entry : fs::recursive_directory_iterator(cache.path()))
      EXPECT_EQ(entry.status().permissions(), entry.is_directory() ? fs::perms(0700) : fs::perms(0600)) << entry.path();
  }
}

TEST(FileLayout, PrefixesNeverMeet) {
  FileCache cache;
  const StoreProbe a(cache.open({.prefix = "a"})), ab(cache.open({.prefix = "ab"})), upper(cache.open({.prefix = "A"}));
  a.put("bc", text("of a"));
  ab.put("c", text("of ab"));
  upper.put("bc", text("of A"));
  EXPECT_EQ(a.got("bc"), show(text("of a")));
  EXPECT_EQ(ab.got("c"), show(text("of ab")));
  EXPECT_EQ(upper.got("bc"), show(text("of A")));
  a.flush();
  EXPECT_EQ(a.got("bc"), kMiss);
  EXPECT_EQ(ab.got("c"), show(text("of ab")));
  EXPECT_EQ(upper.got("bc"), show(text("of A")));
}

TEST(FileLayout, PrefixesOfAnyLengthAndBytesWork) {
  FileCache cache;
  const std::string longest(300, 'p');
  for (const std::string& prefix : {longest, longest + "q", std::string("a/../b:"), std::string("caff\xc3\xa9:")}) {
    const StoreProbe store(cache.open({.prefix = prefix}));
    store.put("k", text(prefix));
  }
  for (const std::string& prefix : {longest, longest + "q", std::string("a/../b:"), std::string("caff\xc3\xa9:")})
    EXPECT_EQ(StoreProbe(cache.open({.prefix = prefix})).got("k"), show(text(prefix)));
}

TEST(FileLayout, OverwritingLeavesOneFileAndNoTemporaries) {
  FileCache cache;
  for (int i = 0; i < 500; ++i) cache.put("k", text(std::string(static_cast<std::size_t>(i * 37 % 900), 'x')));
  EXPECT_EQ(cache.files().size(), 1U);
}

TEST(FileLayout, AFileNeverHoldsMuchMoreThanTwiceItsLargestValue) {
  FileCache cache;
  for (int i = 0; i < 2000; ++i) {
    const std::string value(static_cast<std::size_t>(i * 7919 % 20'000), static_cast<char>('a' + i % 26));
    cache.put("k", text(value));
    ASSERT_EQ(cache.got("k"), show(text(value)));
  }
  EXPECT_LT(fs::file_size(cache.file()), 2 * 20'000 + 4096U);
}

TEST(FileLayout, ALargeEntryThatBecomesSmallGivesItsRoomBack) {
  FileCache cache;
  cache.put("k", text(std::string(1 << 20, 'x')));
  cache.put("k", text("small"));
  cache.put("k", text("smaller"));
  EXPECT_LT(fs::file_size(cache.file()), 4096U);
  EXPECT_EQ(cache.got("k"), show(text("smaller")));
}

TEST(FileLayout, OverwritingAHugeEntryKeepsOneCopyOnTheDisk) {
  FileCache cache(memory_backed_directory());
  for (char c = 'a'; c < 'e'; ++c) {
    const std::string value(6 << 20, c);
    cache.put("k", text(value));
    ASSERT_EQ(cache.got("k"), show(text(value)));
    struct stat what {};
    ASSERT_EQ(::stat(cache.file().c_str(), &what), 0);
    EXPECT_LT(what.st_blocks * 512, 7 << 20);
  }
}

TEST(FileLayout, KeysLongerThanAnyBufferAreReadInWhole) {
  FileCache cache;
  const std::string base(100'000, 'k');
  cache.put(base + "a", text("first"));
  cache.put(base + "b", text("second"));
  EXPECT_EQ(cache.got(base + "a"), show(text("first")));
  EXPECT_EQ(cache.got(base + "b"), show(text("second")));
  cache.put(base + "a", text("third"));
  EXPECT_EQ(cache.got(base + "a"), show(text("third")));
}

TEST(FileLayout, ALiveObjectIsRefusedByTheNameOfItsType) {
  FileCache cache;
  const Type type{.name = "shop::Socket"};
  auto answer = cache.store().put(Key("k"), {.value = {.kind = Kind::object, .type = &type}}, {});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Errc::not_serializable);
  EXPECT_NE(answer.error().message.find("shop::Socket"), std::string::npos);
}

TEST(FileLayout, AValueOverTheLimitIsRefusedAndTheOldOneStays) {
  FileCache cache;
  const StoreProbe small(cache.open({.max_value = 1000}));
  EXPECT_TRUE(small.put("k", text(std::string(1000, 'x'))));
  auto answer = small.store().put(Key("k"), {.value = text(std::string(1001, 'y'))}, {});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Errc::too_large);
  EXPECT_EQ(small.got("k"), show(text(std::string(1000, 'x'))));
}

TEST(FileLayout, MakingAStoreTouchesNoDisk) {
  FileCache cache;
  EXPECT_EQ(cache.got("k"), kMiss);
  EXPECT_FALSE(cache.forget("k"));
  cache.flush();
  EXPECT_EQ(cache.prune(), 0U);
  EXPECT_FALSE(fs::exists(cache.path()));
}

TEST(FileLayout, ARelativePathMeansTheDirectoryOfTheStart) {
  const ScratchDirectory scratch;
  const fs::path before = fs::current_path();
  fs::current_path(scratch.path());
  const StoreProbe store(make_file({.path = "storage/cache/"}));
  fs::current_path("/");
  store.put("k", integer(1));
  fs::current_path(before);
  EXPECT_TRUE(fs::exists(scratch / "storage/cache/.flux-cache"));
}

TEST(FileLayout, TheDefaultDirectoryIsTheUsersOwn) {
  const char* const home = std::getenv("HOME");
  const std::string saved = home != nullptr ? home : "";
  ::unsetenv("XDG_CACHE_HOME");
  ::setenv("HOME", "/somewhere/somebody", 1);
  EXPECT_TRUE(default_file_path().starts_with("/somewhere/somebody/.cache/flux/"));
  ::setenv("XDG_CACHE_HOME", "/somewhere", 1);
  EXPECT_TRUE(default_file_path().starts_with("/somewhere/flux/"));
  ::setenv("XDG_CACHE_HOME", "not/absolute", 1);
  EXPECT_TRUE(default_file_path().starts_with("/somewhere/somebody/.cache/flux/"));
  ::unsetenv("XDG_CACHE_HOME");
  ::setenv("HOME", saved.c_str(), 1);
}

TEST(FileLayout, AChildOfForkGoesOnWithTheStoreAndSoDoesItsParent) {
  FileCache cache;
  cache.put("k", text("parent"));
  const pid_t child = ::fork();
  if (child == 0) {
    bool works = cache.got("k") == show(text("parent"));
    for (int i = 0; i < 100; ++i) works = works && cache.put("child" + std::to_string(i), integer(i));
    works = works && cache.increment("n") > 0;
    ::_exit(works ? 0 : 1);
  }
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(cache.put("parent" + std::to_string(i), integer(i)));
  cache.increment("n");
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(cache.got("child99"), show(integer(99)));
  EXPECT_EQ(cache.got("n"), show(integer(2)));
}

TEST(FileLayout, AStoreWhoseDescriptorsWereClosedBehindItsBackOpensAgainAndHarmsNobody) {
  FileCache cache;
  cache.put("k", text("v"));
  int kept = -1;  // as a daemon does: everything above the standard streams goes
  for (int fd = 3; fd < 256; ++fd) {
    char link[256];
    const ssize_t size = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), link, sizeof link);
    if (size > 0 && std::string_view(link, static_cast<std::size_t>(size)).starts_with(cache.path())) kept = fd;
  }
  ASSERT_GE(kept, 0);
  const std::string mine = cache.scratch() / "mine";
  const int opened = ::open(mine.c_str(), O_RDWR | O_CREAT, 0600);
  const int stranger = ::dup2(opened, kept);
  ASSERT_EQ(stranger, kept);
  ::close(opened);
  EXPECT_TRUE(cache.put("other", text("w")));
  EXPECT_EQ(cache.got("k"), show(text("v")));
  EXPECT_EQ(::write(stranger, "x", 1), 1);
  EXPECT_EQ(bytes_of(mine), "x");
  ::close(stranger);
}

// A store that outlives main: used by the destructor of a static object, in a process of its own.
TEST(FileLayoutDeathTest, WorksInStaticDestruction) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "cache";
  EXPECT_EXIT(
      {
        static struct AtTheEnd {
          std::string path;
          ~AtTheEnd() {
            const StoreProbe store(make_file({.path = path}));
            const bool works = store.put("late", text("v")) && store.got("late") == show(text("v"));
            ::_exit(works ? 7 : 8);
          }
        } at_the_end{path};
        std::exit(0);
      },
      ::testing::ExitedWithCode(7), "");
}

TEST(FileLayout, AThreadThatIsEndingMayStillUseTheStore) {
  FileCache cache;
  cache.put("k", text("v"));
  std::string seen;
  std::thread([&] {
    static thread_local struct AtThreadEnd {
      const FileCache* cache = nullptr;
      std::string* seen = nullptr;
      ~AtThreadEnd() { *seen = cache->got("k"); }
    } at_thread_end;
    at_thread_end.cache = &cache;
    at_thread_end.seen = &seen;
    cache.got("k");
  }).join();
  EXPECT_EQ(seen, show(text("v")));
}

}  // namespace
}  // namespace flux::cache::testing
