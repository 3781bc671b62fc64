// Calls to one server, over a pool of connections.
#pragma once
#include "channel.hpp"
#include "client.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

class ServerClient final : public Client {
 public:
  enum class Role : std::uint8_t { server, replica };  ///< replica: asked for reads alone

  ServerClient(const RedisConnection& connection, Duration timeout, Role role = Role::server);

  /// A burst that is on its way. Its replies are to be read, and then `end` called; else the connection is closed.
  struct Flight {
    explicit Flight(net::Pool::Lease lease) : lease(std::move(lease)) {}
    Connection& connection() const noexcept { return lease.as<Connection>(); }

    net::Pool::Lease lease;
  };
  /// What a failure leaves to be done.
  struct Trouble {
    bool was_sent = false;   ///< it may have been carried out
    bool may_retry = false;  ///< the connection had died unseen: another one may do
  };

  /// Sends. An error says that nothing can be read; whether the server heard of it, `trouble` knows.
  Result<Flight> begin(Commands& commands, const net::Deadline& deadline, Trouble& trouble);
  /// All was read: the connection goes back. `refusal`: what the server said, if it did not do as it was told.
  void end(Flight& flight, const Error* refusal, const net::Deadline& deadline, Trouble& trouble);
  /// The connection broke, or what it said was no answer.
  void broke(Flight& flight, const Error& why, Trouble& trouble);
  /// All of it.
  Result<void> attempt(Commands& commands, Reading read, const net::Deadline& deadline, Trouble& trouble);

  void trim() override {
    pool_.trim();
    if (shared_pool_) shared_pool_->trim();
  }
  /// Likewise, together with what other threads ask.
  Result<void> attempt_shared(Commands& commands, Reading read, const net::Deadline& deadline, Trouble& trouble);
  const net::Endpoint& endpoint() const noexcept { return endpoint_; }
  /// A connection of the caller's own, outside the pool.
  Result<std::unique_ptr<net::Pooled>> dial(const net::Deadline& deadline);

 private:
  Result<void> call(Where where, Commands& commands, Again again, Reading read, const net::Deadline& deadline) override;

  const net::Endpoint endpoint_;
  const Greeting greeting_;
  net::TlsSource tls_;
  const RedisSentinel sentinel_;
  std::atomic<std::size_t> first_sentinel_{0};
  net::Pool pool_;
  std::unique_ptr<net::Pool> shared_pool_;  // of one, behind the channel
  std::unique_ptr<Channel> channel_;
  std::shared_ptr<const net::Endpoint> shared_endpoint_;
};

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
