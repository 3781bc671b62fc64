// flux/cache/detail/counters.hpp - event counts that threads do not fight over.
#pragma once
#include <flux/cache/detail/export.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace flux::cache {
inline namespace v1 {
namespace detail {

enum class Count : std::uint8_t {
  hit,
  miss,
  stale_hit,
  wrong_type,
  schema,
  corrupt,
  put,
  put_failure,
  forget,
  flush,
  load,
  load_failure,
  store_error,
};
inline constexpr std::size_t kCounts = 13;

/// Each thread adds to a cache line of its own, found by a small number that the thread keeps for life; threads beyond
/// the first 63 share the last line and pay for an atomic addition. An addition costs about 1 ns; a sum reads 64 lines.
class FLUX_CACHE_API Counters {
 public:
  Counters();
  ~Counters();
  Counters(const Counters&) = delete;
  Counters& operator=(const Counters&) = delete;

  void add(Count what, std::uint64_t times = 1) noexcept;
  /// The same without a call; its body is the compiled half's own.
  void add_here(Count what, std::uint64_t times = 1) noexcept;
  /// Exact once the counting threads are quiet.
  std::array<std::uint64_t, kCounts> sums() const noexcept;
  void reset() noexcept;

 private:
  struct Line;
  static constexpr std::size_t kLines = 64;
  Line* lines_;
  std::array<std::atomic<std::uint64_t>, kCounts> zero_{};  // what the sums were at the last reset
};

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
