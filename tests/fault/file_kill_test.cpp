// Processes killed at random moments: what they leave is the old entry or the new one.
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <random>
#include <thread>

#include "support/file_cache.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

/// FLUX_TEST_KILLS asks for more; three hundred of each size are what the design was proven with.
int kills(int usual) {
  const char* const asked = std::getenv("FLUX_TEST_KILLS");
  return asked != nullptr ? std::atoi(asked) : usual;
}

/// Memory that children share with us.
struct Shared {
  std::atomic<std::uint64_t> acknowledged{0};
  std::atomic<bool> began{false};
};
class SharedMemory {
 public:
  SharedMemory()
      : shared_(new (::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))
                    Shared) {}
  ~SharedMemory() { ::munmap(shared_, sizeof(Shared)); }
  Shared* operator->() const { return shared_; }

 private:
  Shared* shared_;
};

/// Runs the work in a child, and kills it there a random time after it began.
void kill_in(const std::function<void(Shared&)>& work, SharedMemory& shared, std::mt19937& random, int longest_us) {
  shared->began = false;
  const pid_t child = ::fork();
  if (child == 0) {
    work(*shared.operator->());
    ::_exit(0);
  }
  while (!shared->began) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::microseconds(random() % static_cast<unsigned>(longest_us)));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

/// A value that tells its number, and whether it is whole.
std::string value_of(std::uint64_t number, std::size_t size) {
  std::string value(size, static_cast<char>('a' + number % 26));
  const std::string text = std::to_string(number) + ' ';
  return value.replace(0, text.size(), text);
}

class FileKill : public ::testing::TestWithParam<std::size_t> {};

TEST_P(FileKill, AWriterKilledAtAnyMomentLeavesTheOldValueOrTheNew) {
  const std::size_t size = GetParam();
  const FileCache cache;
  SharedMemory shared;
  std::mt19937 random(static_cast<unsigned>(size));
  cache.put("k", text(value_of(0, size)));
  for (int round = 0; round < kills(40); ++round) {
    kill_in(
        [&](Shared& told) {
          for (std::uint64_t number = told.acknowledged + 1;; ++number) {
            const std::string value = value_of(number, size);
            told.began = true;
            if (cache.put("k", text(value))) told.acknowledged = number;
          }
        },
        shared, random, 3000);
    std::string seen;
    auto there = cache.store().get(Key("k"), {}, [&](const Entry& entry) { seen = entry.value.text; });
    ASSERT_TRUE(there.ok()) << there.error().to_string();
    ASSERT_TRUE(*there) << "the entry is missing after kill " << round;
    const std::uint64_t number = std::strtoull(seen.c_str(), nullptr, 10);
    ASSERT_TRUE(seen == value_of(number, size)) << "torn after kill " << round;
    ASSERT_GE(number, shared->acknowledged.load());
    ASSERT_LE(number, shared->acknowledged + 1);
    shared->acknowledged = number;
  }
}

