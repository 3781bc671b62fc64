// "frame": false on redis: what others write is read, what is written others read, and what the contract promises
// holds.
#include <gtest/gtest.h>
#include <flux/cache/manager.hpp>

#include <cmath>
#include <limits>
#include <thread>

#include "support/redis_cache.hpp"
#include "support/redis_cluster.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

struct Track {
  std::string title;
  int seconds = 0;
  std::optional<double> rating{};
  friend bool operator==(const Track&, const Track&) = default;
};

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

/// A repository of plain documents, and a stranger who has nothing but the server's commands.
class RedisPlain : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    connection_.timeout = 10s;
    if (std::string(GetParam()) == "cluster") {
      RedisCluster* const cluster = RedisCluster::shared();
      if (cluster == nullptr) GTEST_SKIP() << "no redis cluster: " << Server::why_not();
      connection_ = cluster->connection();
      connection_.timeout = 10s;
    } else {
      const SharedServer* const server = shared_redis();
      if (server == nullptr) GTEST_SKIP() << "no redis: " << Server::why_not();
      connection_.host = server->host;
      connection_.port = server->port;
    }
    cache_.emplace(open("json"));
    stranger_.emplace(connection_);
  }
  Repository open(const std::string& serializer) const {
    Config config;
    config.default_store = "r";
    config.stores["r"] =
        RedisConfig{.connection = "c", .prefix = prefix_, .serializer = serializer, .ttl = {}, .frame = false};
    config.connections["c"] = connection_;
    return StoreManager(config).store();
  }
  std::string name(const std::string& key) const { return cache_->as<RedisStore>()->stored_key(Key(key)); }
  std::string tell(const std::vector<std::string>& words) const { return stranger_->tell(words); }

  const std::string prefix_ = unique_prefix();
  RedisConnection connection_;
  std::optional<Repository> cache_;
  std::optional<RedisCache> stranger_;
};

TEST_P(RedisPlain, WhatAStrangerWritesIsRead) {
  ASSERT_EQ(tell({"SET", name("song"), R"({"title": "Jingle", "seconds": 12, "more": [1, 2]})"}), "OK");
  EXPECT_EQ(cache_->get<Track>("song"), (Track{"Jingle", 12, {}}));
  EXPECT_TRUE(cache_->has("song"));
  ASSERT_EQ(tell({"SET", name("number"), "42"}), "OK");
  EXPECT_EQ(cache_->get<int>("number"), 42);
  EXPECT_EQ(cache_->get<double>("number"), 42.0);
  ASSERT_EQ(tell({"SET", name("text"), "\"h\xc3\xa9\""}), "OK");
  EXPECT_EQ(cache_->get<std::string>("text"), "h\xc3\xa9");
  ASSERT_EQ(tell({"SET", name("broken"), "{"}), "OK");
  EXPECT_EQ(cache_->try_get<Track>("broken").error().code, Errc::corrupt);
  EXPECT_EQ(cache_->get<Track>("song"), (Track{"Jingle", 12, {}}));
  ASSERT_NE(tell({"LPUSH", name("list"), "a"}), "");
  EXPECT_FALSE(cache_->get<Track>("list"));
  EXPECT_TRUE(cache_->put("list", 1));
  EXPECT_EQ(cache_->get<int>("list"), 1);
}

TEST_P(RedisPlain, WhatIsWrittenIsThePlainDocument) {
  ASSERT_TRUE(cache_->put("song", Track{"Jingle", 12, 4.5}, 1h));
  EXPECT_EQ(tell({"GET", name("song")}), R"({"title":"Jingle","seconds":12,"rating":4.5})");
  const int left = std::stoi(tell({"PTTL", name("song")}));
  EXPECT_GT(left, 3'590'000);
  EXPECT_LE(left, 3'600'000);
  ASSERT_TRUE(cache_->put("text", "a \"word\""));
  EXPECT_EQ(tell({"GET", name("text")}), R"("a \"word\"")");
  EXPECT_EQ(tell({"PTTL", name("text")}), "-1");
  ASSERT_TRUE(cache_->put("number", -7));
  EXPECT_EQ(tell({"GET", name("number")}), "-7");
  EXPECT_EQ(cache_->remember("loaded", 1h, [] { return Track{"New", 1, {}}; }).title, "New");
  EXPECT_EQ(tell({"GET", name("loaded")}).substr(0, 14), R"({"title":"New")");
}

