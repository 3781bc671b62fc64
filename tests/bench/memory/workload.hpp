// tests/bench/memory/workload.hpp - keys, values, request sequences, clocks and medians.
#pragma once
#include "machine.hpp"

#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace bench {

inline constexpr std::size_t kKeySize = 20;
inline constexpr std::size_t kValueSize = 100;

struct Key {
  char bytes[kKeySize];
  std::string_view view() const { return {bytes, kKeySize}; }
};

/// Keys of 20 bytes that differ in their last digits, as "user:..." keys do; the last 16 alone are distinct.
inline std::vector<Key> make_keys(std::size_t count) {
  std::vector<Key> keys = on_huge_pages<Key>(count);
  for (std::size_t id = 0; id < count; ++id) {
    char text[32];
    std::snprintf(text, sizeof text, "user:%015llu",
                  static_cast<unsigned long long>(id * 2654435761u % 999999999989ULL));
    std::memcpy(keys[id].bytes, text, kKeySize);
  }
  return keys;
}

/// A value names its key at both ends, so that a wrong or torn one is noticed. The second name lies within what a copy
/// stores at once: read across two stores, it would make the processor wait for both, and the check would cost more
/// than a copy.
inline constexpr std::size_t kSecondName = 88;
static_assert(kSecondName % 16 == 8 && kSecondName + 8 <= kValueSize);
inline void make_value(std::uint64_t id, char* value) {
  std::memset(value, 'v', kValueSize);
  std::memcpy(value, &id, 8);
  std::memcpy(value + kSecondName, &id, 8);
}
inline bool is_value_of(std::uint64_t id, const char* value) {
  return std::memcmp(value, &id, 8) == 0 && std::memcmp(value + kSecondName, &id, 8) == 0;
}

/// Ranks by Zipf's law, exponent 0.99, spread over the keys at random.
inline std::vector<std::uint32_t> zipf(std::size_t keys, std::size_t requests, std::uint64_t seed) {
  std::vector<double> sums(keys);
  double sum = 0;
  for (std::size_t rank = 0; rank < keys; ++rank) sums[rank] = sum += 1.0 / std::pow(double(rank + 1), 0.99);
  std::vector<std::uint32_t> place(keys);
  for (std::size_t rank = 0; rank < keys; ++rank) place[rank] = static_cast<std::uint32_t>(rank);
  std::mt19937_64 random(12345);  // the same keys are hot in every sequence
  std::shuffle(place.begin(), place.end(), random);
  random.seed(seed);
  std::uniform_real_distribution<double> uniform(0, sum);
  std::vector<std::uint32_t> sequence = on_huge_pages<std::uint32_t>(requests);
  for (auto& request : sequence)
    request =
        place[static_cast<std::size_t>(std::lower_bound(sums.begin(), sums.end(), uniform(random)) - sums.begin())];
  return sequence;
}

inline std::uint64_t ticks() {
#if defined(__x86_64__)
  return __rdtsc();
#else
  timespec at{};
  ::clock_gettime(CLOCK_MONOTONIC, &at);
  return std::uint64_t(at.tv_sec) * 1'000'000'000 + std::uint64_t(at.tv_nsec);
#endif
}
inline double nanoseconds_per_tick() {
  static const double value = [] {
    const double from = seconds();
    const std::uint64_t first = ticks();
    while (seconds() - from < 0.05) {
    }
    return (seconds() - from) * 1e9 / double(ticks() - first);
  }();
  return value;
}

inline double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Latencies in ticks, within 3 %.
class Histogram {
 public:
  void add(std::uint64_t ticks) { ++counts_[index(ticks)]; }
  void merge(const Histogram& other) {
    for (std::size_t at = 0; at < counts_.size(); ++at) counts_[at] += other.counts_[at];
  }
  double quantile(double share) const {
    std::uint64_t all = 0;
    for (const std::uint64_t count : counts_) all += count;
    const auto wanted = static_cast<std::uint64_t>(double(all) * share);
    std::uint64_t seen = 0;
    for (std::size_t at = 0; at < counts_.size(); ++at)
      if ((seen += counts_[at]) > wanted) return value(at) * nanoseconds_per_tick();
    return 0;
  }

 private:
  static std::size_t index(std::uint64_t ticks) {
    if (ticks < 32) return ticks;
    const int top = 63 - __builtin_clzll(ticks);
    return static_cast<std::size_t>(top - 4) * 32 + ((ticks >> (top - 5)) & 31);
  }
  static double value(std::size_t index) {
    if (index < 32) return double(index);
    const std::size_t top = index / 32 + 4;
    return std::ldexp(double(32 + index % 32) + 0.5, static_cast<int>(top) - 5);
  }
  std::array<std::uint64_t, 64 * 32> counts_{};
};

/// Calls `work(thread)` on so many threads, all let go at once; seconds until the last is done.
template <class Work>
double run_threads(int threads, Work& work) {
  if (threads == 1) {
    const double from = seconds();
    work(0);
    return seconds() - from;
  }
  std::atomic<int> ready{0};
  std::atomic<bool> go{false};
  std::vector<std::thread> all;
  for (int thread = 0; thread < threads; ++thread) {
    all.emplace_back([&, thread] {
      ++ready;
      while (!go.load()) std::this_thread::yield();
      work(thread);
    });
  }
  while (ready.load() < threads) std::this_thread::yield();
  const double from = seconds();
  go = true;
  for (auto& thread : all) thread.join();
  return seconds() - from;
}

/// `run_threads`, again up to twice where other processes took more than a twentieth of the processors meanwhile: what
/// threads that did not run at the same time do says nothing of how they get along. The least disturbed run counts.
template <class Work>
double run(int threads, Work&& work) {
  double time = 0, least = 2;
  for (int attempt = 0; attempt < 3 && least > 0.05; ++attempt) {
    const Others others;
    const double now = run_threads(threads, work);
    const double taken = others.share();
    if (taken >= least) continue;
    least = taken;
    time = now;
  }
  disturbances.push_back(least);
  return time;
}

/// How many times as much arithmetic two threads do as one: about 2 with a core for each, 1.2 to 1.5 where both share
/// one core's units, as the two halves of a hyper-threaded core do. What no cache can exceed.
inline double scaling_of_arithmetic() {
  std::atomic<std::uint64_t> sum{0};
  const auto work = [&](int thread) {
    std::uint64_t state[4] = {std::uint64_t(thread), 1, 2, 3};
    for (int step = 0; step < 5'000'000; ++step)
      for (std::uint64_t& one : state) one = (one ^ (one >> 29)) * 0x9E3779B97F4A7C15ULL + 1;
    sum += state[0] ^ state[1] ^ state[2] ^ state[3];
  };
  const double one = run(1, work), two = run(2, work);
  return sum.load() == 0 ? 0 : 2 * one / two;
}

}  // namespace bench
