// Parts that fail, come back, and race: nothing old is served, and what was missed is done.
#include <flux/cache/layers/chaos.hpp>
#include <flux/cache/layers/deadline.hpp>
#include <flux/cache/layers/recovering.hpp>
#include <flux/cache/repository.hpp>
#include <flux/cache/testing/crowd.hpp>
#include <flux/cache/testing/fake_clock.hpp>
#include <flux/cache/testing/recorder.hpp>
#include <flux/cache/testing/store_probe.hpp>

#include <atomic>
#include <thread>

#include "parts.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

/// Memory stores that fail on demand, with a way past their faults.
struct Fleet {
  explicit Fleet(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      memories.push_back(make_memory({.clock = &clock}));
      chaos.push_back(make_chaos(memories.back()));
    }
  }
  std::vector<StorePtr> stores() const { return {chaos.begin(), chaos.end()}; }
  StoreProbe part(std::size_t i) const { return StoreProbe(memories[i]); }
  void down(std::size_t i) { chaos[i]->set({.fail_rate = 1}); }
  void up(std::size_t i) { chaos[i]->set({}); }
  Repository over(StorePtr store) const { return Repository(std::move(store), {.clock = &clock}, "composite"); }

  FakeClock clock;
  std::vector<StorePtr> memories;
  std::vector<std::shared_ptr<Chaos>> chaos;
};

constexpr Duration kSoon = 1ms;

DistributedOptions soon(const Clock& clock) { return {.recovery_delay = kSoon, .clock = &clock}; }

template <class Done>
bool in_time(Done done) {
  for (int i = 0; i < 2'000; ++i) {
    if (done()) return true;
    std::this_thread::sleep_for(5ms);
  }
  return false;
}

Entry value(std::string_view text, const Expiry& expiry = {}) {
  return {.value = {.kind = Kind::text, .text = text}, .expiry = expiry};
}

// --- replicate

TEST(Replicate, TheFirstDownIsReadFromTheSecondAndRepairedWithTheRemainingLife) {
  Fleet fleet(2);
  const auto cache = fleet.over(make_replicated(fleet.stores(), WritePolicy::any, soon(fleet.clock)));
  cache.put("k", 1, 60s);
  fleet.part(0).forget("k");
  fleet.clock.travel(20s);
  EXPECT_EQ(cache.get<int>("k"), 1);
  const auto repaired = fleet.part(0).entry("k");
  ASSERT_TRUE(repaired);
  EXPECT_EQ(repaired->view().expiry.fresh_until, fleet.clock.now() + 40s);
}

TEST(Replicate, WhileTheFirstIsAwayTheOthersAnswer) {
  Fleet fleet(3);
  const auto cache = fleet.over(make_replicated(fleet.stores(), WritePolicy::any, soon(fleet.clock)));
  cache.put("k", 1, 60s);
  fleet.down(0);
  EXPECT_EQ(cache.get<int>("k"), 1);
  EXPECT_EQ(cache.many<int>({"k", "x"}).at("k"), 1);
  EXPECT_TRUE(cache.has("k"));
  EXPECT_TRUE(cache.put("new", 2, 60s));
  EXPECT_EQ(cache.get<int>("new"), 2);
  EXPECT_EQ(cache.remember("loaded", 60s, [] { return 3; }), 3);
  EXPECT_EQ(cache.get<int>("loaded"), 3);
}

TEST(Replicate, PoliciesSayHowManyMustTakeAWrite) {
  struct Case {
    WritePolicy policy;
    std::size_t may_be_down;
  };
  for (const Case& each : {Case{WritePolicy::any, 2}, Case{WritePolicy::majority, 1}, Case{WritePolicy::all, 0}}) {
    Fleet fleet(3);
    const auto cache = fleet.over(make_replicated(fleet.stores(), each.policy, soon(fleet.clock)));
    for (std::size_t down = 0; down < 3; ++down) {
      EXPECT_EQ(cache.put("k" + std::to_string(down), 1), down <= each.may_be_down) << down << " are down";
      EXPECT_EQ(cache.put_many({{"many" + std::to_string(down), 1}}), down <= each.may_be_down) << down;
      fleet.down(down);
    }
    EXPECT_FALSE(cache.put("last", 1));
  }
}

