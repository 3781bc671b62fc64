// A process of ours that tests tell what to do: a tiered store over redis with a backplane over redis, one command at a
// time.
#pragma once
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <flux/cache/repository.hpp>
#include <flux/cache/stores/memory.hpp>
#include <flux/cache/stores/redis.hpp>
#include <flux/cache/stores/redis/backplane.hpp>
#include <flux/cache/stores/tiered.hpp>

#include <csignal>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

#include "parts.hpp"

namespace flux::cache::testing {

/// Where the nodes of one cache meet.
struct Meeting {
  RedisConnection far;        ///< holds the entries
  RedisConnection backplane;  ///< carries the messages
  std::string prefix = unique_prefix();
  Duration heartbeat = std::chrono::milliseconds(100);
  Duration recovery_delay = std::chrono::milliseconds(200);

  Meeting(const Server& holder, const Server& carrier) : far(to(holder)), backplane(to(carrier)) {}

  static RedisConnection to(const Server& server) {
    return {.host = server.host(), .port = server.port(), .timeout = std::chrono::milliseconds(500)};
  }
  StorePtr far_store() const { return make_serialized(make_redis({.prefix = prefix}, far)); }
  std::shared_ptr<Backplane> carrier() const {
    return make_redis_backplane(backplane, {.channel = prefix, .heartbeat = heartbeat});
  }
  std::string channel() const { return prefix + ":0"; }
  /// A store of this process.
  StorePtr tiered(StorePtr near) const {
    return make_tiered({std::move(near), far_store()},
                       {.backplane = carrier(), .name = prefix, .recovery_delay = recovery_delay});
  }
};

class Node {
 public:
  explicit Node(const Meeting& meeting) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(ends[0]);
      serve(meeting, ends[1]);
      ::_exit(0);
    }
    ::close(ends[1]);
    line_ = ends[0];
  }
  Node(Node&& other) noexcept : line_(std::exchange(other.line_, -1)), pid_(std::exchange(other.pid_, 0)) {}
  Node& operator=(Node&&) = delete;
  ~Node() {
    if (line_ >= 0) ::close(line_);
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  /// One command, such as "put k v"; its answer.
  std::string tell(const std::string& command) const {
    begin(command);
    return answer();
  }
  /// The two halves of `tell`, so that several nodes work at once.
  void begin(const std::string& command) const { send(line_, command); }
  std::string answer() const { return receive(line_).value_or("gone"); }

  void put(const std::string& key, const std::string& value) const { EXPECT_EQ(tell("put " + key + ' ' + value), "1"); }
  std::string get(const std::string& key) const { return tell("get " + key); }
  /// Is it answered from the node's own memory?
  bool is_near(const std::string& key) const { return tell("near " + key) == "1"; }
  /// Reads until the key is near, which is when the node hears of changes.
  bool settles(const std::string& key) const { return tell("settle " + key) == "1"; }

 private:
  static void send(int line, const std::string& text) {
    const std::uint32_t size = static_cast<std::uint32_t>(text.size());
    std::string bytes(reinterpret_cast<const char*>(&size), sizeof size);
    bytes += text;
    for (std::size_t sent = 0; sent < bytes.size();) {
      const ssize_t now = ::send(line, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (now <= 0) return;
      sent += static_cast<std::size_t>(now);
    }
  }
  static std::optional<std::string> receive(int line) {
    const auto fill = [&](char* to, std::size_t size) {
      for (std::size_t got = 0; got < size;) {
        const ssize_t now = ::recv(line, to + got, size - got, 0);
        if (now <= 0) return false;
        got += static_cast<std::size_t>(now);
      }
      return true;
    };
    std::uint32_t size = 0;
    if (!fill(reinterpret_cast<char*>(&size), sizeof size)) return std::nullopt;
    std::string text(size, '\0');
    return fill(text.data(), size) ? std::optional(std::move(text)) : std::nullopt;
  }
  static void serve(const Meeting& meeting, int line) {
    const StorePtr near = make_memory();
    const Repository cache(meeting.tiered(near));
    while (const auto command = receive(line)) {
      std::istringstream words(*command);
      std::string verb, key, value;
      words >> verb >> key >> value;
      send(line, obey(cache, near, verb, key, value));
    }
  }
  static std::string obey(const Repository& cache, const StorePtr& near, const std::string& verb,
                          const std::string& key, const std::string& value) {
    const auto is_near = [&] {
      auto there = near->has(Key(key));
      return there.ok() && *there;
    };
    if (verb == "get") return cache.get<std::string>(key).value_or("miss");
    if (verb == "put") return std::to_string(cache.put(key, value));
    if (verb == "label") return std::to_string(cache.tags({"red"}).put(key, value));
    if (verb == "forget") return std::to_string(cache.forget(key));
    if (verb == "flush") return std::to_string(cache.flush());
    if (verb == "flush_red") return std::to_string(cache.tags({"red"}).flush());
    if (verb == "near") return std::to_string(is_near());
    if (verb == "settle") {
      for (int i = 0; i < 2'000; ++i) {
        (void)cache.get<std::string>(key);
        if (is_near()) return "1";
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
      return "0";
    }
    if (verb == "later") {
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
      return std::to_string(cache.put(key, value));
    }
    if (verb == "burst") {  // so many puts, as fast as it goes
      for (int i = 1; i <= std::stoi(value); ++i) cache.put(key, std::to_string(i));
      return "1";
    }
    return "what?";
  }

  int line_ = -1;
  ::pid_t pid_ = 0;
};

}  // namespace flux::cache::testing