TEST_P(FileKill, AWriterOfNewKeysKilledAtAnyMomentLeavesWholeValuesOrMisses) {
  const std::size_t size = GetParam();
  const FileCache cache;
  SharedMemory shared;
  std::mt19937 random(static_cast<unsigned>(size) + 1);
  cache.put("first", text("v"));
  std::uint64_t next = 1;
  for (int round = 0; round < kills(20); ++round) {
    kill_in(
        [&](Shared& told) {
          for (std::uint64_t number = next;; ++number) {
            const std::string value = value_of(number, size);
            told.began = true;
            if (cache.put(std::to_string(number), text(value))) told.acknowledged = number;
          }
        },
        shared, random, 3000);
    for (std::uint64_t number = next; number <= shared->acknowledged; ++number)
      ASSERT_EQ(cache.got(std::to_string(number)), show(text(value_of(number, size))));
    const std::string last = std::to_string(shared->acknowledged + 1);
    std::string seen;
    (void)cache.store().get(Key(last), {}, [&](const Entry& entry) { seen = entry.value.text; });
    ASSERT_TRUE(seen.empty() || seen == value_of(shared->acknowledged + 1, size));
    ASSERT_TRUE(cache.put(last, text("again")));
    next = shared->acknowledged + 2;
    cache.flush();
    cache.prune();
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, FileKill, ::testing::Values(4 << 10, 64 << 10, 1 << 20),
                         [](const auto& info) { return std::to_string(info.param >> 10) + "KiB"; });

TEST(FileKilled, ACounterIsWhatWasAcknowledgedOrOneMore) {
  const FileCache cache;
  SharedMemory shared;
  std::mt19937 random(11);
  for (int round = 0; round < kills(40); ++round) {
    kill_in(
        [&](Shared& told) {
          for (;;) {
            const auto number = cache.increment("n");
            told.acknowledged = static_cast<std::uint64_t>(number);
            told.began = true;
          }
        },
        shared, random, 2000);
    const auto seen = static_cast<std::uint64_t>(cache.increment("n", 0));
    ASSERT_GE(seen, shared->acknowledged.load());
    ASSERT_LE(seen, shared->acknowledged + 1);
  }
}

TEST(FileKilled, AKilledFlushOrPruneLeavesAStoreThatStartsClean) {
  const FileCache cache;
  SharedMemory shared;
  std::mt19937 random(12);
  for (int round = 0; round < kills(25); ++round) {
    for (int i = 0; i < 60; ++i) ASSERT_TRUE(cache.put("k" + std::to_string(i), integer(i)));
    kill_in(
        [&](Shared& told) {
          told.began = true;
          for (;;) {
            cache.flush();
            cache.put("mine", text("v"));
            cache.prune(7);
          }
        },
        shared, random, 4000);
    const StoreProbe next(cache.open());
    next.flush();
    for (int i = 0; i < 60; ++i) ASSERT_EQ(next.got("k" + std::to_string(i)), kMiss);
    ASSERT_TRUE(next.put("k0", text("after")));
    ASSERT_EQ(next.got("k0"), show(text("after")));
  }
  cache.flush();
  cache.prune();
  cache.prune();
  EXPECT_TRUE(cache.files().empty());
  EXPECT_TRUE(cache.trash().empty());
}

TEST(FileKilled, AWriterKilledWithTheLockInItsHandDoesNotHoldUpTheNext) {
  const FileCache cache;
  SharedMemory shared;
  std::mt19937 random(13);
  cache.put("k", integer(0));
  for (int round = 0; round < kills(25); ++round) {
    kill_in(
        [&](Shared& told) {
          told.began = true;
          for (;;) cache.put("k", integer(round));
        },
        shared, random, 1000);
    ASSERT_TRUE(cache.put("k", integer(-1)));
  }
}

TEST(FileKilled, SixteenProcessesOnOneKeyNeverShowHalfAValue) {
  const FileCache cache;
  const std::size_t size = 20'000;
  cache.put("k", text(value_of(0, size)));
  const char* const asked = std::getenv("FLUX_TEST_SECONDS");
  const auto length = std::chrono::seconds(asked != nullptr ? std::atoi(asked) : 2);
  const auto until = std::chrono::steady_clock::now() + length;
  std::vector<pid_t> children;
  for (int process = 0; process < 16; ++process) {
    const pid_t child = ::fork();
    if (child == 0) {
      int wrong = 0;
      for (std::uint64_t number = 0; std::chrono::steady_clock::now() < until; ++number) {
        const std::size_t length_now = size / 2 + (number * 131 + static_cast<std::uint64_t>(process) * 977) % size;
        if (process % 2 == 0) {
          wrong += !cache.store().put(Key("k"), {.value = text(value_of(number, length_now))}, {}).ok();
          continue;
        }
        std::string seen;
        auto there = cache.store().get(Key("k"), {}, [&](const Entry& entry) { seen = entry.value.text; });
        const bool is_whole =
            there.ok() && *there && seen == value_of(std::strtoull(seen.c_str(), nullptr, 10), seen.size());
        wrong += !is_whole;
      }
      ::_exit(wrong == 0 ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
}

}  // namespace
}  // namespace flux::cache::testing