TEST(Replicate, AForgottenKeyStaysForgottenWhenAReplicaComesBack) {
  Fleet fleet(2);
  const auto cache = fleet.over(make_replicated(fleet.stores(), WritePolicy::any, soon(fleet.clock)));
  cache.put("forgotten", 1), cache.put("replaced", 1), cache.put("kept", 1);
  for (const std::size_t away : {std::size_t{0}, std::size_t{1}}) {
    cache.put("forgotten", 1), cache.put("replaced", 1);
    fleet.down(away);
    EXPECT_TRUE(cache.forget("forgotten"));
    EXPECT_TRUE(cache.put("replaced", 2));
    fleet.up(away);
    EXPECT_FALSE(cache.has("forgotten"));
    EXPECT_EQ(cache.get<int>("replaced"), 2);
    EXPECT_TRUE(in_time([&] {
      (void)cache.get<int>("forgotten");
      return !fleet.part(away).has("forgotten") && fleet.part(away).got("replaced") != "integer 1";
    }));
    EXPECT_EQ(cache.get<int>("replaced"), 2);
    EXPECT_EQ(cache.get<int>("kept"), 1);
  }
}

TEST(Replicate, AFlushHoldsForAReplicaThatWasAway) {
  Fleet fleet(2);
  const auto cache = fleet.over(make_replicated(fleet.stores(), WritePolicy::any, soon(fleet.clock)));
  cache.put("k", 1), cache.tags({"red"}).put("tagged", 1);
  fleet.down(0);
  EXPECT_TRUE(cache.tags({"red"}).flush());
  EXPECT_FALSE(cache.has("tagged"));
  fleet.up(0);
  EXPECT_FALSE(cache.has("tagged"));
  fleet.down(0);
  EXPECT_TRUE(cache.flush());
  fleet.up(0);
  EXPECT_FALSE(cache.has("k"));
  EXPECT_TRUE(in_time([&] { return !cache.has("k") && !fleet.part(0).has("k"); }));
}

TEST(Replicate, ARepairNeverUndoesAForget) {
  Fleet fleet(2);
  const StorePtr store = make_replicated(fleet.stores(), WritePolicy::all, soon(fleet.clock));
  const StoreProbe probe(store);
  for (int round = 0; round < 300; ++round) {
    probe.put("k", value("v"));
    fleet.part(0).forget("k");
    run_on_threads(2, [&](int thread) { thread == 0 ? void(probe.got("k")) : void(probe.forget("k")); });
    ASSERT_FALSE(probe.has("k")) << round;
  }
}

TEST(Replicate, LocksAndCountersAreTheAuthoritysAlone) {
  Fleet fleet(2);
  const auto cache = fleet.over(make_replicated(fleet.stores(), WritePolicy::any, soon(fleet.clock)));
  Lock lock = cache.lock("job", 10s);
  EXPECT_TRUE(lock.try_lock());
  EXPECT_EQ(cache.increment("n", 5), 5);
  fleet.down(0);
  EXPECT_THROW(cache.lock("job", 10s).try_lock(), StoreUnavailable);
  EXPECT_THROW(cache.increment("n"), StoreUnavailable);
  EXPECT_EQ(cache.get<int>("n"), 5);
  fleet.up(0);
  EXPECT_FALSE(cache.lock("job", 10s).try_lock());
}

// --- sharding

ShardingOptions shards(std::initializer_list<const char*> names, const char* name = "sharded") {
  return {.name = name, .nodes = {names.begin(), names.end()}};
}

TEST(Sharding, OneShardDownLosesItsOwnKeysAndNoOthers) {
  Fleet fleet(3);
  const auto cache = fleet.over(make_sharded(fleet.stores(), shards({"a", "b", "c"}), soon(fleet.clock)));
  for (int i = 0; i < 300; ++i) cache.put("k" + std::to_string(i), i);
  fleet.down(1);
  int found = 0, away = 0;
  std::vector<std::string> names;
  for (int i = 0; i < 300; ++i) {
    names.push_back("k" + std::to_string(i));
    const bool on_b = fleet.part(1).has(names.back());
    away += on_b;
    EXPECT_EQ(cache.has(names.back()), !on_b);
  }
  EXPECT_GT(away, 50);
  const auto many = cache.many<int>(names);
  for (const std::string& name : names) found += many.has(name);
  EXPECT_EQ(found, 300 - away);
  std::vector<std::pair<std::string, int>> items;
  for (const std::string& name : names) items.emplace_back(name, 7);
  EXPECT_FALSE(cache.put_many(items));
  fleet.up(1);
  int seven = 0;
  for (const std::string& name : names) seven += cache.get<int>(name) == 7;
  EXPECT_EQ(seven, 300 - away) << "the others were written";
}

