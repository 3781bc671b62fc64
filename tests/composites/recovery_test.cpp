// What waits for a store to come back, and what is done of it; and the deadline over all.
#include "fleet.hpp"

namespace flux::cache::testing {
namespace {

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

TEST(Recovery, OfTheFlushesOfTheSameTagsTheLastOneWaits) {
  FakeClock clock;
  const auto inner = make_chaos(make_memory({.clock = &clock}));
  const auto store = make_recovering(inner, {.delay = 1h, .clock = &clock});
  const StoreProbe probe(store);
  const std::string_view red[] = {"red"}, both[] = {"red", "blue"};
  const TagStamp stamps[] = {{"red", 0}, {"blue", 0}};
  const auto tagged = [&](std::string_view text) {
    Entry entry = value(text);
    entry.tags = stamps;
    return entry;
  };
  probe.put("k", tagged("old"));
  inner->set({.fail_rate = 1});
  for (int i = 0; i < 1'000; ++i) {
    (void)store->put(Key("l"), tagged("v" + std::to_string(i)), {});
    (void)store->flush({.tags = red, .any = false});
    (void)store->flush({.tags = both, .any = true});
  }
  (void)store->put(Key("m"), tagged("later"), {});
  EXPECT_EQ(store->waiting(), 4u) << "two puts and two flushes";
  inner->set({});
  EXPECT_TRUE(store->catch_up());
  EXPECT_EQ(probe.got("k"), kMiss);
  EXPECT_EQ(probe.got("l"), kMiss);
  EXPECT_EQ(probe.got("m"), R"(text "later")");
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

/// A store that one of two reaches only now and then, each behind a log of its own.
struct TwoLogs {
  TwoLogs()
      : shared(make_memory({.clock = &clock})),
        line(make_chaos(shared)),
        mine(make_recovering(line, {.delay = 1h, .clock = &clock})) {}
  std::int64_t wall() const { return clock.wall().time_since_epoch().count(); }
  /// Puts while the store is away.
  void put_meanwhile(const char* key, const Entry& entry) {
    line->set({.fail_rate = 1});
    EXPECT_FALSE(mine->put(Key(key), entry, {}).ok());
    line->set({});
    clock.travel(1s);
  }

  FakeClock clock;
  StorePtr shared;
  std::shared_ptr<Chaos> line;
  std::shared_ptr<Recovering> mine;
};

TEST(Recovery, WhatSomebodyElseOvertookIsDropped) {
  TwoLogs logs;
  logs.put_meanwhile("k", value("mine"));
  logs.mine->overtaken("k", logs.wall());
  EXPECT_TRUE(logs.mine->catch_up());
  EXPECT_EQ(StoreProbe(logs.shared).got("k"), kMiss);
  logs.put_meanwhile("k", value("newer"));
  logs.mine->overtaken("k", logs.wall() - 2'000'000);
  EXPECT_TRUE(logs.mine->catch_up());
  EXPECT_EQ(StoreProbe(logs.mine).got("k"), R"(text "newer")") << "an older change overtakes nothing";
}

TEST(Recovery, WhatWasDoneTooLateIsTakenBack) {
  TwoLogs logs;
  for (const char* key : {"forgotten", "put", "left"}) logs.put_meanwhile(key, value("mine"));
  EXPECT_TRUE(logs.mine->catch_up());
  const auto other = make_recovering(logs.shared, {.delay = 1h, .clock = &logs.clock});
  ASSERT_TRUE(other->put(Key("put"), value("newer"), {}).ok());
  const StoreProbe probe(logs.mine);
  EXPECT_EQ(probe.got("forgotten"), R"(text "mine")");
  logs.mine->overtaken("forgotten", logs.wall()), logs.mine->overtaken("put", logs.wall());
  EXPECT_TRUE(in_time([&] { return probe.got("forgotten") == kMiss && logs.mine->waiting() == 0; }));
  EXPECT_EQ(probe.got("put"), R"(text "newer")") << "what somebody wrote since stays";
  EXPECT_EQ(probe.got("left"), R"(text "mine")");
}

TEST(Recovery, AFlushElsewhereTakesAwayWhatWaitsAndWhatWasDoneTooLate) {
  TwoLogs logs;
  const TagStamp red[] = {{"red", 0}};
  const TagStamp blue[] = {{"blue", 0}};
  const auto tagged = [](std::span<const TagStamp> tags) {
    Entry entry = value("mine");
    entry.tags = tags;
    return entry;
  };
  const std::string_view flushed[] = {"red"};
  const StoreProbe probe(logs.mine);
  for (const bool is_done : {false, true}) {
    SCOPED_TRACE(is_done);
    logs.put_meanwhile("red", tagged(red)), logs.put_meanwhile("blue", tagged(blue));
    if (is_done) {
      EXPECT_TRUE(in_time([&] { return logs.mine->catch_up(); }));
    }
    logs.mine->overtaken_by_flush(flushed, false, logs.wall());
    if (!is_done) {
      EXPECT_TRUE(in_time([&] { return logs.mine->catch_up(); }));
    }
    EXPECT_TRUE(in_time([&] { return logs.mine->waiting() == 0 && probe.got("red") == kMiss; }));
    EXPECT_EQ(probe.got("blue"), R"(text "mine")");
    logs.mine->overtaken_by_flush({}, false, logs.wall());
    EXPECT_TRUE(in_time([&] { return probe.got("blue") == kMiss; }));
  }
}

TEST(Recovery, AForgetBesideTheCatchingUpIsNotUndoneByIt) {
  FakeClock clock;
  const auto line = make_chaos(make_memory({.clock = &clock}));
  const auto store = make_recovering(line, {.delay = 1ms, .clock = &clock});
  const StoreProbe probe(store);
  for (int round = 0; round < 300; ++round) {
    line->set({.fail_rate = 1});
    (void)store->put(Key("k"), value("v"), {});
    line->set({});
    run_on_threads(2, [&](int thread) { thread == 0 ? void(store->catch_up()) : void(probe.forget("k")); });
    EXPECT_TRUE(in_time([&] { return store->waiting() == 0; }));
    ASSERT_EQ(probe.got("k"), kMiss) << round;
  }
}

// --- the deadline

TEST(Deadline, TheCallerGoesAtTheLimitWhateverTheStoreDoes) {
  const auto slow = make_chaos(make_memory());
  const StorePtr store = with_deadline(slow, 50ms);
  const StoreProbe probe(store);
  probe.put("k", value("v"));
  EXPECT_EQ(probe.got("k"), R"(text "v")");
  slow->set({.delay_rate = 1, .delay = 4s});
  const auto begun = std::chrono::steady_clock::now();
  const auto answer = store->get(Key("k"), {}, [](const Entry&) {});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Errc::timeout);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 3s) << "a busy machine";
}

}  // namespace
}  // namespace flux::cache::testing
