// detail/stable_hash.hpp: the hash that never changes.
#include <gtest/gtest.h>
#include <flux/cache/detail/stable_hash.hpp>

#include <bit>
#include <set>
#include <string>

namespace flux::cache::detail {
namespace {

TEST(StableHash, NeverChanges) {
  // The test vectors of docs/formats/frame.md.
  EXPECT_EQ(stable_hash64(""), 0x16020ac76c2dba44U);
  EXPECT_EQ(stable_hash64("a"), 0x4af70241975426b1U);
  EXPECT_EQ(stable_hash64("abc"), 0x28aa1f4dc3e11e04U);
  EXPECT_EQ(stable_hash64("user_7"), 0x317f2b4f44ef843eU);
  EXPECT_EQ(stable_hash64("0123456789abcdef"), 0x4ff1e87f48c34bb2U);
  EXPECT_EQ(stable_hash64("0123456789abcdef0123456789abcdef0123456789abcdef!"), 0xcda36b2a8003dcdeU);
  EXPECT_EQ(stable_hash64("user_7", 1), 0x96ebab903ba4ebf5U);
  EXPECT_EQ(stable_hash128("user_7"), (Hash128{0x317f2b4f44ef843eU, 0xee503c32c1d518f0U}));
}

TEST(StableHash, TheLowerHalfOf128BitsIsTheHashOf64) {
  EXPECT_EQ(stable_hash128("anything", 5).low, stable_hash64("anything", 5));
}

TEST(StableHash, EveryBitOfTheInputCounts) {
  for (std::size_t size = 1; size <= 130; ++size) {
    std::string text(size, 'x');
    std::set<std::uint64_t> seen{stable_hash64(text)};
    for (std::size_t bit = 0; bit < size * 8; ++bit) {
      text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << bit % 8));
      EXPECT_TRUE(seen.insert(stable_hash64(text)).second) << size << " bytes, bit " << bit;
      text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << bit % 8));
    }
  }
}

TEST(StableHash, LengthsOfTheSameByteDiffer) {
  std::set<std::uint64_t> seen;
  for (std::size_t size = 0; size < 1000; ++size) seen.insert(stable_hash64(std::string(size, '\0')));
  EXPECT_EQ(seen.size(), 1000u);
}

TEST(StableHash, OneBitOfTheInputChangesHalfOfTheOutput) {
  int changed = 0;
  const int rounds = 2000;
  for (int i = 0; i < rounds; ++i) {
    std::string text = "key_" + std::to_string(i);
    const std::uint64_t before = stable_hash64(text);
    text[static_cast<std::size_t>(i) % text.size()] ^= 1;
    changed += std::popcount(before ^ stable_hash64(text));
  }
  EXPECT_NEAR(changed / double{rounds}, 32, 1);
}

}  // namespace
}  // namespace flux::cache::detail
