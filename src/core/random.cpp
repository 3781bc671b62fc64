#include "random.hpp"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <chrono>

namespace flux::cache {
inline namespace v1 {
namespace detail {

namespace {

// A child of fork must not repeat its parent's numbers: the count is part of every thread's state.
std::atomic<std::uint32_t> forks{0};
[[maybe_unused]] const int fork_watch =
    pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1, std::memory_order_relaxed); });

std::uint64_t from_kernel() noexcept {
  std::uint64_t bits = 0;
  if (::getentropy(&bits, sizeof bits) == 0) return bits;
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()) ^
         (static_cast<std::uint64_t>(::getpid()) << 40);
}

}  // namespace

// splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
std::uint64_t random_bits() noexcept {
  static constinit thread_local std::uint64_t state = 0;
  static constinit thread_local std::uint32_t seeded_after = 0;
  const std::uint32_t now = forks.load(std::memory_order_relaxed);
  if (state == 0 || seeded_after != now) state = from_kernel() | 1, seeded_after = now;
  std::uint64_t bits = state += 0x9e3779b97f4a7c15ULL;
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9ULL;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebULL;
  bits ^= bits >> 31;
  return bits != 0 ? bits : 1;
}

std::uint64_t random_below(std::uint64_t bound) noexcept {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>((static_cast<Wide>(random_bits()) * bound) >> 64);
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