TEST_P(RedisPlain, MessagePackIsSpokenAsWell) {
  const Repository packed = open("msgpack");
  const std::string document = "\x82\xa5title\xa1x\xa7seconds\x05";
  ASSERT_EQ(tell({"SET", name("song"), document}), "OK");
  EXPECT_EQ(packed.get<Track>("song"), (Track{"x", 5, {}}));
  ASSERT_TRUE(packed.put("own", std::vector<int>{1, 2, 3}));
  EXPECT_EQ(tell({"GET", name("own")}), "\x93\x01\x02\x03");
}

TEST_P(RedisPlain, EveryVerbDoesWhatItDoesElsewhere) {
  ASSERT_EQ(tell({"SET", name("k"), "1"}), "OK");
  EXPECT_FALSE(cache_->add("k", 2));
  EXPECT_TRUE(cache_->touch("k", 1h));
  EXPECT_GT(std::stoi(tell({"PTTL", name("k")})), 3'000'000);
  EXPECT_EQ(cache_->pull<int>("k"), 1);
  EXPECT_FALSE(cache_->pull<int>("k"));
  EXPECT_FALSE(cache_->touch("k", 1h));
  EXPECT_TRUE(cache_->add("k", 2, 1h));
  EXPECT_EQ(tell({"GET", name("k")}), "2");
  EXPECT_TRUE(cache_->forget("k"));
  EXPECT_FALSE(cache_->forget("k"));
  EXPECT_TRUE(cache_->put("short", 1, 50ms));
  std::this_thread::sleep_for(80ms);
  EXPECT_FALSE(cache_->has("short"));
  EXPECT_FALSE(cache_->get<int>("short"));

  ASSERT_EQ(tell({"SET", name("b"), R"("two")"}), "OK");
  ASSERT_TRUE(cache_->put_many({{"a", "one"}, {"c", "three"}}, 1h));
  EXPECT_EQ(tell({"GET", name("c")}), R"("three")");
  const auto many = cache_->many<std::string>({"a", "b", "x", "c"});
  EXPECT_EQ(many.at("a"), "one");
  EXPECT_EQ(many.at("b"), "two");
  EXPECT_FALSE(many.at("x"));
  EXPECT_EQ(many.at("c"), "three");
  EXPECT_EQ(cache_->forget_many({"a", "b", "x"}), 2u);
  EXPECT_EQ(tell({"EXISTS", name("b")}), "0");
  EXPECT_EQ(cache_->get<std::string>("c"), "three");
}

TEST_P(RedisPlain, CountersAreTheServersOwnNumbers) {
  EXPECT_EQ(cache_->increment("n", 5), 5);
  EXPECT_EQ(tell({"INCR", name("n")}), "6");
  EXPECT_EQ(cache_->decrement("n", 10), -4);
  EXPECT_EQ(tell({"GET", name("n")}), "-4");
  ASSERT_EQ(tell({"SET", name("n"), std::to_string(kMost - 1), "EX", "100"}), "OK");
  EXPECT_EQ(cache_->increment("n"), kMost);
  EXPECT_THROW(cache_->increment("n"), Overflow);
  EXPECT_EQ(tell({"GET", name("n")}), std::to_string(kMost));
  EXPECT_GT(std::stoi(tell({"PTTL", name("n")})), 0);
  ASSERT_TRUE(cache_->put("text", "no number"));
  EXPECT_THROW(cache_->increment("text"), NotANumber);
  EXPECT_EQ(cache_->get<std::string>("text"), "no number");
}

