// A real cluster of a test's own: three primaries, a replica of each, on free loopback ports; gone when the test
// program is, however it ends.
#pragma once
#include <flux/cache/stores/redis.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "support/server.hpp"

namespace flux::cache::testing {

class RedisCluster {
 public:
  static constexpr int kPrimaries = 3;
  static constexpr int kSlots = 16'384;

  /// How a test's own cluster differs.
  struct Setup {
    std::string host = "127.0.0.1";    ///< under which the nodes know each other
    std::vector<std::string> words{};  ///< further ones of each node's command line
    RedisConnection own{};             ///< how the test itself reaches a node: TLS, user
  };

  /// Null, and Server::why_not() says why, where there is no server; also where the cluster does not come up.
  static std::unique_ptr<RedisCluster> start() { return start({}); }
  static std::unique_ptr<RedisCluster> start(const Setup& setup) {
    std::unique_ptr<RedisCluster> cluster(new RedisCluster(setup.host));
    for (auto& node : cluster->nodes_) {
      std::vector<std::string> words{"--cluster-enabled",
                                     "yes",
                                     "--cluster-port",
                                     "@SECOND_PORT@",
                                     "--cluster-node-timeout",
                                     "1000",
                                     "--cluster-replica-validity-factor",
                                     "0",
                                     "--repl-diskless-sync-delay",
                                     "0",
                                     "--repl-ping-replica-period",
                                     "1"};
      words.insert(words.end(), setup.words.begin(), setup.words.end());
      node.server = Server::redis(std::move(words));
      if (node.server == nullptr) return nullptr;
      RedisConnection own = setup.own;
      own.host = setup.host;
      own.port = node.server->port();
      own.timeout = std::chrono::seconds(10);
      node.store = make_redis({}, own);
    }
    return cluster->form() ? std::move(cluster) : nullptr;
  }

  /// One for the whole program.
  static RedisCluster* shared() {
    static const std::unique_ptr<RedisCluster> one = start();
    shared_ = one.get();
    return one.get();
  }
  /// The same, where somebody has asked for it before.
  static RedisCluster* shared_so_far() { return shared_; }

  RedisConnection connection() const {
    RedisConnection connection;
    connection.cluster = true;
    for (const int i : {0, 1, 2}) connection.seeds.push_back({host_, server(i).port()});
    return connection;
  }
  /// The first three began as primaries; node 3 is the replica of 0, and so on.
  Server& server(int node) const { return *nodes_[static_cast<std::size_t>(node)].server; }
  RedisReply tell(int node, const std::vector<std::string>& words) const {
    auto reply = nodes_[static_cast<std::size_t>(node)].store->command(words);
    return reply.ok() ? *reply : RedisReply{.kind = RedisReply::Kind::error, .text = reply.error().to_string()};
  }
  std::string id(int node) const { return nodes_[static_cast<std::size_t>(node)].id; }
  bool is_primary(int node) const {
    const RedisReply role = tell(node, {"ROLE"});
    return !role.elements.empty() && role.elements[0].text == "master";
  }
  /// Does every node that runs say that all is well?
  bool is_well() const {
    for (int i = 0; i < static_cast<int>(nodes_.size()); ++i) {
      if (server(i).pid() == 0) continue;
      if (tell(i, {"CLUSTER", "INFO"}).text.find("cluster_state:ok") == std::string::npos) return false;
    }
    return true;
  }
  /// The primary that has a slot, in its own view: others may be behind. -1: none has it now.
  int owner_of(int slot) const {
    for (int node = 0; node < kPrimaries; ++node)
      for (const RedisReply& range : tell(node, {"CLUSTER", "SLOTS"}).elements)
        if (range.elements[0].integer <= slot && slot <= range.elements[1].integer &&
            range.elements[2].elements[2].text == id(node))
          return node;
    return -1;
  }
  /// Do all primaries say the same of who has what, and since when? After slots moved that takes a moment.
  bool is_agreed() const {
    std::set<std::string> views;
    for (int node = 0; node < kPrimaries; ++node) {
      std::set<std::string> ranges;
      for (const RedisReply& range : tell(node, {"CLUSTER", "SLOTS"}).elements)
        ranges.insert(std::to_string(range.elements[0].integer) + "-" + std::to_string(range.elements[1].integer) +
                      "=" + range.elements[2].elements[2].text);
      const std::string info = tell(node, {"CLUSTER", "INFO"}).text;
      std::string view = info.substr(std::min(info.find("cluster_current_epoch:"), info.size()), 26);
      for (const std::string& range : ranges) view += range + " ";
      views.insert(view);
    }
    return views.size() == 1;
  }
  /// A node's config epoch, as `viewer` knows it; -1: it does not know the node.
  long long epoch_of(int node, int viewer) const {
    const std::string all = "\n" + tell(viewer, {"CLUSTER", "NODES"}).text;
    std::size_t at = all.find("\n" + id(node) + " ");
    // Of a line's words the seventh: id, address, flags, primary, ping, pong, epoch.
    for (int word = 0; word < 6 && at != all.npos; ++word) at = all.find(' ', at + 1);
    return at == all.npos ? -1 : std::atoll(all.c_str() + at + 1);
  }
  /// Moves a slot from one primary to another, as redis-cli does. Empty, or what went wrong.
  ///
  /// The new owner takes a config epoch above all that it knows. If it does not know the old one's yet, which may have
  /// got it a moment ago, its claim is the weaker one, and the nodes may disagree for long. So that is waited for.
  std::string move_slot(int slot, int from, int to) const {
    if (!comes_true([&] { return epoch_of(from, to) == epoch_of(from, from); }))
      return "the nodes do not hear each other";
    const std::string number = std::to_string(slot), port = std::to_string(server(to).port());
    std::string wrong;
    const auto check = [&](const RedisReply& reply) {
      if (reply.kind == RedisReply::Kind::error && wrong.empty()) wrong = reply.text;
      return reply;
    };
    check(tell(to, {"CLUSTER", "SETSLOT", number, "IMPORTING", id(from)}));
    check(tell(from, {"CLUSTER", "SETSLOT", number, "MIGRATING", id(to)}));
    for (;;) {
      const RedisReply keys = check(tell(from, {"CLUSTER", "GETKEYSINSLOT", number, "10"}));
      if (keys.elements.empty()) break;
      std::vector<std::string> words{"MIGRATE", host_, port, "", "0", "5000", "KEYS"};
      for (const RedisReply& key : keys.elements) words.push_back(key.text);
      check(tell(from, words));
      if (!wrong.empty()) break;
    }
    for (const int node : {to, from}) check(tell(node, {"CLUSTER", "SETSLOT", number, "NODE", id(to)}));
    for (int node = 0; node < kPrimaries; ++node)
      if (node != to && node != from) (void)tell(node, {"CLUSTER", "SETSLOT", number, "NODE", id(to)});
    return wrong;
  }

