// The redis store on a real cluster whose nodes die and whose slots move.
#include <gtest/gtest.h>
#include <flux/cache/layers/tagged.hpp>
#include <flux/cache/manager.hpp>
#include <flux/cache/testing/crowd.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <thread>

#include "failover_watch.hpp"
#include "stores/redis/slots.hpp"
#include "support/redis_cache.hpp"
#include "support/redis_cluster.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;
namespace slots = flux::cache::detail::redis;

class RedisClusters : public ::testing::Test {
 protected:
  void SetUp() override {
    cluster_ = RedisCluster::start();
    if (cluster_ == nullptr) GTEST_SKIP() << "no redis cluster: " << Server::why_not();
  }
  RedisConnection connection(Duration timeout = 5s) const {
    RedisConnection connection = cluster_->connection();
    connection.timeout = timeout;
    return connection;
  }
  int count_of(int node, const char* fact) const {
    const std::string all = cluster_->tell(node, {"INFO", "commandstats"}).text;
    const std::string begin = "cmdstat_" + std::string(fact) + ":calls=";
    const std::size_t at = all.find(begin);
    return at == all.npos ? 0 : std::atoi(all.c_str() + at + begin.size());
  }

  std::unique_ptr<RedisCluster> cluster_;
};

/// Writers and readers of numbered keys, each of which has one value for ever, and of counters. What is read and is not
/// the key's value is wrong.
class Load {
 public:
  Load(const RedisConnection& connection, int threads, const RedisConfig& config = {})
      : connection_(connection), cache_(connection, config) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this, i] { work(i); });
  }
  ~Load() { stop(); }
  void stop() {
    is_over_ = true;
    for (std::thread& thread : threads_)
      if (thread.joinable()) thread.join();
  }
  const RedisCache& cache() const { return cache_; }
  std::atomic<int> reads{0}, writes{0}, wrong{0}, failed{0}, lost{0};

 private:
  static constexpr int kKeys = 2'000;

  void work(int thread) {
    std::uint64_t state = static_cast<std::uint64_t>(thread) * 7919 + 1;
    std::vector<bool> is_written(kKeys);
    const auto key_of = [&](int n) { return "t" + std::to_string(thread) + ":" + std::to_string(n); };
    while (!is_over_) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      const int n = static_cast<int>((state >> 33) % kKeys);
      const std::string key = key_of(n), value = "value of " + key;
      switch ((state >> 20) % 8) {
        case 0:
        case 1: {
          const std::string said = cache_.say(key, value);
          ++writes;
          if (said == "true") is_written[static_cast<std::size_t>(n)] = true;
          if (said != "true") ++failed;
          break;
        }
        case 2: {
          std::vector<std::string> texts;
          for (int i = 0; i < 20; ++i) texts.push_back(key_of((n + i) % kKeys));
          std::vector<Key> keys(texts.begin(), texts.end());
          std::vector<bool> seen(texts.size());
          const auto done = cache_.redis().get_many(keys, {}, [&](std::size_t i, const Entry& entry) {
            seen[i] = true;
            if (entry.value.text != "value of " + texts[i]) ++wrong;
          });
          reads += 20;
          if (!done.ok()) ++failed;
          for (int i = 0; done.ok() && i < 20; ++i)
            if (!seen[static_cast<std::size_t>(i)] && is_written[static_cast<std::size_t>((n + i) % kKeys)]) ++lost;
          break;
        }
        default: {
          const std::string said = cache_.ask(key);
          ++reads;
          if (said == "unavailable" || said == "timeout" || said == "rejected") {
            ++failed;
          } else if (said == "miss") {
            if (is_written[static_cast<std::size_t>(n)]) ++lost;
          } else if (said != value) {
            ++wrong;
          }
        }
      }
    }
  }

  const RedisConnection connection_;
  const RedisCache cache_;
  std::atomic<bool> is_over_{false};
  std::vector<std::thread> threads_;
};

