// What docs/guide/production.md says of users, TLS and clusters, tried on real servers.
#include <gtest/gtest.h>
#include <flux/cache/layers/tagged.hpp>
#include <flux/cache/manager.hpp>
#include <flux/cache/stores/redis/backplane.hpp>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <sstream>
#include <thread>

#include "support/certificates.hpp"
#include "support/redis_cache.hpp"
#include "support/redis_cluster.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

using Words = std::vector<std::string>;

/// The page's lines that begin with ACL SETUSER, in their order.
std::vector<Words> acl_lines() {
  std::ifstream page(FLUX_CACHE_SOURCE_DIR "/docs/guide/production.md");
  std::vector<Words> lines;
  for (std::string line; std::getline(page, line);) {
    if (!line.starts_with("ACL SETUSER ")) continue;
    std::istringstream words(line);
    lines.emplace_back(std::istream_iterator<std::string>(words), std::istream_iterator<std::string>());
  }
  return lines;
}

/// The lines that hold `word`.
std::vector<Words> acl_lines_with(const std::string& word) {
  std::vector<Words> all = acl_lines();
  std::erase_if(all, [&](const Words& line) { return std::find(line.begin(), line.end(), word) == line.end(); });
  return all;
}

/// Without a layer above, a document comes back as bytes, whatever went in.
enum class Shown { text, document };

/// All that a store does, one after the other.
void do_everything(const StoreProbe& cache, bool lists, Shown shown = Shown::text) {
  const auto seen = [&](const char* value) {
    return std::string(shown == Shown::text ? "text \"" : "bytes \"") + value + '"';
  };
  const TagStamp tags[] = {{"t", 0}, {"u", 0}};
  const Instant soon = after(system_clock().now(), 1h);
  EXPECT_TRUE(cache.put("k", text("v"), Expiry::at(soon)));
  EXPECT_EQ(cache.got("k"), seen("v"));
  EXPECT_FALSE(cache.add("k", text("w")));
  EXPECT_TRUE(cache.has("k"));
  EXPECT_TRUE(cache.touch("k", {}));
  EXPECT_EQ(cache.increment("n", 2), 2);
  EXPECT_TRUE(cache.put("tagged", {.value = text("v"), .tags = tags}));
  EXPECT_TRUE(cache.touch("tagged", Expiry::at(soon)));
  cache.flush_tags({"t", "u"});
  EXPECT_EQ(cache.got("tagged"), kMiss);
  EXPECT_TRUE(cache.put("tagged", {.value = text("v"), .tags = tags}));
  cache.flush_tags({"t"});
  EXPECT_EQ(cache.got("tagged"), kMiss);
  cache.put_many({{Key("a"), {.value = text("1")}}, {Key("b"), {.value = text("2")}}});
  EXPECT_EQ(cache.got_many({"a", "b"}), (std::vector<std::string>{seen("1"), seen("2")}));
  EXPECT_EQ(cache.forget_many({"a", "b"}), 2u);
  EXPECT_EQ(cache.pulled("k"), seen("v"));
  if (lists) {
    ASSERT_TRUE(cache.list());
  }
  cache.flush();
  cache.prune();
  EXPECT_FALSE(cache.has("n"));
}

