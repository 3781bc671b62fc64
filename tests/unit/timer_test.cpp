// Work that is due later.
#include "core/timer.hpp"

#include <gtest/gtest.h>
#include <flux/cache/executor.hpp>

#include <atomic>
#include <future>

namespace flux::cache {
namespace {

using namespace std::chrono_literals;

/// Has no room at first.
class Full final : public Executor {
 public:
  bool submit(std::function<void()> task) override {
    if (++asked < 4) return false;
    task();
    return true;
  }
  std::atomic<int> asked{0};
};

TEST(Timer, WhatAFullExecutorRefusesIsOfferedAgain) {
  const auto full = std::make_shared<Full>();
  set_executor(full);
  std::promise<void> done;
  auto ran = done.get_future();
  detail::run_later(Duration::zero(), [&] { done.set_value(); });
  EXPECT_EQ(ran.wait_for(10s), std::future_status::ready);
  EXPECT_EQ(full->asked.load(), 4);
  set_executor(nullptr);
}

}  // namespace
}  // namespace flux::cache
