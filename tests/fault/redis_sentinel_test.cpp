// A primary that is found by name, and found again after it died or stepped down: real sentinels, primary and replica.
#include <gtest/gtest.h>
#include <flux/cache/manager.hpp>

#include <array>
#include <fstream>
#include <functional>
#include <thread>

#include "failover_watch.hpp"
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
    for (std::size_t i = 0; i < sentinels_.size(); ++i) {
      const std::string file = scratch_ / ("sentinel" + std::to_string(i) + ".conf");
      std::ofstream(file) << "sentinel monitor main 127.0.0.1 " << primary_->port() << " 2\n"
                          << "sentinel down-after-milliseconds main 1000\n"
                          << "sentinel failover-timeout main 5000\n";
      sentinels_[i] = Server::start(
          {"sentinel",
           {"redis-server", file, "--sentinel", "--bind", "127.0.0.1", "--port", "@PORT@", "--dir", "@DIRECTORY@"}});
      ASSERT_NE(sentinels_[i], nullptr) << Server::why_not();
    }
    at_replica_ = std::make_unique<RedisCache>(RedisConnection{.host = "127.0.0.1", .port = replica_->port()});
  }
  /// The first one that is asked is not there.
  RedisConnection by_name(const std::string& name = "main") const {
    RedisConnection connection{.timeout = 5s, .sentinel = {.name = name, .nodes = {{"127.0.0.1", 1}}}};
    for (const auto& sentinel : sentinels_) connection.sentinel.nodes.push_back({"127.0.0.1", sentinel->port()});
    return connection;
  }
  std::string tell_sentinel(std::size_t which, const std::vector<std::string>& words) const {
    return RedisCache({.host = "127.0.0.1", .port = sentinels_[which]->port()}).tell(words);
  }
  std::string role_of_replica() const {
    const auto facts = at_replica_->redis().info("replication");
    return facts.ok() ? facts->at("role") : std::string();
  }
  /// The replica has all that the primary has, and the sentinels know it and each other: a failover can be.
  bool is_ready() const {
    const auto facts = at_replica_->redis().info("replication");
    if (!facts.ok() || facts->at("role") != "slave" || facts->at("master_link_status") != "up") return false;
    for (const auto& sentinel : sentinels_) {
      const RedisCache at({.host = "127.0.0.1", .port = sentinel->port()});
      const auto replicas = at.redis().command({"SENTINEL", "replicas", "main"});
      const auto others = at.redis().command({"SENTINEL", "sentinels", "main"});
      if (!replicas.ok() || replicas->elements.size() != 1 || !others.ok() || others->elements.size() != 2)
        return false;
    }
    return true;
  }
  static bool comes_true(const std::function<bool()>& holds) {
    for (int i = 0; i < 3'000; ++i) {
      if (holds()) return true;
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }

  ScratchDirectory scratch_;
  std::unique_ptr<Server> primary_, replica_;
  std::array<std::unique_ptr<Server>, 3> sentinels_;
  std::unique_ptr<RedisCache> at_replica_;
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
  Config config;
  config.default_store = "far";
  config.stores["far"] = RedisConfig{.connection = "main"};
  config.connections["main"] = by_name();
  const StoreManager manager(config);
  const Repository cache = manager.store();
  ASSERT_TRUE(cache.put("k", "v", 600s));
  ASSERT_TRUE(comes_true([&] { return is_ready(); }));
  primary_->kill();
  FailoverWatch watch([&] { return role_of_replica() == "master"; });
  EXPECT_LE(watch.until([&] { return said(cache.try_put("after", "w", 600s)); }), kFollowed) << watch.story();
  EXPECT_TRUE(watch.was_seen()) << "the sentinels did not promote the replica";
  EXPECT_EQ(cache.get<std::string>("k"), "v");
  EXPECT_EQ(cache.get<std::string>("after"), "w");
}

// It stays alive, and refuses writes from then on.
TEST_F(RedisSentinels, APrimaryThatStepsDownIsLeft) {
  const RedisCache cache(by_name());
  ASSERT_EQ(cache.say("k", "v"), "true");
  ASSERT_TRUE(comes_true([&] { return is_ready(); }));
  ASSERT_EQ(tell_sentinel(0, {"SENTINEL", "FAILOVER", "main"}), "OK");
  ASSERT_TRUE(comes_true([&] { return role_of_replica() == "master"; }));
  ASSERT_TRUE(comes_true([&] { return cache.say("after", "w") == "true"; }));
  const RedisCache at_first({.host = "127.0.0.1", .port = primary_->port()});
  ASSERT_TRUE(comes_true([&] {
    const auto facts = at_first.redis().info("replication");
    return facts.ok() && facts->at("role") == "slave";
  }));
  ASSERT_TRUE(comes_true([&] { return cache.say("after", "w") == "true"; }));
  for (int i = 0; i < 50; ++i) {
    const std::string key = "k" + std::to_string(i);
    EXPECT_EQ(cache.say(key, "w"), "true");
    EXPECT_EQ(cache.ask(key), "w");
    EXPECT_EQ(at_replica_->tell({"EXISTS", cache.redis().stored_key(Key(key))}), "1") << "it went elsewhere";
  }
  EXPECT_EQ(cache.ask("k"), "v");
}

TEST_F(RedisSentinels, OneOfThreeThatAnswersIsEnough) {
  const RedisCache cache(by_name());
  ASSERT_EQ(cache.say("k", "v"), "true");
  sentinels_[0]->kill();
  sentinels_[1]->pause();
  const RedisCache other(by_name());
  EXPECT_EQ(other.say("k", "w"), "true");
  sentinels_[1]->kill();
  sentinels_[2]->kill();
  EXPECT_EQ(cache.say("k", "x"), "true") << "connections that are there need no sentinel";
  EXPECT_NE(RedisCache(by_name()).say("k", "x"), "true");
}

}  // namespace
}  // namespace flux::cache::testing
