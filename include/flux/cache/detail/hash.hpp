// flux/cache/detail/hash.hpp - the keyed hash of keys: 64 bits, another function in each process.
//
// The mixing step is the 64 x 64 -> 128 bit multiply-and-fold of wyhash (Wang Yi, public domain). Keyed by a random
// seed, so that nobody outside can prepare keys that collide. Never stored and never sent: what must agree between
// processes (the ring, file names, row numbers) uses `detail/stable_hash.hpp`.
#pragma once
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace flux::cache {
inline namespace v1 {
namespace detail {

inline std::uint64_t fold_multiply(std::uint64_t a, std::uint64_t b) noexcept {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

inline std::uint64_t load64(const char* from) noexcept {
  std::uint64_t word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

inline std::uint64_t load32(const char* from) noexcept {
  std::uint32_t word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

inline constexpr std::uint64_t kMixA = 0xa0761d6478bd642fULL;
inline constexpr std::uint64_t kMixB = 0xe7037ed1a0b428dbULL;
inline constexpr std::uint64_t kMixC = 0x8ebc6af09c88c6e3ULL;
inline constexpr std::uint64_t kMixD = 0x589965cc75374cc3ULL;

/// Hash of any bytes under a seed. About 3 ns for 20 bytes. Inline, since every verb begins with it.
[[gnu::always_inline]] inline std::uint64_t hash_bytes(const char* data, std::size_t size,
                                                       std::uint64_t seed) noexcept {
  seed ^= kMixA;
  std::uint64_t a = 0, b = 0;
  if (size <= 16) {
    if (size >= 4) {
      const std::size_t middle = (size >> 3) << 2;
      a = (load32(data) << 32) | load32(data + middle);
      b = (load32(data + size - 4) << 32) | load32(data + size - 4 - middle);
    } else if (size > 0) {
      a = (std::uint64_t(static_cast<unsigned char>(data[0])) << 16) |
          (std::uint64_t(static_cast<unsigned char>(data[size >> 1])) << 8) |
          static_cast<unsigned char>(data[size - 1]);
    }
  } else {
    std::size_t left = size;
    if (left > 48) {
      std::uint64_t second = seed, third = seed;
      do {
        seed = fold_multiply(load64(data) ^ kMixB, load64(data + 8) ^ seed);
        second = fold_multiply(load64(data + 16) ^ kMixC, load64(data + 24) ^ second);
        third = fold_multiply(load64(data + 32) ^ kMixD, load64(data + 40) ^ third);
        data += 48;
        left -= 48;
      } while (left > 48);
      seed ^= second ^ third;
    }
    while (left > 16) {
      seed = fold_multiply(load64(data) ^ kMixB, load64(data + 8) ^ seed);
      data += 16;
      left -= 16;
    }
    a = load64(data + left - 16);
    b = load64(data + left - 8);
  }
  return fold_multiply(kMixB ^ size, fold_multiply(a ^ kMixB, b ^ seed));
}

/// Constant-initialised, so that a key may be hashed before any dynamic initialisation; zero means: not drawn yet.
inline std::atomic<std::uint64_t> process_seed{0};

/// Draws the seed once; whoever comes second takes the first one's.
[[gnu::noinline, gnu::cold]] inline std::uint64_t draw_process_seed() noexcept {
  std::uint64_t drawn = 0;
  if (::getentropy(&drawn, sizeof drawn) != 0 || drawn == 0) drawn = reinterpret_cast<std::uintptr_t>(&drawn) | 1;
  std::uint64_t expected = 0;
  return process_seed.compare_exchange_strong(expected, drawn, std::memory_order_relaxed) ? drawn : expected;
}

/// This process's random seed; one load and one predicted branch.
inline std::uint64_t hash_seed() noexcept {
  const std::uint64_t seed = process_seed.load(std::memory_order_relaxed);
  return seed != 0 ? seed : draw_process_seed();
}

inline std::uint64_t hash_key(std::string_view text) noexcept {
  return hash_bytes(text.data(), text.size(), hash_seed());
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