  static bool comes_true(const std::function<bool()>& holds, std::chrono::seconds within = std::chrono::seconds(30)) {
    for (const auto end = std::chrono::steady_clock::now() + within; std::chrono::steady_clock::now() < end;) {
      if (holds()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

 private:
  struct Node {
    std::unique_ptr<Server> server;
    std::shared_ptr<RedisStore> store;
    std::string id;
  };

  explicit RedisCluster(std::string host) : host_(std::move(host)) {}

  /// Nodes whose names and ways a node knows.
  int known_to(int node) const {
    std::istringstream lines(tell(node, {"CLUSTER", "NODES"}).text);
    int count = 0;
    for (std::string line; std::getline(lines, line);)
      count += line.find("handshake") == std::string::npos && line.find("noaddr") == std::string::npos;
    return count;
  }

  bool form() {
    const auto bus = [&](int i) { return std::to_string(server(i).second_port()); };
    for (int i = 0; i < 2 * kPrimaries; ++i) {
      nodes_[static_cast<std::size_t>(i)].id = tell(i, {"CLUSTER", "MYID"}).text;
      (void)tell(i, {"CLUSTER", "SET-CONFIG-EPOCH", std::to_string(i + 1)});
      if (i < kPrimaries)
        (void)tell(i, {"CLUSTER", "ADDSLOTSRANGE", std::to_string(i * kSlots / kPrimaries),
                       std::to_string((i + 1) * kSlots / kPrimaries - 1)});
    }
    // Who does not answer in time, as on a busy machine, is given up, and has to be met again.
    auto next = std::chrono::steady_clock::now();
    const bool have_met = comes_true(
        [&] {
          bool is_met = true;
          for (int i = 0; i < 2 * kPrimaries; ++i) is_met = is_met && known_to(i) == 2 * kPrimaries;
          if (is_met || std::chrono::steady_clock::now() < next) return is_met;
          next = std::chrono::steady_clock::now() + std::chrono::seconds(3);
          for (int i = 1; i < 2 * kPrimaries; ++i)
            if (known_to(i) < 2 * kPrimaries)
              (void)tell(i, {"CLUSTER", "MEET", host_, std::to_string(server(0).port()), bus(0)});
          return false;
        },
        std::chrono::seconds(60));
    if (!have_met) return false;
    for (int i = kPrimaries; i < 2 * kPrimaries; ++i)
      if (!comes_true([&] {
            return tell(i, {"CLUSTER", "REPLICATE", id(i - kPrimaries)}).kind != RedisReply::Kind::error;
          }))
        return false;
    return comes_true([&] {
      if (!is_well()) return false;
      for (int i = 0; i < 2 * kPrimaries; ++i) {
        const RedisReply slots = tell(i, {"CLUSTER", "SLOTS"});
        if (slots.elements.size() != kPrimaries) return false;
        for (const RedisReply& range : slots.elements)
          if (range.elements.size() != 4) return false;
        if (i >= kPrimaries && tell(i, {"INFO", "replication"}).text.find("master_link_status:up") == std::string::npos)
          return false;
      }
      return true;
    });
  }

  static inline RedisCluster* shared_ = nullptr;

  const std::string host_;
  std::array<Node, 2 * kPrimaries> nodes_;
};

}  // namespace flux::cache::testing
