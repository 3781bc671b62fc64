// The end of a process: what waits in the background is done first, however the end comes, and within a limit.
#include <flux/cache.hpp>
#include <flux/cache/executor.hpp>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "core/fork_mutex.hpp"
#include "testing/contract/sanitized.hpp"

namespace {

using flux::Cache;
using namespace std::chrono_literals;
namespace cache = flux::cache;

using Numbers = cache::WriteBehind<int>;

constexpr int kWrites = 200;

/// A queue whose writer is slow, and whose batches wait for ten minutes unless somebody wants them.
struct Slow {
  std::atomic<int> written{0};
  Numbers queue{{.max_batch_size = 10, .flush_interval = 10min}, [this](std::span<const Numbers::Write> batch) {
                  std::this_thread::sleep_for(5ms);
                  if ((written += static_cast<int>(batch.size())) == kWrites) std::fputs("all written\n", stderr);
                }};
  void fill() {
    for (int i = 0; i < kWrites; ++i) queue.put("k" + std::to_string(i), i, 60s);
  }
};

std::atomic<bool> is_told{false};
void tell(int) { is_told = true; }

/// Ends the process from a thread of its own, should it not end by itself.
void end_in_time(std::chrono::seconds limit) {
  std::thread([limit] {
    std::this_thread::sleep_for(limit);
    std::fputs("not in time\n", stderr);
    std::_Exit(3);
  }).detach();
}

class ProcessEndDeathTest : public ::testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

}  // namespace

TEST_F(ProcessEndDeathTest, ExitWritesWhatAQueueOfTheStackHolds) {
  const auto leave = [] {
    Slow slow;
    slow.fill();
    std::exit(0);
  };
  EXPECT_EXIT(leave(), ::testing::ExitedWithCode(0), "all written");
}

TEST_F(ProcessEndDeathTest, ExitWritesWhatAGlobalQueueHolds) {
  const auto leave = [] {
    static Slow slow;
    slow.fill();
    std::exit(0);
  };
  EXPECT_EXIT(leave(), ::testing::ExitedWithCode(0), "all written");
}

TEST_F(ProcessEndDeathTest, ExitWritesWhatAQueueThatIsNeverDestroyedHolds) {
  const auto leave = [] {
    static Slow* const slow = new Slow;
    slow->fill();
    std::exit(0);
  };
  EXPECT_EXIT(leave(), ::testing::ExitedWithCode(0), "all written");
}

TEST_F(ProcessEndDeathTest, TheEndOfTheScopeWritesWhatItsQueueHolds) {
  const auto leave = [] {
    {
      Slow slow;
      slow.fill();
    }
    std::_Exit(0);
  };
  EXPECT_EXIT(leave(), ::testing::ExitedWithCode(0), "all written");
}

/// A handler may not call std::exit, a thread that waits for the signal may.
TEST_F(ProcessEndDeathTest, AThreadThatWaitsForSigtermAndExitsWritesWhatIsPending) {
  const auto leave = [] {
    ::sigset_t term;
    ::sigemptyset(&term);
    ::sigaddset(&term, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &term, nullptr);
    Slow slow;
    slow.fill();
    std::thread([term] {
      int which = 0;
      ::sigwait(&term, &which);
      std::exit(0);
    }).detach();
    ::kill(::getpid(), SIGTERM);
    for (;;) ::pause();
  };
  EXPECT_EXIT(leave(), ::testing::ExitedWithCode(0), "all written");
}

TEST_F(ProcessEndDeathTest, AHandlerOfSigtermThatTellsTheProgramToEndWritesWhatIsPending) {
  const auto leave = [] {
    std::signal(SIGTERM, tell);
    {
      Slow slow;
      slow.fill();
      ::kill(::getpid(), SIGTERM);
      while (!is_told) std::this_thread::sleep_for(1ms);
    }
    std::exit(0);
  };
  EXPECT_EXIT(leave(), ::testing::ExitedWithCode(0), "all written");
}

