// What a redis server may answer beside what was asked for: refusals, each of which is an outcome of its own, and what
// no redis server says.
#include <gtest/gtest.h>
#include <flux/cache/testing/chaos_proxy.hpp>

#include <unistd.h>
#include <fstream>
#include <functional>
#include <ostream>
#include <string>
#include <thread>

#include "support/own_redis.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

/// Bytes of this process that are in memory.
long resident() {
  std::ifstream file("/proc/self/statm");
  long all = 0, resident = 0;
  file >> all >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

struct Said {
  const char* name;
  const char* bytes;
  const char* outcome;
};
void PrintTo(const Said& said, std::ostream* out) { *out << said.name; }
std::string name_of(const ::testing::TestParamInfo<Said>& info) { return info.param.name; }

class RedisAnswers : public OwnRedis, public ::testing::WithParamInterface<Said> {
 protected:
  /// A connection that is open and good, and a relay on it.
  void SetUp() override {
    OwnRedis::SetUp();
    if (IsSkipped()) return;
    proxy_ = std::make_unique<ChaosProxy>(server_->host(), server_->port());
    proxy_->instead(GetParam().bytes);
    cache_ =
        std::make_unique<RedisCache>(RedisConnection{.host = "127.0.0.1", .port = proxy_->port(), .timeout = 500ms});
    be_well();
  }
  void be_well() const {
    proxy_->set(ProxyFault::none);
    ASSERT_TRUE(comes_true([&] { return cache_->say("k", "v") == "true"; }));
  }
  std::string incremented() const {
    const auto number = cache_->redis().increment(Key("n"), 1, {});
    return number.ok() ? std::to_string(*number) : std::string(to_string(number.error().code));
  }

  std::unique_ptr<ChaosProxy> proxy_;
  std::unique_ptr<RedisCache> cache_;
};

class RedisRefusals : public RedisAnswers {};

// A read and a counter, each of which is one command, as the relay's answer is one.
TEST_P(RedisRefusals, AreOutcomesOfTheirOwnThatEndWithTheServersTrouble) {
  for (int round = 0; round < 3; ++round) {
    proxy_->set(ProxyFault::wrong_reply);
    std::string outcome;
    EXPECT_LT(time_of([&] { outcome = cache_->ask("k"); }), 500ms + kSlack);
    EXPECT_EQ(outcome, GetParam().outcome);
    be_well();
    const std::string before = incremented();
    proxy_->set(ProxyFault::wrong_reply);
    EXPECT_LT(time_of([&] { outcome = incremented(); }), 500ms + kSlack);
    EXPECT_EQ(outcome, GetParam().outcome);
    be_well();
    EXPECT_EQ(cache_->ask("k"), "v");
    EXPECT_EQ(std::stoi(incremented()), std::stoi(before) + 2) << "what was refused here was carried out there, once";
  }
}

INSTANTIATE_TEST_SUITE_P(
    Of, RedisRefusals,
    ::testing::Values(Said{"Oom", "-OOM command not allowed when used memory > 'maxmemory'.\r\n", "unavailable"},
                      Said{"Misconf", "-MISCONF Redis is configured to save RDB snapshots\r\n", "unavailable"},
                      Said{"NoReplicas", "-NOREPLICAS Not enough good replicas to write.\r\n", "unavailable"},
                      Said{"TooManyClients", "-ERR max number of clients reached\r\n", "unavailable"},
                      Said{"WrongType", "-WRONGTYPE Operation against a key\r\n", "corrupt"},
                      Said{"NoAuth", "-NOAUTH Authentication required.\r\n", "denied"},
                      Said{"WrongPass", "-WRONGPASS invalid username-password pair\r\n", "denied"},
                      Said{"NoPerm", "-NOPERM this user has no permissions\r\n", "denied"},
                      Said{"Moved", "-MOVED 3999 127.0.0.1:6381\r\n", "unsupported"},
                      Said{"Ask", "-ASK 3999 127.0.0.1:6381\r\n", "unsupported"},
                      Said{"CrossSlot", "-CROSSSLOT Keys in request don't hash to the same slot\r\n", "unsupported"}),
    name_of);

class RedisPassing : public RedisAnswers {};

TEST_P(RedisPassing, AreAskedAgainUntilTheDeadline) {
  proxy_->set(ProxyFault::wrong_reply);
  std::string outcome;
  const auto took = time_of([&] { outcome = cache_->ask("k"); });
  EXPECT_EQ(outcome, GetParam().outcome);
  EXPECT_GE(took, 200ms) << "it gave up long before its deadline";
  EXPECT_LT(took, 500ms + kSlack);
  be_well();
  EXPECT_EQ(cache_->ask("k"), "v");
}

// What is cut off by the deadline after such a word: nobody can say that a write was not carried out, a read just
// failed.
TEST_P(RedisPassing, AreToldWhereThenSilenceFollowed) {
  const RedisCache patient({.host = "127.0.0.1", .port = proxy_->port(), .timeout = 2s});
  const RedisCache looker({.host = server_->host(), .port = server_->port(), .timeout = 10s});
  const auto carried_out = [&](const std::string& command) {
    const std::string all = looker.tell({"INFO", "commandstats"}), begin = "cmdstat_" + command + ":calls=";
    const std::size_t at = all.find(begin);
    return at == all.npos ? 0 : std::stoi(all.substr(at + begin.size()));
  };
  const auto cut_off = [&](const std::string& command, const std::function<bool()>& is_well, auto call) {
    EXPECT_TRUE(comes_true(is_well));
    const int before = carried_out(command);
    proxy_->set(ProxyFault::wrong_reply);
    std::thread silencer([&] {
      // The second time it was asked again, so it had been told to wait.
      EXPECT_TRUE(comes_true([&] { return carried_out(command) >= before + 2; }));
      proxy_->set(ProxyFault::black_hole);
    });
    std::string outcome = call();
    silencer.join();
    proxy_->set(ProxyFault::none);
    return outcome;
  };
  const auto counted = [&] {
    const auto number = patient.redis().increment(Key("n"), 1, {});
    return number.ok() ? "ok" : std::string(to_string(number.error().code));
  };
  EXPECT_EQ(cut_off(
                "mget", [&] { return patient.ask("k") == "miss"; }, [&] { return patient.ask("k"); }),
            "unavailable");
  EXPECT_EQ(cut_off(
                "evalsha", [&] { return counted() == "ok"; }, counted),
            "timeout");
}

INSTANTIATE_TEST_SUITE_P(
    Of, RedisPassing,
    ::testing::Values(Said{"Loading", "-LOADING Redis is loading the dataset in memory\r\n", "unavailable"},
                      Said{"Busy", "-BUSY Redis is busy running a script.\r\n", "unavailable"},
                      Said{"MasterDown", "-MASTERDOWN Link with MASTER is down\r\n", "unavailable"},
                      Said{"ClusterDown", "-CLUSTERDOWN The cluster is down\r\n", "unavailable"},
                      Said{"TryAgain", "-TRYAGAIN Multiple keys request during rehashing of slot\r\n", "unavailable"}),
    name_of);

class RedisLiars : public RedisAnswers {};

TEST_P(RedisLiars, AreNeverBelievedAndTakeNoMemory) {
  for (int round = 0; round < 3; ++round) {
    const long before = resident();
    proxy_->set(ProxyFault::wrong_reply);
    std::string outcome;
    EXPECT_LT(time_of([&] { outcome = cache_->ask("k"); }), 500ms + kSlack);
    EXPECT_EQ(outcome, GetParam().outcome);
    EXPECT_LT(resident() - before, 64 * 1024 * 1024);
    be_well();
    EXPECT_EQ(cache_->ask("k"), "v");
    EXPECT_EQ(cache_->ask("none"), "miss");
  }
}

INSTANTIATE_TEST_SUITE_P(
    Of, RedisLiars,
    ::testing::Values(Said{"Http", "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "unavailable"},
                      Said{"AbsurdLength", "*2\r\n$99999999999\r\n", "unavailable"},
                      Said{"LengthBeyondNumbers", "*2\r\n$99999999999999999999999\r\n", "unavailable"},
                      Said{"GreatLengthAndSilence", "*2\r\n$500000000\r\nabc", "timeout"},
                      Said{"AbsurdArray", "*500000000\r\n", "unavailable"},
                      Said{"MoreThanAskedFor", "*3\r\n$-1\r\n$-1\r\n$-1\r\n", "unavailable"},
                      Said{"LessThanAskedFor", "*1\r\n$-1\r\n", "unavailable"},
                      Said{"ArrayInArray", "*2\r\n$-1\r\n*2\r\n$-1\r\n$-1\r\n", "unavailable"},
                      Said{"NegativeArray", "*-7\r\n", "unavailable"}, Said{"Status", "+OK\r\n", "unavailable"},
                      Said{"Integer", ":1\r\n", "unavailable"},
                      Said{"LengthThatDoesNotFit", "*2\r\n$3\r\nabcdef\r\n$-1\r\n", "unavailable"},
                      Said{"Resp3", "%1\r\n$-1\r\n$-1\r\n", "unavailable"},
                      Said{"NotANumber", "*two\r\n", "unavailable"},
                      Said{"Memcached", "VALUE k 0 1\r\nv\r\nEND\r\n", "unavailable"},
                      Said{"OneTooMany", "*2\r\n$-1\r\n$-1\r\n:1\r\n", "miss"}),
    name_of);

}  // namespace
}  // namespace flux::cache::testing
