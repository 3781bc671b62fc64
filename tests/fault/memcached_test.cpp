// The memcached store with its servers gone, silent or changed. Deadlines are kept with generous slack: what is
// proved is that no call hangs, and that nobody ever gets what belongs to somebody else.
#include <flux/cache/repository.hpp>
#include <flux/cache/testing/crowd.hpp>
#include <flux/cache/testing/store_probe.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <random>
#include <set>
#include <thread>

#include "support/memcached.hpp"
#include "support/outcome.hpp"
#include "support/scripted_server.hpp"
#include "testing/contract/sanitized.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;
using Clock_ = std::chrono::steady_clock;

constexpr auto kSlack = 2s;

/// Asks until the store answers again. False: it did not for long.
bool comes_back(Store& store) {
  for (const auto end = Clock_::now() + 20s; Clock_::now() < end;) {
    if (store.has(Key("are you there")).ok()) return true;
    std::this_thread::sleep_for(5ms);
  }
  return false;
}

class MemcachedFault : public ::testing::Test, public StoreProbe {
 protected:
  void SetUp() override {
    server_ = Server::memcached();
    if (server_ == nullptr) GTEST_SKIP() << Server::why_not();
    watch(open({}));
  }
  std::shared_ptr<MemcachedStore> open(MemcachedConfig config) {
    if (config.servers.empty()) config.servers = {address_of(*server_)};
    config.prefix = "fault:";
    if (config.timeout == Duration(0)) config.timeout = 500ms;
    config.retry_after = 50ms;
    return make_memcached(config);
  }

  std::unique_ptr<Server> server_;
};

TEST_F(MemcachedFault, AServerThatIsAbsentAtTheStartIsFoundWhenItComes) {
  server_->kill();
  const auto begun = Clock_::now();
  const auto store = open({});
  EXPECT_EQ(code_of(store->get(Key("k"), {}, [](const Entry&) {})), "unavailable");
  EXPECT_FALSE(store->put(Key("k"), text_entry("v"), {}).ok());
  EXPECT_LT(Clock_::now() - begun, kSlack);
  ASSERT_TRUE(server_->restart());
  ASSERT_TRUE(comes_back(*store));
  EXPECT_TRUE(*store->put(Key("k"), text_entry("v"), {}));
}

TEST_F(MemcachedFault, ARestartLosesEntriesAndNothingElse) {
  put("k", text("v"));
  const std::uint64_t before = version("k");
  increment({"n", Space::limits}, 5);
  ASSERT_TRUE(server_->restart());
  ASSERT_TRUE(comes_back(store()));
  EXPECT_EQ(got("k"), kMiss);
  put("k", text("w"));
  EXPECT_EQ(got("k"), R"(text "w")");
  // The servers' own numbers begin again; a version never does.
  EXPECT_FALSE(put("k", text("late"), {}, {When::unchanged, before}));
  EXPECT_EQ(increment({"n", Space::limits}), 1);
}

TEST_F(MemcachedFault, AConnectionThatDiedWhileIdleIsNeverNoticed) {
  for (int round = 0; round < 3; ++round) {
    put("k", text("v"));
    ASSERT_TRUE(server_->restart());
    const auto answer = store().get(Key("k"), {}, [](const Entry&) {});
    EXPECT_EQ(code_of(answer), "ok");
  }
}