TEST(RedisProduction, TheUserOfThePageCanDoEverythingUnderItsPrefixAndNothingElse) {
  const auto server = Server::redis();
  FLUX_NEEDS(server);
  const RedisCache admin({.port = server->port()});
  const auto lines = acl_lines();
  ASSERT_GE(lines.size(), 7u);
  ASSERT_EQ(admin.tell(lines.front()), "OK");
  RedisConnection user{.port = server->port(), .username = "shop", .password = "change-me"};
  do_everything(RedisCache(user, {.prefix = "shop:"}), true);
  EXPECT_EQ(RedisCache(user, {.prefix = "other:"}).say("k", "v"), "denied");
  EXPECT_NE(RedisCache(user, {.prefix = "shop:"}).tell({"FLUSHALL"}).find("NOPERM"), std::string::npos);

  RedisConnection named = user;
  named.database = 1;
  named.client_name = "shop";
  EXPECT_EQ(RedisCache(named, {.prefix = "shop:"}).say("k", "v"), "denied");
  for (const Words& line : acl_lines_with("+select")) ASSERT_EQ(admin.tell(line), "OK");
  do_everything(RedisCache(named, {.prefix = "shop:"}), true);

  const RedisCache plain(user, {.prefix = "shop:", .frame = false});
  EXPECT_EQ(plain.increment("n", 1), 1);
  EXPECT_EQ(plain.redis().increment(Key("n"), 1, {}).error().code, Errc::denied);
  for (const Words& line : acl_lines_with("+incrby")) ASSERT_EQ(admin.tell(line), "OK");
  EXPECT_TRUE(plain.store().forget(Key("n"), {}).ok());
  do_everything(plain, true, Shown::document);

  for (const Words& line : acl_lines_with("+info")) ASSERT_EQ(admin.tell(line), "OK");
  EXPECT_TRUE(RedisCache(user).redis().info("server").ok());
}

TEST(RedisProduction, TheUsersOfThePageFindThePrimaryBySentinels) {
  const auto server = Server::redis();
  FLUX_NEEDS(server);
  const ScratchDirectory scratch;
  const std::string file = scratch / "sentinel.conf";
  std::ofstream(file) << "sentinel monitor main 127.0.0.1 " << server->port() << " 1\n";
  const auto sentinel = Server::start(
      {"sentinel",
       {"redis-server", file, "--sentinel", "--bind", "127.0.0.1", "--port", "@PORT@", "--dir", "@DIRECTORY@"}});
  FLUX_NEEDS(sentinel);
  const RedisCache admin({.port = server->port()}), over_sentinels({.port = sentinel->port()});
  ASSERT_EQ(admin.tell(acl_lines().front()), "OK");
  for (const Words& line : acl_lines_with("+sentinel|get-master-addr-by-name"))
    ASSERT_EQ(over_sentinels.tell(line), "OK");
  const RedisConnection user{.username = "shop",
                             .password = "change-me",
                             .sentinel = {.name = "main",
                                          .nodes = {{"127.0.0.1", sentinel->port()}},
                                          .username = "watcher",
                                          .password = "change-me-too"}};
  EXPECT_EQ(RedisCache(user, {.prefix = "shop:"}).say("k", "v"), "denied");
  for (const Words& line : acl_lines_with("+role")) ASSERT_EQ(admin.tell(line), "OK");
  do_everything(RedisCache(user, {.prefix = "shop:"}), true);
}

TEST(RedisProduction, TheUserOfThePageHearsTheBackplane) {
  const auto server = Server::redis();
  FLUX_NEEDS(server);
  const RedisCache admin({.port = server->port()});
  ASSERT_EQ(admin.tell(acl_lines().front()), "OK");
  for (const Words& line : acl_lines_with("+publish")) ASSERT_EQ(admin.tell(line), "OK");
  const RedisConnection user{.port = server->port(), .username = "shop", .password = "change-me"};
  const auto a = make_redis_backplane(user), b = make_redis_backplane(user);
  std::atomic<int> heard{0};
  std::atomic<bool> is_live{false};
  const auto subscription = b->subscribe({.heard = [&](std::string_view message) { heard += message == "word"; },
                                          .connection = [&](bool live) { is_live = live; }});
  ASSERT_TRUE(RedisCluster::comes_true([&] { return is_live.load(); }));
  ASSERT_TRUE(a->publish("word"));
  EXPECT_TRUE(RedisCluster::comes_true([&] { return heard == 1; }));
}

