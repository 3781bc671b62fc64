#include "server.hpp"

#include <algorithm>
#include <charconv>
#include <thread>

#include "core/random.hpp"
#include "library_connection.hpp"
#include "meta_connection.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::memcached {

namespace {

/// The most that memcached can be told to take.
constexpr std::uint64_t kMostItemBytes = std::uint64_t{1} << 30;
/// Between two questions whether a server's crawler is free.
constexpr auto kCrawlerPause = std::chrono::milliseconds(2);
/// Between two looks whether somebody has paid.
constexpr auto kPaymentPause = std::chrono::microseconds(200);
/// Above an item's size, what a reply may have around it.
constexpr std::uint64_t kReplySlack = 4096;

net::Endpoint endpoint_of(const MemcachedServer& where) {
  if (where.host.starts_with('/')) return {.socket = where.host};
  return {.host = where.host, .port = static_cast<std::uint16_t>(where.port)};
}

net::PoolOptions pool_of(const ServerRules& rules) {
  net::PoolOptions options;
  options.most = rules.connections;
  options.longest_wait = rules.timeout;
  options.longest_back_off = rules.longest_back_off;
  return options;
}

std::uint64_t number_in(const std::map<std::string, std::string>& all, const char* name, std::uint64_t otherwise) {
  const auto found = all.find(name);
  if (found == all.end()) return otherwise;
  std::uint64_t number = 0;
  const std::string& text = found->second;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  return fault == std::errc{} && end == text.data() + text.size() ? number : otherwise;
}

}  // namespace

Server::Server(const MemcachedServer& where, ServerRules rules)
    : endpoint_(endpoint_of(where)),
      rules_(std::move(rules)),
      gate_(rules_.longest_back_off),
      pool_(pool_of(rules_), [this](const net::Deadline& deadline) { return dial(deadline); }) {
  enlist();
}

Server::~Server() { delist(); }

void Server::after_fork(bool in_child) noexcept {
  if (in_child) {
    gate_.forget_prober();
    is_paying_.store(false);
  }
  mutex_.unlock();
}

Result<std::unique_ptr<net::Pooled>> Server::dial(const net::Deadline& deadline) {
  using Answer = Result<std::unique_ptr<net::Pooled>>;
  // The limit is asked for anew by each connection: a server may have been started again with another one.
  const auto learn = [&](auto settings) -> std::unique_ptr<Error> {
    if (!settings.ok()) return settings.take_error();
    item_bytes_.store(std::min(number_in(*settings, "item_size_max", kUsualItemBytes), kMostItemBytes),
                      std::memory_order_relaxed);
    return nullptr;
  };
  if (rules_.is_binary) {
    auto connection = LibraryConnection::connect(endpoint_, rules_.username, rules_.password, deadline);
    if (!connection.ok()) return Answer(connection.take_error());
    if (auto why = learn((*connection)->stats("settings", deadline))) return Answer(std::move(why));
    return Answer(std::move(*connection));
  }
  auto tls = rules_.tls->get();
  if (!tls.ok()) return Answer(tls.take_error());
  auto stream = net::Stream::connect(endpoint_, tls->get(), rules_.timeout, deadline);
  if (!stream.ok()) return Answer(stream.take_error());
  auto connection = std::make_unique<MetaConnection>(std::move(*stream));
  if (!rules_.username.empty()) {
    auto known = connection->log_in(rules_.username, rules_.password, deadline);
    if (!known.ok()) return Answer(known.take_error());
  }
  auto greeted = connection->greet(deadline);
  if (!greeted.ok()) return Answer(greeted.take_error());
  if (auto why = learn(connection->stats("settings", deadline))) return Answer(std::move(why));
  connection->limit_values(item_bytes() + kReplySlack);
  return Answer(std::move(connection));
}

Result<void> Server::enter() {
  if (is_up()) return {};
  const std::scoped_lock lock(mutex_);
  return gate_.enter();
}

void Server::succeeded() noexcept {
  if (failures_.load(std::memory_order_relaxed) == 0) return;
  const std::scoped_lock lock(mutex_);
  gate_.succeeded();
  failures_.store(0, std::memory_order_relaxed);
}

