// Threads that share one connection to a redis server, which is stopped, killed, lied about and forked from.
#include <gtest/gtest.h>
#include <flux/cache/testing/chaos_proxy.hpp>
#include <flux/cache/testing/crowd.hpp>

#include <atomic>
#include <thread>

#include "support/own_redis.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

constexpr int kThreads = 8, kKeys = 64;

class RedisShared : public OwnRedis {
 protected:
  RedisConnection shared(int port, Duration timeout) const {
    return {.host = "127.0.0.1", .port = port, .timeout = timeout, .shared = true};
  }
  RedisConnection shared(Duration timeout = 10s) const { return shared(server_->port(), timeout); }
  static std::string key(int i) { return "k" + std::to_string(i % kKeys); }
  static std::string value(int i) { return "v" + std::to_string(i % kKeys); }
  static void fill(const RedisCache& cache) {
    for (int i = 0; i < kKeys; ++i) ASSERT_EQ(cache.say(key(i), value(i)), "true");
  }
  static bool is_an_error(const std::string& answer) {
    return answer == "timeout" || answer == "unavailable" || answer == "rejected";
  }
};

TEST_F(RedisShared, AllThreadsGetTheirOwnAnswersOverOneConnection) {
  const RedisCache probe({.host = server_->host(), .port = server_->port()});
  const auto connections = [&] { return std::stoi(probe.redis().info("stats")->at("total_connections_received")); };
  const int before = connections();
  const RedisCache cache(shared());
  std::atomic<int> wrong{0};
  run_on_threads(kThreads, [&](int thread) {
    for (int i = 0; i < 500; ++i) {
      const std::string mine = "t" + std::to_string(thread) + "_" + std::to_string(i % 7);
      const std::string said = mine + ":" + std::to_string(i);
      if (cache.say(mine, said) != "true") ++wrong;
      if (cache.ask(mine) != said) ++wrong;
      if (cache.ask("none" + mine) != "miss") ++wrong;
      if (!cache.redis().increment(Key("n"), 1, {}).ok()) ++wrong;
    }
  });
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_EQ(cache.increment("n", 0), kThreads * 500);
  EXPECT_EQ(connections() - before, 1);
}

TEST_F(RedisShared, WhatIsLongGoesOverConnectionsOfItsOwn) {
  const RedisCache cache(shared());
  const std::string large(300'000, 'x');
  std::atomic<int> wrong{0};
  run_on_threads(4, [&](int thread) {
    const std::string mine = "large" + std::to_string(thread);
    for (int i = 0; i < 20; ++i) {
      std::vector<std::string> names;
      for (int k = 0; k < 300; ++k) names.push_back(mine + "_" + std::to_string(k));
      std::vector<Item> items;
      for (const auto& name : names) items.push_back({Key(name), {.value = text(name)}});
      auto written = cache.redis().put_many(items);
      if (!written.ok() || !written->failed.empty()) ++wrong;
      if (cache.say(mine, large) != "true" || cache.ask(mine) != large) ++wrong;
      if (cache.ask(names[7]) != names[7]) ++wrong;
    }
  });
  EXPECT_EQ(wrong.load(), 0);
}

TEST_F(RedisShared, NoFaultOfTheNetworkGivesAnAnswerToTheWrongCaller) {
  ChaosProxy proxy(server_->host(), server_->port());
  const RedisCache cache(shared(proxy.port(), 300ms), {.prefix = "faults:"});
  fill(cache);
  for (const ProxyFault fault : {ProxyFault::refuse, ProxyFault::reset, ProxyFault::black_hole, ProxyFault::drip,
                                 ProxyFault::half_reply, ProxyFault::wrong_reply, ProxyFault::double_reply}) {
    const std::string which = "fault " + std::to_string(static_cast<int>(fault));
    std::atomic<int> wrong{0}, late{0};
    std::atomic<std::int64_t> counted{0};
    std::atomic<int> doubts{0};
    const std::string counter = "n" + std::to_string(static_cast<int>(fault));
    proxy.set(ProxyFault::none);
    ASSERT_TRUE(comes_true([&] { return cache.ask(key(0)) == value(0); })) << which;
    std::thread trouble([&] {
      std::this_thread::sleep_for(20ms);
      proxy.set(fault);
      std::this_thread::sleep_for(400ms);
      proxy.set(ProxyFault::none);
    });
    run_on_threads(kThreads, [&](int thread) {
      const auto until = std::chrono::steady_clock::now() + 600ms;
      for (int i = thread; std::chrono::steady_clock::now() < until; ++i) {
        std::string answer;
        if (time_of([&] { answer = cache.ask(key(i)); }) > 300ms + kSlack) ++late;
        if (answer != value(i) && !is_an_error(answer)) ++wrong;
        if (is_an_error(answer)) std::this_thread::sleep_for(1ms);
        auto number = cache.redis().increment(Key(counter), 1, {});
        number.ok() ? ++counted : ++doubts;
      }
    });
    trouble.join();
    EXPECT_EQ(wrong.load(), 0) << which;
    EXPECT_EQ(late.load(), 0) << which;
    ASSERT_TRUE(comes_true([&] { return cache.ask(key(1)) == value(1); })) << which;
    const auto total = cache.increment(counter, 0);
    EXPECT_GE(total, counted.load()) << which;
    EXPECT_LE(total, counted.load() + doubts.load()) << which;
  }
}

TEST_F(RedisShared, APausedServerCostsNoCallerMoreThanItsDeadlineAndMixesUpNothing) {
  const RedisCache cache(shared(200ms), {.prefix = "paused:"});
  fill(cache);
  std::atomic<int> wrong{0}, late{0}, right{0}, none{0};
  std::thread trouble([&] {
    for (int turn = 0; turn < 3; ++turn) {
      std::this_thread::sleep_for(50ms);
      server_->pause();
      std::this_thread::sleep_for(500ms);
      server_->resume();
    }
  });
  run_on_threads(kThreads, [&](int thread) {
    const auto until = std::chrono::steady_clock::now() + 1'800ms;
    for (int i = thread; std::chrono::steady_clock::now() < until; ++i) {
      std::string answer;
      if (time_of([&] { answer = cache.ask(key(i)); }) > 200ms + kSlack) ++late;
      if (answer == value(i)) {
        ++right;
      } else if (is_an_error(answer)) {
        ++none;
        std::this_thread::sleep_for(1ms);
      } else {
        ++wrong;
      }
    }
  });
  trouble.join();
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_EQ(late.load(), 0);
  EXPECT_GT(right.load(), 0);
  EXPECT_GT(none.load(), 0) << "the test tests little";
  EXPECT_TRUE(comes_true([&] { return cache.ask(key(3)) == value(3); }));
}

TEST_F(RedisShared, AllCallersOfASlowServerAreServed) {
  ChaosProxy proxy(server_->host(), server_->port());
  const RedisCache cache(shared(proxy.port(), 10s), {.prefix = "times:"});
  fill(cache);
  proxy.hold(150ms);  // each answer takes so long, in either direction
  std::atomic<int> right{0};
  run_on_threads(kThreads, [&](int thread) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20 * thread));
    if (cache.ask(key(thread)) == value(thread)) ++right;
  });
  EXPECT_EQ(right.load(), kThreads);
}

