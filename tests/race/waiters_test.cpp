// A crowd as large as the machine holds on one cold key: one run of the loader, bounded memory, and all get home.
//
// FLUX_TEST_WAITERS=30000 makes it larger; about 32,000 threads are the most of one process where the kernel's
// vm.max_map_count is what it is by default.
#include <gtest/gtest.h>
#include <flux/cache/repository.hpp>
#include <flux/cache/stores/memory.hpp>

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>
#include <vector>

#include "testing/contract/sanitized.hpp"

namespace {

using namespace flux::cache;
using namespace std::chrono_literals;

constexpr std::size_t kStack = 128 * 1024;
/// What a waiter may take of the machine's memory, the touched part of its stack included.
constexpr long kBytesEach = 48 * 1024;

int waiters() {
  const char* const asked = std::getenv("FLUX_TEST_WAITERS");
  return asked != nullptr ? std::clamp(std::atoi(asked), 1, 1'000'000) : flux::cache::testing::kSanitized ? 200 : 1'000;
}

long resident_bytes() {
  long total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

struct Crowd {
  explicit Crowd(const Repository& repository) : cache(repository) {}
  const Repository& cache;
  std::atomic<int> runs{0};
  std::atomic<long> sum{0};
  std::atomic<bool> open{false};
};

void* ask(void* argument) {
  auto& crowd = *static_cast<Crowd*>(argument);
  crowd.sum += crowd.cache.remember("cold", 60s, [&crowd] {
    ++crowd.runs;
    while (!crowd.open) std::this_thread::sleep_for(1ms);
    return 7;
  });
  return nullptr;
}

}  // namespace

TEST(Waiters, AsManyAsTheMachineHoldsShareOneFlight) {
  const Repository cache(make_memory({}), {.load_lease = 3600s}, "waiters");  // so many threads take minutes to start
  Crowd crowd(cache);
  pthread_attr_t small;
  ASSERT_EQ(pthread_attr_init(&small), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&small, kStack), 0);
  const long before = resident_bytes();
  std::vector<pthread_t> threads(static_cast<std::size_t>(waiters()));
  std::size_t started = 0;
  while (started < threads.size() && pthread_create(&threads[started], &small, ask, &crowd) == 0) ++started;
  EXPECT_EQ(started, threads.size()) << "the machine gives no more threads";
  while (cache.stats().misses < started) std::this_thread::sleep_for(1ms);
  const long grown = resident_bytes() - before;
  crowd.open = true;
  const auto opened = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < started; ++i) pthread_join(threads[i], nullptr);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - opened;
  (void)pthread_attr_destroy(&small);
  EXPECT_EQ(crowd.runs, 1);
  EXPECT_EQ(crowd.sum, 7L * static_cast<long>(started));
  if (!flux::cache::testing::kSanitized) {
    EXPECT_LE(grown, static_cast<long>(started) * kBytesEach + (16L << 20));
  }
  if (std::getenv("FLUX_TEST_WAITERS") != nullptr)
    std::printf("%zu waiters: %ld KiB each, all home in %.0f ms\n", started,
                grown / 1024 / static_cast<long>(std::max<std::size_t>(started, 1)), took.count());
}
