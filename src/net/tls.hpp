// TLS as a transport sees it: bytes in, bytes out, no socket. The one that does it is a room of its own, `tls/`, which
// a build may lack.
#pragma once
#include <flux/cache/result.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "core/fork_mutex.hpp"
#include "net/endpoint.hpp"

namespace flux::cache {
inline namespace v1 {

namespace detail::net {

/// One connection's state. What is to be sent is appended to `out`.
class TlsSession {
 public:
  enum class Step { done, wants_more, failed };

  virtual ~TlsSession() = default;
  virtual Step handshake(std::string& out) = 0;
  /// Takes what the peer sent.
  virtual bool feed(std::string_view bytes) = 0;
  /// Reads what was decrypted: above 0 so many bytes, 0: more is needed first, -1: the peer has ended it, or broken it.
  virtual std::ptrdiff_t read(char* to, std::size_t room, std::string& out) = 0;
  virtual bool write(std::string_view bytes, std::string& out) = 0;
  /// Why the last step failed. Holds no secret.
  virtual std::string why() const = 0;
};

/// Certificates and rules, read once; makes sessions.
class TlsContext {
 public:
  virtual ~TlsContext() = default;
  virtual Result<std::unique_ptr<TlsSession>> session(const Endpoint& endpoint) const = 0;
};

/// Errc::bad_config where this build has no TLS, or where a file cannot be read.
Result<std::shared_ptr<const TlsContext>> make_tls(const TlsOptions& options);
/// May a configuration ask for this? Errc::bad_config, with the option's name as the key: TLS in a build that has none,
/// or over a unix socket, which has no name, with nobody to expect; a key without its certificate.
Result<void> check_tls(const TlsOptions& options, bool by_socket);

/// What `make_tls` makes, when the first connection wants it, and then the same for all. Thread-safe.
class TlsSource {
 public:
  explicit TlsSource(TlsOptions options) : options_(std::move(options)) {}

  /// Null where no TLS is asked for.
  Result<std::shared_ptr<const TlsContext>> get();

 private:
  const TlsOptions options_;
  ForkMutex mutex_;
  std::shared_ptr<const TlsContext> made_;
};

}  // namespace detail::net

/// What transports the build has.
class TransportTable {
 public:
  using MakeTls = Result<std::shared_ptr<const detail::net::TlsContext>> (*)(const detail::net::TlsOptions& options);
  MakeTls tls = nullptr;
};

}  // namespace v1
}  // namespace flux::cache