TEST_F(RedisShared, TheFirstCallAfterARestartSucceeds) {
  const RedisCache cache(shared());
  ASSERT_EQ(cache.say("k", "v"), "true");
  ASSERT_TRUE(server_->restart());
  EXPECT_EQ(cache.ask("k"), "miss");
}

TEST_F(RedisShared, AServerThatIsKilledFailsItsCallersAndIsFoundAgain) {
  const RedisCache cache(shared(1s), {.prefix = "killed:"});
  fill(cache);
  std::atomic<int> wrong{0};
  std::thread trouble([&] {
    std::this_thread::sleep_for(50ms);
    server_->kill();
  });
  run_on_threads(kThreads, [&](int thread) {
    const auto until = std::chrono::steady_clock::now() + 300ms;
    for (int i = thread; std::chrono::steady_clock::now() < until; ++i) {
      const std::string answer = cache.ask(key(i));
      if (answer != value(i) && !is_an_error(answer)) ++wrong;
    }
  });
  trouble.join();
  EXPECT_EQ(wrong.load(), 0);
  ASSERT_TRUE(server_->restart());
  EXPECT_TRUE(comes_true([&] { return cache.say("k", "w") == "true"; }));
  EXPECT_EQ(cache.ask("k"), "w");
}

TEST_F(RedisShared, ChildrenOfForkHaveAConnectionOfTheirOwn) {
  const RedisCache cache(shared(), {.prefix = "forked:"});
  fill(cache);
  std::atomic<bool> over{false};
  std::atomic<int> wrong{0};
  std::thread busy([&] {
    for (int i = 0; !over; ++i)
      if (cache.ask(key(i)) != value(i)) ++wrong;
  });
  const long bad = run_in_processes(4, [&](int index) {
    long mine = 0;
    for (int i = index; i < 2'000; ++i)
      if (cache.ask(key(i)) != value(i)) ++mine;
    return mine;
  });
  over = true;
  busy.join();
  EXPECT_EQ(bad, 0);
  EXPECT_EQ(wrong.load(), 0);
}

TEST_F(RedisShared, AClusterRefusesIt) {
  RedisConnection both;
  both.cluster = both.shared = true;
  EXPECT_EQ(both.validate().error().key, "shared");
}

}  // namespace
}  // namespace flux::cache::testing
