#include "sentinel.hpp"

#include <charconv>

#include "connection.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

namespace {

constexpr std::size_t kLongest = 4096;

/// What one sentinel says.
Result<net::Endpoint> ask(const net::Endpoint& node, const RedisSentinel& sentinel, const net::TlsContext* tls,
                          Duration usual, const net::Deadline& deadline) {
  using Answer = Result<net::Endpoint>;
  auto pooled =
      Connection::dial(node, tls, {.username = sentinel.username, .password = sentinel.password}, usual, deadline);
  if (!pooled.ok()) return Answer(pooled.take_error());
  auto& connection = static_cast<Connection&>(**pooled);
  Commands commands;
  commands.begin(3).word("SENTINEL").word("get-master-addr-by-name").word(sentinel.name);
  auto sent = connection.send(commands, deadline);
  if (!sent.ok()) return Answer(sent.take_error());
  auto head = connection.read(kLongest, deadline);
  if (!head.ok()) return Answer(head.take_error());
  if (head->kind == Element::Kind::error) return from_server(head->text);
  if (head->kind != Element::Kind::array || head->number != 2)
    return net::fault(node, Errc::unavailable, "asking for the primary", "it knows none called " + sentinel.name);
  net::Endpoint primary;
  auto host = connection.read(kLongest, deadline);
  if (!host.ok()) return Answer(host.take_error());
  primary.host = host->text;
  auto port = connection.read(kLongest, deadline);
  if (!port.ok()) return Answer(port.take_error());
  const char* const end = port->text.data() + port->text.size();
  const auto [rest, fault] = std::from_chars(port->text.data(), end, primary.port);
  if (fault != std::errc() || rest != end || primary.port == 0 || primary.host.empty())
    return net::fault(node, Errc::unavailable, "asking for the primary", "the answer is no address");
  return primary;
}

}  // namespace

Result<net::Endpoint> find_primary(const RedisSentinel& sentinel, const net::TlsContext* tls, Duration usual,
                                   const net::Deadline& deadline, std::atomic<std::size_t>& first) {
  const std::size_t count = sentinel.nodes.size();
  const std::size_t begin = first.load(std::memory_order_relaxed);
  std::unique_ptr<Error> why;
  for (std::size_t i = 0; i < count && !deadline.is_past(); ++i) {
    const RedisNode& node = sentinel.nodes[(begin + i) % count];
    // A share for each that is left to ask, and one for the primary.
    const net::Deadline share = deadline.within(deadline.left() / static_cast<Duration::rep>(count - i + 1));
    auto primary = ask({node.host, static_cast<std::uint16_t>(node.port == 0 ? 26379 : node.port), {}}, sentinel, tls,
                       usual, share);
    if (primary.ok()) {
      first.store((begin + i) % count, std::memory_order_relaxed);
      return primary;
    }
    why = primary.take_error();
  }
  if (!why) return Error{Errc::timeout, "no sentinel was asked in time"};
  why->message = "no sentinel tells the primary; the last one asked: " + why->message;
  return Result<net::Endpoint>(std::move(why));
}

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
