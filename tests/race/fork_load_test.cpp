// Forks while threads are in the middle of loading, when every lock of the library may be taken.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <flux/cache.hpp>
#include <flux/cache/manager.hpp>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "testing/contract/sanitized.hpp"

namespace cache = flux::cache;
using namespace std::chrono_literals;

namespace {

constexpr int kForks = 500, kThreads = 3, kKeys = 64;

/// Threads load cold keys and forget them; how many children of fork failed meanwhile.
int fork_beside_loads(const cache::Repository& repository) {
  std::atomic<bool> ends{false};
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < kThreads; ++thread)
    threads.emplace_back([&] {
      for (int i = 0; !ends; ++i) {
        repository.remember("k" + std::to_string(i % kKeys), {.minutes = 10, .tags = {"t"}}, [&] { return i; });
        repository.forget("k" + std::to_string((i + 7) % kKeys));
        if (i % 50 == 0) repository.tags({"t", "u"}).flush();
      }
    });
  int failed = 0;
  for (int i = 0; i < kForks; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      (void)repository.get<int>("k1");
      ::_exit(0);
    }
    int status = 0;
    if (::waitpid(child, &status, 0) != child || status != 0) ++failed;
  }
  ends = true;
  return failed;
}

/// In a process of its own, which is ended should it hang.
void expect_no_hang(int (*work)()) {
  if (cache::testing::kSanitized) GTEST_SKIP() << "a sanitizer's own locks may be taken in a child of many threads";
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(120);
    ::_exit(work());
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << "it hung";
  EXPECT_EQ(WEXITSTATUS(status), 0) << "children failed";
}

}  // namespace

TEST(ForkBesideLoads, HangsNobodyThroughTheFacade) {
  expect_no_hang([] {
    flux::Cache::configure({});
    return fork_beside_loads(flux::Cache::store("memory")) == 0 ? 0 : 1;
  });
}

TEST(ForkBesideLoads, HangsNobodyOverAManagerOfItsOwn) {
  expect_no_hang([] {
    const cache::StoreManager manager;
    return fork_beside_loads(manager.store()) == 0 ? 0 : 1;
  });
}
