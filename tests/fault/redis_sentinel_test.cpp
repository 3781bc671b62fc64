// A primary that is found by name, and found again after it died: real sentinel, primary and replica.
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <thread>

#include "support/redis_cache.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

class RedisSentinels : public ::testing::Test {
 protected:
  void SetUp() override {
    primary_ = Server::redis();
    if (primary_ == nullptr) GTEST_SKIP() << "no redis: " << Server::why_not();
    replica_ = Server::redis({"--replicaof", "127.0.0.1", std::to_string(primary_->port()),
                              "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"});
    ASSERT_NE(replica_, nullptr) << Server::why_not();
    const std::string file = scratch_ / "sentinel.conf";
    std::ofstream(file) << "sentinel monitor main 127.0.0.1 " << primary_->port() << " 1\n"
                        << "sentinel down-after-milliseconds main 1000\n"
                        << "sentinel failover-timeout main 5000\n";
    sentinel_ = Server::start(
        {"sentinel",
         {"redis-server", file, "--sentinel", "--bind", "127.0.0.1", "--port", "@PORT@", "--dir", "@DIRECTORY@"}});
    ASSERT_NE(sentinel_, nullptr) << Server::why_not();
  }
  RedisConnection by_name(const std::string& name = "main") const {
    return {.timeout = 5s, .sentinel = {.name = name, .nodes = {{"127.0.0.1", 1}, {"127.0.0.1", sentinel_->port()}}}};
  }
  static bool comes_true(const std::function<bool()>& holds) {
    for (int i = 0; i < 3'000; ++i) {
      if (holds()) return true;
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }

  ScratchDirectory scratch_;
  std::unique_ptr<Server> primary_, replica_, sentinel_;
};

TEST_F(RedisSentinels, ThePrimaryIsFoundByItsName) {
  const RedisCache cache(by_name());
  ASSERT_EQ(cache.say("k", "v"), "true");
  const auto facts = cache.redis().info("replication");
  ASSERT_TRUE(facts.ok());
  EXPECT_EQ(facts->at("role"), "master");
  const RedisCache nobody(by_name("nobody"));
  EXPECT_EQ(nobody.ask("k"), "unavailable");
}

TEST_F(RedisSentinels, AFailoverIsFollowed) {
  const RedisCache cache(by_name());
  ASSERT_EQ(cache.say("k", "v"), "true");
  const RedisCache at_replica({.host = "127.0.0.1", .port = replica_->port()});
  const RedisCache at_sentinel({.host = "127.0.0.1", .port = sentinel_->port()});
  const auto role = [&] {
    const auto facts = at_replica.redis().info("replication");
    return facts.ok() ? facts->at("role") : std::string();
  };
  ASSERT_TRUE(comes_true([&] {  // in sync, and known to the sentinel
    const auto facts = at_replica.redis().info("replication");
    if (!facts.ok() || facts->at("master_link_status") != "up") return false;
    const auto known = at_sentinel.redis().command({"SENTINEL", "replicas", "main"});
    return known.ok() && known->elements.size() == 1;
  }));
  primary_->kill();
  ASSERT_TRUE(comes_true([&] { return role() == "master"; })) << "the sentinel did not promote the replica";
  const auto promoted = std::chrono::steady_clock::now();
  ASSERT_TRUE(comes_true([&] { return cache.say("after", "w") == "true"; }));
  EXPECT_LT(std::chrono::steady_clock::now() - promoted, 10s);
  EXPECT_EQ(cache.ask("k"), "v");
  EXPECT_EQ(cache.ask("after"), "w");
}

}  // namespace
}  // namespace flux::cache::testing
