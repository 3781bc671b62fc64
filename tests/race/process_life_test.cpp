// The facade through the life of a process: forks while others work, a new configuration under load, and its last hour.
#include <flux/cache.hpp>
#include <flux/cache/engine/epoch.hpp>
#include <flux/cache/executor.hpp>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "testing/contract/sanitized.hpp"

namespace {

using flux::Cache;
using namespace std::chrono_literals;
namespace cache = flux::cache;

constexpr int kForks = 200;

/// Puts, reads, loads in the call and behind it, counts and locks. What it returns is how often an answer was wrong.
int use(int who) {
  const std::string key = "of " + std::to_string(who);
  int wrong = 0;
  wrong += !Cache::put(key, who, 60s);
  const auto seen = Cache::get<int>(key);
  wrong += seen && *seen != who;
  wrong += Cache::remember("all", {.ttl = cache::Ttl(1ms), .stale = 60s}, [] { return 42; }) != 42;
  Cache::increment("count " + key);
  Cache::lock("lock " + key, 10s).run([] {});
  Cache::tags({"tag"}).put("tagged " + key, who, 60s);
  return wrong;
}

/// Threads that use the cache until they are told to stop.
class Busy {
 public:
  explicit Busy(int threads) {
    for (int i = 0; i < threads; ++i)
      threads_.emplace_back([this, i](const std::stop_token& stop) {
        while (!stop.stop_requested()) wrong_ += use(i);
      });
  }
  int end() {
    threads_.clear();
    return wrong_;
  }

 private:
  std::atomic<int> wrong_{0};
  std::vector<std::jthread> threads_;
};

void use_at_exit() {
  if (use(99) == 0) std::fputs("used at exit\n", stderr);
}

struct UsedWhenItsThreadEnds {
  ~UsedWhenItsThreadEnds() {
    if (use(98) == 0) std::fputs("used by a thread's end\n", stderr);
  }
};

struct UsedAtTheVeryEnd {
  ~UsedAtTheVeryEnd() {
    if (use(97) == 0) std::fputs("used by a global's end\n", stderr);
  }
};

}  // namespace

TEST(ProcessLife, ChildrenOfForkWorkWhileTheParentsThreadsAreBusy) {
  if (cache::testing::kSanitized)
    GTEST_SKIP() << "a sanitizer's allocator does not survive a fork beside busy threads: its own locks stay taken";
  Cache::configure({});
  Busy busy(4);
  int failed = 0;
  for (int i = 0; i < kForks; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(60);
      int wrong = 0;
      for (int round = 0; round < 20; ++round) wrong += use(1'000 + i);
      ::_exit(wrong == 0 ? 0 : 1);
    }
    ASSERT_GT(child, 0);
    int status = 0;
    failed += ::waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
  }
  EXPECT_EQ(failed, 0) << "children hung, crashed or read something wrong";
  EXPECT_EQ(busy.end(), 0);
}

TEST(ProcessLife, AChildOfForkDoesNotWaitForALoadOfItsParent) {
  if (cache::testing::kSanitized)
    GTEST_SKIP() << "a sanitizer takes a thread of the child for one that its parent had, and ends the child";
  Cache::configure({});
  std::atomic<bool> loading{false}, done{false};
  std::jthread parent([&] {
    Cache::remember("slow", 60s, [&] {
      for (loading = true; !done;) std::this_thread::sleep_for(1ms);
      return 1;
    });
  });
  while (!loading) std::this_thread::yield();
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);  // less than the lease of the parent's load
    const bool right = Cache::remember("slow", 60s, [] { return 2; }) == 2 && Cache::get<int>("slow") == 2;
    ::_exit(right ? 0 : 1);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  done = true;
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "the child waited, or read what is not there";
  parent.join();
  EXPECT_EQ(Cache::get<int>("slow"), 1);
}

TEST(ProcessLife, ANewConfigurationUnderLoadIsTakenWholeOrNotAtAll) {
  Cache::configure({});
  {
    Busy busy(4);
    for (int i = 0; i < 100; ++i) {
      cache::Config config;
      config.default_store = i % 2 == 0 ? "even" : "odd";
      config.stores[config.default_store] = cache::MemoryConfig{.max_size = 1'000};
      EXPECT_NO_THROW(Cache::configure(config));
      EXPECT_EQ(use(50), 0);
      std::this_thread::yield();
    }
    EXPECT_EQ(busy.end(), 0);
  }
  Cache::configure({});
}

TEST(ProcessLifeDeathTest, TheCacheCanBeUsedToTheVeryEnd) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto to_the_end = [] {
    static const UsedAtTheVeryEnd last;
    std::atexit(use_at_exit);
    std::thread([] {
      static thread_local const UsedWhenItsThreadEnds one;
      (void)&one;
      use(1);
    }).join();
    (void)&last;
    std::exit(use(2));
  };
  EXPECT_EXIT(to_the_end(), ::testing::ExitedWithCode(0),
              "used by a thread's end\n.*used at exit\n.*used by a global's end");
}

TEST(ProcessLifeDeathTest, WhatWasHandedToTheExecutorIsDoneBeforeTheEnd) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto leave = [] {
    cache::executor()->submit([] {
      std::this_thread::sleep_for(100ms);
      std::fputs("done behind\n", stderr);
    });
    std::exit(0);
  };
  EXPECT_EXIT(leave(), ::testing::ExitedWithCode(0), "done behind");
}
