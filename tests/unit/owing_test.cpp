// The layer that owes a store what it was not told during an outage.
#include <flux/cache/layers/breaker.hpp>
#include <flux/cache/layers/chaos.hpp>
#include <flux/cache/layers/owing.hpp>
#include <flux/cache/layers/tagged.hpp>
#include <flux/cache/testing/crowd.hpp>
#include <flux/cache/testing/fake_clock.hpp>
#include <flux/cache/testing/reference_store.hpp>
#include <flux/cache/testing/store_probe.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

constexpr const char* kV = R"(text "v")";

class Owing : public ::testing::Test, public StoreProbe {
 protected:
  Owing() { watch(over(chaos_)); }
  static StorePtr over(StorePtr store, std::size_t most = 10'000) {
    return make_owing(std::move(store), {.max_keys = most});
  }
  void go_away() { chaos_->set({.fail_rate = 1}); }
  void come_back() { chaos_->set({}); }
  /// Calls of the store below that `work` makes.
  template <class Work>
  std::uint64_t calls(Work work) {
    const auto before = chaos_->counts().calls;
    work();
    return chaos_->counts().calls - before;
  }
  bool forgets(const At& at) { return store().forget(at.key, {}).ok(); }
  bool puts(const At& at, std::string_view value, const Write& how = {}) {
    return store().put(at.key, {.value = text(value)}, how).ok();
  }

  FakeClock clock_;
  const StorePtr base_ = make_tagged(make_reference({.clock = &clock_}), {.clock = &clock_});
  const StoreProbe below_{base_};
  const std::shared_ptr<Chaos> chaos_ = make_chaos(base_);
};

TEST_F(Owing, WhatWasForgottenOrReplacedMeanwhileIsGoneAndNothingElseIs) {
  for (const char* const key : {"forgotten", "replaced", "batch", "written", "other"}) put(key, text("v"));
  put({"forgotten", Space::locks}, text("mine"));
  go_away();
  EXPECT_FALSE(forgets("forgotten"));
  EXPECT_FALSE(puts("replaced", "w"));
  const Key batch[] = {Key("batch"), Key("none")};
  EXPECT_FALSE(store().forget_many(batch).ok());
  const Item items[] = {{Key("written"), {.value = text("w")}}};
  const auto outcome = store().put_many(items);
  EXPECT_TRUE(!outcome.ok() || !outcome->failed.empty());
  EXPECT_FALSE(forgets({"forgotten", Space::locks}));
  EXPECT_FALSE(store().get(Key("other"), {}, [](const Entry&) {}).ok()) << "the store is still away";
  come_back();
  EXPECT_EQ(got("other"), kV);
  // By then all is paid for, whoever asks.
  for (const char* const key : {"forgotten", "replaced", "batch", "written"}) EXPECT_EQ(below_.got(key), kMiss) << key;
  EXPECT_EQ(below_.got({"forgotten", Space::locks}), R"(text "mine")") << "somebody else's by now, perhaps";
  EXPECT_TRUE(puts("forgotten", "new"));
  EXPECT_EQ(got("forgotten"), R"(text "new")") << "it is owed once";
}

TEST_F(Owing, EveryWayToAskPaysFirst) {
  const std::vector<std::pair<const char*, std::function<void()>>> ways{
      {"get", [&] { EXPECT_EQ(got("k"), kMiss); }},
      {"has", [&] { EXPECT_FALSE(has("k")); }},
      {"pull", [&] { EXPECT_EQ(pulled("k"), kMiss); }},
      {"touch", [&] { EXPECT_FALSE(touch("k", {})); }},
      {"increment", [&] { EXPECT_EQ(increment("k", 3), 3); }},
      {"add", [&] { EXPECT_TRUE(add("k", text("w"))); }},
      {"put", [&] { EXPECT_TRUE(put("k", text("w"))); }},
      {"forget", [&] { EXPECT_FALSE(forget("k")); }},
      {"many", [&] { EXPECT_EQ(got_many({"k"}), std::vector<std::string>{std::string(kMiss)}); }},
      {"put_many",
       [&] {
         EXPECT_TRUE(put_many({{Key("k"), {.value = text("w")}}}).empty());
       }},
      {"forget_many", [&] { EXPECT_EQ(forget_many({"k"}), 0U); }},
      {"scan", [&] { EXPECT_TRUE(list()->empty()); }},
  };
  for (const auto& [name, way] : ways) {
    SCOPED_TRACE(name);
    put("k", integer(7));
    go_away();
    EXPECT_FALSE(forgets("k"));
    come_back();
    way();
    store().forget(Key("k"), {}).value();
  }
}

