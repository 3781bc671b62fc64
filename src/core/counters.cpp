#include <flux/cache/detail/counters.hpp>

#include <new>

#include "thread_number.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail {

namespace {

std::atomic<std::uint64_t> numbers_taken{0};

// Two thread-locals: the number itself is trivially destructible and free to read; the one that gives it back is
// touched once per thread. After that, in the last destructors of a dying thread, the shared number serves.
[[gnu::tls_model("initial-exec")]] constinit thread_local int number_of_this_thread = -1;

struct GiveBack {
  int number = kThreadNumbers - 1;
  ~GiveBack() {
    number_of_this_thread = kThreadNumbers - 1;
    if (number < kThreadNumbers - 1) numbers_taken.fetch_and(~(std::uint64_t{1} << number), std::memory_order_release);
  }
};

[[gnu::noinline]] int take_number() noexcept {
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

}  // namespace

int thread_number() noexcept {
  const int number = number_of_this_thread;
  return number >= 0 ? number : take_number();
}

struct alignas(128) Counters::Line {
  std::array<std::atomic<std::uint64_t>, kCounts> counts{};
};

Counters::Counters() : lines_(new Line[kLines]) { static_assert(kLines == kThreadNumbers); }
Counters::~Counters() { delete[] lines_; }

void Counters::add(Count what, std::uint64_t times) noexcept {
  const int number = thread_number();
  auto& count = lines_[number].counts[static_cast<std::size_t>(what)];
  if (number < kThreadNumbers - 1) [[likely]]
    count.store(count.load(std::memory_order_relaxed) + times, std::memory_order_relaxed);
  else
    count.fetch_add(times, std::memory_order_relaxed);
}

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
