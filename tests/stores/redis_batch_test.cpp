// Batches of the redis store beside a server of the test's own: what is sent when, and what a refusal leaves behind.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <flux/cache/detail/stable_hash.hpp>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "stores/redis/redis_store.hpp"
#include "stores/redis/server_client.hpp"

namespace flux::cache::detail::redis {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kGeneration = 7;
constexpr std::string_view kRoot = "p:v/";

std::string bulk(std::string_view bytes) {
  return "$" + std::to_string(bytes.size()) + "\r\n" + std::string(bytes) + "\r\n";
}

/// What a server says to an MGET of a generation and these keys, each of which holds its own name.
std::string answer_to(const std::vector<std::string>& words) {
  std::string all = "*" + std::to_string(words.size() - 1) + "\r\n" + bulk(bytes_of(kGeneration));
  for (std::size_t i = 2; i < words.size(); ++i) {
    const std::string_view name = std::string_view(words[i]).substr(kRoot.size());
    Head head;
    head.kind = Kind::text;
    head.version = 1;
    head.generation = kGeneration;
    head.fresh_until = head.keep_until = kForever;
    head.check = static_cast<std::uint32_t>(stable_hash64(name, static_cast<std::uint64_t>(Space::values) + 1));
    std::string record;
    encode(head, {.value = {.kind = Kind::text, .text = name}}, record);
    all += bulk(record.append(name));
  }
  return all;
}

/// Takes a whole command off the front of `bytes`; empty: there is none yet.
std::vector<std::string> take_command(std::string& bytes) {
  std::size_t at = 0;
  const auto number = [&]() -> long {
    const std::size_t end = bytes.find("\r\n", at);
    if (end == bytes.npos) return -1;
    long value = -1;
    std::from_chars(bytes.data() + at + 1, bytes.data() + end, value);
    at = end + 2;
    return value;
  };
  std::vector<std::string> words;
  for (long left = number(); left > 0; --left) {
    const long size = number();
    if (size < 0 || bytes.size() < at + static_cast<std::size_t>(size) + 2) return {};
    words.push_back(bytes.substr(at, static_cast<std::size_t>(size)));
    at += static_cast<std::size_t>(size) + 2;
  }
  bytes.erase(0, at);
  return words;
}

/// A server that answers as it is told, on a unix socket, in a thread of its own.
class Scripted {
 public:
  using Answer = std::function<std::string(const std::vector<std::string>& words)>;

  /// `slowness`: until it answers its first command.
  Scripted(Duration slowness, Answer answer) : slowness_(slowness), answer_(std::move(answer)) {
    path_ = ::testing::TempDir() + "scripted_" + std::to_string(::getpid()) + "_" + std::to_string(++count);
    listening_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path, sizeof address.sun_path, "%s", path_.c_str());
    EXPECT_EQ(::bind(listening_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listening_, 8), 0);
    thread_ = std::thread([this] { serve(); });
  }
  Scripted(const Scripted&) = delete;
  ~Scripted() {
    ::shutdown(listening_, SHUT_RDWR);
    thread_.join();
    ::close(listening_);
    ::unlink(path_.c_str());
  }

  ServerStore store() const {
    const RedisConnection connection{.socket = path_, .timeout = 20s};
    return {{.prefix = "p:"}, std::make_unique<ServerClient>(connection, 20s), Spread::server, nullptr};
  }

 private:
  void serve() {
    for (;;) {
      const int fd = ::accept(listening_, nullptr, nullptr);
      if (fd < 0) return;
      std::string bytes;
      char part[4096];
      bool is_first = true;
      for (ssize_t got = 0; (got = ::recv(fd, part, sizeof part, 0)) > 0;) {
        bytes.append(part, static_cast<std::size_t>(got));
        for (auto words = take_command(bytes); !words.empty(); words = take_command(bytes)) {
          if (std::exchange(is_first, false)) std::this_thread::sleep_for(slowness_);
          const std::string said = words[0] == "PING" ? "+PONG\r\n" : answer_(words);
          if (!said.empty()) (void)::send(fd, said.data(), said.size(), MSG_NOSIGNAL);
        }
      }
      ::close(fd);
    }
  }

  static inline int count = 0;
  Duration slowness_;
  Answer answer_;
  std::string path_;
  int listening_ = -1;
  std::thread thread_;
};

std::vector<std::string> some_names() {
  std::vector<std::string> names;
  for (int i = 0; i < 600; ++i) names.push_back("k" + std::to_string(i));
  return names;
}

/// What `get_many` finds, each value once more for each time that it was handed over.
std::vector<std::string> found_by(ServerStore store, const std::vector<std::string>& names) {
  const std::vector<Key> keys(names.begin(), names.end());
  std::vector<std::string> found(keys.size());
  auto done = store.get_many(keys, {}, [&](std::size_t i, const Entry& entry) { found[i] += entry.value.text; });
  EXPECT_TRUE(done.ok()) << (done.ok() ? "" : done.error().message);
  return found;
}

