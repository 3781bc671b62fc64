// Parts of a distributed store that fail, come back, and race: nothing old is served, and what was missed is done.
#include "fleet.hpp"

namespace flux::cache::testing {
namespace {

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

/// A part that other processes see, and that something happens in just before it is flushed.
class SlowToFlush final : public Decorator {
 public:
  using Decorator::Decorator;
  Traits traits() const noexcept override {
    Traits traits = inner().traits();
    traits.shared = true;
    return traits;
  }
  Result<void> flush(const Scope& scope) override {
    if (auto meanwhile = std::exchange(meanwhile_, nullptr)) meanwhile();
    return inner().flush(scope);
  }
  void before_the_next(std::function<void()> meanwhile) { meanwhile_ = std::move(meanwhile); }

 private:
  std::function<void()> meanwhile_;
};

// Longer than what a flush tells other processes of itself is kept: one of them copies back what is flushed already.
TEST(Replicate, AFlushHoldsHoweverLongItTakes) {
  Fleet fleet(3);
  std::vector<std::shared_ptr<SlowToFlush>> parts;
  for (const StorePtr& memory : fleet.memories) parts.push_back(std::make_shared<SlowToFlush>(memory));
  const std::vector<StorePtr> stores(parts.begin(), parts.end());
  const auto mine = fleet.over(make_replicated(stores, WritePolicy::any, soon(fleet.clock)));
  const auto other = fleet.over(make_replicated(stores, WritePolicy::any, soon(fleet.clock)));
  for (const Duration length : {Duration(59s), Duration(61s)}) {
    ASSERT_TRUE(mine.put("n", 5, 600s));
    parts[1]->before_the_next([&] {
      fleet.clock.travel(length);
      EXPECT_EQ(other.get<int>("n"), 5) << "this replica is not flushed yet";
      if (length > 60s) {
        EXPECT_TRUE(in_time([&] { return fleet.part(0).has("n"); })) << "or nothing is proved";
      }
      other.increment("n");
    });
    EXPECT_TRUE(mine.flush());
    EXPECT_EQ(other.get<int>("n"), std::nullopt) << length / 1s;
    EXPECT_EQ(mine.get<int>("n"), std::nullopt);
    ASSERT_TRUE(other.put("n", 7, 600s));
    EXPECT_TRUE(in_time([&] { return mine.get<int>("n") == 7; }));
    fleet.part(0).forget("n");
    EXPECT_EQ(other.get<int>("n"), 7);
    EXPECT_TRUE(in_time([&] { return fleet.part(0).has("n"); })) << "no flush is under way any more";
  }
}

TEST(Replicate, FlushesThatOverlapGuardEachOther) {
  Fleet fleet(3);
  std::vector<std::shared_ptr<SlowToFlush>> parts;
  for (const StorePtr& memory : fleet.memories) parts.push_back(std::make_shared<SlowToFlush>(memory));
  const std::vector<StorePtr> stores(parts.begin(), parts.end());
  const auto mine = fleet.over(make_replicated(stores, WritePolicy::any, soon(fleet.clock)));
  const auto other = fleet.over(make_replicated(stores, WritePolicy::any, soon(fleet.clock)));
  ASSERT_TRUE(mine.put("n", 5, 600s));
  int flushes = 0;
  parts[1]->before_the_next([&] {
    EXPECT_TRUE(other.flush());
    parts[1]->before_the_next([&] { ++flushes; });
  });
  EXPECT_TRUE(mine.flush());
  EXPECT_EQ(flushes, 0) << "the other one ended within this one, which need not begin again";
  EXPECT_EQ(mine.get<int>("n"), std::nullopt);
  ASSERT_TRUE(mine.put("n", 7, 600s));
  fleet.part(0).forget("n");
  EXPECT_EQ(other.get<int>("n"), 7);
  EXPECT_TRUE(in_time([&] { return fleet.part(0).has("n"); })) << "no flush is under way any more";
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

}  // namespace
}  // namespace flux::cache::testing