TEST_F(Owing, AFlushHoldsAfterwards) {
  const TagStamp pink[] = {{"pink", 0}}, both[] = {{"pink", 0}, {"blue", 0}};
  const auto fill = [&] {
    put("k", text("v"));
    put("pink", {.value = text("v"), .tags = pink});
    put("both", {.value = text("v"), .tags = both});
  };
  fill();
  go_away();
  const std::string_view names[] = {"pink", "blue"};
  EXPECT_FALSE(store().flush({names, false}).ok());
  come_back();
  EXPECT_EQ(got("k") + got("pink") + got("both"), std::string(kV) + kV + std::string(kMiss));
  fill();
  go_away();
  EXPECT_FALSE(store().flush({names, true}).ok());
  come_back();
  EXPECT_EQ(got("k") + got("pink") + got("both"), kV + std::string(kMiss) + std::string(kMiss));
  fill();
  go_away();
  EXPECT_FALSE(store().flush({}).ok());
  come_back();
  EXPECT_EQ(got("k") + got("pink") + got("both"), std::string(kMiss) + std::string(kMiss) + std::string(kMiss));
  fill();
  EXPECT_EQ(got("k"), kV);
}

TEST_F(Owing, WhatIsConditionalIsOwedNothing) {
  put("k", text("v"));
  go_away();
  EXPECT_FALSE(puts("k", "w", {When::absent}));
  EXPECT_FALSE(puts("k", "w", {When::unchanged, 1}));
  EXPECT_FALSE(store().forget(Key("k"), {.version = 1}).ok());
  EXPECT_FALSE(store().increment(Key("k"), 1, {}).ok());
  come_back();
  EXPECT_EQ(got("k"), kV);
}

TEST_F(Owing, WhatWillNeverSucceedIsOwedNothing) {
  put("k", text("v"));
  chaos_->set({.fail_rate = 1, .error = Errc::too_large});
  EXPECT_FALSE(puts("k", "w"));
  come_back();
  EXPECT_EQ(got("k"), kV);
}

TEST_F(Owing, MoreThanCanBeRememberedIsAFlush) {
  watch(over(chaos_, 10));
  for (int i = 0; i < 30; ++i) put("k" + std::to_string(i), text("v"));
  go_away();
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(forgets("k" + std::to_string(i)));
  come_back();
  EXPECT_EQ(got("k20"), kV);
  go_away();
  for (int i = 10; i < 21; ++i) EXPECT_FALSE(forgets("k" + std::to_string(i)));
  come_back();
  EXPECT_EQ(got("k25"), kMiss);
  put("k25", text("v"));
  EXPECT_EQ(got("k25"), kV);
}

