// Servers that are killed, stopped and started anew under several processes of ours: nothing acknowledged is lost for
// good, and nothing old is served once they are back.
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <thread>

#include "node.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

enum class Fault { stop, kill };

struct OutageCase {
  const char* name;
  Fault fault;
  bool apart;  ///< entries and messages on two servers
};

class Outage : public ::testing::TestWithParam<OutageCase> {
 protected:
  void SetUp() override {
    holder = Server::redis();
    if (GetParam().apart) second = Server::redis();
    if (!holder || (GetParam().apart && !second)) GTEST_SKIP() << "no redis: " << Server::why_not();
    meeting.emplace(*holder, carrier());
  }
  Server& carrier() const { return second ? *second : *holder; }
  void begin(int count) {
    for (int i = 0; i < count; ++i) nodes.emplace_back(*meeting);
    settle();
  }
  void settle() {
    nodes.front().put("settled", "1");
    for (const Node& node : nodes) ASSERT_TRUE(node.settles("settled"));
  }
  void all_away() {
    for (Server* server : {holder.get(), second.get()}) {
      if (server == nullptr) continue;
      GetParam().fault == Fault::stop ? server->pause() : server->kill();
    }
  }
  void all_back() {
    for (Server* server : {second.get(), holder.get()}) {
      if (server == nullptr) continue;
      if (GetParam().fault == Fault::stop)
        server->resume();
      else
        ASSERT_TRUE(server->restart());
    }
  }
  /// What the far store holds, and then what each node says.
  std::string all(const std::string& key) const {
    std::string said = Repository(meeting->far_store()).get<std::string>(key).value_or("miss");
    for (const Node& node : nodes) said += ' ' + node.get(key);
    return said;
  }
  bool all_say(const std::string& key, const std::string& value) const {
    std::string expected = value;
    for (std::size_t i = 0; i < nodes.size(); ++i) expected += ' ' + value;
    return all(key) == expected;
  }

  std::unique_ptr<Server> holder, second;
  std::optional<Meeting> meeting;
  std::vector<Node> nodes;
};

TEST_P(Outage, ThreeNodesThatEachSetAnotherValueAgreeOnTheNewest) {
  begin(3);
  for (int round = 0; round < 3; ++round) {
    const std::string key = "k" + std::to_string(round);
    nodes[0].put(key, "before");
    ASSERT_TRUE(in_time([&] { return all_say(key, "before"); }));
    all_away();
    const std::array<std::size_t, 3> order{static_cast<std::size_t>(round) % 3,
                                           (static_cast<std::size_t>(round) + 2) % 3,
                                           (static_cast<std::size_t>(round) + 1) % 3};
    for (const std::size_t i : order) {
      nodes[i].put(key, "of" + std::to_string(i));
      EXPECT_EQ(nodes[i].get(key), "of" + std::to_string(i)) << "it holds at once where it was said";
    }
    all_back();
    const std::string newest = "of" + std::to_string(order.back());
    EXPECT_TRUE(in_time([&] { return all_say(key, newest); })) << round;
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(all_say(key, newest)) << "and it stays";
      std::this_thread::sleep_for(20ms);
    }
  }
}

TEST_P(Outage, AForgetIsNotUndoneByAnEarlierPutOfAnotherNode) {
  begin(2);
  for (int round = 0; round < 4; ++round) {
    const std::string key = "k" + std::to_string(round);
    nodes[0].put(key, "before");
    ASSERT_TRUE(in_time([&] { return all_say(key, "before"); }));
    all_away();
    nodes[0].put(key, "earlier");
    (void)nodes[1].tell("forget " + key);
    EXPECT_EQ(nodes[1].get(key), "miss");
    all_back();
    EXPECT_TRUE(in_time([&] { return all_say(key, "miss"); })) << all(key) << " in round " << round;
    std::this_thread::sleep_for(1s);
    EXPECT_TRUE(all_say(key, "miss")) << all(key) << " later, in round " << round;
    settle();
  }
}

TEST_P(Outage, AFlushIsNotUndoneByAnEarlierPutOfAnotherNode) {
  begin(2);
  for (const char* flush : {"flush", "flush_red"}) {
    SCOPED_TRACE(flush);
    nodes[0].tell("label k before");
    ASSERT_TRUE(in_time([&] { return all_say("k", "before"); }));
    all_away();
    EXPECT_EQ(nodes[0].tell("label k earlier"), "1");
    EXPECT_EQ(nodes[1].tell(flush), "1");
    all_back();
    EXPECT_TRUE(in_time([&] { return all_say("k", "miss"); })) << all("k");
    std::this_thread::sleep_for(1s);
    EXPECT_TRUE(all_say("k", "miss")) << all("k") << " later";
    settle();
  }
}

