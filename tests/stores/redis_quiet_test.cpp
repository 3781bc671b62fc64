// Large batches of writes, which redis carries out in silence: what is written, and what is said where it is not.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "support/own_redis.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

constexpr int kMany = 100;

class RedisQuiet : public OwnRedis {
 protected:
  struct Batch {
    std::vector<std::string> names;
    std::vector<Item> items;
  };
  static Batch batch(std::string_view value, const Expiry& expiry) {
    Batch all;
    for (int i = 0; i < kMany; ++i) all.names.push_back("k" + std::to_string(i));
    for (const std::string& name : all.names)
      all.items.push_back({Key(name), {.value = {.kind = Kind::text, .text = value}, .expiry = expiry}});
    return all;
  }
  static Expiry hour() { return Expiry::at(after(system_clock().now(), 1h)); }
  /// "true", or the name of the error under which all failed.
  static std::string put(const RedisCache& cache, const std::string& value, const Expiry& expiry = hour()) {
    const auto outcome = cache.redis().put_many(batch(value, expiry).items);
    if (!outcome.ok()) return std::string(to_string(outcome.error().code));
    if (outcome->failed.empty()) return "true";
    EXPECT_EQ(outcome->failed.size(), std::size_t{kMany});
    return std::string(to_string(outcome->error->code)) + ": " + outcome->error->message;
  }
  /// How many of the batch have this value.
  static int count(const RedisCache& cache, const std::string& value) {
    int there = 0;
    for (int i = 0; i < kMany; ++i) there += cache.ask("k" + std::to_string(i)) == value ? 1 : 0;
    return there;
  }
  /// How often the server has been told so; with `refused`, in vain.
  static int calls(const RedisCache& admin, const std::string& command, bool refused = false) {
    const auto facts = admin.redis().info("commandstats");
    if (!facts.ok()) return -1;
    const auto at = facts->find("cmdstat_" + command);
    if (at == facts->end()) return 0;
    const std::string field = refused ? "rejected_calls=" : "calls=";
    return std::stoi(at->second.substr(at->second.find(field) + field.size()));
  }
  RedisConnection to_server() const { return {.port = server_->port()}; }
  RedisConnection as(const std::string& user) const {
    return {.port = server_->port(), .username = user, .password = "p"};
  }
  /// A user who may do what a store needs, and besides that, these.
  void add_user(const RedisCache& admin, const std::string& name, const std::vector<std::string>& more) {
    std::vector<std::string> words{"ACL",  "SETUSER", name,   "on",     ">p",    "~*",    "-@all",   "+ping",
                                   "+get", "+mget",   "+set", "+multi", "+exec", "+eval", "+evalsha"};
    words.insert(words.end(), more.begin(), more.end());
    ASSERT_EQ(admin.tell(words), "OK");
  }
};

TEST_F(RedisQuiet, IsWrittenWithItsLifetimesAndTheConnectionSpeaksAgain) {
  const RedisCache cache(to_server());
  EXPECT_EQ(put(cache, "v"), "true");
  EXPECT_EQ(count(cache, "v"), kMany);
  EXPECT_EQ(calls(cache, "client|reply"), 3);
  EXPECT_EQ(calls(cache, "psetex"), kMany);
  const std::string stored = cache.redis().stored_key(Key("k7"));
  const int life = std::stoi(cache.tell({"PTTL", stored}));
  EXPECT_GT(life, 3'000'000);
  EXPECT_LE(life, 3'602'000);
  EXPECT_EQ(put(cache, "for ever", {}), "true");
  EXPECT_EQ(count(cache, "for ever"), kMany);
  EXPECT_EQ(cache.tell({"PTTL", stored}), "-1");
  EXPECT_EQ(calls(cache, "psetex"), kMany);
  EXPECT_LE(std::stoi(cache.redis().info("stats")->at("total_connections_received")), 2);
}

TEST_F(RedisQuiet, AFewGoAloud) {
  const RedisCache cache(to_server());
  Batch few = batch("v", hour());
  few.items.resize(10, few.items.front());
  ASSERT_TRUE(cache.redis().put_many(few.items)->failed.empty());
  EXPECT_EQ(calls(cache, "client|reply"), 0);
}

TEST_F(RedisQuiet, WhoMayNotBeSilentOrMayNotPsetexWritesAloud) {
  const RedisCache admin(to_server());
  add_user(admin, "none", {});
  add_user(admin, "silent", {"+client|reply"});
  add_user(admin, "psetex", {"+psetex"});
  for (const std::string user : {"none", "silent", "psetex"}) {
    const RedisCache cache(as(user));
    for (int i = 0; i < 6; ++i) {
      EXPECT_EQ(put(cache, user + std::to_string(i)), "true") << user;
      EXPECT_EQ(count(cache, user + std::to_string(i)), kMany) << user;
    }
  }
  // Three times in vain are enough. Silence is spoken of at its beginning, before the last entry and at the end.
  EXPECT_EQ(calls(admin, "client|reply", true), 2 * 3 * 3);
  EXPECT_EQ(calls(admin, "psetex", true), 2 * 3 * kMany);
}

TEST_F(RedisQuiet, WhatTheServerRefusesIsToldAndNothingIsWritten) {
  const RedisCache cache(to_server());
  ASSERT_EQ(put(cache, "old"), "true");
  ASSERT_EQ(cache.tell({"CONFIG", "SET", "maxmemory", "1"}), "OK");
  EXPECT_NE(put(cache, "new").find("OOM"), std::string::npos);
  EXPECT_EQ(count(cache, "old"), kMany);
  ASSERT_EQ(cache.tell({"CONFIG", "SET", "maxmemory", "0"}), "OK");
  ASSERT_EQ(cache.tell({"REPLICAOF", "127.0.0.1", "1"}), "OK");
  EXPECT_NE(put(cache, "new").find("READONLY"), std::string::npos);
  ASSERT_EQ(cache.tell({"REPLICAOF", "NO", "ONE"}), "OK");
  EXPECT_EQ(count(cache, "old"), kMany);
  EXPECT_EQ(put(cache, "new"), "true");
  EXPECT_EQ(count(cache, "new"), kMany);
  const int silences = calls(cache, "client|reply");
  EXPECT_EQ(put(cache, "newer"), "true");
  EXPECT_EQ(calls(cache, "client|reply"), silences + 3) << "a refusal that was meant is none of silence";
}

TEST_F(RedisQuiet, AFlushByAnotherProcessIsSeen) {
  const std::string prefix = unique_prefix();
  const RedisCache cache(to_server(), {.prefix = prefix}), other(to_server(), {.prefix = prefix});
  for (int i = 0; i < 5; ++i) {
    const std::string value = "v" + std::to_string(i);
    ASSERT_EQ(put(cache, value), "true");
    EXPECT_EQ(count(other, value), kMany);
    other.flush();
    ASSERT_EQ(other.say("another", "v"), "true");
  }
}

TEST_F(RedisQuiet, NobodySeesAHalf) {
  const std::string prefix = unique_prefix();
  const RedisCache cache(to_server(), {.prefix = prefix}), reader(to_server(), {.prefix = prefix});
  ASSERT_EQ(put(cache, "0"), "true");
  std::atomic<bool> is_over{false};
  std::thread writer([&] {
    for (int i = 1; i < 200; ++i) EXPECT_EQ(put(cache, std::to_string(i)), "true");
    is_over = true;
  });
  while (!is_over) {
    const auto both = reader.got_many({"k0", "k99"});
    EXPECT_EQ(both.front(), both.back());
  }
  writer.join();
}

}  // namespace
}  // namespace flux::cache::testing
