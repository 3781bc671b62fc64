// Values above the item limit of memcached: refused, or with `chunks` kept in parts of which nobody ever sees some.
#include <gtest/gtest.h>
#include <flux/cache/manager.hpp>
#include <flux/cache/testing/repository_contract.hpp>
#include <flux/cache/testing/store_contract.hpp>

#include <atomic>
#include <set>
#include <thread>

#include "support/memcached.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

std::string contract_prefix;

StorePtr open_again(const Clock& clock) {
  if (three_memcached().empty()) return nullptr;
  return make_memcached({.servers = three_memcached(),
                         .prefix = contract_prefix,
                         .timeout = 60s,
                         .listing = false,
                         .chunks = true,
                         .clock = &clock});
}
StorePtr make_anew(const Clock& clock) {
  contract_prefix = unique_prefix();
  return open_again(clock);
}

const ContractParam kInParts{.make = make_anew, .again = open_again, .needs = "memcached in PATH"};

INSTANTIATE_TEST_SUITE_P(MemcachedInParts, StoreContract, ::testing::Values(kInParts), pipeline_name);

class MemcachedChunks : public ::testing::Test {
 protected:
  void SetUp() override {
    if (three_memcached().empty()) GTEST_SKIP() << "no memcached: " << Server::why_not();
    cache_.watch(open(true));
  }
  StorePtr open(bool chunks, std::uint64_t max_value = 0) const {
    return make_memcached(
        {.servers = three_memcached(), .prefix = prefix_, .max_value = max_value, .timeout = 10s, .chunks = chunks});
  }
  static std::string large(char c, std::size_t size = 3'000'000) { return std::string(size, c); }
  /// The parts as they stand on the servers.
  std::set<std::string> parts() const {
    std::set<std::string> names;
    for (int i = 0; i < 5; ++i)  // a walk tells most, and not surely all
      (void)open(false)->scan(Space::values, [&](std::string_view key, const Entry&) {
        if (key.starts_with("\x01part/")) names.emplace(key);
        return true;
      });
    return names;
  }

  const std::string prefix_ = unique_prefix();
  StoreProbe cache_;
};

TEST_F(MemcachedChunks, AreAnOption) {
  const StoreProbe refuses(open(false));
  ASSERT_TRUE(refuses.put("k", text("small")));
  auto written = refuses.store().put(Key("k"), {.value = text(large('x'))}, {});
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().code, Errc::too_large);
  EXPECT_EQ(refuses.got("k"), kMiss) << "what could not be replaced must not look as if it had been";
}

