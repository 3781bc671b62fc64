// What the store is configured with: checked, and made into a store.
#include <flux/cache/stores/memcached.hpp>

#include <algorithm>

#include "chunks.hpp"
#include "memcached_store.hpp"

namespace flux::cache {
inline namespace v1 {

namespace {

constexpr int kMostWeight = 1'000'000;
constexpr std::uint64_t kMostChunked = std::uint64_t{64} * 1024 * 1024;

Error bad(const char* field, std::string message) { return {Errc::bad_config, std::move(message), {}, {}, field}; }

}  // namespace

Result<void> MemcachedConfig::validate() const {
  for (const MemcachedServer& server : servers) {
    if (server.host.empty() || !detail::memcached::is_safe_key(server.host))
      return bad("servers", "a host has no space and no control character, and is not empty");
    if (server.port < 1 || server.port > 65'535) return bad("servers", "a port is from 1 to 65,535");
    if (server.weight < 1 || server.weight > kMostWeight) return bad("servers", "a weight is from 1 to 1,000,000");
  }
  if (prefix.find_first_of(std::string("\r\n \0", 4)) != prefix.npos)
    return bad("prefix", "holds a space, a NUL or a line break");
  if (timeout < Duration::zero()) return bad("timeout", "is below 0");
  if (!protocol.empty() && protocol != "meta" && protocol != "binary")
    return bad("protocol", "it is meta or binary, not " + protocol.substr(0, 64));
  if (pool_size < 1 || pool_size > 10'000) return bad("pool_size", "it must be from 1 to 10,000");
  if (failure_limit < 1 || failure_limit > 1'000) return bad("failure_limit", "it must be from 1 to 1,000");
  if (retry_after < std::chrono::milliseconds(1)) return bad("retry_after", "it must be at least a millisecond");
  if (username.empty() && !password.empty()) return bad("username", "a password is given and no user");
  // Both travel in one line under the meta protocol, and end at a NUL under SASL.
  if (username.find_first_of(std::string("\r\n \0", 4)) != username.npos)
    return bad("username", "holds a space, a NUL or a line break");
  if (password.find_first_of(std::string("\r\n\0", 3)) != password.npos)
    return bad("password", "holds a NUL or a line break");
  const detail::net::TlsOptions tls_wanted = detail::memcached::tls_options(*this);
  if (tls_wanted.enabled && detail::memcached::is_binary(*this))
    return bad("tls", "the binary protocol, and SASL with it, has no TLS; the protocol \"meta\" has");
  return detail::net::check_tls(tls_wanted, std::any_of(servers.begin(), servers.end(), [](const auto& server) {
                                  return server.host.starts_with('/');
                                }));
}

namespace detail::memcached {

bool is_binary(const MemcachedConfig& config) noexcept {
  return config.protocol == "binary" || (config.protocol.empty() && !config.username.empty());
}

net::TlsOptions tls_options(const MemcachedConfig& config) {
  const bool is_implied =
      !config.ca.empty() || !config.certificate.empty() || !config.key.empty() || !config.server_name.empty();
  return {config.tls || is_implied, config.ca, config.certificate, config.key, config.server_name, config.verify};
}

}  // namespace detail::memcached

std::shared_ptr<MemcachedStore> make_memcached(const MemcachedConfig& config) {
  auto valid = config.validate();
  if (!config.chunks) return std::make_shared<detail::memcached::ServersStore>(config, valid.take_error());
  MemcachedConfig parts = config;
  parts.max_value = 0;
  return detail::memcached::make_chunked(std::make_shared<detail::memcached::ServersStore>(parts, valid.take_error()),
                                         config.max_value != 0 ? config.max_value : kMostChunked);
}

}  // namespace v1
}  // namespace flux::cache