TEST_P(Outage, ANodeKilledMeanwhileLeavesTheOthersRight) {
  begin(3);
  nodes[0].put("k", "before");
  ASSERT_TRUE(in_time([&] { return all_say("k", "before"); }));
  all_away();
  nodes[1].put("k", "newest");
  nodes.pop_back();
  nodes.emplace_back(*meeting);  // begins while nobody answers
  EXPECT_EQ(nodes[2].get("k"), "miss");
  all_back();
  EXPECT_TRUE(in_time([&] { return all_say("k", "newest"); }));
}

/// What the writers have been told is done, for all processes to see.
struct Board {
  static constexpr int kKeys = 16;
  std::array<std::atomic<std::int64_t>, kKeys> acknowledged;
  std::atomic<std::int64_t> disturbed_until;  // steady time in microseconds: servers are away, or have just come back
  std::atomic<bool> stop;
  std::atomic<std::int64_t> reads, writes, stale;
};

std::int64_t moment() {
  return std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now().time_since_epoch()).count();
}

/// Two threads write the node's own keys, one reads everybody's: never what was overwritten long enough ago.
void hammer(const Repository& cache, Board& board, int node, int nodes) {
  const auto key_of = [](int key) { return "load" + std::to_string(key); };
  const auto write = [&](int first) {
    for (std::int64_t n = 1; !board.stop; ++n) {
      for (int key = first; key < Board::kKeys; key += 2 * nodes) {
        const bool done =
            n % 7 == 0 ? (void(cache.forget(key_of(key))), true) : cache.put(key_of(key), std::to_string(n));
        if (done) board.acknowledged[static_cast<std::size_t>(key)] = n;
        ++board.writes;
      }
      std::this_thread::sleep_for(2ms);
    }
  };
  std::thread one(write, 2 * node), two(write, 2 * node + 1);
  constexpr std::int64_t kMost = 300'000;  // a message is on its way for less than this, on a busy machine too
  struct Seen {
    std::int64_t number, when;
  };
  std::array<Seen, Board::kKeys> before{};
  while (!board.stop) {
    for (int key = 0; key < Board::kKeys; ++key) {
      Seen& known = before[static_cast<std::size_t>(key)];
      const std::int64_t number = known.number, since = known.when;
      const std::int64_t now = moment();  // before it asks: however long that takes, it may not see what was older then
      const auto value = cache.get<std::int64_t>(key_of(key));  // text that is a number
      ++board.reads;
      if (value && *value < number && now - since > kMost && now > board.disturbed_until) ++board.stale;
      const std::int64_t latest = board.acknowledged[static_cast<std::size_t>(key)];
      if (latest != number && now - since > kMost) known = {latest, moment()};
    }
  }
  one.join(), two.join();
}

TEST_P(Outage, UnderLoadNoAcknowledgedChangeIsLostAndNothingOldIsServed) {
  auto* const board =
      new (::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Board{};
  constexpr int kNodes = 3;
  std::vector<::pid_t> children;
  for (int i = 0; i < kNodes; ++i) {
    const ::pid_t child = ::fork();
    if (child != 0) {
      children.push_back(child);
      continue;
    }
    {
      const Repository cache(meeting->tiered(make_memory()));
      hammer(cache, *board, i, kNodes);
      // Until all that waits is done, and all that was told is heard.
      std::this_thread::sleep_for(4s);
      for (int key = 0; key < Board::kKeys; ++key) {
        const std::int64_t latest = board->acknowledged[static_cast<std::size_t>(key)];
        const auto value = cache.get<std::int64_t>("load" + std::to_string(key));
        if (value && (*value != latest || latest % 7 == 0)) ++board->stale;
      }
    }
    ::_exit(0);
  }
  std::this_thread::sleep_for(500ms);
  for (int round = 0; round < 3; ++round) {
    board->disturbed_until = moment() + 3'600'000'000;
    all_away();
    std::this_thread::sleep_for(round == 1 ? 50ms : 700ms);
    all_back();
    // The loss is noticed, what waited is done, and all have heard of it.
    board->disturbed_until = moment() + 3'000'000;
    std::this_thread::sleep_for(4s);
  }
  board->stop = true;
  for (const ::pid_t child : children) {
    int status = -1;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << "a node died";
  }
  EXPECT_EQ(board->stale, 0);
  EXPECT_GT(board->writes, 100);
  EXPECT_GT(board->reads, 100);
  ::munmap(board, sizeof(Board));
}

INSTANTIATE_TEST_SUITE_P(Redis, Outage,
                         ::testing::Values(OutageCase{"OneServerStopped", Fault::stop, false},
                                           OutageCase{"OneServerKilled", Fault::kill, false},
                                           OutageCase{"TwoServersStopped", Fault::stop, true},
                                           OutageCase{"TwoServersKilled", Fault::kill, true}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace flux::cache::testing