TEST_F(Owing, WhileTheStoreIsAwayACallIsOneCallHoweverMuchIsOwed) {
  go_away();
  for (int i = 0; i < 5'000; ++i) EXPECT_FALSE(forgets("k" + std::to_string(i)));
  EXPECT_EQ(calls([&] { EXPECT_FALSE(store().get(Key("other"), {}, [](const Entry&) {}).ok()); }), 2U)
      << "it failed at once: other keys are tried";
  EXPECT_EQ(calls([&] { EXPECT_FALSE(store().get(Key("k7"), {}, [](const Entry&) {}).ok()); }), 1U);
  come_back();
  EXPECT_EQ(got("other"), kMiss);
  EXPECT_EQ(calls([&] { EXPECT_EQ(got("k7"), kMiss); }), 1U) << "nothing is owed any more";
}

/// Answers, and takes no writes: a server whose disk is full, or that became a replica.
class TakesNoWrites final : public Decorator {
 public:
  using Decorator::Decorator;
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    return refuses ? Result<bool>(Error{Errc::unavailable, "READONLY"}) : inner().put(key, entry, how);
  }
  Result<bool> forget(const Key& key, const Forget& how) override {
    return refuses ? Result<bool>(Error{Errc::unavailable, "READONLY"}) : inner().forget(key, how);
  }
  std::atomic<bool> refuses{false};
};

TEST_F(Owing, WhatIsNotOwedIsReadWhereAStoreTakesNoWrites) {
  const auto below = std::make_shared<TakesNoWrites>(base_);
  watch(over(below));
  put("k", text("v")), put("other", text("v"));
  below->refuses = true;
  EXPECT_FALSE(puts("k", "w"));
  EXPECT_EQ(got("other"), kV);
  EXPECT_FALSE(store().get(Key("k"), {}, [](const Entry&) {}).ok()) << "a value that was replaced";
  const Key both[] = {Key("other"), Key("k")};
  EXPECT_FALSE(store().get_many(both, {}, [](std::size_t, const Entry&) {}).ok());
  below->refuses = false;
  EXPECT_EQ(got("other"), kV);
  EXPECT_EQ(below_.got("k"), kMiss);
}

/// Two servers: one has the keys that begin with "away", and can be silent.
class TwoServers final : public Decorator {
 public:
  using Decorator::Decorator;
  Traits traits() const noexcept override {
    Traits traits = inner().traits();
    traits.spread = true;
    return traits;
  }
  Result<bool> get(const Key& key, const Read& how, Receiver found) override {
    return answers(key) ? inner().get(key, how, found) : Result<bool>(silence());
  }
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    return answers(key) ? inner().put(key, entry, how) : Result<bool>(silence());
  }
  Result<bool> forget(const Key& key, const Forget& how) override {
    ++removals;
    return answers(key) ? inner().forget(key, how) : Result<bool>(silence());
  }
  Result<std::size_t> forget_many(std::span<const Key> keys) override {
    ++removals;
    auto all = Result<std::size_t>(std::size_t{0});
    for (const Key& key : keys)
      if (!answers(key)) {
        all = silence();
      } else if (all.ok()) {
        all = *all + *inner().forget(key, {});
      } else {
        (void)inner().forget(key, {});
      }
    return all;
  }
  std::atomic<bool> is_silent{false};
  std::atomic<int> removals{0};

 private:
  bool answers(const Key& key) const { return !is_silent || !key.text().starts_with("away"); }
  static Error silence() {
    std::this_thread::sleep_for(20ms);  // as long as a deadline: longer than what a payment may cost others
    return {Errc::timeout, "it says nothing"};
  }
};

TEST_F(Owing, OneOfSeveralServersThatIsAwayDoesNotTakeTheOthersAlong) {
  const auto below = std::make_shared<TwoServers>(base_);
  watch(over(below));
  for (const char* const key : {"away1", "away2", "here1", "here2"}) put(key, text("v"));
  below->is_silent = true;
  EXPECT_FALSE(forgets("away1"));
  int served = 0;
  for (int i = 0; i < 50; ++i) {
    const int before = below->removals;
    const auto there = store().get(Key("here1"), {}, [](const Entry&) {});
    served += there.ok();
    if (below->removals == before) {
      EXPECT_TRUE(there.ok()) << "who did not try to pay has nothing to wait for";
    }
  }
  EXPECT_GT(served, 25);
  EXPECT_FALSE(store().get(Key("away1"), {}, [](const Entry&) {}).ok());
  below->is_silent = false;
  EXPECT_EQ(got("away1"), kMiss);
  EXPECT_EQ(got("away2"), kV);
}

