// What composites cost beside their parts, and write-behind with and without its journal.
//
// usage: bench_composite [rounds]
#include <flux/cache.hpp>
#include <flux/cache/backplane.hpp>
#include <flux/cache/decorator.hpp>
#include <flux/cache/layers/serialized.hpp>
#include <flux/cache/layers/tagged.hpp>
#include <flux/cache/stores/distributed.hpp>
#include <flux/cache/stores/file.hpp>
#include <flux/cache/stores/memory.hpp>
#include <flux/cache/stores/tiered.hpp>

#include <cstdio>
#include <cstdlib>
#include <thread>

#include "bench/stores/contest.hpp"
#include "support/scratch_directory.hpp"

namespace cache = flux::cache;
using namespace std::chrono_literals;
using flux::bench::Contest;

namespace {

constexpr int kKeys = 10'000;
std::uint64_t sink = 0;

std::string key_of(int i) { return "user_" + std::to_string(i); }

/// As a store at the other end of a wire: each call takes a while, and other processes would see the same.
class Distant final : public cache::Decorator {
 public:
  Distant(cache::StorePtr inner, cache::Duration each, cache::Duration item)
      : Decorator(std::move(inner)), each_(each), item_(item) {}
  cache::Traits traits() const noexcept override {
    cache::Traits traits = inner().traits();
    traits.shared = true;
    return traits;
  }
  cache::Result<void> get_many(std::span<const cache::Key> keys, const cache::Read& how,
                               cache::BatchReceiver found) override {
    std::this_thread::sleep_for(each_ + item_ * static_cast<int>(keys.size()));
    return inner().get_many(keys, how, found);
  }

 private:
  const cache::Duration each_, item_;
};

void near_hits(int rounds) {
  const auto alone = cache::make_memory({.max_size = 100'000});
  const auto near = cache::make_memory({.max_size = 100'000});
  const auto tiered = cache::make_tiered({near, cache::make_memory({.max_size = 100'000})});
  cache::InProcessBackplane backplane;
  const auto heard =
      cache::make_tiered({cache::make_memory({.max_size = 100'000}), cache::make_memory({.max_size = 100'000})},
                         {.backplane = backplane.node()});
  std::vector<std::string> keys;
  for (int i = 0; i < 1'000; ++i) keys.push_back(key_of(i));
  const std::string value(100, 'v');
  for (const auto& store : {alone, tiered, heard})
    for (const std::string& key : keys)
      (void)store->put(cache::Key(key), {.value = {.kind = cache::Kind::text, .text = value}}, {});
  const auto read = [&](const cache::StorePtr& store) {
    return [&keys, repository = cache::Repository(store)](int) {
      for (int turn = 0; turn < 10; ++turn)
        for (const std::string& key : keys) sink += repository.get<std::string>(key)->size();
    };
  };
  const auto look = [&](const cache::StorePtr& store) {
    return [&keys, store](int) {
      for (int turn = 0; turn < 10; ++turn)
        for (const std::string& key : keys)
          (void)store->get(cache::Key(key), {}, [](const cache::Entry& entry) { sink += entry.value.text.size(); });
    };
  };
  Contest contest("a hit of 100 bytes, 1,000 keys", 10'000);
  contest.enter("memory alone", read(alone));
  contest.enter("tiered, near", read(tiered));
  contest.enter("tiered with a backplane, near", read(heard));
  contest.enter("whole entries, memory alone", look(alone));
  contest.enter("whole entries, tiered, near", look(tiered));
  contest.run(rounds);
}

void choosing(int rounds) {
  std::vector<std::string> keys;
  for (int i = 0; i < kKeys; ++i) keys.push_back(key_of(i));
  cache::ConsistentHashRing ten, fifty;
  for (int i = 0; i < 50; ++i) {
    const std::string node = "cache" + std::to_string(i) + ":6379";
    if (i < 10) ten.add_node(node);
    fifty.add_node(node);
  }
  Contest contest("choosing a node", kKeys);
  for (const auto& [name, ring] : {std::pair{"of 10", &ten}, {"of 50", &fifty}})
    contest.enter(name, [&keys, ring = ring](int) {
      for (const std::string& key : keys) sink += ring->node_for(key)->size();
    });
  contest.run(rounds);
}

void batches(int rounds) {
  std::vector<cache::StorePtr> nodes;
  for (int i = 0; i < 3; ++i)
    nodes.push_back(std::make_shared<Distant>(cache::make_memory({.max_size = 100'000}), 1ms, 3us));
  const auto sharded = cache::make_sharded(nodes, {.nodes = {"a", "b", "c"}});
  std::vector<std::string> names;
  for (int i = 0; i < 1'000; ++i) names.push_back(key_of(i));
  std::vector<cache::Key> keys(names.begin(), names.end());
  for (const cache::Key& key : keys)
    (void)sharded->put(key, {.value = {.kind = cache::Kind::integer, .number = 1}}, {});
  std::vector<std::vector<cache::Key>> own(3);
  for (const cache::Key& key : keys)
    for (std::size_t i = 0; i < 3; ++i)
      if (*nodes[i]->has(key)) own[i].push_back(key);
  const auto slowest =
      std::max_element(own.begin(), own.end(), [](const auto& a, const auto& b) { return a.size() < b.size(); });
  const auto count = [](std::size_t, const cache::Entry&) { ++sink; };
  Contest contest("many(1000), 3 nodes of 1 ms + 3 us a key", 1);
  contest.enter("the slowest node alone", [&](int) {
    (void)nodes[static_cast<std::size_t>(slowest - own.begin())]->get_many(*slowest, {}, count);
  });
  contest.enter("sharded over the three", [&](int) { (void)sharded->get_many(keys, {}, count); });
  contest.run(rounds);
}

struct Score {
  std::string player;
  int points = 0;
};

void write_behind(int rounds) {
  const cache::testing::ScratchDirectory directory;
  constexpr int kPuts = 20'000;
  const auto contestant = [&](std::string journal) {
    return [journal](int) {
      const cache::Repository repository(cache::make_memory({.max_size = 100'000}));
      cache::WriteBehind<Score> scores(repository,
                                       {.max_batch_size = 1'000, .max_pending = 1'000'000, .journal = journal},
                                       [](auto batch) { sink += batch.size(); });
      for (int i = 0; i < kPuts; ++i) scores.put(key_of(i % 1'000), Score{"Ada", i});
      scores.flush();
    };
  };
  Contest contest("write-behind, puts until written", kPuts);
  contest.enter("without a journal", contestant({}));
  contest.enter("with a journal", contestant(directory / "journal"));
  contest.run(rounds);
}

void backplane() {
  constexpr int kMessages = 200'000;
  cache::InProcessBackplane plane;
  const auto far = cache::make_memory({.max_size = 100'000});
  const auto a = cache::make_tiered({cache::make_memory({.max_size = 100'000}), far}, {.backplane = plane.node()});
  const auto b = cache::make_tiered({cache::make_memory({.max_size = 100'000}), far}, {.backplane = plane.node()});
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < kMessages; ++i) (void)a->forget(cache::Key(key_of(i % kKeys)), {});
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  std::printf("invalidations told and heard: %.0f a second\n", kMessages / took.count());
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 41;
  near_hits(rounds);
  choosing(rounds);
  batches(rounds);
  write_behind(std::max(rounds / 4, 5));
  backplane();
  return sink == 0;
}