/// A cluster whose nodes speak TLS alone, each known as `host`, with the page's user on each.
class RedisTlsCluster : public ::testing::Test {
 protected:
  void start(const std::string& host) {
    if (!files_.authority("ca") || !files_.certificate("node", "IP:127.0.0.1,IP:::1") ||
        !files_.certificate("client", "DNS:client")) {
      GTEST_SKIP() << "no certificates: openssl is not in PATH";
    }
    Words words = files_.server_words("node");
    words.insert(words.end(), {"--tls-cluster", "yes", "--tls-replication", "yes", "--bind", "127.0.0.1", "::1"});
    cluster_ = RedisCluster::start({.host = host, .words = words, .own = files_.connection("client")});
    FLUX_NEEDS(cluster_);
    for (int node = 0; node < 2 * RedisCluster::kPrimaries; ++node)
      for (const Words& line : {acl_lines().front(), acl_lines_with("+cluster|slots").front()})
        ASSERT_EQ(cluster_->tell(node, line).text, "OK");
  }
  RedisConnection user() const {
    RedisConnection connection = files_.connection("client");
    connection.cluster = true;
    connection.seeds = cluster_->connection().seeds;
    connection.username = "shop";
    connection.password = "change-me";
    return connection;
  }
  void everything_works() const {
    do_everything(StoreProbe(make_tagged(make_redis({.prefix = "shop:"}, user()))), true);
    // On every node, and for replicas.
    RedisConnection spread = user();
    spread.replica_reads = true;
    const RedisCache cache(spread, {.prefix = "shop:"});
    for (int i = 0; i < 100; ++i) ASSERT_EQ(cache.say("k" + std::to_string(i), "v"), "true");
    EXPECT_TRUE(RedisCluster::comes_true([&] {
      for (int i = 0; i < 100; ++i)
        if (cache.ask("k" + std::to_string(i)) != "v") return false;
      return true;
    }));
  }

  Certificates files_;
  std::unique_ptr<RedisCluster> cluster_;
};

TEST_F(RedisTlsCluster, ServesAUserOfTheAclThroughMovesAndADeath) {
  start("127.0.0.1");
  if (IsSkipped() || HasFatalFailure()) return;
  everything_works();
  EXPECT_EQ(RedisCache(user(), {.prefix = "other:"}).say("k", "v"), "denied");
  RedisConnection stranger = user();
  stranger.ca.clear();
  EXPECT_EQ(RedisCache(stranger, {.prefix = "shop:"}).say("k", "v"), "denied");
  RedisConnection plain = user();
  plain.ca.clear(), plain.certificate.clear(), plain.key.clear();
  plain.timeout = 2s;
  EXPECT_NE(RedisCache(plain, {.prefix = "shop:"}).say("k", "v"), "true");

  const RedisCache cache(user(), {.prefix = "shop:"});
  cluster_->server(0).kill();
  ASSERT_TRUE(RedisCluster::comes_true([&] { return cluster_->is_primary(3); })) << "no failover";
  EXPECT_TRUE(RedisCluster::comes_true([&] {
    for (int i = 0; i < 100; ++i)
      if (cache.say("k" + std::to_string(i), "w") != "true") return false;
    return true;
  }));
}

bool has_ipv6() {
  const int fd = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  const bool bound = fd >= 0 && ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  if (fd >= 0) ::close(fd);
  return bound;
}

TEST_F(RedisTlsCluster, IsReachedByIpv6) {
  if (!has_ipv6()) GTEST_SKIP() << "this machine has no ::1";
  start("::1");
  if (IsSkipped() || HasFatalFailure()) return;
  everything_works();
  // Slots that have moved are followed to an address with colons in it.
  const RedisCache cache(user(), {.prefix = "shop:"});
  ASSERT_EQ(cache.say("k", "v"), "true");
  const std::string stored = cache.redis().stored_key(Key("k"));
  const auto slot = static_cast<int>(cluster_->tell(0, {"CLUSTER", "KEYSLOT", stored}).integer);
  const int from = cluster_->owner_of(slot);
  ASSERT_GE(from, 0);
  ASSERT_EQ(cluster_->move_slot(slot, from, (from + 1) % RedisCluster::kPrimaries), "");
  EXPECT_EQ(cache.ask("k"), "v");
}

}  // namespace
}  // namespace flux::cache::testing