TEST(Sharding, BatchesAreOneCallForEachShard) {
  FakeClock clock;
  std::vector<StorePtr> stores;
  std::vector<std::shared_ptr<Recorder>> recorders;
  for (int i = 0; i < 3; ++i) {
    recorders.push_back(std::make_shared<Recorder>(make_memory({.clock = &clock})));
    stores.push_back(recorders.back());
  }
  const StoreProbe probe(make_sharded(stores, shards({"a", "b", "c"}), {.clock = &clock}));
  probe.put("first", value("v"));
  for (const auto& recorder : recorders) recorder->clear();
  std::vector<std::string> names;
  for (int i = 0; i < 100; ++i) names.push_back("k" + std::to_string(i));
  std::vector<Item> items;
  for (const std::string& name : names) items.push_back({Key(name), value(name)});
  probe.put_many(items);
  probe.got_many({names.begin(), names.end()});
  probe.forget_many({names.begin(), names.end()});
  for (const auto& recorder : recorders) EXPECT_EQ(recorder->story(), "put_many get_many forget_many");
}

TEST(Sharding, WhatAnAbsentStoreStillHoldsIsNeverServed) {
  Fleet fleet(3);
  const auto all = fleet.stores();
  {
    const StoreProbe three(make_sharded(all, shards({"a", "b", "c"}), soon(fleet.clock)));
    for (int i = 0; i < 200; ++i) three.put("k" + std::to_string(i), value("old"));
  }
  {
    const StoreProbe two(make_sharded({all[0], all[1]}, shards({"a", "b"}), soon(fleet.clock)));
    int kept = 0;
    for (int i = 0; i < 200; ++i) kept += two.has("k" + std::to_string(i));
    EXPECT_GT(kept, 80) << "what did not move is still there";
    for (int i = 0; i < 200; ++i) two.put("k" + std::to_string(i), value("new"));
  }
  const StoreProbe three(make_sharded(all, shards({"a", "b", "c"}), soon(fleet.clock)));
  for (int i = 0; i < 200; ++i) EXPECT_NE(three.got("k" + std::to_string(i)), R"(text "old")") << i;
}

