// A redis server of the test's own, to be stopped, killed and lied about.
#pragma once
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/redis_cache.hpp"

namespace flux::cache::testing {

/// What a call may take beyond its deadline on a busy machine.
inline constexpr std::chrono::milliseconds kSlack{1'500};

class OwnRedis : public ::testing::Test {
 protected:
  void SetUp() override { begin({}); }
  void begin(std::vector<std::string> more) {
    server_ = Server::redis(std::move(more));
    if (server_ == nullptr) GTEST_SKIP() << "no redis: " << Server::why_not();
  }
  /// Asks again and again until it holds, or too long.
  static bool comes_true(const std::function<bool()>& holds) {
    for (const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
         std::chrono::steady_clock::now() < end;) {
      if (holds()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return holds();
  }

  std::unique_ptr<Server> server_;
};

}  // namespace flux::cache::testing