TEST_P(RedisPlain, AFlushTakesDocumentsOfEverybodyUnderThePrefixAndNothingElse) {
  const RedisCache neighbour(connection_, {.prefix = prefix_ + "2"});
  ASSERT_EQ(neighbour.say("k", "v"), "true");
  for (int i = 0; i < 700; ++i) ASSERT_TRUE(cache_->put("k" + std::to_string(i), i));
  ASSERT_EQ(tell({"SET", name("foreign"), "1"}), "OK");
  ASSERT_TRUE(cache_->lock("l", 10s).try_lock());
  cache_->flush();
  for (int i = 0; i < 700; ++i) ASSERT_FALSE(cache_->has("k" + std::to_string(i)));
  EXPECT_FALSE(cache_->has("foreign"));
  EXPECT_EQ(tell({"EXISTS", name("foreign")}), "0");
  EXPECT_EQ(neighbour.ask("k"), "v");
  EXPECT_TRUE(cache_->put("k1", 2));
  EXPECT_EQ(cache_->get<int>("k1"), 2);
}

TEST_P(RedisPlain, ALoadThatSomebodyOvertookIsNotStored) {
  const auto load = [&](const std::string& key, auto meanwhile) {
    return cache_->remember(key, 1h, [&] {
      meanwhile();
      return 1;
    });
  };
  EXPECT_EQ(load("a", [&] { cache_->forget("a"); }), 1);
  EXPECT_FALSE(cache_->has("a"));
  EXPECT_EQ(load("b", [&] { cache_->put("b", 2); }), 1);
  EXPECT_EQ(cache_->get<int>("b"), 2);
  EXPECT_EQ(load("c", [&] { cache_->flush(); }), 1);
  EXPECT_FALSE(cache_->has("c"));
  EXPECT_EQ(load("d", [&] { tell({"SET", name("d"), "3"}); }), 1);
  EXPECT_EQ(cache_->get<int>("d"), 3);
  EXPECT_EQ(load("e", [] {}), 1);
  EXPECT_EQ(tell({"GET", name("e")}), "1");
}

TEST_P(RedisPlain, WhatADocumentCannotHoldIsKeptBeneathAHead) {
  ASSERT_TRUE(cache_->tags({"t"}).put("tagged", "v", 1h));
  EXPECT_EQ(cache_->get<std::string>("tagged"), "v");
  EXPECT_EQ(tell({"GET", name("tagged")}).substr(0, 2), "\xf1\x01");
  cache_->tags({"t"}).flush();
  EXPECT_FALSE(cache_->has("tagged"));
  EXPECT_FALSE(cache_->get<std::string>("tagged"));
  EXPECT_EQ(cache_->remember("stale", {.seconds = 60, .fail_safe = 1h}, [] { return 7; }), 7);
  EXPECT_EQ(cache_->get<int>("stale"), 7);
  EXPECT_EQ(cache_->increment("stale", 1), 8);
  EXPECT_TRUE(cache_->put("stale", 1, 1h));
  EXPECT_EQ(tell({"GET", name("stale")}), "1");
}

TEST_P(RedisPlain, AReadTellsWhatTheServerLeavesOfALife) {
  ASSERT_EQ(tell({"SET", name("k"), "1", "PX", "60000"}), "OK");
  const auto store = cache_->as<RedisStore>();
  Instant end = kNever;
  const auto seen = store->get(Key("k"), {}, [&](const Entry& entry) { end = entry.expiry.keep_until; });
  ASSERT_TRUE(seen.ok() && *seen);
  const Instant now = system_clock().now();
  EXPECT_GT(end, after(now, 50s));
  EXPECT_LE(end, after(now, 60s));
}

INSTANTIATE_TEST_SUITE_P(On, RedisPlain, ::testing::Values("server", "cluster"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace flux::cache::testing
