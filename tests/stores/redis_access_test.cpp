// Who may use a redis server, and how it is reached: URLs, unix sockets, TLS.
#include <gtest/gtest.h>
#include <flux/cache/manager.hpp>

#include <thread>

#include "support/certificates.hpp"
#include "support/redis_cache.hpp"
#include "support/scripted_server.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

TEST(RedisAccess, NothingThatDisturbsOthersIsEverSent) {
  const auto server = Server::redis();
  FLUX_NEEDS(server);
  const RedisCache cache({.host = server->host(), .port = server->port()});
  for (int i = 0; i < 2'000; ++i) cache.put("k" + std::to_string(i), integer(i));
  cache.flush();
  cache.prune();
  ASSERT_TRUE(cache.list());
  const std::string sent = cache.tell({"INFO", "commandstats"});
  for (const char* const never : {"keys", "flushall", "flushdb", "config", "debug", "save", "monitor"})
    EXPECT_EQ(sent.find("cmdstat_" + std::string(never) + ":"), std::string::npos) << never;
}

TEST(RedisAccess, AFlushOfOnePrefixLeavesItsNeighboursAlone) {
  const auto server = Server::redis();
  FLUX_NEEDS(server);
  const RedisConnection connection{.host = server->host(), .port = server->port()};
  const RedisCache app(connection, {.prefix = "app"}), longer(connection, {.prefix = "app2:"}),
      slash(connection, {.prefix = "app/v"}), none(connection, {.prefix = "ap"});
  for (const RedisCache* each : {&app, &longer, &slash, &none}) each->say("pv/k", "v");
  ASSERT_EQ(app.tell({"SET", "foreign", "1"}), "OK");
  app.flush();
  app.prune();
  EXPECT_EQ(app.ask("pv/k"), "miss");
  for (const RedisCache* each : {&longer, &slash, &none}) EXPECT_EQ(each->ask("pv/k"), "v");
  EXPECT_EQ(app.tell({"GET", "foreign"}), "1");
}

TEST(RedisAccess, WhatWasFlushedIsReclaimed) {
  const auto server = Server::redis();
  FLUX_NEEDS(server);
  const RedisCache cache({.host = server->host(), .port = server->port()});
  for (int i = 0; i < 1'500; ++i) cache.put("k" + std::to_string(i), integer(i));
  cache.flush();
  for (int i = 0; i < 300 && cache.tell({"DBSIZE"}) != "0"; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(cache.tell({"DBSIZE"}), "0");
}

TEST(RedisAccess, ByUrlAndBySocket) {
  const auto server = Server::redis();
  FLUX_NEEDS(server);
  const std::string port = std::to_string(server->port());
  const RedisCache plain({.url = "redis://127.0.0.1:" + port + "/3"}, {.prefix = "same:"});
  EXPECT_EQ(plain.say("k", "v"), "true");
  const RedisCache local({.url = "unix://" + server->socket() + "?database=3"}, {.prefix = "same:"});
  EXPECT_EQ(local.ask("k"), "v");
  const RedisCache named({.host = "localhost", .port = server->port(), .database = 3}, {.prefix = "same:"});
  EXPECT_EQ(named.ask("k"), "v");
  const RedisCache other({.socket = server->socket()}, {.prefix = "same:"});
  EXPECT_EQ(other.ask("k"), "miss");
}

TEST(RedisAccess, AClientHasAName) {
  const auto server = Server::redis();
  FLUX_NEEDS(server);
  const RedisCache cache({.port = server->port(), .client_name = "shop-7"});
  // The slow log names who sent what.
  ASSERT_EQ(cache.tell({"CONFIG", "SET", "slowlog-log-slower-than", "0"}), "OK");
  ASSERT_EQ(cache.say("k", "v"), "true");
  const auto log = cache.redis().command({"SLOWLOG", "GET", "1"});
  ASSERT_TRUE(log.ok() && log->elements.size() == 1 && log->elements[0].elements.size() == 6);
  EXPECT_EQ(log->elements[0].elements[5].text, "shop-7");
}

TEST(RedisAccess, AUrlThatMakesNoSenseIsSaidSoWithoutItsSecrets) {
  for (const char* const url : {"http://h", "redis://u:canary@h:99999", "redis://u:canary@h/x", "unix://",
                                "redis://:canary%zz@h", "redis://h?canary=1", "redis://u:canary@[::1]x"}) {
    const auto valid = RedisConnection{.url = url}.validate();
    ASSERT_FALSE(valid.ok()) << url;
    EXPECT_EQ(valid.error().code, Errc::bad_config);
    EXPECT_EQ(valid.error().to_string().find("canary"), std::string::npos) << valid.error().to_string();
    EXPECT_EQ(RedisCache({.url = url}).ask("k"), "bad_config");
  }
  EXPECT_TRUE((RedisConnection{.url = "rediss://user:p%40ss@[::1]:7000/2"}).validate().ok());
}

TEST(RedisAccess, TheStoreBeneathTheVerbsTellsOfItsServer) {
  const auto server = Server::redis();
  FLUX_NEEDS(server);
  Config config;
  config.default_store = "r";
  config.stores = {{"r", RedisConfig{.connection = "c"}}};
  config.connections = {{"c", RedisConnection{.host = server->host(), .port = server->port()}}};
  const Repository cache = StoreManager(config).store();
  ASSERT_TRUE(cache.put("k", 5, 1h));
  const auto redis = cache.as<RedisStore>();
  ASSERT_NE(redis, nullptr);
  const auto facts = redis->info("server");
  ASSERT_TRUE(facts.ok());
  EXPECT_EQ(facts->at("tcp_port"), std::to_string(server->port()));
  const auto nested = redis->command({"EVAL", "return {1, 'two', {3, false}, redis.status_reply('FINE')}", "0"});
  ASSERT_TRUE(nested.ok());
  ASSERT_EQ(nested->elements.size(), 4u);
  EXPECT_EQ(nested->elements[0].integer, 1);
  EXPECT_EQ(nested->elements[1].text, "two");
  ASSERT_EQ(nested->elements[2].elements.size(), 2u);
  EXPECT_EQ(nested->elements[2].elements[1].kind, RedisReply::Kind::nothing);
  EXPECT_EQ(nested->elements[3].kind, RedisReply::Kind::status);
  EXPECT_EQ(redis->command({"NONSENSE"})->kind, RedisReply::Kind::error);
  EXPECT_EQ(redis->command({"subscribe", "x"}).error().code, Errc::unsupported);
  EXPECT_EQ(redis->command({"EXISTS", redis->stored_key(Key("k"))})->integer, 1);
}

/// A server that speaks TLS, with certificates made for the test.
class RedisTls : public ::testing::Test {
 protected:
  void SetUp() override {
    const bool made = files_.authority("ca") && files_.authority("other") &&
                      files_.certificate("server", "IP:127.0.0.1,DNS:redis.test") &&
                      files_.certificate("client", "DNS:client");
    if (!made) GTEST_SKIP() << "no certificates: openssl is not in PATH";
    server_ = serve("server");
    if (server_ == nullptr) GTEST_SKIP() << "no redis with TLS: " << Server::why_not();
  }
  std::unique_ptr<Server> serve(const std::string& name) const { return Server::redis(files_.server_words(name)); }
  RedisConnection trusted() const {
    RedisConnection connection = files_.connection("client");
    connection.port = server_->port();
    return connection;
  }
  static std::string answer(const RedisConnection& connection) { return RedisCache(connection).say("k", "v"); }
  /// What a put is refused with, in words.
  static std::string refusal(const RedisConnection& connection) {
    const RedisCache cache(connection);
    const auto written = cache.redis().put(Key("k"), {.value = text("v")}, {});
    return written.ok() ? std::string("none") : written.error().to_string();
  }

  Certificates files_;
  std::unique_ptr<Server> server_;
};

TEST_F(RedisTls, AServerAndAClientThatTrustEachOtherTalk) {
  const RedisCache cache(trusted());
  EXPECT_EQ(cache.say("k", "v"), "true");
  EXPECT_EQ(cache.ask("k"), "v");
  const std::string large(3'000'000, 'x');
  EXPECT_EQ(cache.say("large", large), "true");
  EXPECT_EQ(cache.ask("large"), large);
  RedisConnection named = trusted();
  named.server_name = "redis.test";
  EXPECT_EQ(answer(named), "true");
  RedisConnection by_url = trusted();
  by_url.url = "rediss://127.0.0.1:" + std::to_string(server_->port());
  EXPECT_EQ(answer(by_url), "true");
  std::this_thread::sleep_for(200ms);  // longer than a connection may idle unseen
  EXPECT_EQ(cache.ask("k"), "v");
}

TEST_F(RedisTls, WhoeverCannotBeTrustedIsRefused) {
  RedisConnection other = trusted();
  other.ca = files_.path("other.crt");
  EXPECT_EQ(answer(other), "denied");
  RedisConnection wrong_name = trusted();
  wrong_name.server_name = "else.test";
  EXPECT_EQ(answer(wrong_name), "denied");
  RedisConnection careless = other;
  careless.verify = false;
  EXPECT_EQ(answer(careless), "true");
  RedisConnection without = trusted();
  without.certificate.clear(), without.key.clear();
  EXPECT_NE(answer(without), "true");
  RedisConnection missing = trusted();
  missing.ca = files_.path("missing.crt");
  EXPECT_EQ(answer(missing), "bad_config");
}

TEST_F(RedisTls, ARefusalSaysWhy) {
  RedisConnection other = trusted();
  other.ca = files_.path("other.crt");
  EXPECT_NE(refusal(other).find("TLS handshake: certificate verify failed: "), std::string::npos) << refusal(other);
  RedisConnection wrong_name = trusted();
  wrong_name.server_name = "else.test";
  EXPECT_NE(refusal(wrong_name).find("ostname mismatch"), std::string::npos) << refusal(wrong_name);
}

TEST_F(RedisTls, AServerIsToldWhomWeWant) {
  for (const std::string name : {"redis.test", "localhost"}) {
    std::string hello;
    {
      ScriptedServer listener([&](std::string_view said) {
        hello = said;
        return std::string("not TLS at all");
      });
      RedisConnection connection = trusted();
      connection.port = listener.port();
      if (name == "localhost")
        connection.host = name;
      else
        connection.server_name = name;
      EXPECT_NE(answer(connection), "true");
    }
    EXPECT_NE(hello.find(name), std::string::npos) << "no SNI in " << hello.size() << " bytes";
  }
}

TEST_F(RedisTls, AServerThatSpeaksPlainlyOrAnOldProtocolIsRefused) {
  const auto plain = Server::redis();
  FLUX_NEEDS(plain);
  RedisConnection connection = trusted();
  connection.port = plain->port();
  EXPECT_NE(answer(connection), "true");
  const auto expired = files_.certificate("expired", "IP:127.0.0.1", 0) ? serve("expired") : nullptr;
  ASSERT_NE(expired, nullptr);
  connection.port = expired->port();
  EXPECT_EQ(answer(connection), "denied");
  EXPECT_NE(refusal(connection).find("certificate has expired"), std::string::npos) << refusal(connection);
  std::vector<std::string> words = files_.server_words("server");
  words.insert(words.end(), {"--tls-protocols", "TLSv1.1", "--tls-ciphers", "ALL:@SECLEVEL=0"});
  const auto old = Server::redis(std::move(words));
  ASSERT_NE(old, nullptr) << Server::why_not();
  connection.port = old->port();
  EXPECT_EQ(answer(connection), "denied");
  EXPECT_NE(refusal(connection).find("protocol version"), std::string::npos) << refusal(connection);
  RedisConnection plainly{.host = "127.0.0.1", .port = server_->port(), .timeout = 2s};
  EXPECT_NE(answer(plainly), "true");
}

}  // namespace
}  // namespace flux::cache::testing
