#include <unistd.h>
#include <flux/cache/stores/redis/backplane.hpp>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

#include "server_client.hpp"
#include "subscription.hpp"
#include "url.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

namespace {

/// After a failure nobody else waits for the server, for so long.
constexpr Duration kRest = std::chrono::seconds(1);

/// What the backplane and its subscriptions share.
struct Server {
  Server(const RedisConnection& connection) : client(connection, connection.timeout) {}

  ServerClient client;
  std::atomic<std::int64_t> rest_until{0};  // steady time; 0: the last message was sent
};

class ServerBackplane final : public Backplane, ForkGuard {
 public:
  ServerBackplane(const RedisConnection& connection, const RedisBackplaneOptions& options)
      : channel_(options.channel + ':' + std::to_string(connection.database)),
        heartbeat_(options.heartbeat),
        timeout_(connection.timeout),
        server_(std::make_shared<Server>(connection)),
        process_(::getpid()) {
    enlist();
  }
  ~ServerBackplane() override { delist(); }

  bool publish(std::string_view message) override {
    if (!may_try()) return false;
    ThreadCommands commands;
    commands->begin(3).word("PUBLISH").word(channel_).word(message);
    auto done = static_cast<Client&>(server_->client).call({}, *commands, Again::yes, [](Replies& replies) {
      auto heard = replies.integer();
      return heard.ok() ? Result<void>() : Result<void>(heard.take_error());
    });
    server_->rest_until.store(done.ok() ? 0 : now() + kRest.count(), std::memory_order_relaxed);
    return done.ok();
  }

  std::shared_ptr<void> subscribe(BackplaneListener listener) override {
    Subscription::Plan plan{.channel = channel_, .heartbeat = heartbeat_, .timeout = timeout_, .dial = {}};
    plan.dial = [server = server_](const net::Deadline& deadline) { return server->client.dial(deadline); };
    listener.connection = [server = server_, tell = std::move(listener.connection)](bool connected) {
      if (connected) server->rest_until = 0;
      if (tell) tell(connected);
    };
    auto subscription = std::make_shared<Subscription>(std::move(plan), std::move(listener));
    const std::scoped_lock guard(mutex_);
    std::erase_if(subscriptions_, [](const auto& gone) { return gone.expired(); });
    subscriptions_.push_back(subscription);
    return subscription;
  }

  void revive() override {
    if (process_.load(std::memory_order_relaxed) == ::getpid()) return;
    process_ = ::getpid();
    for (const auto& subscription : subscriptions()) subscription->revive();
  }

 private:
  static std::int64_t now() {
    return std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
  std::vector<std::shared_ptr<Subscription>> subscriptions() {
    std::vector<std::shared_ptr<Subscription>> all;
    const std::scoped_lock guard(mutex_);
    for (const auto& one : subscriptions_)
      if (auto alive = one.lock()) all.push_back(std::move(alive));
    return all;
  }
  /// Not while those who listen here know that the server is away, nor right after a failure.
  bool may_try() {
    const std::int64_t until = server_->rest_until.load(std::memory_order_relaxed);
    if (until == 0) return true;
    if (now() < until) return false;
    const auto all = subscriptions();
    return all.empty() || std::any_of(all.begin(), all.end(), [](const auto& one) { return one->is_connected(); });
  }
  bool try_before_fork() noexcept override { return mutex_.try_lock(); }
  void after_fork(bool) noexcept override { mutex_.unlock(); }

  const std::string channel_;
  const Duration heartbeat_;
  const Duration timeout_;
  const std::shared_ptr<Server> server_;
  std::atomic<::pid_t> process_;
  std::mutex mutex_;
  std::vector<std::weak_ptr<Subscription>> subscriptions_;
};

}  // namespace

}  // namespace detail::redis

std::shared_ptr<Backplane> make_redis_backplane(const RedisConnection& connection,
                                                const RedisBackplaneOptions& options) {
  if (auto valid = connection.validate(); !valid.ok()) raise(valid.error());
  if (options.channel.empty()) raise(Error{Errc::bad_config, "redis backplane: the channel has no name"});
  if (options.heartbeat <= Duration::zero())
    raise(Error{Errc::bad_config, "redis backplane: the heartbeat must be above zero"});
  auto plain = detail::redis::without_url(connection);
  if (!plain.ok()) raise(plain.error());
  if (plain->cluster && !plain->seeds.empty()) {  // each node passes on what any of them is told
    plain->host = plain->seeds.front().host;
    plain->port = plain->seeds.front().port == 0 ? 6379 : plain->seeds.front().port;
  }
  return std::make_shared<detail::redis::ServerBackplane>(*plain, options);
}

}  // namespace v1
}  // namespace flux::cache
