// How long after a failover's end a program has followed it.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <flux/cache/result.hpp>

#include "support/server.hpp"

namespace flux::cache::testing {

/// What is promised.
inline constexpr std::chrono::seconds kFollowed{2};

template <class T>
std::string said(const Result<T>& outcome) {
  return outcome.ok() ? std::string() : outcome.error().to_string();
}

/// Looks, in a thread of its own, for the moment when the new primary says that it is one.
class FailoverWatch {
 public:
  using Clock = std::chrono::steady_clock;

  explicit FailoverWatch(std::function<bool()> is_over)
      : watcher_([this, is_over = std::move(is_over)](const std::stop_token& stop) {
          while (!stop.stop_requested() && end_.load() == Clock::time_point{}) {
            if (is_over()) end_ = Clock::now();
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
          }
        }) {}

  /// Calls again and again until it says nothing, which is success, for a minute at most: how long that was after the
  /// end.
  std::chrono::milliseconds until(const std::function<std::string()>& call) {
    const auto limit = Clock::now() + std::chrono::minutes(1);
    std::string said = "?";
    while (!said.empty() && Clock::now() < limit) {
      std::string now = call();
      if (now != said) said_.emplace_back(Clock::now(), now);
      said = std::move(now);
      if (!said.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    const auto done = Clock::now();
    // It may have succeeded before the watcher came to look.
    while (said.empty() && !was_seen() && Clock::now() < limit)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    watcher_.request_stop();
    watcher_.join();
    const auto took = after_end(done);
    std::printf("followed %ld ms after the failover's end\n", static_cast<long>(took.count()));
    return said.empty() && was_seen() ? took : std::chrono::milliseconds::max();
  }
  /// What the calls said, and when, from the end on.
  std::string story() const {
    std::string all;
    for (const auto& [when, what] : said_) all += std::to_string(after_end(when).count()) + " ms: " + what + "\n";
    return all;
  }
  bool was_seen() const { return end_.load() != Clock::time_point{}; }

 private:
  std::chrono::milliseconds after_end(Clock::time_point when) const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(when - end_.load());
  }

  std::vector<std::pair<Clock::time_point, std::string>> said_;
  std::atomic<Clock::time_point> end_{};
  std::jthread watcher_;
};

}  // namespace flux::cache::testing
