// What the redis store says to its server, as the server counts it.
#include <gtest/gtest.h>
#include <flux/cache/manager.hpp>
#include <flux/cache/repository.hpp>

#include <cstdlib>
#include <functional>
#include <map>

#include "support/redis_cache.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

/// How often a server was sent each command, those that scripts ran included.
std::map<std::string, int> counts(const SharedServer& server) {
  const auto probe = make_redis({}, {.host = server.host, .port = server.port});
  std::map<std::string, int> all;
  const auto facts = probe->info("commandstats");
  if (!facts.ok()) return all;
  for (const auto& [name, value] : *facts)
    if (name.starts_with("cmdstat_")) all[name.substr(8)] = std::atoi(value.c_str() + value.find('=') + 1);
  return all;
}

/// Over all that this program ran on the shared server, the contract suites included.
class NeverSent : public ::testing::Environment {
 public:
  void TearDown() override {
    const SharedServer* const server = redis_server() ? shared_redis() : nullptr;
    if (server == nullptr) return;
    for (const auto& [name, count] : counts(*server))
      for (const std::string never : {"keys", "flushall", "flushdb", "config", "debug", "save", "bgsave"})
        EXPECT_FALSE(name == never || name.starts_with(never + "|")) << name << " " << count << " times";
  }
};
[[maybe_unused]] const auto* const kNeverSent = ::testing::AddGlobalTestEnvironment(new NeverSent);

class RedisCommands : public ::testing::Test {
 protected:
  void SetUp() override {
    server_ = Server::redis();
    if (server_ == nullptr) GTEST_SKIP() << "no redis: " << Server::why_not();
    cache_ = std::make_unique<Repository>(another());
  }
  /// As another process would have it.
  Repository another() const {
    Config config;
    config.default_store = "redis";
    config.stores = {{"redis", RedisConfig{.connection = "main", .prefix = "app:"}}};
    config.connections = {{"main", RedisConnection{.port = server_->port(), .timeout = 10s}}};
    return StoreManager(config).store();
  }
  /// How many commands of its own `work` sends, twice over, so that what is sent once only does not count.
  std::map<std::string, int> sent(const std::function<void()>& work) const {
    work();
    const SharedServer server{server_->host(), server_->port()};
    const auto before = counts(server);
    work();
    auto after = counts(server);
    for (const auto& [name, count] : before) after[name] -= count;
    std::erase_if(after, [](const auto& one) { return one.second == 0 || one.first == "info" || one.first == "ping"; });
    return after;
  }

  std::unique_ptr<Server> server_;
  std::unique_ptr<Repository> cache_;
};

using Sent = std::map<std::string, int>;

