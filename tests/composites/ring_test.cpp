// The ring: its mapping never changes, it is even, and a change of nodes moves what it must.
#include <gtest/gtest.h>
#include <flux/cache/consistent_hash_ring.hpp>
#include <flux/cache/detail/stable_hash.hpp>
#include <flux/cache/error.hpp>
#include <flux/cache/testing/crowd.hpp>

#include <atomic>
#include <map>
#include <set>

namespace flux::cache::testing {
namespace {

std::string node(int number) { return "cache" + std::to_string(number) + ":6379"; }

std::unique_ptr<ConsistentHashRing> ring_of(int nodes, std::size_t replicas = 2048) {
  auto ring = std::make_unique<ConsistentHashRing>(RingOptions{.replicas = replicas});
  for (int i = 0; i < nodes; ++i) ring->add_node(node(i));
  return ring;
}

TEST(Ring, NeverChangesItsMapping) {
  const auto ring = ring_of(10);
  std::string digits;  // "cache7:6379" is 7
  for (int i = 0; i < 1000; ++i) digits += ring->node_for("key_" + std::to_string(i))->at(5);
  EXPECT_EQ(digits.substr(0, 60), "254231281661397466219810698304652612063388546622825637292582");
  EXPECT_EQ(cache::detail::stable_hash64(digits), 0xc7ea9388146476ccU);
}

TEST(Ring, TheOrderOfAddingSaysNothing) {
  const auto ring = ring_of(5);
  ConsistentHashRing backwards;
  for (int i = 4; i >= 0; --i) backwards.add_node(node(i));
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(ring->node_for(std::to_string(i)), backwards.node_for(std::to_string(i)));
}

TEST(Ring, IsWithinFivePercentOfEven) {
  for (const int nodes : {3, 10, 50}) {
    const auto ring = ring_of(nodes);
    std::map<std::string, int> held;
    constexpr int kKeys = 500'000;
    for (int i = 0; i < kKeys; ++i) ++held[*ring->node_for("user_" + std::to_string(i))];
    for (const auto& [name, keys] : held)
      EXPECT_LE(keys * static_cast<double>(nodes) / kKeys, 1.05) << name << " of " << nodes;
  }
}

TEST(Ring, WeightsAreShares) {
  ConsistentHashRing ring;
  ring.add_node("one", 1), ring.add_node("two", 2), ring.add_node("three", 3);
  std::map<std::string, double> held;
  for (int i = 0; i < 120'000; ++i) ++held[*ring.node_for("user_" + std::to_string(i))];
  EXPECT_NEAR(held["one"] / 20'000, 1, 0.06);
  EXPECT_NEAR(held["two"] / 40'000, 1, 0.06);
  EXPECT_NEAR(held["three"] / 60'000, 1, 0.06);
}

TEST(Ring, AChangeMovesItsShareAndNothingElse) {
  const auto ring = ring_of(10);
  constexpr int kKeys = 100'000;
  std::vector<std::string> before;
  for (int i = 0; i < kKeys; ++i) before.push_back(*ring->node_for("k" + std::to_string(i)));
  ring->add_node(node(10));
  int moved = 0;
  for (int i = 0; i < kKeys; ++i) {
    const std::string now = *ring->node_for("k" + std::to_string(i));
    if (now == before[static_cast<std::size_t>(i)]) continue;
    ASSERT_EQ(now, node(10)) << "a key moved between nodes that stayed";
    ++moved;
  }
  EXPECT_NEAR(moved * 11.0 / kKeys, 1, 0.1);
  ring->remove_node(node(10));
  for (int i = 0; i < kKeys; ++i)
    ASSERT_EQ(*ring->node_for("k" + std::to_string(i)), before[static_cast<std::size_t>(i)]);
}

TEST(Ring, AddingTwiceIsAddingOnce) {
  const auto ring = ring_of(3);
  EXPECT_FALSE(ring->add_node(node(1), 7));
  EXPECT_EQ(ring->size(), 3u);
}

TEST(Ring, MistakesAreNamed) {
  const auto ring = ring_of(3);
  EXPECT_THROW(ring->remove_node("nobody"), ConfigError);
  EXPECT_THROW(ring->add_node(""), ConfigError);
  EXPECT_THROW(ring->add_node("new", 0), ConfigError);
  EXPECT_THROW(ring->add_node("new", 10'000), ConfigError);
  EXPECT_THROW(ConsistentHashRing({.replicas = 0}), ConfigError);
}

TEST(Ring, EmptyNamesNoNode) {
  ConsistentHashRing ring;
  EXPECT_FALSE(ring.node_for("key"));
  EXPECT_TRUE(ring.nodes_for("key", 3).empty());
  EXPECT_TRUE(ring.empty());
}

TEST(Ring, CopiesGoToDistinctNodesTheOwnerFirst) {
  const auto ring = ring_of(4);
  for (int i = 0; i < 100; ++i) {
    const std::string key = std::to_string(i);
    const auto nodes = ring->nodes_for(key, 9);
    ASSERT_EQ(nodes.size(), 4u);
    EXPECT_EQ(nodes.front(), *ring->node_for(key));
    EXPECT_EQ(std::set<std::string>(nodes.begin(), nodes.end()).size(), 4u);
  }
}

TEST(Ring, LookupsGoOnWhileNodesComeAndGo) {
  const auto ring = ring_of(3, 64);
  std::atomic<bool> stop{false};
  std::atomic<int> lost{0};
  run_on_threads(8, [&](int thread) {
    if (thread == 0) {
      for (int round = 0; round < 200; ++round) ring->add_node(node(9)), ring->remove_node(node(9));
      stop = true;
      return;
    }
    for (int i = 0; !stop; ++i) {
      const auto found = ring->node_for(std::to_string(i));
      if (!found || !found->starts_with("cache")) ++lost;
    }
  });
  EXPECT_EQ(lost.load(), 0);
}

}  // namespace
}  // namespace flux::cache::testing