void Server::failed(const Error& why) {
  all_failures_.fetch_add(1, std::memory_order_relaxed);
  const std::scoped_lock lock(mutex_);
  gate_.failed(why);
  failures_.fetch_add(1, std::memory_order_relaxed);
}

void Server::owe(std::string_view wire_key) {
  const std::scoped_lock lock(mutex_);
  if (debts_.size() < kMostDebts || rules_.keeps_documents) {
    debts_.emplace(wire_key);
  } else if (!debts_.contains(wire_key)) {
    owes_flush_ = true;
  }
  has_debts_.store(true, std::memory_order_release);
}

void Server::owe_flush() {
  const std::scoped_lock lock(mutex_);
  owes_flush_ = true;
  has_debts_.store(true, std::memory_order_release);
}

Result<void> Server::pay(const net::Deadline& deadline) {
  while (has_debts()) {
    if (is_paying_.exchange(true)) {
      if (!is_up()) return net::fault(endpoint_, Errc::rejected, "waiting for what is owed", "the server is down");
      if (deadline.is_past()) return net::timed_out(endpoint_, "waiting for what is owed");
      std::this_thread::sleep_for(kPaymentPause);
      continue;
    }
    std::vector<std::string> debts;
    bool flushes = false;
    {
      const std::scoped_lock lock(mutex_);
      debts.assign(debts_.begin(), debts_.end());
      flushes = owes_flush_;
    }
    auto paid = pay(debts, flushes, deadline);
    if (paid.ok()) {
      const std::scoped_lock lock(mutex_);
      for (const std::string& key : debts) debts_.erase(key);
      if (flushes) owes_flush_ = false;
      has_debts_.store(!debts_.empty() || owes_flush_, std::memory_order_release);
    }
    is_paying_.store(false);
    if (!paid.ok()) return paid;
  }
  return {};
}

Result<void> Server::pay(const std::vector<std::string>& debts, bool flushes, const net::Deadline& deadline) {
  const std::uint64_t begun = random_bits();
  std::vector<Command> commands;
  for (const std::string& key : debts) commands.push_back({.verb = Verb::remove, .key = key});
  if (flushes)
    commands.push_back({.verb = Verb::set,
                        .key = rules_.generation_key,
                        .body = {reinterpret_cast<const char*>(&begun), sizeof begun}});
  std::vector<Reply> replies(commands.size());
  Exchange exchange(*this, commands, replies, Repeat::yes);
  auto done = exchange.begin_at_once(deadline);
  if (done.ok()) done = exchange.end(deadline);
  if (!done.ok()) return done;
  for (const Reply& reply : replies) {
    if (reply.status != Status::removed && reply.status != Status::missing && reply.status != Status::stored)
      return net::fault(endpoint_, Errc::unavailable, "removing what is owed", "the server failed at it");
  }
  if (flushes) set_generation(0);
  return {};
}

Result<std::map<std::string, std::string>> Server::stats(const net::Deadline& deadline) {
  using Answer = Result<std::map<std::string, std::string>>;
  auto lease = pool_.take(deadline);
  if (!lease.ok()) return Answer(lease.take_error());
  auto all = lease->as<Connection>().stats(deadline);
  if (all.ok()) lease->hand_back(net::Deadline::Clock::now());
  return all;
}

Result<void> Server::dump(FunctionRef<void(std::string_view key)> take) {
  const net::Deadline end = net::Deadline::in(rules_.timeout);
  for (;;) {
    auto lease = pool_.take(end);
    if (!lease.ok()) return Result<void>(lease.take_error());
    auto done = lease->as<Connection>().dump(take, rules_.timeout);
    const bool is_busy = !done.ok() && done.error().code == Errc::rejected;
    if (done.ok() || is_busy) lease->hand_back(net::Deadline::Clock::now());
    if (!is_busy || end.is_past()) return done;
    std::this_thread::sleep_for(kCrawlerPause);
  }
}

