#include "server_client.hpp"

#include "sentinel.hpp"
#include "url.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

namespace {

/// The server has become a replica: the primary is somewhere else, or will be.
bool is_demoted(const Error& error) { return error.message.find("READONLY") != error.message.npos; }

net::PoolOptions pool_options(const RedisConnection& connection) {
  net::PoolOptions options;
  options.most = static_cast<std::size_t>(connection.pool_size);
  options.longest_wait = connection.pool_wait;
  return options;
}

}  // namespace

ServerClient::ServerClient(const RedisConnection& connection, Duration timeout, Role role)
    : Client(timeout),
      endpoint_(endpoint_of(connection)),
      greeting_{connection.username,
                connection.password,
                connection.client_name,
                connection.database,
                !connection.sentinel.nodes.empty(),
                role == Role::replica},
      tls_(tls_options(connection)),
      sentinel_(connection.sentinel),
      pool_(pool_options(connection), [this](const net::Deadline& deadline) { return dial(deadline); }) {
  if (!connection.shared) return;
  net::PoolOptions one = pool_options(connection);
  one.most = 1;
  shared_pool_ = std::make_unique<net::Pool>(one, [this](const net::Deadline& deadline) { return dial(deadline); });
  channel_ = std::make_unique<Channel>(*shared_pool_);
  shared_endpoint_ = std::make_shared<const net::Endpoint>(endpoint_);
}

Result<std::unique_ptr<net::Pooled>> ServerClient::dial(const net::Deadline& deadline) {
  auto tls = tls_.get();
  if (!tls.ok()) return Result<std::unique_ptr<net::Pooled>>(tls.take_error());
  if (sentinel_.nodes.empty()) return Connection::dial(endpoint_, tls->get(), greeting_, timeout_, deadline);
  auto primary = find_primary(sentinel_, tls->get(), timeout_, deadline, first_sentinel_);
  if (!primary.ok()) return Result<std::unique_ptr<net::Pooled>>(primary.take_error());
  return Connection::dial(*primary, tls->get(), greeting_, timeout_, deadline);
}

Result<ServerClient::Flight> ServerClient::begin(Commands& commands, const net::Deadline& deadline, Trouble& trouble) {
  trouble = {};
  auto lease = pool_.take(deadline);
  if (!lease.ok()) return Result<Flight>(lease.take_error());
  Flight flight(std::move(*lease));
  trouble.was_sent = true;
  auto sent = flight.connection().send(commands, deadline);
  if (sent.ok()) return Result<Flight>(std::move(flight));
  broke(flight, sent.error(), trouble);
  return Result<Flight>(sent.take_error());
}

// What broke this connection has likely broken its neighbours.
void ServerClient::broke(Flight& flight, const Error& why, Trouble& trouble) {
  pool_.drop_idle();
  trouble.may_retry = !flight.lease.is_fresh() && flight.connection().is_unanswered() && why.code == Errc::unavailable;
}

void ServerClient::end(Flight& flight, const Error* refusal, const net::Deadline& deadline, Trouble& trouble) {
  if (refusal != nullptr && is_demoted(*refusal)) {
    pool_.drop_idle();
    trouble = {.was_sent = false, .may_retry = !flight.lease.is_fresh()};
    return;
  }
  if (flight.connection().is_clean()) flight.lease.hand_back(deadline.begun());
}

Result<void> ServerClient::attempt_shared(Commands& commands, Reading read, const net::Deadline& deadline,
                                          Trouble& trouble) {
  auto answer = channel_->exchange(commands, deadline);
  trouble = {answer.was_sent, answer.may_retry};
  if (answer.error) return Result<void>(std::move(answer.error));
  Connection received(shared_endpoint_, answer.bytes, commands.count());
  Replies replies(received, deadline);
  auto done = read(replies);
  if (!done.ok()) {
    channel_->suspect();
    return done;
  }
  if (!replies.refusal()) return {};
  if (is_demoted(*replies.refusal())) {
    channel_->suspect();
    trouble = {.was_sent = false, .may_retry = true};
  }
  return Result<void>(replies.take_refusal());
}

Result<void> ServerClient::attempt(Commands& commands, Reading read, const net::Deadline& deadline, Trouble& trouble) {
  if (channel_ && Channel::takes(commands)) return attempt_shared(commands, read, deadline, trouble);
  auto flight = begin(commands, deadline, trouble);
  if (!flight.ok()) return Result<void>(flight.take_error());
  Replies replies(flight->connection(), deadline);
  auto done = read(replies);
  if (!done.ok()) {
    broke(*flight, done.error(), trouble);
    return done;
  }
  end(*flight, replies.refusal().get(), deadline, trouble);
  return replies.refusal() ? Result<void>(replies.take_refusal()) : Result<void>();
}

Result<void> ServerClient::call(Where, Commands& commands, Again again, Reading read, const net::Deadline& deadline) {
  Trouble trouble;
  auto done = attempt(commands, read, deadline, trouble);
  if (done.ok()) [[likely]]
    return done;
  if (trouble.may_retry && (again == Again::yes || !trouble.was_sent))
    done = attempt(commands, read, deadline, trouble);
  if (done.ok() || !is_passing(done.error())) return done;
  std::unique_ptr<Error> passing;
  Pauses pauses;
  do {
    passing = done.take_error();
    if (!pauses.wait(deadline)) return Result<void>(std::move(passing));
    done = attempt(commands, read, deadline, trouble);
  } while (!done.ok() && is_passing(done.error()));
  // Where an attempt is merely cut off by the deadline, what the server said before it tells more. A write that was
  // sent may have been carried out, which only the timeout says.
  if (done.ok() || done.error().code != Errc::timeout || (again == Again::no && trouble.was_sent)) return done;
  return Result<void>(std::move(passing));
}

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