TEST_F(RedisCommands, ReadsAreAnMgetOrAFewForLargeBatches) {
  EXPECT_EQ(sent([&] { (void)cache_->get<int>("none"); }), (Sent{{"mget", 1}}));
  ASSERT_TRUE(cache_->put("k", 1, 1h));
  EXPECT_EQ(sent([&] { EXPECT_EQ(cache_->get<int>("k"), 1); }), (Sent{{"mget", 1}}));
  ASSERT_TRUE(cache_->tags({"a", "b"}).put("t", 1, 1h));
  EXPECT_EQ(sent([&] { EXPECT_EQ(cache_->get<int>("t"), 1); }), (Sent{{"mget", 1}}));
  std::vector<std::string> keys;
  for (int i = 0; i < 250; ++i) keys.push_back("many" + std::to_string(i));
  EXPECT_EQ(sent([&] { (void)cache_->many<int>(keys); }), (Sent{{"mget", 1}}));
  for (int i = 250; i < 1'000; ++i) keys.push_back("many" + std::to_string(i));
  const Sent large = sent([&] { (void)cache_->many<int>(keys); });
  EXPECT_EQ(large.size(), 1U);
  EXPECT_GE(large.at("mget"), 3);  // parts of 300, 400 and 300 where the server is near, else of 300 and then 250
  EXPECT_LE(large.at("mget"), 5);
}

TEST_F(RedisCommands, WritesAreOneBurst) {
  EXPECT_EQ(sent([&] { EXPECT_TRUE(cache_->put("k", 1, 1h)); }), (Sent{{"set", 1}, {"get", 1}}));
  EXPECT_EQ(sent([&] {
              (void)cache_->put_many(std::map<std::string, int>{{"a", 1}, {"b", 2}}, 1h);
            }),
            (Sent{{"multi", 1}, {"set", 2}, {"get", 1}, {"exec", 1}}));
  EXPECT_EQ(sent([&] { (void)cache_->increment("n"); })["evalsha"], 1);
  EXPECT_EQ(sent([&] { (void)cache_->forget("k"); })["evalsha"], 1);
  EXPECT_EQ(sent([&] { (void)cache_->pull<int>("k"); })["evalsha"], 1);
  EXPECT_EQ(sent([&] { (void)cache_->add("n", 1, 1h); })["evalsha"], 1);
}

TEST_F(RedisCommands, APutUnderKnownTagsNeedsNoScript) {
  const auto put = [&] { EXPECT_TRUE(cache_->tags({"a", "b"}).put("t", 1, 1h)); };
  put();  // by a script, which tells of the tags' records
  EXPECT_EQ(sent(put), (Sent{{"set", 1}, {"mget", 1}}));
  // What others flushed meanwhile is found out before the call returns.
  const Repository other = another();
  other.tags({"a"}).flush();
  EXPECT_FALSE(cache_->has("t"));
  put();
  EXPECT_EQ(other.get<int>("t"), 1);
  other.tags({"a", "b"}).flush();
  EXPECT_FALSE(cache_->has("t"));
  put();
  EXPECT_EQ(other.tags({"a", "b"}).get<int>("t"), 1);
  other.flush();
  EXPECT_FALSE(cache_->has("t"));
  put();
  EXPECT_EQ(other.get<int>("t"), 1);
}

TEST_F(RedisCommands, ATagOutlivesWhatIsPutUnderIt) {
  const auto left = [&] { return cache_->as<RedisStore>()->command({"PTTL", "app:e/a"})->integer; };
  for (const auto life : {1h, 1h, 48h, 1h, 72h}) {
    ASSERT_TRUE(cache_->tags({"a"}).put("t", 1, life));
    EXPECT_GE(left(), std::chrono::milliseconds(life).count());
  }
  ASSERT_TRUE(cache_->tags({"a"}).forever("t", 1));
  EXPECT_EQ(left(), -1);
}

TEST_F(RedisCommands, LockingAndUnlockingAreOneRoundTripEachWhileNobodyElseDoes) {
  auto lock = cache_->lock("l", 10s);
  std::uint64_t fence = 0;
  const auto both = sent([&] {
    EXPECT_TRUE(lock.try_lock());
    EXPECT_GT(lock.fence(), fence);
    fence = lock.fence();
    lock.unlock();
  });
  // Two swaps; the script reads no more than the head.
  EXPECT_EQ(both, (Sent{{"evalsha", 2}, {"getrange", 2}, {"set", 2}}));
}

TEST_F(RedisCommands, ALockThatOthersTookMeanwhileIsLookedAt) {
  const Repository other = another();
  auto mine = cache_->lock("l", 10s), theirs = other.lock("l", 10s);
  std::uint64_t fence = 0;
  for (int turn = 0; turn < 3; ++turn) {
    ASSERT_TRUE(mine.try_lock());
    EXPECT_GT(mine.fence(), fence);
    EXPECT_FALSE(theirs.try_lock());
    EXPECT_TRUE(mine.release());
    ASSERT_TRUE(theirs.try_lock());
    EXPECT_GT(theirs.fence(), mine.fence());
    fence = theirs.fence();
    EXPECT_FALSE(mine.try_lock());
    theirs.force_unlock();
    EXPECT_FALSE(theirs.release());
  }
  // Who was wrong once looks first, as long as others come between: a failed swap does not add to each call.
  const auto by_turns = [&] {
    EXPECT_TRUE(theirs.try_lock());
    theirs.unlock();
    EXPECT_TRUE(mine.try_lock());
    mine.unlock();
  };
  by_turns();
  EXPECT_EQ(sent(by_turns), (Sent{{"get", 2}, {"evalsha", 4}, {"getrange", 4}, {"set", 4}}));
}

}  // namespace
}  // namespace flux::cache::testing