Exchange::~Exchange() {
  // Given up half-way, by who threw: that says nothing of the server. But whoever was let in to try it again has to say
  // so, or nobody is let in any more.
  if (is_open_ && !server_.is_up()) server_.failed({Errc::unavailable, "a call was given up"});
  if (lease_ && is_clean_) lease_->hand_back(net::Deadline::Clock::now());
}

Result<void> Exchange::connect_and_send(const net::Deadline& deadline) {
  lease_.reset();
  auto lease = server_.pool().take(deadline);
  if (!lease.ok()) return Result<void>(lease.take_error());
  lease_.emplace(std::move(*lease));
  return lease_->as<Connection>().send(commands_, deadline);
}

Result<void> Exchange::fail(Result<void> why) {
  lease_.reset();
  is_open_ = false;
  // That all connections were in use says nothing about the server, unless this was the one that tries it again.
  if (why.error().code != Errc::rejected || !server_.is_up()) server_.failed(why.error());
  return why;
}

Result<void> Exchange::begin(const net::Deadline& deadline) {
  auto paid = pay(deadline);
  return paid.ok() ? begin_at_once(deadline) : std::move(paid);
}

Result<void> Exchange::begin_at_once(const net::Deadline& deadline) {
  auto opened = open_at_once(commands_.size(), deadline);
  if (!opened.ok()) return opened;
  add(commands_, deadline);
  return close(commands_, replies_, deadline);
}

Result<void> Exchange::open(std::size_t count, const net::Deadline& deadline) {
  auto paid = pay(deadline);
  return paid.ok() ? open_at_once(count, deadline) : std::move(paid);
}

Result<void> Exchange::open_at_once(std::size_t count, const net::Deadline& deadline) {
  auto may = server_.enter();
  if (!may.ok()) {
    if (is_transient(may.error().code)) may.error().code = Errc::rejected;  // nothing was sent
    return may;
  }
  is_open_ = true;
  auto lease = server_.pool().take(deadline);
  if (!lease.ok()) return fail(Result<void>(lease.take_error()));
  lease_.emplace(std::move(*lease));
  fault_ = lease_->as<Connection>().open(count).take_error();
  return {};
}

void Exchange::add(std::span<const Command> more, const net::Deadline& deadline) {
  added_ += more.size();
  if (!fault_) fault_ = lease_->as<Connection>().add(more, deadline).take_error();
}

Result<void> Exchange::close(std::span<const Command> all, std::span<Reply> replies, const net::Deadline& deadline) {
  commands_ = all;
  replies_ = replies;
  if (!fault_) fault_ = lease_->as<Connection>().close(all, deadline).take_error();
  if (!fault_) return {};
  Result<void> sent(std::move(fault_));
  // A connection that had died unseen says so at once; the server itself may be well.
  if (sent.error().code == Errc::unavailable && !lease_->is_fresh() && repeat_ == Repeat::yes) {
    server_.pool().drop_idle();
    sent = connect_and_send(deadline);
  }
  return sent.ok() ? std::move(sent) : fail(std::move(sent));
}

template <class Receive>
Result<void> Exchange::end_with(const Receive& receive, const net::Deadline& deadline) {
  Result<void> received = receive(lease_->as<Connection>());
  if (!received.ok() && received.error().code == Errc::unavailable && repeat_ == Repeat::yes && !lease_->is_fresh() &&
      !lease_->as<Connection>().has_begun()) {
    server_.pool().drop_idle();
    auto sent = connect_and_send(deadline);
    received = sent.ok() ? receive(lease_->as<Connection>()) : std::move(sent);
  }
  if (!received.ok()) return fail(std::move(received));
  is_open_ = false;
  is_clean_ = true;
  server_.succeeded();
  return received;
}

Result<void> Exchange::end(const net::Deadline& deadline) {
  return end_with([&](Connection& connection) { return connection.receive(replies_, deadline); }, deadline);
}

Result<void> Exchange::end_each(Connection::Sink take, const net::Deadline& deadline) {
  return end_with([&](Connection& connection) { return connection.receive_each(take, deadline); }, deadline);
}

}  // namespace detail::memcached
}  // namespace v1
}  // namespace flux::cache
