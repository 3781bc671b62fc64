// A cluster as a program configures it, some of whose nodes do not answer while no replica may take over: what was
// ended meanwhile is not served afterwards, what the other nodes have is served all the time, and what comes and goes
// costs no more than one outage does.
#include <gtest/gtest.h>
#include <flux/cache/manager.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "flapping.hpp"
#include "stores/redis/slots.hpp"
#include "support/own_redis.hpp"
#include "support/redis_cluster.hpp"
#include "testing/contract/sanitized.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr int kKeys = 60;
constexpr Duration kPatience = 500ms;

Config over_cluster(const RedisCluster& cluster, Duration timeout) {
  RedisConnection connection = cluster.connection();
  connection.timeout = timeout;
  Config config;
  config.default_store = "far";
  config.stores["far"] = RedisConfig{.connection = "nodes"};
  config.connections["nodes"] = connection;
  return config;
}

std::string key_of(const std::string& kind, int number) { return kind + std::to_string(number); }

class ClusterOutage : public ::testing::Test {
 protected:
  void begin(const char* needs_all_slots) {
    cluster_ = RedisCluster::start(
        {.words = {"--cluster-require-full-coverage", needs_all_slots, "--cluster-replica-no-failover", "yes"}});
    if (cluster_ == nullptr) GTEST_SKIP() << "no redis cluster: " << Server::why_not();
    manager_.emplace(over_cluster(*cluster_, kPatience));
    other_.emplace(over_cluster(*cluster_, 5s));
  }
  void go_away() { cluster_->server(0).pause(); }
  void come_back() { cluster_->server(0).resume(); }
  static bool is_at_0(const std::string& key) {
    return detail::redis::group(detail::redis::group_of(key)).slot < RedisCluster::kSlots / RedisCluster::kPrimaries;
  }
  /// Old values under all keys of these kinds.
  void fill(const std::vector<std::string>& kinds) {
    const Repository other = other_->store();
    for (const std::string& kind : kinds)
      for (int i = 0; i < kKeys; ++i) ASSERT_TRUE(other.put(key_of(kind, i), "old", 600s));
  }
  static bool any_old(const Repository& cache, const std::vector<std::string>& kinds) {
    for (const std::string& kind : kinds)
      for (int i = 0; i < kKeys; ++i)
        if (cache.get<std::string>(key_of(kind, i)) == "old") return true;
    return false;
  }
  bool answers(const Repository& cache) const {
    for (int i = 0; i < kKeys; ++i)
      if (!cache.try_get<int>(key_of("is anybody there", i)).ok()) return false;
    return true;
  }

  std::unique_ptr<RedisCluster> cluster_;
  std::optional<StoreManager> manager_, other_;
};

class ClusterAmends : public ClusterOutage, public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override { begin(GetParam()); }
};

TEST_P(ClusterAmends, WhatWasForgottenOrReplacedMeanwhileIsGone) {
  const std::vector<std::string> kinds{"forgotten", "replaced", "batch", "written"};
  const Repository cache = manager_->store(), other = other_->store();
  ASSERT_NO_FATAL_FAILURE(fill(kinds));
  ASSERT_NO_FATAL_FAILURE(fill({"untouched"}));
  go_away();
  std::vector<std::string> batch;
  std::map<std::string, std::string> written;
  int refused = 0;
  for (int i = 0; i < kKeys; ++i) {
    refused += !cache.forget(key_of("forgotten", i));
    refused += !cache.put(key_of("replaced", i), "new", 600s);
    batch.push_back(key_of("batch", i));
    written.emplace(key_of("written", i), "new");
  }
  EXPECT_GT(refused, 10) << "a third of the keys are not to be reached";
  (void)cache.forget_many(batch);
  EXPECT_FALSE(cache.put_many(written, 600s));
  EXPECT_FALSE(any_old(cache, kinds)) << "during the outage";
  come_back();
  const auto end = steady_clock::now() + 30s;
  for (bool is_back = false; !is_back;) {
    is_back = answers(cache);
    ASSERT_FALSE(any_old(cache, kinds)) << (is_back ? "after the outage" : "while it ends");
    ASSERT_LT(steady_clock::now(), end);
  }
  EXPECT_TRUE(comes_true_soon([&] { return !any_old(other, kinds); })) << "the others are told as well";
  EXPECT_TRUE(comes_true_soon([&] { return answers(other); }));
  for (int i = 0; i < kKeys; ++i) {
    EXPECT_EQ(other.get<std::string>(key_of("untouched", i)), "old") << i;
    EXPECT_TRUE(cache.put(key_of("forgotten", i), "newest", 600s));
    EXPECT_EQ(other.get<std::string>(key_of("forgotten", i)), "newest");
  }
}

