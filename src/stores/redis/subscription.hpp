// One who listens to a channel: a connection and a thread of its own, which connects again whenever it must.
#pragma once
#include <sys/types.h>
#include <flux/cache/backplane.hpp>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "connection.hpp"
#include "core/fork_guard.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

class Subscription final : ForkGuard {
 public:
  using Dial = std::function<Result<std::unique_ptr<net::Pooled>>(const net::Deadline&)>;
  struct Plan {
    std::string channel{};
    Duration heartbeat{};
    Duration timeout{};  ///< for connecting, and for an answer
    Dial dial{};
  };

  /// Connects behind. `plan.dial` must be usable as long as this stands.
  Subscription(Plan plan, BackplaneListener listener);
  /// No call of the listener's is under way when it returns, but the one it is in.
  ~Subscription();

  bool is_connected() const noexcept;
  /// In a child of fork: a thread of its own.
  void revive();

 private:
  /// What the thread uses. A child of fork has a copy in whatever state it was, and makes a new one.
  struct Line {
    std::atomic<bool> ended{false};
    std::atomic<bool> connected{false};
    std::recursive_mutex calling;  // held while the listener is called
    std::mutex mutex;              // of the two below
    std::condition_variable changed;
    Connection* current = nullptr;
    std::thread::id thread{};
  };

  void start();
  static void run(const Plan& plan, const BackplaneListener& listener, Line& line);
  static void listen(const Plan& plan, const BackplaneListener& listener, Line& line, Connection& connection);
  static void tell(const BackplaneListener& listener, Line& line, bool connected);
  bool try_before_fork() noexcept override { return true; }
  void after_fork(bool in_child) noexcept override;

  const Plan plan_;
  const BackplaneListener listener_;
  std::mutex starting_;
  std::shared_ptr<Line> line_;
  std::atomic<::pid_t> process_;
  std::thread thread_;
};

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
