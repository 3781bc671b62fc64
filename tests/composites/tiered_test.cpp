// Near tiers show nothing older than what was seen, whoever fills them; and hear of changes over a backplane.
#include "fleet.hpp"

namespace flux::cache::testing {
namespace {

// --- tiered

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
  EXPECT_TRUE(in_time([&] { return cluster.nodes[1].get<int>("k") == 2; }));
}

TEST(Backplane, WhoIsToldFillsHisOwnTierFromNoSharedOneThatIsStillOld) {
  FakeClock clock;
  const ScratchDirectory directory(memory_backed_directory());
  const StorePtr shared = whole(make_file({.path = directory / "cache", .clock = &clock}), clock);
  const StorePtr far = make_memory({.clock = &clock});
  InProcessBackplane backplane;
  const auto node = [&] {
    return Repository(make_tiered({make_memory({.clock = &clock}), shared, far}, tiers(clock, backplane.node())),
                      {.clock = &clock});
  };
  const Repository told = node(), teller = node();
  // Reads at the very moment at which the word has come: who listens later is told later.
  const auto link = backplane.node();
  const auto reading = link->subscribe({.heard = [&](std::string_view) { (void)told.get<int>("k"); }});
  for (int round = 0; round < 10; ++round) {
    teller.put("k", round);
    EXPECT_EQ(told.get<int>("k"), round);
    EXPECT_TRUE(StoreProbe(shared).has("k")) << "it came through the shared tier";
  }
  teller.forget("k");
  EXPECT_FALSE(told.has("k"));
  teller.put("k", 99);
  (void)told.get<int>("k");
  teller.flush();
  EXPECT_FALSE(told.has("k"));
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

}  // namespace
}  // namespace flux::cache::testing
