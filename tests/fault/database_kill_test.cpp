// Processes killed in the middle of their work on a database: what was acknowledged is there.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

#include "support/database_fault.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class DatabaseKill : public DatabaseFault {};

TEST_F(DatabaseKill, AHundredKillsLoseNothingThatWasAcknowledged) {
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

TEST_F(DatabaseKill, AKillDuringFlushAndPruneLeavesACleanStart) {
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
