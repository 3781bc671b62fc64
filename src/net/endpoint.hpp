// Where a server listens, and on what terms it is spoken to.
#pragma once
#include <flux/cache/clock.hpp>
#include <flux/cache/error.hpp>

#include <cstdint>
#include <string>

namespace flux::cache {
inline namespace v1 {
namespace detail::net {

/// A host and a port, or the path of a unix socket.
struct Endpoint {
  std::string host{};
  std::uint16_t port = 0;
  std::string socket{};  ///< other than empty: a unix socket; host and port do not matter

  /// As messages name it: "127.0.0.1:6379", "[::1]:6379", "unix:/run/redis.sock".
  std::string name() const;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

/// TLS on a connection.
struct TlsOptions {
  bool enabled = false;
  std::string ca{};           ///< a file of certificates, or a folder of them by hash; empty: the system's
  std::string certificate{};  ///< of the client: a file, PEM; empty: none
  std::string key{};          ///< of the client's certificate: a file, PEM
  std::string server_name{};  ///< sent as SNI and looked for in the certificate; empty: the host
  bool verify = true;         ///< false: whoever answers is believed
};

/// An error about an endpoint: "127.0.0.1:6379: connecting: Connection refused".
Error fault(const Endpoint& endpoint, Errc code, const char* doing, const std::string& why);
/// Likewise, from errno; what ran out of time is Errc::timeout, everything else Errc::unavailable.
Error system_fault(const Endpoint& endpoint, const char* doing, int error);
Error timed_out(const Endpoint& endpoint, const char* doing);

}  // namespace detail::net
}  // namespace v1
}  // namespace flux::cache
