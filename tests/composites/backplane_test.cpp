// The backplane over a real redis server, between real processes.
#include <netinet/in.h>
#include <flux/cache/manager.hpp>
#include <flux/cache/testing/crowd.hpp>
#include <flux/cache/testing/store_probe.hpp>

#include <algorithm>
#include <chrono>
#include <thread>

#include "node.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

/// One server that holds the entries, another that carries the messages, and processes of ours.
class RedisBackplane : public ::testing::Test {
 protected:
  void SetUp() override {
    holder = Server::redis();
    carrier = Server::redis();
    if (!holder || !carrier) GTEST_SKIP() << "no redis: " << Server::why_not();
    meeting.emplace(*holder, *carrier);
  }
  void begin(int count) {
    for (int i = 0; i < count; ++i) nodes.emplace_back(*meeting);
    nodes.front().put("settled", "1");
    for (const Node& node : nodes) ASSERT_TRUE(node.settles("settled"));
  }
  /// A command to a server, as anybody may send one.
  RedisReply say(const RedisConnection& to, const std::vector<std::string>& words) const {
    auto reply = make_redis({}, to)->command(words);
    EXPECT_TRUE(reply.ok()) << reply.error().to_string();
    return reply.ok() ? *reply : RedisReply{};
  }

  /// The carrier ends the connections of all who listen.
  void cut_subscribers() const {
    const int line = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(carrier->port());
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(::connect(line, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    constexpr std::string_view kCommand = "CLIENT KILL TYPE pubsub\r\n";
    ASSERT_EQ(::send(line, kCommand.data(), kCommand.size(), MSG_NOSIGNAL), static_cast<ssize_t>(kCommand.size()));
    char reply[64];
    EXPECT_GT(::recv(line, reply, sizeof reply, 0), 1);
    EXPECT_EQ(reply[0], ':');
    ::close(line);
  }

  std::unique_ptr<Server> holder, carrier;
  std::optional<Meeting> meeting;
  std::vector<Node> nodes;
};

TEST_F(RedisBackplane, WhatOneProcessChangesTheOthersSeeAtOnce) {
  begin(3);
  std::vector<Duration> delays;
  for (int round = 0; round < 50; ++round) {
    const std::string value = std::to_string(round);
    const Node& writer = nodes[static_cast<std::size_t>(round) % nodes.size()];
    for (const Node& node : nodes) EXPECT_EQ(node.get("k"), round == 0 ? "miss" : std::to_string(round - 1));
    const auto begun = steady_clock::now();
    writer.put("k", value);
    for (const Node& node : nodes) EXPECT_TRUE(in_time([&] { return node.get("k") == value; })) << round;
    delays.push_back(std::chrono::duration_cast<Duration>(steady_clock::now() - begun));
  }
  std::sort(delays.begin(), delays.end());
  EXPECT_LT(delays[delays.size() / 2], 1s) << "on a busy machine";
}

TEST_F(RedisBackplane, EveryKindOfChangeIsTold) {
  begin(2);
  const Node &a = nodes[0], &b = nodes[1];
  const auto near_at_b = [&](const std::string& key, const std::string& value) {
    a.tell("label " + key + ' ' + value);
    EXPECT_TRUE(in_time([&] { return b.get(key) == value; }));
    EXPECT_TRUE(b.settles(key));
  };
  near_at_b("k", "1");
  EXPECT_EQ(a.tell("forget k"), "1");
  EXPECT_TRUE(in_time([&] { return b.get("k") == "miss"; }));
  near_at_b("k", "2");
  EXPECT_EQ(a.tell("flush_red"), "1");
  EXPECT_TRUE(in_time([&] { return b.get("k") == "miss"; }));
  near_at_b("k", "3");
  EXPECT_EQ(a.tell("flush"), "1");
  EXPECT_TRUE(in_time([&] { return b.get("k") == "miss"; }));
}

TEST_F(RedisBackplane, ItsOwnMessagesLeaveTheSendersNearTierAlone) {
  begin(2);
  nodes[0].put("mine", "1");
  nodes[1].put("yours", "1");  // once this is seen, the earlier message has come back as well
  EXPECT_TRUE(in_time([&] { return nodes[0].get("yours") == "1"; }));
  EXPECT_TRUE(nodes[0].is_near("mine"));
}

TEST_F(RedisBackplane, GarbageStrangersRepeatedAndReorderedMessagesDoNoHarm) {
  const auto ear = meeting->carrier();
  std::mutex mutex;
  std::vector<std::string> heard;
  std::atomic<bool> listens{false};
  const auto subscription = ear->subscribe({.heard =
                                                [&](std::string_view message) {
                                                  const std::scoped_lock guard(mutex);
                                                  heard.emplace_back(message);
                                                },
                                            .connection = [&](bool connected) { listens = connected; }});
  ASSERT_TRUE(in_time([&] { return listens.load(); }));
  begin(2);
  for (int i = 0; i < 10; ++i) nodes[0].put("k" + std::to_string(i), "1");
  ASSERT_TRUE(in_time([&] {
    const std::scoped_lock guard(mutex);
    return heard.size() >= 11;
  }));
  std::vector<std::string> again;
  {
    const std::scoped_lock guard(mutex);
    again.assign(heard.rbegin(), heard.rend());
  }
  const std::string half = again.front().substr(0, again.front().size() / 2);
  std::string flipped = again.front();
  flipped[flipped.size() / 2] ^= 1;
  for (const std::string& bytes : {std::string(), std::string("garbage"), half, flipped, std::string(300'000, 'x'),
                                   std::string("FXB1") + std::string(60, '\xff')})
    EXPECT_TRUE(ear->publish(bytes));
  for (int twice = 0; twice < 2; ++twice) {
    for (const std::string& message : again) EXPECT_TRUE(ear->publish(message));
  }
  Meeting other = *meeting;
  other.prefix = unique_prefix();  // another application on the same channel
  const Repository stranger(make_tiered({make_memory(), other.far_store()}, {.backplane = ear, .name = other.prefix}));
  stranger.put("k0", "of the stranger"), stranger.flush();
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(nodes[1].get("k" + std::to_string(i)), "1");
    EXPECT_TRUE(nodes[1].settles("k" + std::to_string(i)));
  }
  nodes[0].put("k0", "2");
  EXPECT_TRUE(in_time([&] { return nodes[1].get("k0") == "2"; }));
}

TEST_F(RedisBackplane, WhoHearsNothingAsksTheFarTierAndServesNothingOldAfterwards) {
  begin(2);
  const Node &a = nodes[0], &b = nodes[1];
  int written = 0;
  const auto next = [&] { return std::to_string(++written); };
  for (const char* fault : {"kill", "stop", "cut"}) {
    SCOPED_TRACE(fault);
    const std::string before = next();
    a.put("k", before);
    ASSERT_TRUE(in_time([&] { return b.get("k") == before; }));
    ASSERT_TRUE(b.settles("k"));
    if (fault[0] == 'k') carrier->kill();
    if (fault[0] == 's') carrier->pause();
    if (fault[0] == 'c') cut_subscribers();
    const std::string meanwhile = next();
    a.put("k", meanwhile);
    EXPECT_TRUE(in_time([&] { return b.get("k") == meanwhile; })) << "the loss was not noticed";
    if (fault[0] == 'k') {
      ASSERT_TRUE(carrier->restart());
    }
    if (fault[0] == 's') carrier->resume();
    for (int i = 0; i < 20; ++i) {
      ASSERT_EQ(b.get("k"), meanwhile) << "older than what was seen";
      std::this_thread::sleep_for(20ms);
    }
    ASSERT_TRUE(a.settles("k"));
    ASSERT_TRUE(b.settles("k"));
    const std::string after = next();
    a.put("k", after);
    EXPECT_TRUE(in_time([&] { return b.get("k") == after; }));
  }
}

TEST_F(RedisBackplane, WhatCouldNotBeToldIsToldOnReturn) {
  begin(2);
  nodes[0].put("k", "1");
  ASSERT_TRUE(in_time([&] { return nodes[1].get("k") == "1"; }));
  // Only the teller loses the carrier: its messages wait, and the other's near copy is old until they come.
  say(meeting->backplane, {"ACL", "SETUSER", "default", "-publish"});
  nodes[0].put("k", "2");
  EXPECT_EQ(nodes[0].get("k"), "2");
  say(meeting->backplane, {"ACL", "SETUSER", "default", "+publish"});
  EXPECT_TRUE(in_time([&] { return nodes[1].get("k") == "2"; }));
}

TEST_F(RedisBackplane, AMissingCarrierCostsWritersOneTimeoutAndThenNothing) {
  begin(1);
  carrier->pause();
  nodes[0].put("k", "0");
  EXPECT_TRUE(in_time([&] {
    const auto begun = steady_clock::now();
    nodes[0].put("k", "1");
    return steady_clock::now() - begun < 50ms;
  }));
  const auto begun = steady_clock::now();
  for (int i = 0; i < 100; ++i) nodes[0].put("k", "1");
  EXPECT_LT(steady_clock::now() - begun, 2s);
  carrier->resume();
}

TEST_F(RedisBackplane, AnEndWaitsForNoServer) {
  carrier->pause();
  const auto begun = steady_clock::now();
  for (int i = 0; i < 5; ++i) {
    const auto subscription = meeting->carrier()->subscribe({});
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_LT(steady_clock::now() - begun, 3s);
  carrier->resume();
}

TEST_F(RedisBackplane, AChildOfForkServesNothingThatItCouldNotHear) {
#if defined(FLUX_CACHE_TSAN)
  GTEST_SKIP() << "ThreadSanitizer does not follow the threads that a child of fork begins";
#endif
  begin(1);
  const StorePtr near = make_memory();
  const Repository cache(meeting->tiered(near));
  nodes[0].put("k", "before");
  ASSERT_TRUE(in_time([&] {
    (void)cache.get<std::string>("k");
    return StoreProbe(near).has("k");
  }));
  nodes[0].begin("later k after");
  EXPECT_EQ(run_in_processes(3,
                             [&](int) -> long {
                               if (!StoreProbe(near).has("k"))
                                 return 1;  // the parent's copy, which nobody tells the child about
                               if (!in_time([&] { return cache.get<std::string>("k") == "after"; })) return 10;
                               // It hears again, over a connection of its own.
                               const bool hears = in_time([&] {
                                 (void)cache.get<std::string>("settled");
                                 return StoreProbe(near).has("settled");
                               });
                               return hears ? 0 : 100;
                             }),
            0);
  EXPECT_EQ(nodes[0].answer(), "1");
  EXPECT_TRUE(in_time([&] { return cache.get<std::string>("k") == "after"; }));
}

TEST_F(RedisBackplane, IsConfigured) {
  const auto config = [&](const std::string& backplane) {
    return R"({"default": "both", "stores": {
      "near": {"driver": "memory"}, "far": {"driver": "redis", "connection": "holder", "prefix": ")" +
           meeting->prefix + R"("},
      "both": {"driver": "tiered", "stores": ["near", "far"], "backplane": {"connection": ")" +
           backplane + R"("}}},
      "connections": {"holder": {"driver": "redis", "port": )" +
           std::to_string(holder->port()) + R"(}, "carrier": {"driver": "redis", "port": )" +
           std::to_string(carrier->port()) + R"(}, "local": {"driver": "sqlite", "database": "x.sqlite"}}})";
  };
  StoreManager one(Config::from_json(config("carrier"))), two(Config::from_json(config("carrier")));
  const Repository a = one.store(), b = two.store();
  a.put("k", 1);
  EXPECT_TRUE(in_time([&] { return b.get<int>("k") == 1 && StoreProbe(two.store("near").store()).has("k"); }));
  a.put("k", 2);
  EXPECT_TRUE(in_time([&] { return b.get<int>("k") == 2; }));
  for (const char* wrong : {"nobody", "local"})
    EXPECT_THROW(StoreManager(Config::from_json(config(wrong))).store(), ConfigError) << wrong;
  EXPECT_THROW(make_redis_backplane({.port = 0}), ConfigError);
  EXPECT_THROW(make_redis_backplane({}, {.channel = ""}), ConfigError);
  EXPECT_THROW(make_redis_backplane({}, {.heartbeat = 0s}), ConfigError);
}

}  // namespace
}  // namespace flux::cache::testing
