// From what the configuration says of a connection to what is connected to.
#pragma once
#include <flux/cache/stores/redis.hpp>

#include "net/endpoint.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

/// The connection with its URL taken apart into the other fields. Errc::bad_config; the message shows no user info.
Result<RedisConnection> without_url(const RedisConnection& connection);

inline net::Endpoint endpoint_of(const RedisConnection& connection) {
  return {connection.host, static_cast<std::uint16_t>(connection.port), connection.socket};
}
/// Of a connection without a URL.
inline net::TlsOptions tls_options(const RedisConnection& connection) {
  return {connection.tls, connection.ca,          connection.certificate,
          connection.key, connection.server_name, connection.verify};
}

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
