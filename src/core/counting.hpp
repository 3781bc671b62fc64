// Counting without a call, for what every hit does.
#pragma once
#include <flux/cache/detail/core.hpp>

#include "thread_number.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail {

struct alignas(128) Counters::Line {
  std::array<std::atomic<std::uint64_t>, kCounts> counts{};
};

inline void Counters::add_here(Count what, std::uint64_t times) noexcept {
  const int number = thread_number();
  auto& count = lines_[number].counts[static_cast<std::size_t>(what)];
  if (number < kThreadNumbers - 1) [[likely]]
    count.store(count.load(std::memory_order_relaxed) + times, std::memory_order_relaxed);
  else
    count.fetch_add(times, std::memory_order_relaxed);
}

[[gnu::always_inline]] inline void Core::count_hit(std::string_view key, const Tags* tags) {
  counters_.add_here(Count::hit);
  if (listening_.load(std::memory_order_relaxed) != 0) [[unlikely]]
    emit(EventKind::hit, key, tags);
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