TEST_F(ProcessEndDeathTest, AWriterMayUseWhatItMadeOnItsFirstRun) {
  struct Table {
    std::vector<int> rows{};
    ~Table() { std::fprintf(stderr, "closed with %zu rows\n", rows.size()); }
  };
  const auto leave = [] {
    Numbers queue({.max_batch_size = 10, .flush_interval = 10min}, [](std::span<const Numbers::Write> batch) {
      static Table table;  // made after the queue, so destroyed before what was there first
      std::this_thread::sleep_for(1ms);
      for (const auto& write : batch) table.rows.push_back(write.value);
    });
    for (int i = 0; i < 10; ++i) queue.put("k", i, 60s);
    queue.flush();
    for (int i = 0; i < kWrites - 10; ++i) queue.put("k", i, 60s);
    std::exit(0);
  };
  EXPECT_EXIT(leave(), ::testing::ExitedWithCode(0), "closed with 200 rows");
}

TEST_F(ProcessEndDeathTest, AWriterThatFailsHoldsTheEndUpForItsDrainAlone) {
  const auto leave = [] {
    end_in_time(30s);
    static Numbers queue({.drain = 200ms}, [](std::span<const Numbers::Write>) { throw 1; });
    Numbers other({.drain = 200ms}, [](std::span<const Numbers::Write>) { throw 1; });
    queue.put("k", 1, 60s), other.put("k", 1, 60s);
    std::exit(0);
  };
  EXPECT_EXIT(leave(), ::testing::ExitedWithCode(0), "");
}

TEST_F(ProcessEndDeathTest, AWriterThatHangsHoldsTheEndUpForItsDrainAlone) {
  const auto leave = [] {
    end_in_time(30s);
    const auto hangs = [](std::span<const Numbers::Write>) {
      for (;;) ::pause();
    };
    static Numbers global({.flush_interval = 0s, .drain = 200ms}, hangs);
    Numbers queue({.flush_interval = 0s, .drain = 200ms}, hangs);
    global.put("k", 1, 60s), queue.put("k", 1, 60s);
    std::exit(0);
  };
  EXPECT_EXIT(leave(), ::testing::ExitedWithCode(0), "");
}

TEST_F(ProcessEndDeathTest, AWriterMayEndTheProcessItself) {
  const auto leave = [] {
    end_in_time(30s);
    Numbers queue({.flush_interval = 0s, .drain = 200ms}, [](std::span<const Numbers::Write>) { std::exit(0); });
    queue.put("k", 1, 60s);
    for (;;) ::pause();
  };
  EXPECT_EXIT(leave(), ::testing::ExitedWithCode(0), "");
}

TEST_F(ProcessEndDeathTest, AChildOfForkLeavesItsParentsQueueAlone) {
  if (cache::testing::kSanitized) GTEST_SKIP() << "a sanitizer's own locks may be taken in a child of busy threads";
  const auto leave = [] {
    end_in_time(30s);
    Slow slow;
    slow.fill();
    const pid_t child = ::fork();
    if (child == 0) std::exit(slow.queue.pending() == kWrites ? 0 : 1);
    int status = -1;
    ::waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) std::_Exit(4);
    std::exit(0);
  };
  EXPECT_EXIT(leave(), ::testing::ExitedWithCode(0), "^all written\n$");
}

TEST_F(ProcessEndDeathTest, AChildOfForkCanExitWhateverItsParentWasDoing) {
  if (cache::testing::kSanitized) GTEST_SKIP() << "a sanitizer's own locks may be taken in a child of busy threads";
  const auto leave = [] {
    end_in_time(60s);
    std::atomic<bool> is_over{false};
    std::thread busy([&] {
      for (int i = 0; i < 100'000 && !is_over; ++i) cache::detail::call_at_exit([] {});
    });
    for (int i = 0; i < 100; ++i) {
      const pid_t child = ::fork();
      if (child == 0) {
        ::alarm(20);
        std::exit(0);
      }
      int status = -1;
      ::waitpid(child, &status, 0);
      if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) std::_Exit(4);
    }
    is_over = true;
    busy.join();
    std::exit(0);
  };
  EXPECT_EXIT(leave(), ::testing::ExitedWithCode(0), "");
}

