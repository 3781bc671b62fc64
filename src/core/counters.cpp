#include <flux/cache/detail/counters.hpp>

#include <new>

#include "counting.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail {

namespace {

std::atomic<std::uint64_t> numbers_taken{0};

// Two thread-locals: the number itself is free to read; the one that gives it back is touched once per thread. After
// that, in the last destructors of a dying thread, the shared number serves.
struct GiveBack {
  int number = kThreadNumbers - 1;
  ~GiveBack() {
    number_of_this_thread = kThreadNumbers - 1;
    if (number < kThreadNumbers - 1) numbers_taken.fetch_and(~(std::uint64_t{1} << number), std::memory_order_release);
  }
};

}  // namespace

[[gnu::tls_model("initial-exec")]] constinit thread_local int number_of_this_thread = -1;

[[gnu::noinline]] int take_thread_number() noexcept {
  static thread_local GiveBack mine;
  std::uint64_t taken = numbers_taken.load(std::memory_order_relaxed);
  for (;;) {
    const int free = taken == ~std::uint64_t{0} ? kThreadNumbers : __builtin_ctzll(~taken);
    if (free >= kThreadNumbers - 1) break;
    if (numbers_taken.compare_exchange_weak(taken, taken | (std::uint64_t{1} << free), std::memory_order_acquire)) {
      mine.number = free;
      break;
    }
  }
  return number_of_this_thread = mine.number;
}

Counters::Counters() : lines_(new Line[kLines]) { static_assert(kLines == kThreadNumbers); }
Counters::~Counters() { delete[] lines_; }

void Counters::add(Count what, std::uint64_t times) noexcept { add_here(what, times); }

std::array<std::uint64_t, kCounts> Counters::sums() const noexcept {
  std::array<std::uint64_t, kCounts> sums{};
  for (std::size_t line = 0; line < kLines; ++line)
    for (std::size_t i = 0; i < kCounts; ++i) sums[i] += lines_[line].counts[i].load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < kCounts; ++i) sums[i] -= zero_[i].load(std::memory_order_relaxed);
  return sums;
}

void Counters::reset() noexcept {
  const auto now = sums();
  for (std::size_t i = 0; i < kCounts; ++i) zero_[i].fetch_add(now[i], std::memory_order_relaxed);
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