TEST_F(RedisClusters, KeysAreSpreadOverAllNodes) {
  const RedisCache cache(connection());
  for (int i = 0; i < 3'000; ++i) ASSERT_EQ(cache.say("k" + std::to_string(i), "v"), "true");
  for (int node = 0; node < RedisCluster::kPrimaries; ++node) {
    const auto size = cluster_->tell(node, {"DBSIZE"}).integer;
    EXPECT_GT(size, 800) << node;
    EXPECT_LT(size, 1'400) << node;
  }
}

TEST_F(RedisClusters, TheSlotOfAKeyIsTheServers) {
  for (const std::string key :
       {"a", "foo", "123456789", "{user1000}.following", "foo{}{bar}", "foo{{bar}}zap", "foo{bar}{zap}"})
    EXPECT_EQ(slots::slot_of(key), cluster_->tell(0, {"CLUSTER", "KEYSLOT", key}).integer) << key;
  for (std::size_t i = 0; i < slots::kGroups; ++i) {
    const auto& group = slots::group(i);
    const std::string key = std::string(group.text()) + "{x}";
    EXPECT_EQ(group.slot, cluster_->tell(0, {"CLUSTER", "KEYSLOT", key}).integer);
    EXPECT_EQ(group.slot / 64, i);
  }
}

TEST_F(RedisClusters, PrefixesAndKeysWithBracesKeepApart) {
  for (const std::string prefix : {"a{b}c:", "{", "}", "{}", "x"}) {
    const RedisCache cache(connection(), {.prefix = prefix});
    for (const std::string key : {"{k}1", "{k}2", "k{", "k}", "{}k", "{", "}", "{1a}k"})
      ASSERT_EQ(cache.say(key, prefix + key), "true") << prefix << " " << key;
  }
  for (const std::string prefix : {"a{b}c:", "{", "}", "{}", "x"}) {
    const RedisCache cache(connection(), {.prefix = prefix});
    std::map<std::string, std::string> seen;
    ASSERT_TRUE(cache.redis()
                    .scan(Space::values,
                          [&](std::string_view key, const Entry& entry) {
                            seen.emplace(key, entry.value.text);
                            return true;
                          })
                    .ok());
    EXPECT_EQ(seen.size(), 8U) << prefix;
    for (const auto& [key, value] : seen) EXPECT_EQ(value, prefix + key);
  }
}

TEST_F(RedisClusters, OneSeedIsEnoughAndDeadOnesAreNoTrouble) {
  RedisConnection one = connection();
  one.seeds = {{"127.0.0.1", 1}, one.seeds[2]};
  const RedisCache cache(one);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(cache.say("k" + std::to_string(i), "v"), "true");
}

TEST_F(RedisClusters, AServerThatIsNoClusterSaysSo) {
  const auto alone = Server::redis();
  ASSERT_NE(alone, nullptr);
  RedisConnection wrong = connection();
  wrong.seeds = {{"127.0.0.1", alone->port()}};
  const RedisCache cache(wrong);
  const auto there = cache.redis().get(Key("k"), {}, [](const Entry&) {});
  ASSERT_FALSE(there.ok());
  EXPECT_NE(there.error().message.find("cluster support disabled"), std::string::npos) << there.error().message;
}

TEST_F(RedisClusters, AFlushThatReturnedHoldsForEveryKeyAndEveryClient) {
  const std::string prefix = unique_prefix();
  const RedisCache cache(connection(), {.prefix = prefix}), other(connection(), {.prefix = prefix});
  const RedisCache neighbour(connection(), {.prefix = prefix + "2"});
  for (int round = 0; round < 20; ++round) {
    const std::string key = "k" + std::to_string(round);
    for (int i = 0; i < 50; ++i) ASSERT_EQ(cache.say(key + std::to_string(i), "v"), "true");
    ASSERT_EQ(neighbour.say("k", "v"), "true");
    ASSERT_TRUE(other.redis().flush({}).ok());
    for (int i = 0; i < 50; ++i) ASSERT_EQ(cache.ask(key + std::to_string(i)), "miss");
    ASSERT_EQ(cache.say(key, "new"), "true");
    ASSERT_EQ(other.ask(key), "new");
    ASSERT_EQ(neighbour.ask("k"), "v");
  }
}

TEST_F(RedisClusters, TheUsersOwnCommandsFindTheirNode) {
  const RedisCache cache(connection());
  for (int i = 0; i < 50; ++i) {
    const std::string key = "own" + std::to_string(i);
    EXPECT_EQ(cache.tell({"SET", key, key}), "OK");
    EXPECT_EQ(cache.tell({"GET", key}), key);
    EXPECT_EQ(cache.tell({"EVAL", "return redis.call('GET', KEYS[1])", "1", key}), key);
  }
  ASSERT_EQ(cache.say("{k}", "v"), "true");
  EXPECT_NE(cache.tell({"STRLEN", cache.redis().stored_key(Key("{k}"))}), "0");
}

class RedisMoves : public RedisClusters, public ::testing::WithParamInterface<bool> {};

TEST_P(RedisMoves, SlotsMoveUnderLoadAndNothingIsLostOrWrong) {
  Load load(connection(), 4, {.frame = GetParam()});
  ASSERT_TRUE(RedisCluster::comes_true([&] { return load.writes > 2'000; }));
  // All slots of the first primary in which anything of ours may stand, to the others, and some of them back.
  std::vector<int> moving;
  for (std::size_t i = 0; i < slots::kGroups; ++i)
    if (slots::group(i).slot < RedisCluster::kSlots / RedisCluster::kPrimaries) moving.push_back(slots::group(i).slot);
  for (const int target : {1, 2}) {
    for (const int slot : moving)
      if (1 + slot % 2 == target) {
        ASSERT_EQ(cluster_->move_slot(slot, 0, target), "");
      }
  }
  for (std::size_t i = 0; i < moving.size(); i += 8)
    ASSERT_EQ(cluster_->move_slot(moving[i], 1 + moving[i] % 2, 0), "");
  EXPECT_GT(moving.size(), 80U);
  load.stop();
  EXPECT_EQ(load.wrong, 0);
  EXPECT_EQ(load.lost, 0);
  EXPECT_EQ(load.failed, 0);
  EXPECT_GT(load.reads, 1'000);
}

INSTANTIATE_TEST_SUITE_P(Of, RedisMoves, ::testing::Bool(),
                         [](const auto& info) { return std::string(info.param ? "Records" : "PlainDocuments"); });

// Where slots have moved back at once a third node may believe for long what its old owner said last.
TEST_F(RedisClusters, ANodeThatIsWrongAboutASlotCostsAHopAndNothingElse) {
  const RedisCache writer(connection());
  const auto slot =
      static_cast<int>(cluster_->tell(0, {"CLUSTER", "KEYSLOT", writer.redis().stored_key(Key("k"))}).integer);
  const int owner = cluster_->owner_of(slot), other = (owner + 1) % 3, wrong = (owner + 2) % 3;
  ASSERT_GE(owner, 0);
  // The other's epoch is above the owner's, so that its claim counts for more.
  ASSERT_TRUE(cluster_->tell(other, {"CLUSTER", "BUMPEPOCH"}).text.starts_with("BUMPED"));
  for (const int viewer : {owner, wrong}) {
    ASSERT_TRUE(RedisCluster::comes_true(
        [&] { return cluster_->epoch_of(other, viewer) == cluster_->epoch_of(other, other); }));
  }
  RedisConnection misled = connection();
  misled.seeds = {misled.seeds[static_cast<std::size_t>(wrong)]};
  const RedisCache cache(misled);
  for (int i = 0; i < 100; ++i) {
    // The nodes' own talk puts it right again, sooner or later.
    const RedisReply told =
        cluster_->tell(wrong, {"CLUSTER", "SETSLOT", std::to_string(slot), "NODE", cluster_->id(other)});
    ASSERT_EQ(told.text, "OK");
    const std::string value = "v" + std::to_string(i);
    ASSERT_EQ(cache.say("k", value), "true");
    ASSERT_EQ(cache.ask("k"), value);
    const RedisCache anew(misled);
    ASSERT_EQ(anew.say("k", value), "true");
    ASSERT_EQ(anew.ask("k"), value);
  }
  ASSERT_TRUE(RedisCluster::comes_true([&] { return cluster_->is_agreed(); }));
}

TEST_F(RedisClusters, CountersAreExactWhileTheirSlotsMove) {
  const RedisCache cache(connection());
  constexpr int kCounters = 8, kThreads = 4;
  std::atomic<bool> is_over{false};
  std::array<std::atomic<int>, kCounters> added{};
  std::atomic<int> failed{0};
  std::vector<std::jthread> threads;
  const auto end = [&] {
    is_over = true;
    threads.clear();
  };
  struct AtTheEnd {
    const decltype(end)& run;
    ~AtTheEnd() { run(); }
  } at_the_end{end};
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&] {
      for (int i = 0; !is_over; i = (i + 1) % kCounters) {
        const std::string key = "counter" + std::to_string(i);
        if (cache.redis().increment(Key(key), 1, {}).ok()) {
          ++added[static_cast<std::size_t>(i)];
        } else {
          ++failed;
        }
      }
    });
  for (const int target : {0, 1, 2, 0}) {
    for (int i = 0; i < kCounters; ++i) {
      const int slot = slots::group(slots::group_of("counter" + std::to_string(i))).slot;
      const int from = cluster_->owner_of(slot);
      ASSERT_GE(from, 0);
      if (from != target) {
        ASSERT_EQ(cluster_->move_slot(slot, from, target), "");
      }
    }
  }
  end();
  EXPECT_EQ(failed, 0);
  for (int i = 0; i < kCounters; ++i) {
    const auto total = cache.redis().increment(Key("counter" + std::to_string(i)), 0, {});
    ASSERT_TRUE(total.ok());
    EXPECT_EQ(*total, added[static_cast<std::size_t>(i)].load());
  }
}

TEST_F(RedisClusters, APrimaryDiesUnderLoadAndItsReplicaIsFollowed) {
  Load load(connection(1s), 4);
  ASSERT_TRUE(RedisCluster::comes_true([&] { return load.writes > 1'000; }));
  cluster_->server(0).kill();
  FailoverWatch watch([&] { return cluster_->is_primary(3); });
  // Whatever key: all of them can be written again.
  const auto followed = watch.until([&] {
    for (int i = 0; i < 100; ++i)
      if (std::string outcome = load.cache().say("after" + std::to_string(i), "v"); outcome != "true") return outcome;
    return std::string();
  });
  EXPECT_LE(followed, kFollowed) << watch.story();
  EXPECT_TRUE(watch.was_seen()) << "no failover";
  load.stop();
  EXPECT_EQ(load.wrong, 0);
  EXPECT_GT(load.reads, 1'000);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(load.cache().ask("after" + std::to_string(i)), "v");
}

// As a program configures it, that asks for one key again and again: it has nothing else to learn from.
TEST_F(RedisClusters, AFailoverIsFollowedByWhoAsksForOneKeyAlone) {
  Config config;
  config.default_store = "far";
  config.stores["far"] = RedisConfig{.connection = "nodes"};
  config.connections["nodes"] = connection(1s);
  const StoreManager manager(config);
  const Repository cache = manager.store();
  std::string key = "k";
  while (slots::group(slots::group_of(key)).slot >= RedisCluster::kSlots / RedisCluster::kPrimaries) key += "k";
  ASSERT_TRUE(cache.put(key, "v", 600s));
  cluster_->server(0).kill();
  FailoverWatch watch([&] { return cluster_->is_primary(3); });
  EXPECT_LE(watch.until([&] { return said(cache.try_put(key, "w", 600s)); }), kFollowed) << watch.story();
  EXPECT_TRUE(watch.was_seen()) << "no failover";
  EXPECT_EQ(cache.get<std::string>(key), "w");
}

TEST_F(RedisClusters, APausedPrimaryCostsNoCallMoreThanItsDeadline) {
  const RedisCache cache(connection(200ms));
  for (int i = 0; i < 100; ++i) ASSERT_EQ(cache.say("k" + std::to_string(i), "v" + std::to_string(i)), "true");
  cluster_->server(1).pause();
  std::vector<std::string> texts;
  for (int i = 0; i < 100; ++i) texts.push_back("k" + std::to_string(i));
  const std::vector<Key> keys(texts.begin(), texts.end());
  for (int round = 0; round < 5; ++round) {
    std::size_t seen = 0;
    const auto took = time_of([&] {
      const auto done = cache.redis().get_many(keys, {}, [&](std::size_t i, const Entry& entry) {
        EXPECT_EQ(entry.value.text, "v" + std::to_string(i));
        ++seen;
      });
      EXPECT_TRUE(round > 0 || !done.ok());
    });
    EXPECT_LT(took, 200ms + 1'500ms);
    EXPECT_TRUE(round > 0 || seen > 30) << "the other nodes answer all the same";
  }
  cluster_->server(1).resume();
  ASSERT_TRUE(RedisCluster::comes_true([&] {
    for (int i = 0; i < 100; ++i) {
      const std::string said = cache.ask("k" + std::to_string(i));
      if (said == "unavailable" || said == "timeout") return false;
      EXPECT_TRUE(said == "miss" || said == "v" + std::to_string(i)) << said;
    }
    return true;
  }));
}

TEST_F(RedisClusters, ManyThreadsLearnTheSlotsOnce) {
  const RedisCache cache(connection());
  const auto asked = [&] {
    int all = 0;
    for (int node = 0; node < 2 * RedisCluster::kPrimaries; ++node) all += count_of(node, "cluster|slots");
    return all;
  };
  const int before = asked();
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 32; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i)
        if (cache.say("k" + std::to_string(t * 100 + i), "v") != "true") ++wrong;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(asked() - before, 1);
}

TEST_F(RedisClusters, AChildOfForkHasConnectionsOfItsOwn) {
  const RedisCache cache(connection());
  for (int i = 0; i < 300; ++i) ASSERT_EQ(cache.say("k" + std::to_string(i), "v" + std::to_string(i)), "true");
  const auto reads_well = [&] {
    for (int round = 0; round < 5; ++round)
      for (int i = 0; i < 300; ++i)
        if (cache.ask("k" + std::to_string(i)) != "v" + std::to_string(i)) return false;
    return true;
  };
  const ::pid_t child = ::fork();
  if (child == 0) ::_exit(reads_well() ? 0 : 1);
  EXPECT_TRUE(reads_well());
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST_F(RedisClusters, ReplicasAnswerReadsWhereThatIsAskedFor) {
  RedisConnection spread = connection();
  spread.replica_reads = true;
  const RedisCache cache(spread);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(cache.say("k" + std::to_string(i), "v"), "true");
  ASSERT_TRUE(RedisCluster::comes_true([&] {
    for (int i = 0; i < 100; ++i)
      if (cache.ask("k" + std::to_string(i)) != "v") return false;
    return true;
  }));
  int at_primaries = 0, at_replicas = 0;
  for (int node = 0; node < RedisCluster::kPrimaries; ++node) {
    at_primaries += count_of(node, "mget");
    at_replicas += count_of(node + RedisCluster::kPrimaries, "mget");
  }
  EXPECT_EQ(at_primaries, 0);
  EXPECT_GE(at_replicas, 100);
  cluster_->server(3).kill();  // then the primary answers
  for (int i = 0; i < 100; ++i) EXPECT_EQ(cache.ask("k" + std::to_string(i)), "v");
}

TEST_F(RedisClusters, AReplicaThatCannotAnswerIsNotWaitedFor) {
  RedisConnection spread = connection(10s);
  spread.replica_reads = true;
  const RedisCache cache(spread);
  std::vector<std::string> texts;
  for (int i = 0; i < 100; ++i) texts.push_back("k" + std::to_string(i));
  const std::vector<Key> keys(texts.begin(), texts.end());
  for (const std::string& key : texts) ASSERT_EQ(cache.say(key, "v"), "true");
  const auto all_there = [&] {
    for (const std::string& key : texts)
      if (cache.ask(key) != "v") return false;
    return true;
  };
  ASSERT_TRUE(RedisCluster::comes_true(all_there));
  const RedisCache busy({.port = cluster_->server(3).port(), .timeout = 60s});
  ASSERT_EQ(busy.tell({"CONFIG", "SET", "busy-reply-threshold", "20"}), "OK");
  std::thread script([&] { (void)busy.tell({"EVAL", "while true do end", "0"}); });
  EXPECT_TRUE(RedisCluster::comes_true([&] { return cluster_->tell(3, {"ECHO", "x"}).text.starts_with("BUSY"); }));
  EXPECT_TRUE(all_there());
  std::size_t seen = 0;
  EXPECT_TRUE(cache.redis().get_many(keys, {}, [&](std::size_t, const Entry&) { ++seen; }).ok());
  EXPECT_EQ(seen, keys.size());
  EXPECT_TRUE(cluster_->tell(3, {"ECHO", "x"}).text.starts_with("BUSY")) << "it was not busy all the time";
  EXPECT_EQ(cluster_->tell(3, {"SCRIPT", "KILL"}).text, "OK");
  script.join();
  const int before = count_of(3, "mget");
  EXPECT_TRUE(RedisCluster::comes_true([&] { return all_there() && count_of(3, "mget") > before; }))
      << "it is asked again";
}

TEST_F(RedisClusters, BatchesOfPlainDocumentsAreACallForEachGroup) {
  const RedisCache cache(connection(), {.frame = false});
  std::vector<std::string> texts;
  std::vector<Item> items;
  for (int i = 0; i < 2'000; ++i) texts.push_back("k" + std::to_string(i));
  for (const std::string& text : texts) items.push_back({Key(text), {.value = {.kind = Kind::text, .text = text}}});
  const TagStamp tags[] = {{"t", 7}};
  items[5].entry.tags = tags;  // a record
  const std::vector<Key> keys(texts.begin(), texts.end());
  const auto calls = [&](const char* command) {
    int all = 0;
    for (int node = 0; node < RedisCluster::kPrimaries; ++node) all += count_of(node, command);
    return all;
  };
  const int executed = calls("exec"), read = calls("mget"), forgotten = calls("evalsha") + calls("eval");
  const auto written = cache.redis().put_many(items);
  ASSERT_TRUE(written.ok() && written->failed.empty());
  EXPECT_LE(calls("exec") - executed, 256 + 2);
  std::vector<std::string> seen(keys.size());
  ASSERT_TRUE(
      cache.redis().get_many(keys, {}, [&](std::size_t i, const Entry& entry) { seen[i] += entry.value.text; }).ok());
  EXPECT_EQ(seen, texts);
  EXPECT_LE(calls("mget") - read, 256 + 2);
  EXPECT_EQ(cache.tell({"GET", cache.redis().stored_key(Key("k7"))}), "k7");
  const auto gone = cache.redis().forget_many(keys);
  ASSERT_TRUE(gone.ok());
  EXPECT_EQ(*gone, keys.size());
  EXPECT_LE(calls("evalsha") + calls("eval") - forgotten, 256 + 256);
}

}  // namespace
}  // namespace flux::cache::testing
