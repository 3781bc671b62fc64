// "frame": false on memcached: a stranger on a raw socket reads what is written and writes what is read.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>
#include <flux/cache/manager.hpp>

#include <limits>
#include <thread>

#include "support/memcached.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

struct Track {
  std::string title;
  int seconds = 0;
  friend bool operator==(const Track&, const Track&) = default;
};

/// Whoever else speaks memcached's old text protocol.
class Stranger {
 public:
  explicit Stranger(const MemcachedServer& server) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(server.port));
    ::inet_pton(AF_INET, server.host.c_str(), &address.sin_addr);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) ADD_FAILURE() << "no server";
  }
  ~Stranger() { ::close(fd_); }
  Stranger(const Stranger&) = delete;
  Stranger& operator=(const Stranger&) = delete;

  std::string set(const std::string& key, const std::string& value, int seconds = 0) const {
    return ask(
        "set " + key + " 0 " + std::to_string(seconds) + " " + std::to_string(value.size()) + "\r\n" + value + "\r\n",
        "\r\n");
  }
  /// The value; empty: a miss.
  std::string get(const std::string& key) const {
    const std::string answer = ask("get " + key + "\r\n", "END\r\n");
    const std::size_t begin = answer.find("\r\n");
    return answer.starts_with("VALUE") ? answer.substr(begin + 2, answer.size() - begin - 2 - 7) : std::string();
  }
  std::string ask(const std::string& line, const std::string& end) const {
    EXPECT_EQ(::send(fd_, line.data(), line.size(), MSG_NOSIGNAL), static_cast<ssize_t>(line.size()));
    std::string answer;
    for (char some[4096]; !answer.ends_with(end);) {
      const ssize_t got = ::recv(fd_, some, sizeof some, 0);
      if (got <= 0) break;
      answer.append(some, static_cast<std::size_t>(got));
    }
    return answer;
  }

 private:
  int fd_;
};

class MemcachedPlain : public ::testing::Test {
 protected:
  void SetUp() override {
    if (one_memcached().empty()) GTEST_SKIP() << "no memcached: " << Server::why_not();
    Config config;
    config.default_store = "m";
    MemcachedConfig mine{.servers = one_memcached(), .prefix = prefix_, .serializer = "json"};
    mine.frame = false;
    mine.timeout = 10s;
    config.stores["m"] = mine;
    cache_.emplace(StoreManager(config).store());
    stranger_.emplace(one_memcached().front());
  }
  std::string name(const std::string& key) const { return std::to_string(prefix_.size()) + "v" + prefix_ + key; }
  std::string seen(const std::string& key) const { return stranger_->get(name(key)); }
  void write(const std::string& key, const std::string& value, int life = 0) const {
    ASSERT_EQ(stranger_->set(name(key), value, life), "STORED\r\n");
  }

  const std::string prefix_ = unique_prefix();
  std::optional<Repository> cache_;
  std::optional<Stranger> stranger_;
};

TEST_F(MemcachedPlain, WhatAStrangerWritesIsRead) {
  write("song", R"({"title": "Jingle", "seconds": 12, "more": null})", 100);
  EXPECT_EQ(cache_->get<Track>("song"), (Track{"Jingle", 12}));
  EXPECT_TRUE(cache_->has("song"));
  write("number", "42");
  EXPECT_EQ(cache_->get<int>("number"), 42);
  EXPECT_EQ(cache_->get<double>("number"), 42.0);
  write("broken", "{");
  EXPECT_EQ(cache_->try_get<Track>("broken").error().code, Errc::corrupt);
  const auto many = cache_->many<Track>({"song", "none"});
  EXPECT_EQ(many.at("song"), (Track{"Jingle", 12}));
  EXPECT_FALSE(many.at("none"));
  EXPECT_EQ(cache_->pull<Track>("song"), (Track{"Jingle", 12}));
  EXPECT_EQ(seen("song"), "");
}