TEST_P(ClusterAmends, AFlushMeanwhileHolds) {
  const Repository cache = manager_->store(), other = other_->store();
  const auto any_tagged = [](const Repository& at) {
    for (int i = 0; i < kKeys; ++i)
      if (at.tags({key_of("t", i)}).get<std::string>(key_of("tagged", i)) == "old") return true;
    return false;
  };
  const auto end_outage = [&](auto any) {
    come_back();
    const auto end = steady_clock::now() + 30s;
    for (bool is_back = false; !is_back;) {
      is_back = answers(cache);
      ASSERT_FALSE(any(cache)) << (is_back ? "after the outage" : "while it ends");
      ASSERT_LT(steady_clock::now(), end);
    }
    EXPECT_TRUE(comes_true_soon([&] { return !any(other); }));
  };
  ASSERT_NO_FATAL_FAILURE(fill({"k"}));
  for (int i = 0; i < kKeys; ++i) ASSERT_TRUE(other.tags({key_of("t", i)}).put(key_of("tagged", i), "old", 600s));
  go_away();
  int refused = 0;
  for (int i = 0; i < kKeys; ++i) refused += !cache.tags({key_of("t", i)}).flush();
  EXPECT_GT(refused, 5);
  ASSERT_NO_FATAL_FAILURE(end_outage(any_tagged));
  go_away();
  EXPECT_FALSE(cache.flush());
  ASSERT_NO_FATAL_FAILURE(end_outage([](const Repository& at) { return any_old(at, {"k"}); }));
  EXPECT_TRUE(cache.put("k", "new", 600s));
  EXPECT_EQ(other.get<std::string>("k"), "new");
}

INSTANTIATE_TEST_SUITE_P(OfFullCoverage, ClusterAmends, ::testing::Values("yes", "no"),
                         [](const auto& info) { return std::string(info.param); });

class ClusterParts : public ClusterOutage {
 protected:
  void SetUp() override { begin("no"); }
};

// Each call that finds out that the node is away may cost its own caller the deadline; no call to another node waits.
TEST_F(ClusterParts, WhatOtherNodesHaveIsServedAllTheTime) {
  const Repository cache = manager_->store();
  ASSERT_NO_FATAL_FAILURE(fill({"k"}));
  std::vector<std::string> here, away;
  for (int i = 0; i < kKeys; ++i) (is_at_0(key_of("k", i)) ? away : here).push_back(key_of("k", i));
  ASSERT_GT(away.size(), 8U);
  ASSERT_EQ(cache.get<std::string>(here.front()), "old");
  go_away();
  // Many in a row, as a breaker counts them.
  for (int i = 0; i < 8; ++i) EXPECT_FALSE(cache.get<std::string>(away.front()));
  int missed = 0;
  for (const std::string& key : here) missed += cache.get<std::string>(key) != "old";
  EXPECT_LE(missed, 1) << "one node is away";
  // What is owed to a node that is away is asked for by calls on other keys too, though not by each.
  EXPECT_FALSE(cache.forget(away.front()));
  EXPECT_FALSE(cache.put(away.back(), "new", 600s));
  int served = 0, refused = 0;
  for (const auto end = steady_clock::now() + 3s; steady_clock::now() < end;)
    for (const std::string& key : here) (cache.get<std::string>(key) == "old" ? served : refused)++;
  EXPECT_GT(served, 100);
  EXPECT_LE(refused, 10) << "of " << served;
  EXPECT_TRUE(cache.put(here.front(), "new", 600s));
  EXPECT_EQ(cache.get<std::string>(here.front()), "new");
  come_back();
}

class ClusterFlapping : public ClusterOutage, public ::testing::WithParamInterface<int> {
 protected:
  void SetUp() override { begin("no"); }
};

TEST_P(ClusterFlapping, CostsNoExceptionNoDescriptorsNoMemoryAndFewWords) {
  constexpr int kThreads = 4;
  constexpr Duration kTimeout = 40ms;
  const long before = open_descriptors();
  {
    const StoreManager manager(over_cluster(*cluster_, kTimeout));
    const Repository cache = manager.store();
    std::atomic<long> told{0};
    const Listening listening = cache.listen(
        [&](const Event& event) { told += event.kind == EventKind::outage || event.kind == EventKind::recovered; });
    ASSERT_TRUE(comes_true_soon([&] { return cache.put("k", "v"); }));
    Seen seen;
    std::atomic<Duration> pause{1ms};
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i)
      threads.emplace_back([&](const std::stop_token& stop) { go_on(cache, seen, pause, stop); });
    const auto begun = steady_clock::now();
    const auto length = std::chrono::seconds(flapping_seconds());
    long most = 0, memory_before = 0;
    for (bool is_there = true; steady_clock::now() - begun < length || !is_there;) {
      is_there = !is_there;
      for (int node = 0; node < GetParam(); ++node)
        is_there ? cluster_->server(node).resume() : cluster_->server(node).pause();
      std::this_thread::sleep_for(100ms);
      most = std::max(most, open_descriptors());
      if (memory_before == 0 && steady_clock::now() - begun > length / 3) memory_before = bytes_allocated();
    }
    const long memory_after = bytes_allocated();
    EXPECT_TRUE(comes_true_soon([&] { return cache.put("k", "v") && cache.get<std::string>("k") == "v"; }));
    threads.clear();
    std::printf("%ld calls done, %ld refused, %ld events; descriptors: %ld before, %ld at most; memory %+ld; %ld ms\n",
                seen.done.load(), seen.refused.load(), told.load(), before, most, memory_after - memory_before,
                static_cast<long>(seen.longest.load() / 1ms));
    EXPECT_EQ(seen.exceptions, 0);
    EXPECT_EQ(seen.wrong, 0);
    EXPECT_GT(seen.done, 0);
    EXPECT_GT(seen.refused, 0) << "or nothing was proved";
    EXPECT_LT(seen.longest.load(), 2 * kTimeout + kSlack) << "a payment and the read";
    EXPECT_LE(most, before + 2 * RedisCluster::kPrimaries * (kThreads + 2)) << "a connection for each thread and node";
    EXPECT_LE(told, most_told(steady_clock::now() - begun));
    if (!kSanitized) {
      EXPECT_LT(memory_after - memory_before, 512 * 1024);
    }
  }
  EXPECT_TRUE(comes_true_soon([&] { return std::abs(open_descriptors() - before) <= 2; }))
      << open_descriptors() << " of " << before;
}

