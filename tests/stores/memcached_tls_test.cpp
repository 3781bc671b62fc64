// memcached over TLS: the contract through it, and who is trusted.
#include <flux/cache/manager.hpp>
#include <flux/cache/stores/memcached.hpp>
#include <flux/cache/testing/store_contract.hpp>

#include <thread>

#include "support/certificates.hpp"
#include "support/memcached.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

/// Servers with certificates made for the test: one that takes every client, one that asks for its certificate.
class TlsServers {
 public:
  TlsServers() {
    const bool made = files.authority("ca") && files.authority("other") &&
                      files.certificate("server", "IP:127.0.0.1,DNS:memcached.test") &&
                      files.certificate("client", "DNS:client");
    if (!made) {
      why_not = "no certificates: openssl is not in PATH";
      return;
    }
    open = Server::memcached(files.memcached_words("server"));
    strict = Server::memcached(files.memcached_words("server", true));
    if (open == nullptr || strict == nullptr) why_not = "no memcached with TLS: " + Server::why_not();
  }
  MemcachedConfig trusted(const Server& server) const {
    return {.servers = {address_of(server)}, .timeout = 10s, .ca = files.path("ca.crt")};
  }

  Certificates files;
  std::unique_ptr<Server> open, strict;
  std::string why_not;
};

const TlsServers& tls_servers() {
  static const TlsServers servers;
  return servers;
}

std::string contract_prefix;

ContractParam over_tls() {
  const auto make = [](const Clock& clock) -> StorePtr {
    if (!tls_servers().why_not.empty()) return nullptr;
    MemcachedConfig config = tls_servers().trusted(*tls_servers().open);
    config.prefix = contract_prefix;
    config.timeout = 60s;
    config.listing = false;
    config.clock = &clock;
    return make_memcached(config);
  };
  return {.make =
              [=](const Clock& clock) {
                contract_prefix = unique_prefix();
                return make(clock);
              },
          .again = make,
          .needs = "openssl in PATH, and a memcached with TLS"};
}

INSTANTIATE_TEST_SUITE_P(MemcachedOverTls, StoreContract, ::testing::Values(over_tls()), pipeline_name);

class MemcachedTls : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!servers_.why_not.empty()) GTEST_SKIP() << servers_.why_not;
  }
  /// "ok", or the code of what a put and a look at it answer.
  static std::string answer(const MemcachedConfig& config) {
    const auto store = make_memcached(config);
    const auto written = store->put(Key("k"), {.value = {.kind = Kind::text, .text = "v"}}, {});
    if (!written.ok()) return std::string(to_string(written.error().code));
    const auto there = store->has(Key("k"));
    return there.ok() && *there ? "ok" : "lost";
  }
  std::string path(const std::string& file) const { return servers_.files.path(file); }

  const TlsServers& servers_ = tls_servers();
};

TEST_F(MemcachedTls, AServerAndAClientThatTrustEachOtherTalk) {
  MemcachedConfig config = servers_.trusted(*servers_.open);
  EXPECT_EQ(answer(config), "ok");
  config.server_name = "memcached.test";
  EXPECT_EQ(answer(config), "ok");
  MemcachedConfig shown = servers_.trusted(*servers_.strict);
  shown.certificate = path("client.crt");
  shown.key = path("client.key");
  EXPECT_EQ(answer(shown), "ok");
}

TEST_F(MemcachedTls, ThroughTheVerbs) {
  MemcachedConfig store = servers_.trusted(*servers_.open);
  store.prefix = unique_prefix();
  Config config;
  config.default_store = "m";
  config.stores = {{"m", store}};
  const StoreManager manager(config);
  const Repository cache = manager.store();
  const std::string large(900'000, 'x');
  std::map<std::string, std::string> entries;
  for (int i = 0; i < 500; ++i) entries["k" + std::to_string(i)] = std::string(static_cast<std::size_t>(i * 20), 'v');
  ASSERT_TRUE(cache.put_many(entries, 1h));
  ASSERT_TRUE(cache.put("large", large));
  std::vector<std::string> keys{"none"};
  for (const auto& [key, value] : entries) keys.push_back(key);
  const auto found = cache.many<std::string>(keys);
  for (const auto& [key, value] : entries) EXPECT_EQ(found.at(key), value) << key;
  EXPECT_FALSE(found.at("none").has_value());
  EXPECT_EQ(cache.get<std::string>("large"), large);
  std::this_thread::sleep_for(200ms);  // longer than a connection may idle unseen
  EXPECT_EQ(cache.increment("n"), 1);
  EXPECT_EQ(cache.forget_many(keys), 500u);
}

TEST_F(MemcachedTls, WhoeverCannotBeTrustedIsRefused) {
  MemcachedConfig other = servers_.trusted(*servers_.open);
  other.ca = path("other.crt");
  EXPECT_EQ(answer(other), "denied");
  other.verify = false;
  EXPECT_EQ(answer(other), "ok");
  MemcachedConfig wrong_name = servers_.trusted(*servers_.open);
  wrong_name.server_name = "else.test";
  EXPECT_EQ(answer(wrong_name), "denied");
  EXPECT_NE(answer(servers_.trusted(*servers_.strict)), "ok") << "it wants to see a certificate";
  MemcachedConfig missing = servers_.trusted(*servers_.open);
  missing.ca = path("missing.crt");
  EXPECT_EQ(answer(missing), "bad_config");
}

TEST_F(MemcachedTls, AnExpiredCertificateIsRefusedAndTheRefusalSaysSo) {
  const Certificates& files = servers_.files;
  ASSERT_TRUE(files.certificate("expired", "IP:127.0.0.1", 0));
  const auto expired = Server::memcached(files.memcached_words("expired"));
  ASSERT_NE(expired, nullptr) << Server::why_not();
  const auto store = make_memcached(servers_.trusted(*expired));
  const auto there = store->has(Key("k"));
  ASSERT_FALSE(there.ok());
  EXPECT_EQ(there.error().code, Errc::denied);
  EXPECT_NE(there.error().message.find("certificate has expired"), std::string::npos) << there.error().message;
}

TEST_F(MemcachedTls, NothingIsEverSaidPlainly) {
  const auto plain = Server::memcached();
  if (plain == nullptr) GTEST_SKIP() << Server::why_not();
  EXPECT_NE(answer(servers_.trusted(*plain)), "ok");
  MemcachedConfig plainly{.servers = {address_of(*servers_.open)}, .timeout = 300ms};
  EXPECT_NE(answer(plainly), "ok");
}

TEST(MemcachedTlsOptions, WhatCannotBeIsRefusedBeforeAnyoneIsAsked) {
  const auto refused = [](MemcachedConfig config) {
    const auto valid = config.validate();
    return valid.ok() ? std::string("fine") : valid.error().key;
  };
  EXPECT_EQ(refused({.protocol = "binary", .tls = true}), "tls");
  EXPECT_EQ(refused({.username = "ann", .password = "p", .ca = "/ca.pem"}), "tls") << "SASL is the binary protocol's";
  EXPECT_EQ(refused({.username = "ann", .password = "p", .protocol = "meta", .tls = true}), "fine");
  EXPECT_EQ(refused({.key = "/key.pem"}), "key");
  EXPECT_EQ(refused({.servers = {{.host = "/run/memcached.sock"}}, .tls = true}), "server_name");
  const auto store = make_memcached({.protocol = "binary", .tls = true});
  EXPECT_EQ(store->has(Key("k")).error().code, Errc::bad_config);
}

}  // namespace
}  // namespace flux::cache::testing
