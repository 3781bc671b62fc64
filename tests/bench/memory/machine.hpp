// tests/bench/memory/machine.hpp - what the bench asks of the machine: time, large pages, and what others took of it.
#pragma once
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace bench {

inline double read_clock(clockid_t which) {
  timespec at{};
  ::clock_gettime(which, &at);
  return double(at.tv_sec) + double(at.tv_nsec) * 1e-9;
}
inline double seconds() { return read_clock(CLOCK_MONOTONIC); }

/// So many zeros, in huge pages where the kernel has some: for what the bench itself reads at random, so that walks
/// through the page tables to its keys are not counted as a cache's time.
template <class T>
std::vector<T> on_huge_pages(std::size_t count) {
  constexpr std::uintptr_t kHuge = 2 << 20;
  std::vector<T> all;
  all.reserve(count);
  const auto first = (reinterpret_cast<std::uintptr_t>(all.data()) + kHuge - 1) / kHuge * kHuge;
  const auto last = reinterpret_cast<std::uintptr_t>(all.data() + count) / kHuge * kHuge;
  if (last > first) (void)::madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
  all.resize(count);
  return all;
}

/// What other processes, and other machines on the same host, took of the processors since this was made.
class Others {
 public:
  /// 0 to 1; 0 where the kernel does not tell.
  double share() const {
    const double time = seconds() - from_;
    const double all = static_cast<double>(::sysconf(_SC_NPROCESSORS_ONLN)) * time;
    return all > 0 ? std::clamp((busy() - busy_ - (read_clock(CLOCK_PROCESS_CPUTIME_ID) - own_)) / all, 0.0, 1.0) : 0;
  }

 private:
  /// Seconds that all processors together were not idle.
  static double busy() {
    std::FILE* const file = std::fopen("/proc/stat", "r");
    if (file == nullptr) return 0;
    unsigned long long part[8] = {};
    const int read = std::fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &part[0], &part[1], &part[2],
                                 &part[3], &part[4], &part[5], &part[6], &part[7]);
    std::fclose(file);
    if (read != 8) return 0;
    const unsigned long long sum = part[0] + part[1] + part[2] + part[5] + part[6] + part[7];
    return static_cast<double>(sum) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }
  double from_ = seconds(), own_ = read_clock(CLOCK_PROCESS_CPUTIME_ID), busy_ = busy();
};

/// What others took of the processors during each measurement that counts.
inline std::vector<double> disturbances;

}  // namespace bench