TEST_F(MemcachedFault, AKilledServerInTheMiddleOfABatchIsAnErrorThatNamesWhatFailed) {
  const std::string large(200'000, 'v');
  std::vector<std::string> names;
  for (int i = 0; i < 300; ++i) names.push_back("k" + std::to_string(i));
  std::vector<Item> items;
  for (const std::string& name : names) items.push_back({Key(name), text_entry(large)});
  for (int round = 0; round < 5; ++round) {
    std::thread killer([&, round] {
      std::this_thread::sleep_for(std::chrono::milliseconds(5 + 7 * round));
      server_->kill();
    });
    const auto outcome = store().put_many(items);
    killer.join();
    if (outcome.ok() && !outcome->failed.empty()) {
      EXPECT_TRUE(outcome->error != nullptr);
    }
    ASSERT_TRUE(server_->restart());
    ASSERT_TRUE(comes_back(store()));
  }
}

TEST_F(MemcachedFault, APausedServerCostsOneDeadlineACallAndThenNothing) {
  put("k", text("v"));
  server_->pause();
  for (int i = 0; i < 2; ++i) {
    const auto begun = Clock_::now();
    EXPECT_FALSE(store().get(Key("k"), {}, [](const Entry&) {}).ok());
    EXPECT_LT(Clock_::now() - begun, 500ms + kSlack);
  }
  int rejected = 0;
  for (int i = 0; i < 20; ++i) {
    const auto answer = store().get(Key("k"), {}, [](const Entry&) {});
    EXPECT_FALSE(answer.ok());
    rejected += answer.error().code == Errc::rejected;
  }
  EXPECT_GE(rejected, 10) << "all but a few tries are refused at once";
  server_->resume();
  ASSERT_TRUE(comes_back(store()));
  EXPECT_EQ(got("k"), R"(text "v")");
}

TEST_F(MemcachedFault, OfManyCallersOneTriesAServerThatIsDown) {
  put("k", text("v"));
  server_->kill();
  run_on_threads(32, [&] {
    for (int i = 0; i < 200; ++i) (void)store().has(Key("k"));
  });
  ASSERT_TRUE(server_->restart());
  ASSERT_TRUE(comes_back(store()));
  run_on_threads(32, [&] {
    for (int i = 0; i < 50; ++i) (void)store().has(Key("k"));
  });
  auto& memcached = dynamic_cast<MemcachedStore&>(store());
  const auto stats = memcached.stats();
  ASSERT_EQ(stats.size(), 1u);
  EXPECT_TRUE(stats[0].is_up);
  EXPECT_LE(stats[0].connections, 16u);
  EXPECT_GT(stats[0].failures, 0u);
  EXPECT_TRUE(stats[0].values.contains("version"));
}

// --- what an outage had ended stays ended

TEST_F(MemcachedFault, WhatWasForgottenDuringAnOutageIsGoneAfterIt) {
  put("forgotten", text("v")), put("replaced", text("v")), put("batch", text("v")), put("other", text("v"));
  put({"lock", Space::locks}, text("owner"));
  server_->pause();
  EXPECT_FALSE(store().forget(Key("forgotten"), {}).ok());
  EXPECT_FALSE(store().put(Key("replaced"), text_entry("w"), {}).ok());
  const Key batch[] = {Key("batch")};
  EXPECT_FALSE(store().forget_many(batch).ok());
  EXPECT_FALSE(store().forget(Key("lock", Space::locks), {}).ok());
  server_->resume();
  ASSERT_TRUE(comes_back(store()));
  EXPECT_EQ(got("forgotten"), kMiss);
  EXPECT_NE(got("replaced"), R"(text "v")");
  EXPECT_EQ(got("batch"), kMiss);
  EXPECT_EQ(got("other"), R"(text "v")");
  EXPECT_EQ(got({"lock", Space::locks}), R"(text "owner")") << "locks are never removed behind their owner's back";
}

TEST_F(MemcachedFault, AFlushDuringAnOutageHoldsAfterIt) {
  put("k", text("v"));
  server_->pause();
  EXPECT_FALSE(store().flush({}).ok());
  server_->resume();
  ASSERT_TRUE(comes_back(store()));
  EXPECT_EQ(got("k"), kMiss);
  put("k", text("w"));
  EXPECT_EQ(got("k"), R"(text "w")");
}

TEST_F(MemcachedFault, MoreForgottenThanCanBeRememberedBecomesAFlush) {
  for (int i = 0; i < 1'200; ++i) put("k" + std::to_string(i), text("v"));
  server_->pause();
  for (int i = 0; i < 1'100; ++i) (void)store().forget(Key("k" + std::to_string(i)), {});
  server_->resume();
  ASSERT_TRUE(comes_back(store()));
  for (int i = 0; i < 1'100; ++i) ASSERT_EQ(got("k" + std::to_string(i)), kMiss) << i;
}

// --- nobody gets another's value

TEST_F(MemcachedFault, TenThousandRoundsOfRandomTimeoutsGiveNoWrongValue) {
  constexpr int kKeys = 200;
  for (int i = 0; i < kKeys; ++i) put("k" + std::to_string(i), text("value of k" + std::to_string(i)));
  std::vector<StorePtr> stores;
  for (const auto timeout : {200us, 400us, 1'000us, 3'000us, 50'000us})  // the last one for slow machines
    stores.push_back(open({.timeout = timeout, .failure_limit = 1'000}));
  std::atomic<bool> is_over{false};
  std::thread pauser([&] {
    std::mt19937 random(1);
    while (!is_over) {
      server_->pause();
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 8'000));
      server_->resume();
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 2'000));
    }
  });
  std::atomic<int> hits{0}, failures{0};
  const long wrong = run_on_threads(4, [&](int thread) {
    std::mt19937 random(static_cast<unsigned>(thread));
    long wrong = 0;
    for (int i = 0; i < 2'500; ++i) {
      const StorePtr& store = stores[random() % stores.size()];
      const std::string key = "k" + std::to_string(random() % kKeys);
      if (i % 10 == 0) {
        std::vector<std::string> names;
        for (int n = 0; n < 20; ++n) names.push_back("k" + std::to_string(random() % kKeys));
        std::vector<Key> keys;
        for (const std::string& name : names) keys.emplace_back(name);
        failures += !store
                         ->get_many(keys, {},
                                    [&](std::size_t index, const Entry& entry) {
                                      ++hits;
                                      wrong += entry.value.text != "value of " + names[index];
                                    })
                         .ok();
        continue;
      }
      const auto answer = store->get(Key(key), {}, [&](const Entry& entry) {
        ++hits;
        wrong += entry.value.text != "value of " + key;
      });
      failures += !answer.ok();
      // Nobody removes them, and nothing is evicted.
      wrong += answer.ok() && !*answer;
    }
    return wrong;
  });
  is_over = true;
  pauser.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(hits, 100);
  EXPECT_GT(failures, 0) << "the timeouts were too long to prove anything";
}

TEST_F(MemcachedFault, AChildOfForkNeverHearsWhatItsParentAsked) {
  for (int i = 0; i < 100; ++i) put("k" + std::to_string(i), integer(i));
  const auto all_right = [&] {
    long wrong = 0;
    for (int i = 0; i < (kSanitized ? 2'000 : 20'000); ++i)
      wrong += got("k" + std::to_string(i % 100)) != "integer " + std::to_string(i % 100);
    return wrong;
  };
  std::atomic<bool> is_over{false};
  std::atomic<long> wrong_here{0};
  std::thread parent([&] {
    while (!is_over) wrong_here += all_right();
  });
  EXPECT_EQ(run_in_processes(2, all_right), 0);
  is_over = true;
  parent.join();
  EXPECT_EQ(wrong_here, 0);
}

// --- one of three

TEST_F(MemcachedFault, ADeadServerTakesItsOwnKeysAlone) {
  std::vector<std::unique_ptr<Server>> others;
  MemcachedConfig config{.servers = {address_of(*server_)}};
  for (int i = 0; i < 2; ++i) {
    others.push_back(Server::memcached());
    ASSERT_TRUE(others.back());
    config.servers.push_back(address_of(*others.back()));
  }
  const auto store = open(config);
  std::vector<std::string> names;
  for (int i = 0; i < 300; ++i) names.push_back("k" + std::to_string(i));
  std::vector<Item> items;
  std::vector<Key> keys;
  for (const std::string& name : names) keys.emplace_back(name), items.push_back({Key(name), text_entry(name)});
  ASSERT_TRUE(store->put_many(items)->failed.empty());
  server_->kill();

  std::set<std::size_t> lost;
  for (std::size_t i = 0; i < names.size(); ++i)
    if (store->server_of(Key(names[i])) == 0) lost.insert(i);
  ASSERT_GT(lost.size(), 20u);
  ASSERT_LT(lost.size(), 280u);

  std::set<std::size_t> found;
  const auto answer = store->get_many(keys, {}, [&](std::size_t index, const Entry& entry) {
    found.insert(index);
    EXPECT_EQ(entry.value.text, names[index]);
  });
  EXPECT_FALSE(answer.ok()) << "what could not be asked is no miss";
  EXPECT_EQ(found.size() + lost.size(), names.size());
  for (const std::size_t index : found) EXPECT_FALSE(lost.contains(index));

  const auto written = store->put_many(items);
  ASSERT_TRUE(written.ok());
  EXPECT_EQ(std::set<std::size_t>(written->failed.begin(), written->failed.end()), lost);
  ASSERT_TRUE(written->error);
  EXPECT_TRUE(is_transient(written->error->code));
  EXPECT_FALSE(store->flush({}).ok()) << "one that could not be told is no success";
}

// --- servers that refuse

TEST_F(MemcachedFault, AValueTheServerCannotTakeIsRefusedAndTheOldOneIsGone) {
  put("k", text("old"));
  const std::string large(1'048'500, 'v');
  EXPECT_EQ(code_of(store().put(Key("k"), text_entry(large), {})), "too_large");
  EXPECT_EQ(got("k"), kMiss);
  put("k", text("old"));
  const Item items[] = {{Key("a"), text_entry("1")}, {Key("k"), text_entry(large)}, {Key("b"), text_entry("2")}};
  const auto outcome = store().put_many(items);
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->failed, std::vector<std::size_t>{1});
  EXPECT_EQ(outcome->error->code, Errc::too_large);
  EXPECT_EQ(got("a"), R"(text "1")");
  EXPECT_EQ(got("b"), R"(text "2")");
  EXPECT_EQ(got("k"), kMiss);
  const std::string largest(store().traits().max_value_bytes, 'v');
  EXPECT_EQ(code_of(store().put(Key("k"), text_entry(largest), {})), "ok");
}

TEST_F(MemcachedFault, ALargerLimitIsLearnedFromTheServer) {
  server_ = Server::memcached({"-I", "8m"});
  ASSERT_TRUE(server_);
  const auto store = open({});
  const std::string large(5'000'000, 'v');
  ASSERT_EQ(code_of(store->put(Key("k"), text_entry(large), {})), "ok");
  bool same = false;
  EXPECT_TRUE(*store->get(Key("k"), {}, [&](const Entry& entry) { same = entry.value.text == large; }));
  EXPECT_TRUE(same);
}

TEST_F(MemcachedFault, AServerWithoutRoomNamesWhatItDidNotTake) {
  server_ = Server::memcached({"-M", "-m", "8"});
  ASSERT_TRUE(server_);
  watch(open({.timeout = 5s}));
  std::vector<std::string> names;
  for (int i = 0; i < 400; ++i) names.push_back("k" + std::to_string(i));
  const std::string large(100'000, 'v');
  std::vector<Item> items;
  for (const std::string& name : names) items.push_back({Key(name), text_entry(large)});
  const auto outcome = store().put_many(items);
  ASSERT_TRUE(outcome.ok());
  ASSERT_FALSE(outcome->failed.empty());
  ASSERT_LT(outcome->failed.size(), 400u);
  ASSERT_TRUE(outcome->error);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const bool failed = std::binary_search(outcome->failed.begin(), outcome->failed.end(), i);
    ASSERT_EQ(has(names[i]), !failed) << i;
  }
  // Reading and forgetting go on.
  for (std::size_t i = 0; i < 50; ++i) (void)forget(names[i]);
  EXPECT_TRUE(put(names[0], text("small")));
}

// --- keys that were made to break a protocol

TEST_F(MemcachedFault, AKeyThatHoldsACommandIsAKey) {
  put("victim", text("mine"));
  const std::string attack = "x 0 0 1\r\nq\r\nset victim 0 0 4\r\nEVIL\r\nset y";
  for (const std::string& key :
       {attack, std::string("k\r\nflush_all"), std::string("k v\r\nmd victim"), std::string("k q")}) {
    EXPECT_TRUE(put(key, text("of the attack")));
    EXPECT_EQ(got(key), R"(text "of the attack")");
    EXPECT_TRUE(forget(key));
  }
  EXPECT_EQ(got("victim"), R"(text "mine")");
}

TEST_F(MemcachedFault, ForeignBytesUnderAKeyAreCorruptOnceAndThenGone) {
  const std::string foreign = "ms 6vfault:k 5\r\nhello\r\n";
  ASSERT_EQ(ask(address_of(*server_), foreign), "HD\r\n");
  EXPECT_EQ(code_of(store().get(Key("k"), {}, [](const Entry&) {})), "corrupt");
  EXPECT_EQ(got("k"), kMiss);
  ASSERT_EQ(ask(address_of(*server_), foreign), "HD\r\n");
  put("other", text("v"));
  const Key keys[] = {Key("none"), Key("k"), Key("other")};
  std::vector<std::string> seen(3);
  const auto found = [&](std::size_t i, const Entry& entry) { seen[i] = entry.value.text; };
  const auto unreadable = [&](std::size_t i, std::unique_ptr<Error> why) { seen[i] = to_string(why->code); };
  EXPECT_TRUE(store().get_many(keys, {}, {found, unreadable}).ok());
  EXPECT_EQ(seen, (std::vector<std::string>{"", "corrupt", "v"})) << "it keeps no other back";
  EXPECT_EQ(got("k"), kMiss);
  ASSERT_EQ(ask(address_of(*server_), foreign), "HD\r\n");
  EXPECT_TRUE(put("k", text("v")));
  EXPECT_EQ(got("k"), R"(text "v")");
  ASSERT_EQ(ask(address_of(*server_), foreign), "HD\r\n");
  EXPECT_TRUE(add("k", text("w")));
  EXPECT_EQ(got("k"), R"(text "w")");
  ASSERT_EQ(ask(address_of(*server_), foreign), "HD\r\n");
  EXPECT_EQ(increment("k"), 1);
}

TEST_F(MemcachedFault, ALostGenerationLosesEntriesAndBringsNoneBack) {
  put("k", text("v"));
  flush();
  put("l", text("w"));
  ASSERT_EQ(ask(address_of(*server_), "md 6gfault:\r\n"), "HD\r\n");
  EXPECT_EQ(got("k"), kMiss);
  EXPECT_EQ(got("l"), kMiss);
  put("m", text("x"));
  EXPECT_EQ(got("m"), R"(text "x")");
  EXPECT_EQ(got("k"), kMiss);
  EXPECT_EQ(got("l"), kMiss);
  ASSERT_EQ(ask(address_of(*server_), "ms 6gfault: 3\r\nabc\r\n"), "HD\r\n");
  put("m", text("y"));
  EXPECT_EQ(got("m"), R"(text "y")");
}

TEST_F(MemcachedFault, TheServerIsToldALifetimeNoShorterThanTheEntrys) {
  const auto told = [&](Duration life) {
    put("k", text("v"), Expiry::at(after(system_clock().now(), life)));
    const std::string answer = ask(address_of(*server_), "mg 6vfault:k t\r\n");
    return answer.starts_with("HD t") ? std::stol(answer.substr(4)) : -2L;
  };
  EXPECT_GE(told(200ms), 1);
  EXPECT_LE(told(200ms), 3);
  EXPECT_GE(told(10s), 10);
  EXPECT_LE(told(10s), 13);
  EXPECT_GE(told(24h * 31), 31 * 86'400);
  EXPECT_LE(told(24h * 31), 33 * 86'400);
  put("k", text("v"));
  EXPECT_EQ(ask(address_of(*server_), "mg 6vfault:k t\r\n"), "HD t-1\r\n");
}

TEST_F(MemcachedFault, AWalkTellsWhatIsKeptAndNothingElse) {
  std::set<std::string> keys;
  for (int i = 0; i < 200; ++i) keys.insert(i % 10 == 0 ? "key " + std::to_string(i) : "key" + std::to_string(i));
  for (const std::string& key : keys) put(key, text("of " + key));
  put({"lock", Space::locks}, text("owner")), put("flushed before", text("v"), Expiry::at(system_clock().now()));
  const StorePtr neighbour = make_memcached({.servers = {address_of(*server_)}, .prefix = "fault"});
  EXPECT_TRUE(*neighbour->put(Key("neighbour"), text_entry("v"), {}));
  std::set<std::string> seen;
  // What the server is at work on in that moment may be left out, so more than one walk may be needed.
  for (int walk = 0; walk < 50 && seen != keys; ++walk) {
    const auto done = store().scan(Space::values, [&](std::string_view key, const Entry& entry) {
      EXPECT_EQ(entry.value.text, "of " + std::string(key));
      seen.emplace(key);
      return true;
    });
    ASSERT_TRUE(done.ok()) << done.error().to_string();
  }
  EXPECT_EQ(seen, keys);
  flush();
  ASSERT_TRUE(store().scan(Space::values, [](std::string_view, const Entry&) { return ADD_FAILURE(), true; }).ok());
  EXPECT_EQ(code_of(open({.listing = false})->scan(Space::values, [](std::string_view, const Entry&) { return true; })),
            "unsupported");
}

}  // namespace
}  // namespace flux::cache::testing
