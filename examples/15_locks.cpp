// examples/15_locks.cpp - one at a time, over all threads and processes that share the store.
#include <flux/cache.hpp>

#include <chrono>
#include <iostream>
#include <mutex>

using flux::Cache;
namespace cache = flux::cache;
using namespace std::chrono_literals;

int main() {
  // [run]
  // Taken, used, and let go after, thrown or not. Waits up to ten seconds unless told otherwise.
  const int total = Cache::lock("invoice_7", 30s).run([] { return 42; });
  // [/run]

  // [standard]
  cache::Lock lock = Cache::lock("report", 10s);
  std::unique_lock held(lock, 1s);  // a TimedLockable of the standard library
  const bool free_for_others = Cache::lock("report", 10s).try_lock();
  // [/standard]
  std::cout << "total " << total << "; the report is " << (free_for_others ? "free" : "locked") << '\n';

  // [fence]
  // Who is paused for longer than the lease still believes that it holds the lock. Storage that compares fences
  // refuses such a late writer: each holder's number is above that of the one before.
  const auto first = lock.fence();
  held.unlock();
  cache::Lock next = Cache::lock("report", 10s);
  const bool grown = next.try_lock() && next.fence() > first;
  // [/fence]
  std::cout << "fences grow: " << std::boolalpha << grown << '\n';

  // [overlap]
  // The nightly job, started on every machine: one runs it, the others go home.
  const bool ran = Cache::without_overlapping("nightly", 1h, [] { std::cout << "cleaning up\n"; });
  // [/overlap]
  return total == 42 && !free_for_others && grown && ran ? 0 : 1;
}
