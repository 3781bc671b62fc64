// The memcached store and servers that lie: whatever they say is an error in time, and never a value.
#include <flux/cache/testing/store_probe.hpp>

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "support/memcached.hpp"
#include "support/outcome.hpp"
#include "support/scripted_server.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;
using Clock_ = std::chrono::steady_clock;

/// What a call may take beyond its deadline on a busy machine.
constexpr auto kSlack = 2s;

class MemcachedLiar : public ::testing::TestWithParam<std::pair<const char*, std::string>> {};

TEST_P(MemcachedLiar, IsAnErrorInTimeAndNeverAValue) {
  const auto& [name, lie] = GetParam();
  ScriptedServer liar([lie = lie](std::string_view) { return lie; });
  const auto store = make_memcached({.servers = {{.port = liar.port()}}, .timeout = 300ms, .failure_limit = 1'000});
  for (int i = 0; i < 3; ++i) {
    const auto begun = Clock_::now();
    const auto got = store->get(Key("k"), {}, [](const Entry&) { ADD_FAILURE() << "a value"; });
    EXPECT_TRUE(!got.ok() || !*got);
    const auto written = store->put(Key("k", Space::locks), text_entry("v"), {When::absent});
    EXPECT_FALSE(written.ok()) << name;
    EXPECT_LT(Clock_::now() - begun, 2 * 300ms + kSlack);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Answers, MemcachedLiar,
    ::testing::Values(std::pair{"Http", std::string("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")},
                      std::pair{"HalfAnAnswer", std::string("VALUE 0vk 0 100\r\nabc")},
                      std::pair{"AbsurdLength", std::string("VALUE 0vk 0 99999999999\r\n")},
                      std::pair{"AbsurdLengthOfMeta", std::string("VA 99999999999 O0\r\n")},
                      std::pair{"AnotherKey", std::string("VALUE 0vl 0 3\r\nabc\r\nEND\r\n")},
                      std::pair{"NoEnd", std::string("VALUE 0vk 0 3\r\nabc\r\n")},
                      std::pair{"TwoEnds", std::string("END\r\nEND\r\n")},
                      std::pair{"ManyAnswers", std::string("HD\r\nHD\r\nHD\r\nHD\r\nHD\r\nHD\r\n")},
                      std::pair{"ForeignNumbers", std::string("HD O999\r\nEN O998\r\n")},
                      std::pair{"Silence", std::string()}, std::pair{"Redis", std::string("-ERR unknown command\r\n")},
                      std::pair{"ClientError", std::string("CLIENT_ERROR bad command line format\r\n")},
                      std::pair{"Zeros", std::string(4096, '\0')}),
    [](const auto& info) { return info.param.first; });

// Ten keys, k0 to k9, which are asked for in one line, behind the generation.
TEST(MemcachedLiars, ABatchTakesNothingThatWasNotAskedForInThatOrder) {
  const std::string begin = "EN\r\n", none = "END\r\n";
  const auto value = [](const std::string& key) { return "VALUE 0v" + key + " 0 3\r\nabc\r\n"; };
  const std::map<std::string, std::string> lies{
      {"backwards", begin + value("k3") + value("k2") + none},
      {"twice", begin + value("k3") + value("k3") + none},
      {"not asked for", begin + value("k10") + none},
      {"the generation in the line", begin + "VALUE 0g 0 8\r\n12345678\r\n" + none},
      {"without a number", begin + "VA 3\r\nabc\r\n" + none},
      {"an end too many", begin + none + none},
      {"no end", begin + value("k3")},
      {"refused", begin + "SERVER_ERROR out of memory writing get response\r\n"},
      {"nothing at all", ""},
      {"the end first", none + begin},
  };
  std::vector<std::string> names;
  for (int i = 0; i < 10; ++i) names.push_back("k" + std::to_string(i));
  const std::vector<Key> keys(names.begin(), names.end());
  for (const auto& [name, lie] : lies) {
    ScriptedServer liar([&lie = lie](std::string_view) { return lie; });
    const auto store = make_memcached({.servers = {{.port = liar.port()}}, .timeout = 300ms, .failure_limit = 1'000});
    for (int i = 0; i < 2; ++i) {
      const auto begun = Clock_::now();
      const auto got = store->get_many(keys, {}, [&](std::size_t, const Entry&) { ADD_FAILURE() << name; });
      EXPECT_FALSE(got.ok()) << name;
      EXPECT_LT(Clock_::now() - begun, 300ms + kSlack) << name;
    }
  }
}

TEST(MemcachedLiars, ADripOfBytesDoesNotOutlastTheDeadline) {
  ScriptedServer dripping([](std::string_view) { return std::string("VALUE 0vk 0 100000\r\n").append(100'000, 'v'); },
                          20ms);
  const auto store = make_memcached({.servers = {{.port = dripping.port()}}, .timeout = 300ms});
  const auto begun = Clock_::now();
  EXPECT_EQ(code_of(store->get(Key("k"), {}, [](const Entry&) {})), "timeout");
  EXPECT_LT(Clock_::now() - begun, 300ms + kSlack);
}

TEST(MemcachedLiars, AServerThatKnowsNoMetaProtocolIsNamedAsSuch) {
  ScriptedServer old([](std::string_view) { return std::string("ERROR\r\n"); }, 0ms, ScriptedServer::Greeting::none);
  const auto store = make_memcached({.servers = {{.port = old.port()}}, .timeout = 500ms});
  const auto answer = store->has(Key("k"));
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Errc::unsupported) << answer.error().to_string();
}

TEST(MemcachedLiars, ANameThatDoesNotResolveIsAnError) {
  const auto store = make_memcached({.servers = {{.host = "no-such-host.invalid"}}, .timeout = 500ms});
  const auto begun = Clock_::now();
  EXPECT_FALSE(store->has(Key("k")).ok());
  EXPECT_LT(Clock_::now() - begun, 500ms + kSlack);
}

}  // namespace
}  // namespace flux::cache::testing