TEST_F(ProcessEndDeathTest, EveryTaskOfTheExecutorIsDone) {
  const auto leave = [] {
    static std::atomic<int> done{0};
    for (int i = 0; i < 100; ++i)
      cache::executor()->submit([] {
        std::this_thread::sleep_for(2ms);
        if (++done == 100) std::fputs("all done\n", stderr);
      });
    std::exit(0);
  };
  EXPECT_EXIT(leave(), ::testing::ExitedWithCode(0), "all done");
}

TEST_F(ProcessEndDeathTest, ATaskThatHangsHoldsTheEndUpForTheDrainAlone) {
  const auto leave = [] {
    end_in_time(30s);  // five seconds are promised
    cache::executor()->submit([] {
      for (;;) ::pause();
    });
    std::this_thread::sleep_for(50ms);
    std::exit(0);
  };
  EXPECT_EXIT(leave(), ::testing::ExitedWithCode(0), "");
}

TEST(Shutdown, UnderEightThreadsReturnsSoonAndLeavesMissesAndErrors) {
  Cache::configure({});
  std::atomic<bool> is_shut{false}, stop{false};
  std::atomic<long> wrong{0}, calls{0}, closed_calls{0};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&, i] {
      const std::string key = "of " + std::to_string(i);
      while (!stop) {
        const bool was_shut = is_shut;
        const bool put = Cache::put(key, std::string(100, 'x'), 60s);
        const auto got = Cache::get<std::string>(key);
        wrong += was_shut && (put || got);
        wrong += got && got->size() != 100;
        wrong += Cache::remember("all", 60s, [] { return 42; }) != 42;
        wrong += Cache::tags({"t"}).put(key + " tagged", 1) && was_shut;
        try {
          Cache::increment("n");
          wrong += was_shut;
        } catch (const cache::StoreUnavailable& error) {
          wrong += error.error().code != cache::Errc::shut_down;
        }
        ++(was_shut ? closed_calls : calls);
      }
    });
  while (calls < 1'000) std::this_thread::sleep_for(1ms);
  const auto begun = std::chrono::steady_clock::now();
  Cache::shutdown();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 2s * 5) << "two seconds are promised";
  is_shut = true;
  while (closed_calls < 1'000) std::this_thread::sleep_for(1ms);
  stop = true;
  threads.clear();
  EXPECT_EQ(wrong, 0);

  EXPECT_EQ(Cache::try_get<int>("k").error().code, cache::Errc::shut_down);
  EXPECT_THROW(Cache::lock("l", 60s).try_lock(), cache::StoreUnavailable);
  EXPECT_FALSE(Cache::store("memory").put("k", 1)) << "by its name as well";
  EXPECT_FALSE(Cache::flush());
  Cache::shutdown();
  EXPECT_FALSE(Cache::has("k"));
  Cache::configure({});
  EXPECT_TRUE(Cache::put("k", 1)) << "and it may be opened again";
}

TEST(Shutdown, EndsWhatOnlyItHeld) {
  cache::Config config;
  config.stores["one"] = cache::MemoryConfig{};
  Cache::configure(config);
  std::weak_ptr<cache::Store> store = Cache::store().store();
  const cache::Repository at_hand = Cache::store();
  Cache::shutdown();
  (void)Cache::has("k");  // each thread lets go of the old one at its next call
  EXPECT_FALSE(store.expired());
  EXPECT_TRUE(at_hand.put("k", 2)) << "who holds a repository keeps its store";
  Cache::configure({});
}