TEST(Sharding, WhatMovedAwayIsForgottenByItsOldStore) {
  Fleet fleet(3);
  const auto all = fleet.stores();
  {
    const StoreProbe two(make_sharded({all[0], all[1]}, shards({"a", "b"}), soon(fleet.clock)));
    for (int i = 0; i < 200; ++i) two.put("k" + std::to_string(i), value("old"));
  }
  const auto store = make_sharded(all, shards({"a", "b", "c"}), soon(fleet.clock));
  const StoreProbe three(store);
  EXPECT_FALSE(three.has("nothing"));
  EXPECT_TRUE(in_time([&] {
    (void)three.prune(1'000);
    for (int i = 0; i < 200; ++i) {
      const std::string key = "k" + std::to_string(i);
      if (!three.has(key) && (fleet.part(0).has(key) || fleet.part(1).has(key))) return false;
    }
    return true;
  }));
}

// --- primary

TEST(Primary, ReplicasFollowAndAnswerWhileThePrimaryIsAway) {
  Fleet fleet(2);
  const auto cache = fleet.over(make_primary(fleet.stores(), soon(fleet.clock)));
  for (int i = 0; i < 50; ++i) cache.put("k" + std::to_string(i % 5), i, 60s);
  cache.tags({"red"}).put("tagged", 1);
  cache.put("gone", 1), cache.forget("gone");
  EXPECT_TRUE(in_time([&] {
    for (int i = 0; i < 5; ++i)
      if (fleet.part(1).got("k" + std::to_string(i)) != "integer " + std::to_string(45 + i)) return false;
    return fleet.part(1).has("tagged") && !fleet.part(1).has("gone");
  }));
  EXPECT_EQ(fleet.part(1).entry("k0")->view().expiry.fresh_until, fleet.clock.now() + 60s);
  fleet.down(0);
  EXPECT_EQ(cache.get<int>("k3"), 48);
  EXPECT_EQ(cache.many<int>({"k1", "k2"}).at("k2"), 47);
}

TEST(Primary, WhatFailedAtThePrimaryDoesNotLookNewAtAReplica) {
  Fleet fleet(2);
  const auto cache = fleet.over(make_primary(fleet.stores(), soon(fleet.clock)));
  cache.put("k", 1), cache.put("gone", 1);
  ASSERT_TRUE(in_time([&] { return fleet.part(1).has("gone"); }));
  fleet.down(0);
  cache.put("k", 2), cache.forget("gone");
  EXPECT_NE(cache.get<int>("k"), 1);
  EXPECT_FALSE(cache.has("gone"));
  fleet.up(0);
  EXPECT_NE(cache.get<int>("k"), 1);
  EXPECT_FALSE(cache.has("gone"));
  EXPECT_TRUE(in_time([&] { return cache.get<int>("k") != 1 && !cache.has("gone") && !fleet.part(1).has("gone"); }));
}

// --- tiered

TieredOptions tiers(const Clock& clock, std::shared_ptr<Backplane> backplane = nullptr) {
  return {.backplane = std::move(backplane), .recovery_delay = kSoon, .clock = &clock};
}

TEST(Tiered, ANearCopyNeverOutlivesTheFarEntry) {
  Fleet fleet(2);
  TieredOptions options = tiers(fleet.clock);
  options.ttl = {2s, std::nullopt};
  const auto cache = fleet.over(make_tiered(fleet.stores(), options));
  fleet.part(1).put("short", value("v", Expiry::at(fleet.clock.now() + 1s)));
  fleet.part(1).put("long", value("v", Expiry::at(fleet.clock.now() + 60s)));
  EXPECT_TRUE(cache.get<std::string>("short"));
  EXPECT_TRUE(cache.get<std::string>("long"));
  EXPECT_EQ(fleet.part(0).entry("short")->view().expiry.fresh_until, fleet.clock.now() + 1s);
  EXPECT_EQ(fleet.part(0).entry("long")->view().expiry.fresh_until, fleet.clock.now() + 2s);
}

TEST(Tiered, AMissIsAskedOnceOfEachTier) {
  FakeClock clock;
  const auto near = std::make_shared<Recorder>(make_memory({.clock = &clock}));
  const auto far = std::make_shared<Recorder>(make_memory({.clock = &clock}));
  const StoreProbe probe(make_tiered({near, far}, tiers(clock)));
  EXPECT_EQ(probe.got("k"), kMiss);
  EXPECT_EQ(near->story(), "get");
  EXPECT_EQ(far->story(), "get");
  probe.put("k", value("v"));
  near->clear(), far->clear();
  EXPECT_EQ(probe.got("k"), R"(text "v")");
  EXPECT_EQ(far->count(), 0u) << "a write fills the near tier";
}

struct Big {
  std::vector<int> numbers;
};

TEST(Tiered, AFarObjectIsDecodedOnce) {
  FakeClock clock;
  const auto bytes = make_serialized(make_memory({.clock = &clock}));
  const Repository far(bytes, {.clock = &clock});
  const Repository both(make_tiered({make_memory({.clock = &clock}), bytes}, tiers(clock)), {.clock = &clock});
  far.put("k", Big{{1, 2, 3}});
  const auto first = both.get_shared<Big>("k");
  ASSERT_TRUE(first);
  EXPECT_EQ(both.get_shared<Big>("k").get(), first.get()) << "the object that was decoded is the one that stays near";
}

TEST(Tiered, ReadersNeverSeeOlderThanWhatAWriterHasReadBack) {
  Fleet fleet(3);
  const StoreProbe probe(make_tiered(fleet.stores(), tiers(fleet.clock)));
  std::atomic<std::int64_t> done{0};
  std::atomic<bool> stop{false};
  std::atomic<int> stale{0};
  run_on_threads(4, [&](int thread) {
    if (thread == 0) {
      for (std::int64_t n = 1; n <= 3'000; ++n) {
        if (n % 3 == 0) probe.forget("k");
        probe.put("k", {.value = {.kind = Kind::integer, .number = n}});
        done = n;
      }
      stop = true;
      return;
    }
    while (!stop) {
      const std::int64_t before = done;
      const auto copy = probe.entry("k");
      if (copy && copy->view().value.number < before) ++stale;
    }
  });
  EXPECT_EQ(stale.load(), 0);
  EXPECT_EQ(probe.got("k"), "integer 3000");
}

TEST(Tiered, WhatIsForgottenDuringAPromotionStaysForgotten) {
  Fleet fleet(2);
  const StoreProbe probe(make_tiered(fleet.stores(), tiers(fleet.clock)));
  for (int round = 0; round < 500; ++round) {
    fleet.part(1).put("k", value("v"));
    run_on_threads(3, [&](int thread) { thread < 2 ? void(probe.got("k")) : void(probe.forget("k")); });
    ASSERT_FALSE(fleet.part(0).has("k")) << round;
    fleet.part(1).put("k", value("v"));
    run_on_threads(3, [&](int thread) { thread < 2 ? void(probe.got("k")) : probe.flush(); });
    ASSERT_FALSE(fleet.part(0).has("k")) << round;
  }
}

TEST(Tiered, TheFarTierAwayTheNearOneServesAndWhatWasWrittenIsDoneOnReturn) {
  Fleet fleet(2);
  const auto cache = fleet.over(make_tiered(fleet.stores(), tiers(fleet.clock)));
  cache.put("near", 1), cache.put("gone", 1), cache.put("replaced", "old");
  fleet.down(1);
  EXPECT_EQ(cache.get<int>("near"), 1);
  EXPECT_TRUE(cache.forget("gone"));
  EXPECT_TRUE(cache.put("replaced", "new"));
  EXPECT_FALSE(cache.has("gone"));
  EXPECT_EQ(cache.get<std::string>("replaced"), "new");
  EXPECT_EQ(cache.remember("loaded", 60s, [] { return 3; }), 3);
  fleet.up(1);
  EXPECT_FALSE(cache.has("gone"));
  EXPECT_EQ(cache.get<std::string>("replaced"), "new");
  EXPECT_TRUE(in_time([&] { return !fleet.part(1).has("gone") && fleet.part(1).has("replaced"); }));
  EXPECT_EQ(cache.get<std::string>("replaced"), "new");
}

TEST(Tiered, WithoutRecoveryAFailedPutForgetsTheOldValueNearby) {
  Fleet fleet(2);
  TieredOptions options = tiers(fleet.clock);
  options.recovery = false;
  const auto cache = fleet.over(make_tiered(fleet.stores(), options));
  cache.put("k", 1);
  fleet.down(1);
  EXPECT_FALSE(cache.put("k", 2));
  EXPECT_FALSE(cache.has("k"));
}

// --- the backplane

/// Several processes' tiered stores over one far store, in one process.
struct Cluster {
  explicit Cluster(std::size_t count) : far(make_memory({.clock = &clock})) {
    for (std::size_t i = 0; i < count; ++i) {
      links.push_back(backplane.node());
      lines.push_back(make_chaos(far));
      nears.push_back(make_memory({.clock = &clock}));
      nodes.emplace_back(make_tiered({nears.back(), lines.back()}, tiers(clock, links.back())),
                         RepositoryOptions{.clock = &clock}, "node");
    }
  }

  FakeClock clock;
  StorePtr far;
  InProcessBackplane backplane;
  std::vector<std::shared_ptr<InProcessBackplane::Node>> links;
  std::vector<std::shared_ptr<Chaos>> lines;
  std::vector<StorePtr> nears;
  std::vector<Repository> nodes;
};

TEST(Backplane, WhatOneNodeChangesTheOthersSeeAtOnce) {
  Cluster cluster(3);
  const auto& [a, b, c] = std::tie(cluster.nodes[0], cluster.nodes[1], cluster.nodes[2]);
  a.put("k", 1);
  for (const Repository& node : cluster.nodes) EXPECT_EQ(node.get<int>("k"), 1);
  b.put("k", 2);
  for (const Repository& node : cluster.nodes) EXPECT_EQ(node.get<int>("k"), 2);
  c.increment("k");
  for (const Repository& node : cluster.nodes) EXPECT_EQ(node.get<int>("k"), 3);
  a.forget("k");
  for (const Repository& node : cluster.nodes) EXPECT_FALSE(node.has("k"));
  a.put_many({{"x", 1}, {"y", 1}});
  for (const Repository& node : cluster.nodes) EXPECT_EQ(node.get<int>("x"), 1);
  b.put_many({{"x", 2}, {"y", 2}});
  for (const Repository& node : cluster.nodes) EXPECT_EQ(node.get<int>("x"), 2);
  c.tags({"red"}).put("tagged", 1);
  for (const Repository& node : cluster.nodes) EXPECT_TRUE(node.has("tagged"));
  a.tags({"red"}).flush();
  for (const Repository& node : cluster.nodes) EXPECT_FALSE(node.has("tagged"));
  b.flush();
  for (const Repository& node : cluster.nodes) EXPECT_FALSE(node.has("x"));
}

TEST(Backplane, ItsOwnMessagesLeaveTheSendersNearTierAlone) {
  Cluster cluster(2);
  cluster.nodes[0].put("k", 1);
  EXPECT_TRUE(StoreProbe(cluster.nears[0]).has("k"));
}

TEST(Backplane, ANodeThatMissedMessagesServesNothingOldAfterwards) {
  Cluster cluster(2);
  cluster.nodes[0].put("k", 1), cluster.nodes[0].put("other", 1);
  EXPECT_EQ(cluster.nodes[1].get<int>("k"), 1);
  cluster.links[1]->connect(false);
  cluster.nodes[0].put("k", 2);
  EXPECT_EQ(cluster.nodes[1].get<int>("k"), 2) << "while it hears nothing it asks the far tier";
  cluster.nodes[0].put("k", 3);
  cluster.links[1]->connect(true);
  EXPECT_EQ(cluster.nodes[1].get<int>("k"), 3);
  cluster.nodes[0].put("k", 4);
  EXPECT_EQ(cluster.nodes[1].get<int>("k"), 4);
}

TEST(Backplane, WhatCouldNotBeToldIsToldOnReturn) {
  Cluster cluster(2);
  cluster.nodes[0].put("k", 1);
  EXPECT_EQ(cluster.nodes[1].get<int>("k"), 1);
  cluster.links[0]->connect(false);
  cluster.nodes[0].put("k", 2);
  cluster.nodes[0].tags({"red"}).flush();
  cluster.links[0]->connect(true);
  EXPECT_EQ(cluster.nodes[1].get<int>("k"), 2);
}

TEST(Backplane, GarbageAndStrangersDoNoHarm) {
  Cluster cluster(2);
  cluster.nodes[0].put("k", 1);
  EXPECT_EQ(cluster.nodes[1].get<int>("k"), 1);
  cluster.backplane.inject("");
  cluster.backplane.inject("garbage");
  cluster.backplane.inject(std::string("FXB1") + std::string(100, '\xff'));
  const auto link = cluster.backplane.node();
  const Repository stranger(
      make_tiered({make_memory({.clock = &cluster.clock}), make_memory({.clock = &cluster.clock})},
                  {.backplane = link, .name = "another application", .clock = &cluster.clock}),
      {.clock = &cluster.clock});
  stranger.put("k", 9), stranger.flush();
  EXPECT_TRUE(StoreProbe(cluster.nears[1]).has("k"));
  EXPECT_EQ(cluster.nodes[1].get<int>("k"), 1);
}

TEST(Backplane, ThreeNodesThatWereCutOffAgreeOnTheNewest) {
  Cluster cluster(3);
  cluster.nodes[0].put("k", "before");
  for (const Repository& node : cluster.nodes) EXPECT_EQ(node.get<std::string>("k"), "before");
  for (std::size_t i = 0; i < 3; ++i) {
    cluster.lines[i]->set({.fail_rate = 1});
    cluster.links[i]->connect(false);
  }
  for (const std::size_t i : {std::size_t{1}, std::size_t{2}, std::size_t{0}}) {
    cluster.clock.travel(1s);
    EXPECT_TRUE(cluster.nodes[i].put("k", "of " + std::to_string(i)));
  }
  for (std::size_t i = 0; i < 3; ++i) {
    cluster.links[i]->connect(true);
    cluster.lines[i]->set({});
  }
  EXPECT_TRUE(in_time([&] {
    for (const Repository& node : cluster.nodes)
      if (node.get<std::string>("k") != "of 0") return false;
    return true;
  }));
  EXPECT_EQ(StoreProbe(cluster.far).got("k"), R"(text "of 0")");
}

// --- recovery

TEST(Recovery, TheLastOperationForEachKeyWaitsAndIsDoneInOrder) {
  FakeClock clock;
  const auto inner = make_chaos(make_memory({.clock = &clock}));
  const auto store = make_recovering(inner, {.max_keys = 1'000, .delay = 1h, .clock = &clock});
  const StoreProbe probe(store);
  inner->set({.fail_rate = 1});
  for (int i = 0; i < 100'000; ++i) {
    const std::string key = "k" + std::to_string(i % 1'000);
    const std::string text = std::to_string(i);
    ASSERT_FALSE(store->put(Key(key), value(text), {}).ok());
  }
  EXPECT_EQ(store->waiting(), 1'000u);
  EXPECT_EQ(probe.got("k7"), R"(text "99007")") << "what waits is what is read";
  inner->set({});
  EXPECT_TRUE(store->catch_up());
  EXPECT_EQ(store->waiting(), 0u);
  EXPECT_EQ(probe.got("k7"), R"(text "99007")");
}

TEST(Recovery, OverItsBoundTheStoreIsEmptiedInstead) {
  FakeClock clock;
  const auto inner = make_chaos(make_memory({.clock = &clock}));
  const auto store = make_recovering(inner, {.max_keys = 10, .delay = 1h, .clock = &clock});
  const StoreProbe probe(store);
  probe.put("old", value("v"));
  inner->set({.fail_rate = 1});
  for (int i = 0; i < 100; ++i) (void)store->forget(Key("k" + std::to_string(i)), {});
  EXPECT_LE(store->waiting(), 11u);
  inner->set({});
  EXPECT_TRUE(store->catch_up());
  EXPECT_EQ(probe.got("old"), kMiss);
}

TEST(Recovery, WhatExpiredWhileItWaitedOnlyTakesTheOldValueAway) {
  FakeClock clock;
  const auto inner = make_chaos(make_memory({.clock = &clock}));
  const auto store = make_recovering(inner, {.delay = 1h, .clock = &clock});
  const StoreProbe probe(store);
  probe.put("k", value("old"));
  inner->set({.fail_rate = 1});
  (void)store->put(Key("k"), value("new", Expiry::at(clock.now() + 1s)), {});
  clock.travel(2s);
  inner->set({});
  EXPECT_TRUE(store->catch_up());
  EXPECT_EQ(probe.got("k"), kMiss);
}

TEST(Recovery, AnOlderOperationNeverReplacesANewerEntry) {
  FakeClock clock;
  const StorePtr shared = make_memory({.clock = &clock});
  const auto cut_off = make_chaos(shared);
  const auto mine = make_recovering(cut_off, {.delay = 1h, .clock = &clock});
  const auto other = make_recovering(shared, {.delay = 1h, .clock = &clock});
  cut_off->set({.fail_rate = 1});
  (void)mine->put(Key("k"), value("mine"), {});
  (void)mine->forget(Key("gone"), {});
  clock.travel(1s);
  ASSERT_TRUE(other->put(Key("k"), value("newer"), {}).ok());
  ASSERT_TRUE(other->put(Key("gone"), value("newer"), {}).ok());
  cut_off->set({});
  EXPECT_TRUE(mine->catch_up());
  EXPECT_EQ(StoreProbe(mine).got("k"), R"(text "newer")");
  EXPECT_EQ(StoreProbe(mine).got("gone"), R"(text "newer")");
}

// --- the deadline

TEST(Deadline, TheCallerGoesAtTheLimitWhateverTheStoreDoes) {
  const auto slow = make_chaos(make_memory());
  const StorePtr store = with_deadline(slow, 50ms);
  const StoreProbe probe(store);
  probe.put("k", value("v"));
  EXPECT_EQ(probe.got("k"), R"(text "v")");
  slow->set({.delay_rate = 1, .delay = 1s});
  const auto begun = std::chrono::steady_clock::now();
  const auto answer = store->get(Key("k"), {}, [](const Entry&) {});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Errc::timeout);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 800ms);
}

}  // namespace
}  // namespace flux::cache::testing