/// How long the server takes for its first answer: at once, it is taken for a near one, unless the machine is busy;
/// after this, for a far one.
constexpr Duration kFar = 20ms;

TEST(RedisBatch, EachKeyIsAnsweredOnce) {
  for (const Duration slowness : {Duration(0), Duration(kFar)}) {
    const Scripted server(slowness, answer_to);
    EXPECT_EQ(found_by(server.store(), some_names()), some_names());
  }
}

TEST(RedisBatch, RefusedInPartItIsReadToItsEndAndEachKeyIsAnsweredOnceByTheNextAttempt) {
  for (const Duration slowness : {Duration(0), Duration(kFar)}) {
    int attempts = 0;
    const Scripted server(slowness, [&](const std::vector<std::string>& words) {
      if (words[2] == "p:v/k0" && ++attempts == 1) return std::string("-BUSY a script\r\n");
      return answer_to(words);
    });
    EXPECT_EQ(found_by(server.store(), some_names()), some_names());
    EXPECT_EQ(attempts, 2);
  }
}

TEST(RedisBatch, RefusedInItsMiddleWhatWasHandedOverIsNotHandedOverAgain) {
  for (const Duration slowness : {Duration(0), Duration(kFar)}) {
    int commands = 0;
    const Scripted server(slowness, [&](const std::vector<std::string>& words) {
      return ++commands == 3 ? std::string("-BUSY a script\r\n") : answer_to(words);
    });
    EXPECT_EQ(found_by(server.store(), some_names()), some_names());
  }
}

TEST(RedisBatch, AFarServerIsAskedForAllAtOnce) {
  std::string answers;
  std::size_t asked = 0;
  const Scripted server(kFar, [&](const std::vector<std::string>& words) {
    answers += answer_to(words);
    asked += words.size() - 2;
    return asked == some_names().size() ? answers : std::string();
  });
  EXPECT_EQ(found_by(server.store(), some_names()), some_names());
}

/// Writes a batch large enough to be quiet; the name of the error, or "true".
std::string written_by(ServerStore store, const std::vector<std::string>& names) {
  std::vector<Item> items;
  for (const std::string& name : names) items.push_back({Key(name), {.value = {.kind = Kind::text, .text = name}}});
  auto outcome = store.put_many(items);
  if (!outcome.ok() || outcome->error) return "failed";
  return outcome->failed.empty() ? "true" : "failed";
}

/// A server that carries out transactions, and what it says at the end of a quiet one.
Scripted::Answer transactions(std::string said_quietly, int& quiet, int& aloud) {
  struct State {
    bool is_quiet = false, is_open = false;
    int queued = 0;
  };
  const auto state = std::make_shared<State>();
  return [=, &quiet, &aloud](const std::vector<std::string>& words) -> std::string {
    State& s = *state;
    if (words[0] == "MULTI") {
      s.is_open = true, s.queued = 0;
      return s.is_quiet ? "" : "+OK\r\n";
    }
    if (words[0] == "EXEC") {
      s.is_open = false;
      ++(s.is_quiet ? quiet : aloud);
      if (std::exchange(s.is_quiet, false)) return said_quietly;
      std::string all = "*" + std::to_string(s.queued) + "\r\n";
      for (int i = 1; i < s.queued; ++i) all += "+OK\r\n";
      return all + bulk(bytes_of(kGeneration));
    }
    if (s.is_open) {
      ++s.queued;
      return s.is_quiet ? "" : "+QUEUED\r\n";
    }
    if (words[0] == "CLIENT") {
      s.is_quiet = words[2] == "OFF";
      return s.is_quiet ? "" : "+OK\r\n";
    }
    return words[0] == "GET" ? bulk(bytes_of(kGeneration)) : "+OK\r\n";
  };
}

TEST(RedisBatch, WhatAQuietTransactionSaysDecidesWhetherItIsMadeAgainAloud) {
  const auto count = [](const std::string& said) {
    int quiet = 0, aloud = 0;
    const Scripted server(Duration(0), transactions(said, quiet, aloud));
    EXPECT_EQ(written_by(server.store(), some_names()), "true") << said;
    return std::to_string(quiet) + " quiet, " + std::to_string(aloud) + " aloud";
  };
  EXPECT_EQ(count("+OK\r\n+OK\r\n"), "1 quiet, 0 aloud") << "the silence is broken, the last entry written";
  EXPECT_EQ(count(""), "1 quiet, 1 aloud") << "all of it was refused";
  EXPECT_EQ(count("+OK\r\n-NOPERM of late\r\n"), "1 quiet, 1 aloud") << "the last entry was refused";
}

}  // namespace
}  // namespace flux::cache::detail::redis
