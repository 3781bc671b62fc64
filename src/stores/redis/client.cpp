#include "client.hpp"

#include <thread>

#include "core/random.hpp"
#include "sentinel.hpp"
#include "url.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

namespace {

constexpr std::size_t kKeptCommands = 64 * 1024;
constexpr Duration kFirstPause = std::chrono::milliseconds(2);
constexpr Duration kLongestPause = std::chrono::milliseconds(100);

thread_local Commands spare;
thread_local bool spare_taken = false;

/// The server could not now, and did nothing: the same call may succeed a moment later.
bool is_passing(const Error& error) {
  for (const char* word : {"LOADING", "BUSY ", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN"})
    if (error.message.find(word) != error.message.npos) return true;
  return false;
}

bool is_missing_script(const Error& error) { return error.message.find("NOSCRIPT") != error.message.npos; }

/// The server has become a replica: the primary is somewhere else, or will be.
bool is_demoted(const Error& error) { return error.message.find("READONLY") != error.message.npos; }

net::PoolOptions pool_options(const RedisConnection& connection) {
  net::PoolOptions options;
  options.most = static_cast<std::size_t>(connection.pool_size);
  options.longest_wait = connection.pool_wait;
  return options;
}

}  // namespace

ThreadCommands::ThreadCommands() : commands_(&spare) {
  if (spare_taken) {
    own_ = std::make_unique<Commands>();
    commands_ = own_.get();
    return;
  }
  spare_taken = true;
  spare.clear();
}

ThreadCommands::~ThreadCommands() {
  if (own_) return;
  spare_taken = false;
  if (spare.own_bytes() > kKeptCommands) spare = Commands();
}

Result<Element> Replies::next(std::size_t largest) {
  auto element = connection_.read(largest, deadline_);
  if (element.ok() && element->kind == Element::Kind::error && !refusal_)
    refusal_ = std::make_unique<Error>(from_server(element->text));
  return element;
}

Error Replies::unexpected() const {
  return net::fault(connection_.endpoint(), Errc::unavailable, "receiving", "the answer is not one to what was asked");
}

Result<bool> Replies::array(std::size_t size) {
  auto head = next(size);
  if (!head.ok()) return Result<bool>(head.take_error());
  if (head->kind == Element::Kind::error) return false;
  if (head->kind != Element::Kind::array || static_cast<std::size_t>(head->number) != size) return unexpected();
  return true;
}

Result<std::int64_t> Replies::integer() {
  auto element = next();
  if (!element.ok()) return Result<std::int64_t>(element.take_error());
  if (element->kind == Element::Kind::error) return 0;
  if (element->kind != Element::Kind::integer) return unexpected();
  return element->number;
}

Client::Client(const RedisConnection& connection, Duration timeout)
    : endpoint_(endpoint_of(connection)),
      greeting_{connection.username, connection.password, connection.client_name, connection.database,
                !connection.sentinel.nodes.empty()},
      timeout_(timeout),
      tls_options_{connection.tls, connection.ca,          connection.certificate,
                   connection.key, connection.server_name, connection.verify},
      sentinel_(connection.sentinel),
      pool_(pool_options(connection), [this](const net::Deadline& deadline) { return dial(deadline); }) {}

Result<std::unique_ptr<net::Pooled>> Client::dial(const net::Deadline& deadline) {
  std::shared_ptr<const net::TlsContext> tls;
  if (tls_options_.enabled) {
    const std::scoped_lock lock(tls_mutex_);
    if (!tls_) {
      auto made = net::make_tls(tls_options_);
      if (!made.ok()) return Result<std::unique_ptr<net::Pooled>>(made.take_error());
      tls_ = *made;
    }
    tls = tls_;
  }
  if (sentinel_.nodes.empty()) return Connection::dial(endpoint_, tls.get(), greeting_, timeout_, deadline);
  auto primary = find_primary(sentinel_, tls.get(), timeout_, deadline, first_sentinel_);
  if (!primary.ok()) return Result<std::unique_ptr<net::Pooled>>(primary.take_error());
  return Connection::dial(*primary, tls.get(), greeting_, timeout_, deadline);
}

Result<void> Client::attempt(Commands& commands, Again again, Reading read, const net::Deadline& deadline,
                             bool& may_retry) {
  may_retry = false;
  auto lease = pool_.take(deadline);
  if (!lease.ok()) return Result<void>(lease.take_error());
  Connection& connection = lease->as<Connection>();
  auto sent = connection.send(commands, deadline);
  Replies replies(connection, deadline);
  if (sent.ok()) sent = read(replies);
  if (!sent.ok()) {
    // What broke this connection has likely broken its neighbours.
    pool_.drop_idle();
    may_retry = again == Again::yes && !lease->is_fresh() && connection.is_unanswered() &&
                sent.error().code == Errc::unavailable;
    return sent;
  }
  if (replies.refusal() && is_demoted(*replies.refusal())) {
    pool_.drop_idle();
    may_retry = !lease->is_fresh();
    return Result<void>(replies.take_refusal());
  }
  if (connection.is_clean()) lease->hand_back(deadline.begun());
  return replies.refusal() ? Result<void>(replies.take_refusal()) : Result<void>();
}

Result<void> Client::call(Commands& commands, Again again, Reading read) {
  return call(commands, again, read, net::Deadline::in(timeout_));
}

Result<void> Client::call(Commands& commands, Again again, Reading read, const net::Deadline& deadline) {
  bool may_retry = false;
  auto done = attempt(commands, again, read, deadline, may_retry);
  if (done.ok()) [[likely]]
    return done;
  if (may_retry) done = attempt(commands, again, read, deadline, may_retry);
  for (Duration pause = kFirstPause; !done.ok() && is_passing(done.error());
       pause = std::min(2 * pause, kLongestPause)) {
    const Duration wait(1 + static_cast<Duration::rep>(random_below(static_cast<std::uint64_t>(pause.count()))));
    if (deadline.left() <= wait) break;
    std::this_thread::sleep_for(wait);
    done = attempt(commands, again, read, deadline, may_retry);
  }
  return done;
}

Result<void> Client::eval(Script script, std::size_t words, Again again, detail::FunctionRef<void(Commands&)> arguments,
                          Reading read) {
  const net::Deadline deadline = net::Deadline::in(timeout_);
  ThreadCommands commands;
  commands->begin(2 + words).word("EVALSHA").word(script_name(script));
  arguments(*commands);
  auto done = call(*commands, again, read, deadline);
  if (done.ok() || !is_missing_script(done.error())) return done;
  commands->clear();
  commands->begin(2 + words).word("EVAL").word(script_text(script));
  arguments(*commands);
  return call(*commands, again, read, deadline);
}

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
