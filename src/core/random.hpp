// Randomness for jitter, tokens and epochs: fast, per thread, seeded by the kernel; not for secrets.
#pragma once
#include <cstdint>

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// 64 random bits, never 0. Another sequence in each thread and after each fork.
std::uint64_t random_bits() noexcept;
/// Uniform in [0, bound); bound 0 answers 0.
std::uint64_t random_below(std::uint64_t bound) noexcept;

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