TEST_F(MemcachedPlain, WhatIsWrittenIsThePlainDocument) {
  ASSERT_TRUE(cache_->put("song", Track{"Jingle", 12}, 1h));
  EXPECT_EQ(seen("song"), R"({"title":"Jingle","seconds":12})");
  ASSERT_TRUE(cache_->put("number", -7));
  EXPECT_EQ(seen("number"), "-7");
  ASSERT_TRUE(cache_->put_many({{"a", "one"}, {"b", "two"}}, 1h));
  EXPECT_EQ(seen("b"), R"("two")");
  EXPECT_EQ(cache_->remember("loaded", 1h, [] { return Track{"New", 1}; }).title, "New");
  EXPECT_EQ(seen("loaded"), R"({"title":"New","seconds":1})");
  EXPECT_TRUE(cache_->touch("song", 2h));
  EXPECT_EQ(seen("song"), R"({"title":"Jingle","seconds":12})");
  EXPECT_FALSE(cache_->add("song", 1));
  EXPECT_TRUE(cache_->add("new", 1));
  EXPECT_EQ(cache_->forget_many({"a", "b", "none"}), 2u);
  EXPECT_TRUE(cache_->forget("song"));
  EXPECT_EQ(seen("song"), "");
}

TEST_F(MemcachedPlain, CountersAreDecimalText) {
  EXPECT_EQ(cache_->increment("n", 5), 5);
  EXPECT_EQ(stranger_->ask("incr " + name("n") + " 2\r\n", "\r\n"), "7\r\n");
  EXPECT_EQ(cache_->decrement("n", 10), -3);
  EXPECT_EQ(seen("n"), "-3");
  write("n", std::to_string(std::numeric_limits<std::int64_t>::max()));
  EXPECT_THROW(cache_->increment("n"), Overflow);
  ASSERT_TRUE(cache_->put("text", "no number"));
  EXPECT_THROW(cache_->increment("text"), NotANumber);
}

TEST_F(MemcachedPlain, ALoadThatSomebodyOvertookIsNotStored) {
  const auto load = [&](const std::string& key, auto meanwhile) {
    return cache_->remember(key, 1h, [&] {
      meanwhile();
      return 1;
    });
  };
  EXPECT_EQ(load("a", [&] { cache_->forget("a"); }), 1);
  EXPECT_FALSE(cache_->has("a"));
  EXPECT_EQ(load("b", [&] { write("b", "3"); }), 1);
  EXPECT_EQ(cache_->get<int>("b"), 3);
  EXPECT_EQ(load("c", [] {}), 1);
  EXPECT_EQ(seen("c"), "1");
}

TEST_F(MemcachedPlain, WhatADocumentCannotHoldIsARecordAndAFlushIsRefused) {
  const auto tagged = cache_->tags({"t"}).try_put("tagged", "v", 1h);
  ASSERT_TRUE(tagged.ok()) << tagged.error().to_string();
  EXPECT_EQ(seen("tagged").substr(0, 2), "\xfc\x01");
  EXPECT_EQ(cache_->get<std::string>("tagged"), "v");
  cache_->tags({"t"}).flush();
  EXPECT_FALSE(cache_->get<std::string>("tagged"));
  const std::string key(400, 'k');
  ASSERT_TRUE(cache_->put(key, 1));
  EXPECT_EQ(cache_->get<int>(key), 1);
  ASSERT_TRUE(cache_->put("k", 1));
  EXPECT_THROW(cache_->flush(), Unsupported);
  EXPECT_EQ(cache_->get<int>("k"), 1);
}

TEST_F(MemcachedPlain, LifetimesAreTheServersAndAReadIsGoodForAMoment) {
  ASSERT_TRUE(cache_->put("short", 1, 1s));
  std::this_thread::sleep_for(4s);
  EXPECT_FALSE(cache_->has("short"));
  write("k", "1");
  Instant end = kNever;
  (void)cache_->as<MemcachedStore>()->get(Key("k"), {}, [&](const Entry& entry) { end = entry.expiry.keep_until; });
  EXPECT_LE(end, after(system_clock().now(), 1s));
}

}  // namespace
}  // namespace flux::cache::testing