TEST_F(Owing, OfSeveralServersAKeyThatCanBeReachedIsPaidForAlone) {
  const auto below = std::make_shared<TwoServers>(base_);
  watch(over(below));
  for (const char* const key : {"away", "here1", "here2"}) put(key, text("v"));
  below->is_silent = true;
  // What was said to both servers at once is owed as a whole.
  const Key all[] = {Key("away"), Key("here1"), Key("here2")};
  EXPECT_FALSE(store().forget_many(all).ok());
  for (int i = 0; i < 20; ++i) {
    // Whoever meets the moment of another payment fails with it; then a call on its own is possible again.
    bool is_put = false;
    for (int attempt = 0; attempt < 10 && !is_put; ++attempt) is_put = puts("here1", "w");
    ASSERT_TRUE(is_put);
    bool is_old = false;
    (void)store().get(Key("here2"), {}, [&](const Entry& entry) { is_old = entry.value.text == "v"; });
    EXPECT_FALSE(is_old);
  }
  below->is_silent = false;
  EXPECT_EQ(got("away"), kMiss);
  EXPECT_EQ(got("here2"), kMiss);
}

TEST_F(Owing, OfSeveralServersManyMayPayForTheSameKeyAtOnce) {
  const auto below = std::make_shared<TwoServers>(base_);
  watch(over(below));
  for (int round = 0; round < 10; ++round) {
    for (const char* const key : {"away", "here1", "here2"}) put(key, text("v"));
    below->is_silent = true;
    const Key all[] = {Key("away"), Key("here1"), Key("here2")};
    EXPECT_FALSE(store().forget_many(all).ok());
    EXPECT_FALSE(store().has(Key("away")).ok()) << "so that others pay for their own keys alone";
    const long seen = run_on_threads(8, [&](int thread) {
      long seen = 0;
      for (int i = 0; i < 20; ++i)
        (void)store().get(Key(thread % 2 == 0 ? "here1" : "here2"), {}, [&](const Entry&) { ++seen; });
      return seen;
    });
    EXPECT_EQ(seen, 0);
    below->is_silent = false;
    EXPECT_EQ(got("away"), kMiss);
  }
}

TEST_F(Owing, ABreakerThatAsksNobodyIsNoExcuse) {
  watch(over(make_breaker(chaos_, {.failure_threshold = 2, .timeout = 10s, .clock = &clock_})));
  put("early", text("v")), put("late", text("v")), put("other", text("v"));
  go_away();
  EXPECT_FALSE(forgets("early"));
  EXPECT_FALSE(forgets("early"));
  EXPECT_EQ(calls([&] { EXPECT_FALSE(forgets("late")); }), 0U) << "it is open";
  come_back();
  clock_.travel(10s);
  EXPECT_EQ(got("other"), kV);
  EXPECT_EQ(below_.got("early"), kMiss);
  EXPECT_EQ(below_.got("late"), kMiss);
}

TEST_F(Owing, NoneOfManyThreadsSeesWhatIsOwed) {
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 200; ++i) put("k" + std::to_string(i), text("v"));
    go_away();
    for (int i = 0; i < 200; ++i) EXPECT_FALSE(forgets("k" + std::to_string(i)));
    come_back();
    const long seen = run_on_threads(8, [&](int thread) {
      long seen = 0;
      for (int i = 0; i < 50; ++i) seen += got("k" + std::to_string((thread * 25 + i) % 200)) != kMiss;
      return seen;
    });
    ASSERT_EQ(seen, 0) << round;
  }
}

TEST_F(Owing, AChildOfForkPaysAsWell) {
  put("k", text("v"));
  go_away();
  EXPECT_FALSE(forgets("k"));
  come_back();
  EXPECT_EQ(run_in_processes(2, [&] { return got("k") != kMiss; }), 0);
  EXPECT_EQ(got("k"), kMiss);
}

}  // namespace
}  // namespace flux::cache::testing
