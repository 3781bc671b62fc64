// flux/cache/stats.hpp - what has happened at a repository, in numbers.
#pragma once
#include <cstdint>

namespace flux::cache {
inline namespace v1 {

/// Counts since the start or the last reset. Each read is one hit or one miss: `hits + misses` is the number of reads,
/// and the causes named below are among the misses.
struct Stats {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t stale_hits =
      0;  ///< among the misses: answered all the same, past the lifetime, by `.stale` or `.fail_safe`
  std::uint64_t wrong_type = 0;    ///< among the misses: another type was stored
  std::uint64_t schema = 0;        ///< among the misses: the struct has changed since
  std::uint64_t corrupt = 0;       ///< among the misses: bytes that did not check out
  std::uint64_t puts = 0;          ///< writes that were made: put, add, put_many each key, counters
  std::uint64_t put_failures = 0;  ///< writes that the store refused or could not make
  std::uint64_t forgets = 0;       ///< entries removed by forget, forget_many and pull
  std::uint64_t flushes = 0;
  std::uint64_t loads = 0;          ///< runs of a loader
  std::uint64_t load_failures = 0;  ///< of these, the ones that threw
  std::uint64_t store_errors = 0;   ///< calls that the store could not answer
  double hit_ratio = 0;             ///< per cent of the reads, 0 to 100; 0 where there was none
};

}  // namespace v1
}  // namespace flux::cache
