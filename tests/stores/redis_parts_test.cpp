// The parts of the redis store that need no server: where replies end.
#include <gtest/gtest.h>

#include <string>

#include "stores/redis/channel.hpp"

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

}  // namespace
}  // namespace flux::cache::detail::redis
