// The redis store where servers and networks fail: real servers, stopped, killed and restarted, and a relay that lies.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <flux/cache/testing/chaos_proxy.hpp>
#include <flux/cache/testing/crowd.hpp>

#include <atomic>
#include <thread>

#include "support/own_redis.hpp"
#include "testing/contract/sanitized.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

class RedisFaults : public OwnRedis {
 protected:
  RedisConnection to_server(Duration timeout = 5s) const {
    return {.host = server_->host(), .port = server_->port(), .timeout = timeout};
  }
  RedisConnection to(const ChaosProxy& proxy, Duration timeout = 5s) const {
    return {.host = "127.0.0.1", .port = proxy.port(), .timeout = timeout};
  }
};

TEST_F(RedisFaults, AServerThatIsNotThereMakesCallsFailAtOnce) {
  const auto port = server_->port();
  server_->kill();
  const RedisCache cache({.host = "127.0.0.1", .port = port});
  const auto took = time_of([&] {
    for (int i = 0; i < 100; ++i) {
      EXPECT_EQ(cache.ask("k"), "unavailable");
      EXPECT_EQ(cache.say("k", "v"), "unavailable");
    }
  });
  EXPECT_LT(took, 1'000ms + kSlack);
}

TEST_F(RedisFaults, AServerThatComesBackIsFound) {
  const RedisCache cache(to_server());
  ASSERT_EQ(cache.say("k", "v"), "true");
  server_->kill();
  EXPECT_EQ(cache.ask("k"), "unavailable");
  ASSERT_TRUE(server_->restart());
  EXPECT_TRUE(comes_true([&] { return cache.say("k", "w") == "true"; }));
  EXPECT_EQ(cache.ask("k"), "w");
}

TEST_F(RedisFaults, TheFirstCallAfterARestartSucceedsOnConnectionsThatDiedIdle) {
  const RedisCache cache(to_server());
  ASSERT_EQ(cache.say("k", "v"), "true");
  ASSERT_TRUE(server_->restart());
  EXPECT_EQ(cache.ask("k"), "miss");
}

TEST_F(RedisFaults, APausedServerCostsNoCallMoreThanItsDeadlineAndMixesUpNothing) {
  const RedisCache cache(to_server(200ms));
  for (int i = 0; i < 100; ++i) ASSERT_EQ(cache.say("k" + std::to_string(i), "v" + std::to_string(i)), "true");
  server_->pause();
  for (int i = 0; i < 5; ++i) {
    std::string answer;
    EXPECT_LT(time_of([&] { answer = cache.ask("k" + std::to_string(i)); }), 200ms + kSlack);
    EXPECT_TRUE(answer == "timeout" || answer == "unavailable") << answer;
  }
  server_->resume();
  EXPECT_TRUE(comes_true([&] { return cache.ask("k0") == "v0"; }));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(cache.ask("k" + std::to_string(i)), "v" + std::to_string(i));
}

TEST_F(RedisFaults, AServerKilledInMidPipelineKillsNobodyElse) {
  const RedisCache cache(to_server());
  const std::string value(100'000, 'x');
  std::vector<std::string> names;
  for (int i = 0; i < 500; ++i) names.push_back("k" + std::to_string(i));
  std::vector<Item> items;
  for (const std::string& name : names) items.push_back({Key(name), {.value = {.kind = Kind::text, .text = value}}});
  ASSERT_EQ(cache.say("warm", "v"), "true");
  std::thread killer([&] {
    std::this_thread::sleep_for(10ms);
    server_->kill();
  });
  bool is_seen = false;
  for (int i = 0; i < 20 && !is_seen; ++i) {
    auto outcome = cache.redis().put_many(items);
    ASSERT_TRUE(outcome.ok());
    is_seen = !outcome->failed.empty();
    if (is_seen) {
      EXPECT_EQ(outcome->failed.size(), items.size());
      EXPECT_TRUE(outcome->error != nullptr);
    }
  }
  killer.join();
  EXPECT_TRUE(is_seen) << "the batches were over before the server was";
  ASSERT_TRUE(server_->restart());
  EXPECT_TRUE(comes_true([&] { return cache.say("k", "w") == "true"; }));
}

TEST_F(RedisFaults, NoFaultOfTheNetworkGivesAWrongValueOrOutlastsTheDeadline) {
  ChaosProxy proxy(server_->host(), server_->port());
  const RedisCache cache(to(proxy, 300ms));
  const std::string large(100'000, 'y');
  for (const ProxyFault fault : {ProxyFault::refuse, ProxyFault::reset, ProxyFault::black_hole, ProxyFault::drip,
                                 ProxyFault::half_reply, ProxyFault::wrong_reply, ProxyFault::double_reply}) {
    const std::string which = "fault " + std::to_string(static_cast<int>(fault));
    proxy.set(ProxyFault::none);
    ASSERT_TRUE(comes_true([&] { return cache.say("a", "of a") == "true" && cache.say("b", large) == "true"; }))
        << which;
    proxy.set(fault);
    for (int i = 0; i < 6; ++i) {
      for (const std::string key : {"a", "b", "c"}) {
        std::string answer;
        EXPECT_LT(time_of([&] { answer = cache.ask(key); }), 300ms + kSlack) << which;
        EXPECT_TRUE(answer != "of a" || key == "a") << which << ", asked for " << key;
        EXPECT_TRUE(answer != large || key == "b") << which << ", asked for " << key;
        EXPECT_TRUE(answer != "miss" || key == "c") << which << ", asked for " << key;
      }
    }
    proxy.set(ProxyFault::none);
    EXPECT_TRUE(comes_true([&] { return cache.ask("a") == "of a"; })) << which;
    EXPECT_TRUE(comes_true([&] { return cache.ask("b") == large; })) << which;
  }
}

TEST_F(RedisFaults, TenThousandRoundsOfRandomTimeoutsGiveNoWrongValue) {
  ChaosProxy proxy(server_->host(), server_->port());
  const RedisCache calm(to_server(), {.prefix = "rounds:"});
  for (int i = 0; i < 64; ++i) ASSERT_EQ(calm.say("k" + std::to_string(i), "v" + std::to_string(i)), "true");
  const RedisCache cache(to(proxy, 40ms), {.prefix = "rounds:"});
  proxy.hold(50ms);
  std::atomic<int> right{0}, wrong{0}, none{0};
  run_on_threads(8, [&](int thread) {
    for (int i = 0; i < 1'250; ++i) {
      const std::string number = std::to_string((i * 7 + thread * 13) % 64);
      const std::string answer = cache.ask("k" + number);
      if (answer == "v" + number) {
        ++right;
      } else if (answer == "timeout" || answer == "unavailable" || answer == "rejected") {
        ++none;
        if (answer == "unavailable") std::this_thread::sleep_for(5ms);  // known to be down: let it be tried again
      } else {
        ++wrong;
      }
    }
  });
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_EQ(right.load() + none.load(), 10'000);
  EXPECT_GT(right.load(), 100) << "the test tests little";
}

TEST_F(RedisFaults, ACounterIsNeverCountedTwiceByItself) {
  ChaosProxy proxy(server_->host(), server_->port());
  const RedisCache cache(to(proxy, 500ms));
  ASSERT_EQ(cache.increment("n", 1), 1);
  proxy.set(ProxyFault::half_reply);
  EXPECT_FALSE(cache.redis().increment(Key("n"), 1, {}).ok());
  proxy.set(ProxyFault::none);
  EXPECT_TRUE(comes_true([&] { return cache.redis().has(Key("n")).ok(); }));
  EXPECT_EQ(cache.increment("n", 0), 2);
}

TEST_F(RedisFaults, AFullServerRefusesWritesAndStillReadsAndForgets) {
  const RedisCache cache(to_server());
  ASSERT_EQ(cache.say("k", "v"), "true");
  const TagStamp tags[] = {{"t", 0}};
  cache.put("tagged", {.value = text("v"), .tags = tags}), cache.put("plain", text("v"));
  ASSERT_EQ(cache.tell({"CONFIG", "SET", "maxmemory", "1"}), "OK");
  EXPECT_EQ(cache.say("k2", "w"), "unavailable");
  EXPECT_EQ(cache.ask("k"), "v");
  EXPECT_TRUE(cache.forget("k"));
  cache.flush_tags({"t"});
  EXPECT_EQ(cache.ask("tagged"), "miss");
  EXPECT_EQ(cache.ask("plain"), "v");
  cache.flush();
  EXPECT_EQ(cache.ask("plain"), "miss");
  ASSERT_EQ(cache.tell({"CONFIG", "SET", "maxmemory", "0"}), "OK");
  EXPECT_EQ(cache.say("k2", "w"), "true");
  EXPECT_EQ(cache.ask("k2") + cache.ask("plain"), "wmiss");
}

TEST_F(RedisFaults, AReplicaRefusesWritesUntilItIsAPrimaryAgain) {
  const RedisCache cache(to_server(1s));
  ASSERT_EQ(cache.say("k", "v"), "true");
  ASSERT_EQ(cache.tell({"REPLICAOF", "127.0.0.1", "1"}), "OK");
  EXPECT_EQ(cache.say("k", "w"), "unavailable");
  ASSERT_EQ(cache.tell({"REPLICAOF", "NO", "ONE"}), "OK");
  EXPECT_EQ(cache.say("k", "w"), "true");
}

TEST_F(RedisFaults, AServerBusyWithAScriptIsWaitedForWithinTheDeadlineAndItsScriptLeftAlone) {
  const RedisCache cache(to_server(300ms));
  const RedisCache other(to_server(20s));
  ASSERT_EQ(cache.say("k", "v"), "true");
  ASSERT_EQ(other.tell({"CONFIG", "SET", "busy-reply-threshold", "20"}), "OK");
  std::thread script([&] { (void)other.tell({"EVAL", "while true do end", "0"}); });
  EXPECT_TRUE(comes_true([&] { return cache.ask("k") != "v"; }));
  EXPECT_LT(time_of([&] { EXPECT_NE(cache.say("k", "w"), "true"); }), 300ms + kSlack);
  EXPECT_TRUE(comes_true([&] { return cache.tell({"SCRIPT", "KILL"}) == "OK"; }));
  script.join();
  EXPECT_TRUE(comes_true([&] { return cache.say("k", "w") == "true"; }));
}

TEST_F(RedisFaults, ALoadingServerIsWaitedForWithinTheDeadline) {
  ChaosProxy proxy(server_->host(), server_->port());
  proxy.instead("-LOADING Redis is loading the dataset in memory\r\n");
  proxy.set(ProxyFault::wrong_reply);
  const RedisCache cache(to(proxy, 10s));
  std::thread loaded([&] {
    std::this_thread::sleep_for(200ms);
    proxy.set(ProxyFault::none);
  });
  EXPECT_EQ(cache.increment("n", 1), 1);  // one command, as the relay's answer is one
  loaded.join();
}

TEST_F(RedisFaults, ScriptsAreSentAgainWhereTheServerLostThem) {
  const RedisCache cache(to_server());
  ASSERT_EQ(cache.increment("n", 1), 1);
  ASSERT_EQ(cache.tell({"SCRIPT", "FLUSH"}), "OK");
  EXPECT_EQ(cache.increment("n", 1), 2);
  EXPECT_TRUE(cache.has("n"));
  const TagStamp tags[] = {{"t", 0}};
  ASSERT_EQ(cache.tell({"SCRIPT", "FLUSH"}), "OK");
  cache.put_many({{Key("a"), {.value = text("1"), .tags = tags}}, {Key("b"), {.value = text("2"), .tags = tags}}});
  EXPECT_EQ(cache.ask("a") + cache.ask("b"), "12");
}

TEST_F(RedisFaults, ForeignValuesUnderOurKeysAreMissesAndOverwritten) {
  const RedisCache cache(to_server());
  const std::string key = cache.redis().stored_key(Key("k"));
  ASSERT_EQ(cache.say("other", "v"), "true");
  ASSERT_EQ(cache.tell({"RPUSH", key, "x"}), "1");
  EXPECT_EQ(cache.ask("k"), "miss");
  EXPECT_FALSE(cache.has("k"));
  EXPECT_EQ(cache.say("k", "v"), "true");
  EXPECT_EQ(cache.ask("k"), "v");
  ASSERT_EQ(cache.tell({"SET", key, "plain text of somebody else"}), "OK");
  EXPECT_EQ(cache.ask("k"), "corrupt");
  const Key keys[] = {Key("other"), Key("k"), Key("none")};
  std::vector<std::string> seen(3);
  const auto found = [&](std::size_t i, const Entry& entry) { seen[i] = entry.value.text; };
  const auto unreadable = [&](std::size_t i, std::unique_ptr<Error> why) { seen[i] = to_string(why->code); };
  EXPECT_TRUE(cache.redis().get_many(keys, {}, {found, unreadable}).ok());
  EXPECT_EQ(seen, (std::vector<std::string>{"v", "corrupt", ""})) << "it keeps no other back";
  EXPECT_TRUE(cache.put("k", text("w"), {}, {.when = When::absent}));
  EXPECT_EQ(cache.ask("k"), "w");
}

TEST_F(RedisFaults, WhatTheServerEvictsOfOursOnlyCausesMisses) {
  const RedisCache cache(to_server(), {.prefix = "evict:"});
  const TagStamp tags[] = {{"t", 0}};
  cache.put("tagged", {.value = text("v"), .tags = tags});
  cache.put("plain", text("v"));
  ASSERT_EQ(cache.tell({"DEL", "evict:e/t"}), "1");
  EXPECT_EQ(cache.ask("tagged"), "miss");
  EXPECT_EQ(cache.ask("plain"), "v");
  cache.flush_tags({"t"});
  cache.put("other", {.value = text("v"), .tags = tags});
  EXPECT_EQ(cache.ask("tagged"), "miss");
  ASSERT_EQ(cache.tell({"DEL", "evict:g/"}), "1");
  EXPECT_EQ(cache.ask("plain"), "miss");
  EXPECT_EQ(cache.say("plain", "w"), "true");
  EXPECT_EQ(cache.ask("plain"), "w");
  EXPECT_EQ(cache.ask("other"), "miss");
}

TEST_F(RedisFaults, AnExhaustedPoolIsSaidSoAfterTheWait) {
  RedisConnection one = to_server(30s);
  one.pool_size = 1;
  one.pool_wait = 50ms;
  const RedisCache cache(one);
  ASSERT_EQ(cache.say("k", "v"), "true");
  server_->pause();
  std::atomic<bool> is_asking{false};
  std::thread first([&] {
    is_asking = true;
    EXPECT_EQ(cache.ask("k"), "v");
  });
  EXPECT_TRUE(comes_true([&] { return is_asking.load(); }));
  std::this_thread::sleep_for(500ms);  // then it has the connection
  std::string answer;
  EXPECT_LT(time_of([&] { answer = cache.ask("k"); }), 50ms + kSlack);
  EXPECT_EQ(answer, "rejected");
  server_->resume();
  first.join();
  EXPECT_TRUE(comes_true([&] { return cache.ask("k") == "v"; }));
}

TEST_F(RedisFaults, ManyThreadsShareFewConnectionsWithoutStarving) {
  RedisConnection few = to_server(60s);
  few.pool_size = 4;
  few.pool_wait = 60s;
  const RedisCache cache(few);
  ASSERT_EQ(cache.say("k", "v"), "true");
  const long wrong = run_on_threads(100, [&] {
    long wrong = 0;
    for (int i = 0; i < 50; ++i) wrong += cache.ask("k") != "v";
    return wrong;
  });
  EXPECT_EQ(wrong, 0);
}

TEST_F(RedisFaults, AServerThatComesBackIsNotStormed) {
  RedisConnection few = to_server();
  few.pool_size = 8;
  few.pool_wait = 20s;
  const RedisCache cache(few);
  ASSERT_EQ(cache.say("k", "v"), "true");
  server_->kill();
  std::atomic<bool> is_over{false};
  std::atomic<int> served{0};
  std::thread crowd([&] {
    run_on_threads(200, [&] {
      while (!is_over) {
        if (cache.ask("k") == "miss")
          ++served;
        else
          std::this_thread::sleep_for(1ms);
      }
    });
  });
  EXPECT_TRUE(comes_true([&] { return cache.ask("k") == "unavailable"; }));
  EXPECT_TRUE(server_->restart());
  EXPECT_TRUE(comes_true([&] { return served > 2'000; }));
  is_over = true;
  crowd.join();
  const RedisCache probe(to_server());
  const int connects = std::stoi(probe.redis().info("stats")->at("total_connections_received"));
  EXPECT_LE(connects, 8 + 2) << "the pool's, the probe's, and one to see whether it runs";
}

TEST_F(RedisFaults, ANameThatDoesNotResolveEndsWithTheDeadline) {
  const RedisCache cache({.host = "no-such-host.invalid", .port = 1, .timeout = 500ms});
  std::string answer;
  EXPECT_LT(time_of([&] { answer = cache.ask("k"); }), 500ms + kSlack);
  EXPECT_TRUE(answer == "unavailable" || answer == "timeout") << answer;
}

TEST_F(RedisFaults, AValueThatIsTooLargeIsRefusedBeforeItIsSent) {
  const RedisCache cache(to_server(), {.max_value = 10});
  EXPECT_EQ(cache.say("k", "12345678901"), "too_large");
  EXPECT_EQ(cache.say("k", "1234567890"), "true");
}

// The server would close the connection.
TEST_F(RedisFaults, AValueThatNoServerTakesIsRefusedBeforeItIsSent) {
  constexpr std::size_t kSize = std::size_t{512} * 1024 * 1024;
  void* const pages =
      ::mmap(nullptr, kSize, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);  // never touched
  ASSERT_NE(pages, MAP_FAILED);
  const Entry entry{.value = bytes({static_cast<const char*>(pages), kSize})};
  const RedisCache cache(to_server());
  ASSERT_EQ(cache.say("other", "v"), "true");
  EXPECT_EQ(cache.redis().put(Key("k"), entry, {}).error().code, Errc::too_large);
  EXPECT_EQ(cache.redis().put(Key("k"), entry, {When::absent}).error().code, Errc::too_large);
  const Item items[] = {{Key("a"), {.value = text("1")}}, {Key("k"), entry}};
  const auto outcome = cache.redis().put_many(items);
  ASSERT_TRUE(outcome.ok() && outcome->error);
  EXPECT_EQ(outcome->error->code, Errc::too_large);
  EXPECT_EQ(cache.ask("other"), "v");
  EXPECT_EQ(cache.ask("k") + cache.ask("a"), "missmiss");
  const int connects = std::stoi(cache.redis().info("stats")->at("total_connections_received"));
  EXPECT_LE(connects, 2) << "the connection was lost";
  ::munmap(pages, kSize);
}

TEST_F(RedisFaults, AForkedChildLeavesItsParentsConnectionsAlone) {
  const RedisCache cache(to_server());
  for (int i = 0; i < 100; ++i) ASSERT_EQ(cache.say("k" + std::to_string(i), "v" + std::to_string(i)), "true");
  const auto all_right = [&] {
    long wrong = 0;
    for (int i = 0; i < (kSanitized ? 2'000 : 20'000); ++i) {
      const std::string number = std::to_string(i % 100);
      wrong += cache.ask("k" + number) != "v" + number;
    }
    return wrong;
  };
  std::atomic<bool> stop{false};
  std::atomic<long> wrong_here{0};
  std::thread busy([&] {
    while (!stop) wrong_here += all_right();
  });
  EXPECT_EQ(run_in_processes(2, all_right), 0);
  stop = true;
  busy.join();
  EXPECT_EQ(wrong_here.load(), 0);
}

class RedisCredentials : public RedisFaults {
 protected:
  void SetUp() override {
    begin({"--requirepass", "master-canary", "--user", "app", "on", ">app-canary", "~app:*", "+@all"});
  }
};

TEST_F(RedisCredentials, ThoseThatFitAreTakenAndOthersAreDeniedWithoutBeingShown) {
  RedisConnection connection = to_server();
  const auto says = [&](const std::string& user, const std::string& password) {
    connection.username = user, connection.password = password;
    const RedisCache cache(connection, {.prefix = "app:"});
    auto written = cache.redis().put(Key("k"), {.value = text("v")}, {});
    if (written.ok()) return std::string("true");
    EXPECT_EQ(written.error().to_string().find("canary"), std::string::npos) << written.error().to_string();
    return std::string(to_string(written.error().code));
  };
  EXPECT_EQ(says("", "master-canary"), "true");
  EXPECT_EQ(says("app", "app-canary"), "true");
  EXPECT_EQ(says("", "wrong-canary"), "denied");
  EXPECT_EQ(says("app", "wrong-canary"), "denied");
  EXPECT_EQ(says("", ""), "denied");
}

TEST_F(RedisCredentials, ThoseThatDoNotFitAreTriedOnceInAWhile) {
  ChaosProxy proxy(server_->host(), server_->port());
  RedisConnection wrong = to(proxy);
  wrong.password = "wrong-canary";
  const RedisCache cache(wrong);
  const long others = run_on_threads(8, [&] {
    long others = 0;
    for (int i = 0; i < 200; ++i) others += cache.ask("k") != "denied";
    return others;
  });
  EXPECT_EQ(others, 0);
  EXPECT_LE(proxy.accepted(), 160U) << "of 1,600 calls";
}

}  // namespace
}  // namespace flux::cache::testing
