// A program that goes on while what it asks comes and goes, and what that may cost it.
#pragma once
#include <flux/cache/repository.hpp>

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <stop_token>
#include <string>
#include <thread>

#include "support/server.hpp"

namespace flux::cache::testing {

constexpr int kFlappingKeys = 64;

/// For how long: FLUX_TEST_FLAPPING_SECONDS, or 3.
inline int flapping_seconds() {
  const char* const asked = std::getenv("FLUX_TEST_FLAPPING_SECONDS");
  return asked != nullptr ? std::clamp(std::atoi(asked), 1, 86'400) : 3;
}

inline long open_descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
}
inline long bytes_allocated() { return static_cast<long>(::mallinfo2().uordblks); }

template <class Done>
bool comes_true_soon(Done done) {
  for (const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
       std::chrono::steady_clock::now() < end;) {
    if (done()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return done();
}

/// Events that so long a time of outages may be told by: in a minute less than 200, as long as nobody asks for less
/// than that in a shorter time.
inline long most_told(std::chrono::steady_clock::duration time) {
  return 2 * (16 + std::chrono::duration_cast<std::chrono::seconds>(time).count() + 2);
}

/// What the threads of such a program have seen.
struct Seen {
  std::atomic<long> exceptions{0}, wrong{0}, done{0}, refused{0};
  std::atomic<Duration> longest{Duration::zero()};  ///< that one read took
};

inline void go_on(const Repository& cache, Seen& seen, const std::atomic<Duration>& pause,
                  const std::stop_token& stop) {
  const auto seconds = [](int count) { return std::chrono::seconds(count); };
  for (int i = 0; !stop.stop_requested(); ++i, std::this_thread::sleep_for(pause.load())) {
    const std::string key = "k" + std::to_string(i % kFlappingKeys), value = "of " + key;
    try {
      (cache.tags({"t"}).put(key, value, seconds(60)) ? seen.done : seen.refused)++;
      const auto begun = std::chrono::steady_clock::now();
      const auto read = cache.get<std::string>(key);
      const auto took = std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - begun);
      for (Duration most = seen.longest; took > most && !seen.longest.compare_exchange_weak(most, took);) continue;
      seen.wrong += read && *read != value;
      seen.wrong += cache.remember("r" + key, seconds(60), [&] { return value; }) != value;
      if (i % 16 == 0) (void)cache.forget(key);
      if (i % 64 == 0) (void)cache.tags({"t"}).flush();
    } catch (...) {
      ++seen.exceptions;
    }
  }
}

}  // namespace flux::cache::testing
