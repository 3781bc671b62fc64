// The parts of the redis store that need no server: where replies end, and a batch that is refused in part.
#include <gtest/gtest.h>
#include <flux/cache/detail/stable_hash.hpp>

#include <string>
#include <vector>

#include "stores/redis/channel.hpp"
#include "stores/redis/redis_store.hpp"

namespace flux::cache::detail::redis {
namespace {

constexpr std::string_view kReplies =
    "+OK\r\n$-1\r\n$0\r\n\r\n:-12\r\n*2\r\n$4\r\na\r\nb\r\n*1\r\n:7\r\n-ERR no\r\n*0\r\n*-1\r\n$3\r\n+\r\n\r\n";
constexpr std::size_t kCount = 9;

TEST(RedisScan, FindsTheEndHoweverTheBytesArrive) {
  for (std::size_t first = 0; first <= kReplies.size(); ++first) {
    std::size_t at = 0, left = kCount;
    EXPECT_EQ(scan_replies(kReplies.substr(0, first), at, left), first == kReplies.size()) << first;
    ASSERT_LE(at, first);
    EXPECT_TRUE(scan_replies(kReplies, at, left)) << first;
    EXPECT_EQ(at, kReplies.size()) << first;
  }
  std::size_t at = 0, left = kCount;
  for (std::size_t size = 1; size < kReplies.size(); ++size)
    EXPECT_FALSE(scan_replies(kReplies.substr(0, size), at, left)) << size;
  EXPECT_TRUE(scan_replies(kReplies, at, left));
}

TEST(RedisScan, StopsBehindTheLastOneAsked) {
  std::size_t at = 0, left = 2;
  EXPECT_TRUE(scan_replies(kReplies, at, left));
  EXPECT_EQ(at, std::string_view("+OK\r\n$-1\r\n").size());
}

TEST(RedisScan, WhatIsNoReplyIsNotWaitedFor) {
  for (const std::string_view broken : {"$x\r\n", "*\r\n", "$9999999999999\r\n", "$1 \r\n"}) {
    std::size_t at = 0, left = 1;
    EXPECT_TRUE(scan_replies(broken, at, left)) << broken;
    EXPECT_LT(at, broken.size()) << broken;
  }
}

constexpr std::uint64_t kGeneration = 7;

std::string bulk(std::string_view bytes) {
  return "$" + std::to_string(bytes.size()) + "\r\n" + std::string(bytes) + "\r\n";
}

/// What a server says to the MGET of these keys, each of which holds its own name.
std::string answer_to(std::span<const Key> keys) {
  std::string all = "*" + std::to_string(1 + keys.size()) + "\r\n" + bulk(bytes_of(kGeneration));
  for (const Key& key : keys) {
    Head head;
    head.kind = Kind::text;
    head.version = 1;
    head.generation = kGeneration;
    head.fresh_until = head.keep_until = kForever;
    head.check = static_cast<std::uint32_t>(stable_hash64(key.text(), static_cast<std::uint64_t>(key.space()) + 1));
    std::string record;
    encode(head, {.value = {.kind = Kind::text, .text = key.text()}}, record);
    all += bulk(record.append(key.text()));
  }
  return all;
}

/// A server that is busy when the first of several commands arrives, and no more when the others do.
class BusyAtFirst : public Client {
 public:
  explicit BusyAtFirst(std::span<const Key> keys) : Client(std::chrono::seconds(1)), keys_(keys) {}
  void trim() override {}

 private:
  Result<void> call(Where, Commands& commands, Again, Reading read, const net::Deadline& deadline) override {
    EXPECT_EQ(commands.count(), 3U);
    const std::string rest = answer_to(keys_.subspan(250, 250)) + answer_to(keys_.subspan(500));
    const auto attempt = [&](const std::string& bytes) {
      Connection connection(std::make_shared<const net::Endpoint>(), bytes, commands.count());
      Replies replies(connection, deadline);
      EXPECT_TRUE(read(replies).ok());
      EXPECT_TRUE(connection.is_clean());
      return replies.take_refusal();
    };
    EXPECT_NE(attempt("-BUSY a script\r\n" + rest), nullptr);
    EXPECT_EQ(attempt(answer_to(keys_.first(250)) + rest), nullptr);
    return {};
  }

  const std::span<const Key> keys_;
};

TEST(RedisBatch, RefusedInPartItIsReadToItsEndAndEachKeyIsAnsweredOnceByTheNextAttempt) {
  std::vector<std::string> names;
  for (int i = 0; i < 600; ++i) names.push_back("k" + std::to_string(i));
  const std::vector<Key> keys(names.begin(), names.end());
  ServerStore store({.prefix = "p:"}, std::make_unique<BusyAtFirst>(keys), Spread::server, nullptr);
  std::vector<std::string> found(keys.size());
  ASSERT_TRUE(store.get_many(keys, {}, [&](std::size_t i, const Entry& entry) { found[i] += entry.value.text; }).ok());
  EXPECT_EQ(found, names);
}

}  // namespace
}  // namespace flux::cache::detail::redis
