// flux/cache/detail/stable_hash.hpp - hashes that never change: checksums, file names, database rows, fingerprints.
//
// The same bytes give the same number in every process, on every compiler, in every release: docs/formats/frame.md has
// test vectors. The step is the 64 x 64 -> 128 bit multiply-and-fold of wyhash (Wang Yi, public domain) on little
// endian words, in six lanes; the constants are digits of square roots. Not a cryptographic hash:
// who must not collide on purpose compares the full key too. For tables in memory use the keyed `detail/hash.hpp`.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace flux::cache {
inline namespace v1 {
namespace detail {

struct Hash128 {
  std::uint64_t low = 0, high = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
};

struct StableConstants {
  std::uint64_t a, b, c, d, e, f, g;
};
/// Fractional parts of the square roots of the primes 2 to 17, and 19 to 43; the last bit set.
inline constexpr StableConstants kStableLow{0x6a09e667f3bcc909U, 0xbb67ae8584caa73bU, 0x3c6ef372fe94f82bU,
                                            0xa54ff53a5f1d36f1U, 0x510e527fade682d1U, 0x9b05688c2b3e6c1fU,
                                            0x1f83d9abfb41bd6bU};
inline constexpr StableConstants kStableHigh{0x5be0cd19137e2179U, 0xcbbb9d5dc1059ed9U, 0x629a292a367cd507U,
                                             0x9159015a3070dd17U, 0x152fecd8f70e5939U, 0x67332667ffc00b31U,
                                             0x8eb44a8768581511U};

inline std::uint64_t stable_fold(std::uint64_t a, std::uint64_t b) noexcept {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

template <class Word>
inline std::uint64_t load_little(const char* from) noexcept {
  Word word;
  std::memcpy(&word, from, sizeof word);
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
  if constexpr (sizeof word == 8) {
    word = __builtin_bswap64(word);
  } else {
    word = __builtin_bswap32(word);
  }
#endif
  return word;
}

inline std::uint64_t stable_hash_with(const StableConstants& k, const char* data, std::size_t size,
                                      std::uint64_t seed) noexcept {
  seed ^= k.a;
  std::uint64_t first = 0, last = 0;
  if (size <= 16) {
    if (size >= 8) {
      first = load_little<std::uint64_t>(data);
      last = load_little<std::uint64_t>(data + size - 8);
    } else if (size >= 4) {
      first = load_little<std::uint32_t>(data);
      last = load_little<std::uint32_t>(data + size - 4);
    } else if (size > 0) {
      first = static_cast<unsigned char>(data[0]) |
              (static_cast<std::uint64_t>(static_cast<unsigned char>(data[size >> 1])) << 8);
      last = static_cast<unsigned char>(data[size - 1]);
    }
  } else {
    std::size_t left = size;
    if (left > 96) {
      std::uint64_t lanes[5] = {seed, seed, seed, seed, seed};
      const auto word = [&](std::size_t at) { return load_little<std::uint64_t>(data + at); };
      do {
        seed = stable_fold(word(0) ^ k.b, word(8) ^ seed);
        lanes[0] = stable_fold(word(16) ^ k.c, word(24) ^ lanes[0]);
        lanes[1] = stable_fold(word(32) ^ k.d, word(40) ^ lanes[1]);
        lanes[2] = stable_fold(word(48) ^ k.e, word(56) ^ lanes[2]);
        lanes[3] = stable_fold(word(64) ^ k.f, word(72) ^ lanes[3]);
        lanes[4] = stable_fold(word(80) ^ k.g, word(88) ^ lanes[4]);
        data += 96;
        left -= 96;
      } while (left > 96);
      seed ^= lanes[0] ^ lanes[1] ^ lanes[2] ^ lanes[3] ^ lanes[4];
    }
    while (left > 16) {
      seed = stable_fold(load_little<std::uint64_t>(data) ^ k.b, load_little<std::uint64_t>(data + 8) ^ seed);
      data += 16;
      left -= 16;
    }
    first = load_little<std::uint64_t>(data + left - 16);
    last = load_little<std::uint64_t>(data + left - 8);
  }
  return stable_fold(k.b ^ size, stable_fold(first ^ k.b, last ^ seed));
}

/// 64 bits of any bytes. About 3 ns for 20 bytes, 0.03 ns a byte for long ones.
inline std::uint64_t stable_hash64(std::string_view bytes, std::uint64_t seed = 0) noexcept {
  return stable_hash_with(kStableLow, bytes.data(), bytes.size(), seed);
}

/// 128 bits: `low` is `stable_hash64`, `high` the same under other constants. Twice the cost.
inline Hash128 stable_hash128(std::string_view bytes, std::uint64_t seed = 0) noexcept {
  return {stable_hash_with(kStableLow, bytes.data(), bytes.size(), seed),
          stable_hash_with(kStableHigh, bytes.data(), bytes.size(), seed)};
}

/// FNV-1a of a text, to be continued: at compile time, for fingerprints.
constexpr std::uint64_t fingerprint_text(std::uint64_t state, std::string_view text) noexcept {
  for (const char c : text) state = (state ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return state;
}

/// Mixes a finished 64-bit number (the finaliser of SplitMix64; Steele, Lea, Flood 2014).
constexpr std::uint64_t fingerprint_mix(std::uint64_t state) noexcept {
  state = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9U;
  state = (state ^ (state >> 27)) * 0x94d049bb133111ebU;
  return state ^ (state >> 31);
}

/// `state` followed by a number.
constexpr std::uint64_t fingerprint_join(std::uint64_t state, std::uint64_t number) noexcept {
  return fingerprint_mix(state * 0x9e3779b97f4a7c15U + number);
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