INSTANTIATE_TEST_SUITE_P(Of, ClusterFlapping, ::testing::Values(1, 6),
                         [](const auto& info) { return "Nodes" + std::to_string(info.param); });

/// A cluster of one node, which somebody's script keeps busy, and which then says nothing more.
class ClusterPutsOff : public OwnRedis {
 protected:
  void SetUp() override {
    begin({"--cluster-enabled", "yes", "--cluster-port", "@SECOND_PORT@", "--busy-reply-threshold", "20"});
    if (server_ == nullptr) return;
    const RedisCache alone({.port = server_->port()});
    ASSERT_EQ(alone.tell({"CLUSTER", "ADDSLOTSRANGE", "0", "16383"}), "OK");
    ASSERT_TRUE(comes_true([&] {
      return alone.tell({"CLUSTER", "INFO"}).find("cluster_state:ok") != std::string::npos;
    }));
  }
  /// What a call says that is asked to wait, and then answered by silence. A store of its own makes it, which knows of
  /// no earlier silence.
  Error cut_off(const std::function<Error(RedisStore&)>& call) {
    const RedisCache cache({.timeout = 2s, .cluster = true, .seeds = {{"127.0.0.1", server_->port()}}});
    EXPECT_EQ(cache.ask("k"), "miss");
    const RedisCache busy({.port = server_->port(), .timeout = 60s}), looker({.port = server_->port()});
    std::thread script([&] { (void)busy.tell({"EVAL", "while true do end", "0"}); });
    EXPECT_TRUE(comes_true([&] { return looker.tell({"ECHO", "x"}).find("BUSY") != std::string::npos; }));
    std::thread silencer([&] {
      std::this_thread::sleep_for(200ms);
      server_->pause();
    });
    const auto begun = steady_clock::now();
    Error error = call(cache.redis());
    EXPECT_LT(steady_clock::now() - begun, 2s + kSlack);
    silencer.join();
    server_->resume();
    EXPECT_TRUE(comes_true([&] { return RedisCache({.port = server_->port()}).tell({"SCRIPT", "KILL"}) == "OK"; }));
    script.join();
    return error;
  }
  template <class T>
  static Error error_of(const Result<T>& done) {
    return done.ok() ? Error{Errc::corrupt, "it succeeded"} : done.error();
  }
};

// As on a server: a read just failed, and tells what the cluster said; a write that was sent may have been carried out.
TEST_F(ClusterPutsOff, WhatIsCutOffTellsWhatWasSaidUnlessItIsInDoubt) {
  const Key key("k"), more[] = {Key("k"), Key("l"), Key("m")};
  const auto is_word = [](const Error& error) {
    return error.code == Errc::unavailable && error.message.find("BUSY") != error.message.npos;
  };
  const auto ignore = [](const Entry&) {};
  const Error read = cut_off([&](RedisStore& store) { return error_of(store.get(key, {}, ignore)); });
  EXPECT_TRUE(is_word(read)) << read.to_string();
  const Error counted = cut_off([&](RedisStore& store) { return error_of(store.increment(key, 1, {})); });
  EXPECT_EQ(counted.code, Errc::timeout) << counted.to_string();
  const Error batch =
      cut_off([&](RedisStore& store) { return error_of(store.get_many(more, {}, [](std::size_t, const Entry&) {})); });
  EXPECT_TRUE(is_word(batch)) << batch.to_string();
  const Error forgotten = cut_off([&](RedisStore& store) { return error_of(store.forget_many(more)); });
  EXPECT_EQ(forgotten.code, Errc::timeout) << forgotten.to_string();
}

}  // namespace
}  // namespace flux::cache::testing
