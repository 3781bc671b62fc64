// Names of servers, by a name service of the test's own: one that is silent, one that tells several addresses, and one
// that tells another one than before.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <flux/cache/stores/memcached.hpp>
#include <flux/cache/testing/crowd.hpp>

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "support/own_redis.hpp"

namespace {

/// What the names of the test lead to.
struct Names {
  std::mutex mutex;
  std::condition_variable spoken;
  std::map<std::string, std::vector<std::string>> addresses;
  bool is_silent = false;
  int waiting = 0;
};
Names& names() {
  static auto* const all = new Names;
  return *all;
}

constexpr std::string_view kOurs = ".flux-test";

}  // namespace

// Stands before the system's, for the whole program.
extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints, addrinfo** found) {
  static const auto system = reinterpret_cast<decltype(&getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  const std::string asked = name != nullptr ? name : "";
  if (!asked.ends_with(kOurs) || (hints != nullptr && (hints->ai_flags & AI_NUMERICHOST) != 0))
    return system(name, service, hints, found);
  std::vector<std::string> addresses;
  {
    std::unique_lock lock(names().mutex);
    ++names().waiting;
    names().spoken.wait(lock, [] { return !names().is_silent; });
    --names().waiting;
    addresses = names().addresses[asked];
  }
  addrinfo** end = found;
  *end = nullptr;
  for (const std::string& address : addresses) {
    if (system(address.c_str(), service, hints, end) != 0) return EAI_FAIL;
    while (*end != nullptr) end = &(*end)->ai_next;
  }
  return addresses.empty() ? EAI_NONAME : 0;
}

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

class Lookups : public OwnRedis {
 protected:
  void TearDown() override { speak(); }
  static void lead(const std::string& name, std::vector<std::string> addresses) {
    const std::scoped_lock lock(names().mutex);
    names().addresses[name] = std::move(addresses);
  }
  static void be_silent() {
    const std::scoped_lock lock(names().mutex);
    names().is_silent = true;
  }
  /// And waits until nobody waits for an answer any more.
  static void speak() {
    {
      const std::scoped_lock lock(names().mutex);
      names().is_silent = false;
    }
    names().spoken.notify_all();
    EXPECT_TRUE(comes_true([] {
      const std::scoped_lock lock(names().mutex);
      return names().waiting == 0;
    }));
  }
};

TEST_F(Lookups, ASilentNameServerCostsNoMoreThanTheDeadline) {
  lead("server.flux-test", {"127.0.0.1"});
  be_silent();
  const RedisCache redis({.host = "server.flux-test", .port = server_->port(), .timeout = 300ms});
  EXPECT_LT(time_of([&] { EXPECT_EQ(redis.ask("k"), "timeout"); }), 300ms + kSlack);
  const auto memcached = make_memcached({.servers = {{.host = "server.flux-test"}}, .timeout = 300ms});
  EXPECT_LT(time_of([&] { EXPECT_EQ(memcached->has(Key("k")).error().code, Errc::timeout); }), 300ms + kSlack);
  speak();
  EXPECT_TRUE(comes_true([&] { return redis.say("k", "v") == "true"; }));
  EXPECT_EQ(redis.ask("k"), "v");
}

TEST_F(Lookups, ManyCallsOfManyStoresLeaveABoundedNumberWaiting) {
  lead("server.flux-test", {"127.0.0.1"});
  be_silent();
  std::vector<std::unique_ptr<RedisCache>> stores;
  for (int i = 0; i < 60; ++i)
    stores.push_back(std::make_unique<RedisCache>(
        RedisConnection{.host = "server.flux-test", .port = server_->port(), .timeout = 100ms}));
  std::atomic<int> refused{0};
  run_on_threads(60, [&](int thread) {
    const auto there = stores[static_cast<std::size_t>(thread)]->redis().has(Key("k"));
    EXPECT_FALSE(there.ok());
    refused += there.error().message.find("too many lookups") != std::string::npos;
  });
  {
    const std::scoped_lock lock(names().mutex);
    EXPECT_LE(names().waiting, 32);
  }
  EXPECT_GE(refused, 60 - 32);
  speak();
  for (const auto& store : stores) EXPECT_TRUE(comes_true([&] { return store->say("k", "v") == "true"; }));
}

TEST_F(Lookups, AllAddressesOfANameAreTried) {
  lead("several.flux-test", {"127.0.0.2", "127.0.0.3", "127.0.0.1"});
  const RedisCache cache({.host = "several.flux-test", .port = server_->port()});
  EXPECT_EQ(cache.say("k", "v"), "true");
}

// As where a failover changes what the name leads to: the server that is a replica now refuses the write, and the one
// that the name leads to by then takes it, in the same call.
TEST_F(Lookups, AServerThatWasDemotedIsLeftForTheOneThatTheNameLeadsTo) {
  const auto other =
      Server::redis({"--bind", "127.0.0.2", "--port", std::to_string(server_->port())});  // up by its socket
  if (other == nullptr) GTEST_SKIP() << "no second loopback address: " << Server::why_not();
  lead("primary.flux-test", {"127.0.0.1"});
  const RedisConnection by_name{.host = "primary.flux-test", .port = server_->port(), .timeout = 10s};
  RedisConnection shared = by_name;
  shared.shared = true;
  const RedisCache cache(by_name), together(shared);
  ASSERT_EQ(cache.say("k", "v"), "true");
  ASSERT_EQ(cache.increment("n", 1), 1);
  ASSERT_EQ(together.say("k", "v"), "true");
  ASSERT_EQ(RedisCache({.port = server_->port()}).tell({"REPLICAOF", "127.0.0.1", "1"}), "OK");
  lead("primary.flux-test", {"127.0.0.2"});
  EXPECT_EQ(cache.say("k", "w"), "true");
  EXPECT_EQ(cache.increment("n", 5), 5) << "a refused step is made again where it can be";
  EXPECT_EQ(cache.ask("k"), "w");
  EXPECT_EQ(together.say("k", "w"), "true");
  EXPECT_EQ(together.ask("k"), "w");
}

}  // namespace
}  // namespace flux::cache::testing