TEST_F(MemcachedChunks, GoInAndComeOut) {
  for (const std::size_t size : {3'000U, 1'047'552U, 1'047'553U, 1'048'576U, 2'500'000U, 5'000'001U}) {
    const std::string value = large('v', size);
    ASSERT_TRUE(cache_.put("k", bytes(value), Expiry::at(after(system_clock().now(), 1h)))) << size;
    ASSERT_EQ(cache_.got("k"), show(bytes(value))) << size;
    EXPECT_TRUE(cache_.has("k"));
  }
  EXPECT_EQ(cache_.pulled("k"), show(bytes(large('v', 5'000'001))));
  EXPECT_EQ(cache_.got("k"), kMiss);
  auto over = open(true, 2'000'000)->put(Key("k"), {.value = text(large('x'))}, {});
  ASSERT_FALSE(over.ok());
  EXPECT_EQ(over.error().code, Errc::too_large);
}

TEST_F(MemcachedChunks, KeepTagsNotesAndLifetimes) {
  const TagStamp tags[] = {{"t", 7}};
  const std::string value = large('v');
  ASSERT_TRUE(cache_.put("k", {.value = text(value), .tags = tags, .notes = "note"}));
  const auto entry = cache_.entry("k");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->view().notes, "note");
  ASSERT_EQ(entry->view().tags.size(), 1u);
  EXPECT_EQ(entry->view().tags[0].epoch, 7u);
  EXPECT_NE(entry->view().version, 0u);
  EXPECT_TRUE(cache_.put("short", text(value), Expiry::at(after(system_clock().now(), 1s))));
  EXPECT_TRUE(cache_.touch("short", Expiry::at(after(system_clock().now(), 1h))));
  std::this_thread::sleep_for(1'100ms);
  EXPECT_EQ(cache_.got("short"), show(text(value)));
  EXPECT_TRUE(cache_.touch("short", Expiry::at(after(system_clock().now(), 300ms))));
  std::this_thread::sleep_for(400ms);
  EXPECT_EQ(cache_.got("short"), kMiss);
}

TEST_F(MemcachedChunks, ThatLackAPartAreAMiss) {
  const StoreProbe bare(open(false));
  ASSERT_TRUE(cache_.put("k", text(large('v'))));
  const auto names = parts();
  ASSERT_EQ(names.size(), 3u);
  ASSERT_TRUE(bare.store().forget(Key(*names.begin()), {}).ok());
  EXPECT_EQ(cache_.got("k"), kMiss);
  EXPECT_FALSE(cache_.has("k"));
  EXPECT_TRUE(cache_.add("k", text("again")));
  EXPECT_EQ(cache_.got("k"), R"(text "again")");
}

TEST_F(MemcachedChunks, OfTwoWritersNeverMix) {
  std::atomic<bool> is_over{false};
  std::atomic<int> mixed{0}, whole{0};
  std::vector<std::thread> threads;
  for (const char c : {'a', 'b'})
    threads.emplace_back([&, c] {
      while (!is_over)
        (void)cache_.store().put(Key("k"), {.value = text(large(c, 1'500'000 + (c - 'a') * 700'000))}, {});
    });
  threads.emplace_back([&] {
    while (!is_over)
      (void)cache_.store().get(Key("k"), {}, [&](const Entry& entry) {
        const std::string_view seen = entry.value.text;
        const bool is_one = !seen.empty() && seen.find_first_not_of(seen.front()) == seen.npos &&
                            seen.size() == static_cast<std::size_t>(1'500'000 + (seen.front() - 'a') * 700'000);
        ++(is_one ? whole : mixed);
      });
  });
  const auto end = std::chrono::steady_clock::now() + 60s;  // a second or two, but under a sanitizer
  while (whole < 50 && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(1ms);
  is_over = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(mixed, 0);
  EXPECT_GE(whole, 50);
}

TEST_F(MemcachedChunks, StandInBatchesAndWalksLikeOthers) {
  const std::string a = large('a'), c = large('c', 1'500'000);
  cache_.put_many({{Key("a"), {.value = text(a)}}, {Key("b"), {.value = text("b")}}, {Key("c"), {.value = text(c)}}});
  EXPECT_EQ(cache_.got_many({"a", "b", "c", "d"}),
            (std::vector<std::string>{show(text(a)), R"(text "b")", show(text(c)), std::string(kMiss)}));
  std::set<std::string> seen;
  for (int i = 0; i < 5; ++i)
    ASSERT_TRUE(cache_.store()
                    .scan(Space::values,
                          [&](std::string_view key, const Entry& entry) {
                            seen.emplace(key);
                            EXPECT_TRUE(key != "a" || entry.value.text == a);
                            return true;
                          })
                    .ok());
  for (const std::string& key : seen) EXPECT_EQ(key.size(), 1u) << key;
  EXPECT_EQ(cache_.forget_many({"a", "b", "x"}), 2u);
  cache_.flush();
  EXPECT_EQ(cache_.got("c"), kMiss);
  ASSERT_TRUE(cache_.put("a", text(a)));
  EXPECT_EQ(cache_.got("a"), show(text(a)));
}

TEST_F(MemcachedChunks, AWriteThatMayNotHappenLeavesNoParts) {
  ASSERT_TRUE(cache_.put("k", text("there")));
  EXPECT_FALSE(cache_.add("k", text(large('v'))));
  EXPECT_TRUE(parts().empty());
  EXPECT_EQ(cache_.got("k"), R"(text "there")");
}

TEST(MemcachedConfiguration, WhatTheDriverCannotIsAConfigErrorNamingThePlace) {
  const auto refusal = [](const char* option) {
    try {
      validate(Config::from_json(std::string(R"({"stores": {"m": {"driver": "memcached", )") + option + "}}}"));
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string("none");
  };
  EXPECT_NE(refusal(R"("tls": 1)").find("/stores/m/tls"), std::string::npos) << refusal(R"("tls": 1)");
  EXPECT_NE(refusal(R"("tls": true, "protocol": "binary")").find("/stores/m/tls"), std::string::npos);
  EXPECT_NE(refusal(R"("ca": "/ca.pem", "username": "ann")").find("/stores/m/tls"), std::string::npos);
  EXPECT_NE(refusal(R"("key": "/key.pem")").find("/stores/m/key"), std::string::npos);
  EXPECT_EQ(refusal(R"("tls": true)"), "none");
  EXPECT_NE(refusal(R"("protocol": "ascii")").find("/stores/m/protocol"), std::string::npos);
  EXPECT_NE(refusal(R"("chunks": 7)").find("/stores/m/chunks"), std::string::npos);
}

}  // namespace
}  // namespace flux::cache::testing
