#include <charconv>

#include "cluster_store.hpp"
#include "net/tls.hpp"
#include "plain_store.hpp"
#include "url.hpp"

namespace flux::cache {
inline namespace v1 {

namespace {

Error bad(const char* field, std::string message) { return {Errc::bad_config, std::move(message), {}, {}, field}; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// RFC 3986, section 2.1.
bool decode_percent(std::string_view text, std::string& out) {
  out.clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return false;
    const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return false;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return true;
}

bool to_number(std::string_view text, int& out) {
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), out);
  return fault == std::errc() && end == text.data() + text.size();
}

std::string_view before(std::string_view& rest, char mark) {
  const std::size_t at = rest.find(mark);
  const std::string_view part = rest.substr(0, at);
  rest = at == rest.npos ? std::string_view() : rest.substr(at + 1);
  return part;
}

}  // namespace

namespace detail::redis {

// redis[s]://[[user]:password@]host[:port][/database], unix://[[user]:password@]path[?database=n]
Result<RedisConnection> without_url(const RedisConnection& connection) {
  RedisConnection out = connection;
  out.tls = out.tls || !out.ca.empty() || !out.certificate.empty() || !out.key.empty() || !out.server_name.empty();
  if (connection.url.empty()) return out;
  out.url.clear();
  std::string_view rest = connection.url;
  const std::size_t mark = rest.find("://");
  const std::string_view scheme = rest.substr(0, mark);
  if (mark == rest.npos || (scheme != "redis" && scheme != "rediss" && scheme != "unix"))
    return bad("url", "a redis URL begins with redis://, rediss:// or unix://");
  rest.remove_prefix(mark + 3);
  if (const std::size_t at = rest.rfind('@'); at != rest.npos) {
    std::string_view password = rest.substr(0, at);
    rest.remove_prefix(at + 1);
    const std::string_view username = before(password, ':');
    if (!decode_percent(username, out.username) || !decode_percent(password, out.password))
      return bad("url", "its user info is not percent-encoded as RFC 3986 has it");
  }
  std::string_view query = rest;
  std::string_view place = before(query, '?');
  std::string_view database = {};
  while (!query.empty()) {
    std::string_view value = before(query, '&');
    const std::string_view name = before(value, '=');
    if (name != "database" && name != "db") return bad("url", "the only parameter of a redis URL is \"database\"");
    database = value;
  }
  if (scheme == "unix") {
    if (!decode_percent(place, out.socket) || out.socket.empty()) return bad("url", "a unix:// URL names a path");
  } else {
    out.tls = out.tls || scheme == "rediss";
    std::string_view path = place;
    std::string_view authority = before(path, '/');
    if (!path.empty()) database = path;
    std::string host;
    if (authority.starts_with('[')) {
      authority.remove_prefix(1);
      host = before(authority, ']');
      if (!authority.empty() && !authority.starts_with(':')) return bad("url", "after \"]\" comes a port");
      if (!authority.empty()) authority.remove_prefix(1);
    } else {
      host = before(authority, ':');
    }
    if (!decode_percent(host, out.host)) return bad("url", "its host is not percent-encoded as RFC 3986 has it");
    if (out.host.empty()) out.host = "127.0.0.1";
    if (!authority.empty() && (!to_number(authority, out.port) || out.port < 1 || out.port > 65'535))
      return bad("url", "its port is a number from 1 to 65535");
  }
  if (!database.empty() && (!to_number(database, out.database) || out.database < 0 || out.database > 65'535))
    return bad("url", "its database is a number from 0 to 65535");
  return out;
}

}  // namespace detail::redis

Result<void> RedisConnection::validate() const {
  auto plain = detail::redis::without_url(*this);
  if (!plain.ok()) return Result<void>(plain.take_error());
  if (plain->port < 1 || plain->port > 65'535) return bad("port", "it must be from 1 to 65,535");
  if (plain->database < 0 || plain->database > 65'535) return bad("database", "it must be from 0 to 65,535");
  if (plain->host.empty() && plain->socket.empty()) return bad("host", "there is neither a host nor a socket");
  if (plain->host.find('\0') != std::string::npos) return bad("host", "it holds a zero byte");
  if (plain->socket.size() > 107) return bad("socket", "the path of a unix socket has at most 107 bytes");
  if (timeout <= Duration::zero()) return bad("timeout", "it must be above zero");
  if (pool_size < 1 || pool_size > 10'000) return bad("pool_size", "it must be from 1 to 10,000");
  if (pool_wait <= Duration::zero()) return bad("pool_wait", "it must be above zero");
  if (!plain->username.empty() && plain->password.empty()) return bad("username", "a user wants a password");
  auto tls_good = detail::net::check_tls(detail::redis::tls_options(*plain), !plain->socket.empty());
  if (!tls_good.ok()) return tls_good;
  if (sentinel.name.empty() != sentinel.nodes.empty())
    return bad("sentinel", "sentinels want a name of the primary, and a name wants sentinels");
  for (const RedisNode& node : sentinel.nodes)
    if (node.host.empty() || node.port < 0 || node.port > 65'535)
      return bad("sentinel", "each of them has a host, and a port from 1 to 65,535");
  for (const RedisNode& node : seeds)
    if (node.host.empty() || node.port < 0 || node.port > 65'535)
      return bad("seeds", "each of them has a host, and a port from 1 to 65,535");
  if (!cluster && (!seeds.empty() || replica_reads))
    return bad(seeds.empty() ? "replica_reads" : "seeds", "only a cluster has such");
  if (cluster && !sentinel.nodes.empty()) return bad("cluster", "a cluster needs no sentinels");
  if (cluster && !plain->socket.empty()) return bad("cluster", "its nodes are reached by host and port");
  if (cluster && shared) return bad("shared", "the nodes of a cluster have connections of their own");
  if (cluster && plain->database != 0) return bad("database", "a cluster has the database 0 alone");
  return {};
}

std::shared_ptr<RedisStore> make_redis(const RedisConfig& config, const RedisConnection& connection) {
  auto valid = connection.validate();
  auto plain = detail::redis::without_url(connection);
  const RedisConnection to = plain.ok() ? *plain : RedisConnection{};
  const Duration timeout = config.timeout > Duration::zero() ? config.timeout : to.timeout;
  if (!config.frame) return detail::redis::make_plain(config, to, timeout, valid.take_error());
  if (to.cluster)
    return std::make_shared<detail::redis::ClusterStore>(
        config, std::make_unique<detail::redis::ClusterClient>(to, timeout), valid.take_error());
  return std::make_shared<detail::redis::ServerStore>(config,
                                                      std::make_unique<detail::redis::ServerClient>(to, timeout),
                                                      detail::redis::Spread::server, valid.take_error());
}

}  // namespace v1
}  // namespace flux::cache
