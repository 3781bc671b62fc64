// A connection to a server: bytes out, bytes in, each within a deadline.
#pragma once
#include <flux/cache/result.hpp>

#include <sys/uio.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "net/buffer.hpp"
#include "net/deadline.hpp"
#include "net/endpoint.hpp"
#include "net/tls.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::net {

/// One socket, with TLS on it or without. Moves only. Not for several threads at once. After an error it is good for
/// nothing but to be destroyed: where in the conversation it stands is unknown.
class Stream {
 public:
  Stream() = default;
  Stream(Stream&& other) noexcept;
  Stream& operator=(Stream&& other) noexcept;
  ~Stream() { close(); }

  /// Connects to the first address that answers, within the deadline. `usual` is the timeout that most calls have: a
  /// receive that has about that much left costs one system call. `tls` may be null.
  static Result<Stream> connect(const Endpoint& endpoint, const TlsContext* tls, Duration usual,
                                const Deadline& deadline);

  /// One that is connected to nothing: each call fails.
  static Stream closed(std::shared_ptr<const Endpoint> endpoint) noexcept;

  /// Sends all parts. Where the peer does not take more until it is read from, what it says goes to `in`.
  Result<void> send(std::span<iovec> parts, ReadBuffer& in, const Deadline& deadline);
  Result<void> send(std::string_view bytes, ReadBuffer& in, const Deadline& deadline) {
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    return send({&part, 1}, in, deadline);
  }
  /// Receives at least one byte, at most what is there, with room for at least `wanted`.
  Result<void> receive(ReadBuffer& in, std::size_t wanted, const Deadline& deadline);

  /// The peer has neither said anything nor gone. One system call.
  bool is_quiet() noexcept;
  /// From another thread: whoever sends or receives here fails at once.
  void interrupt() noexcept;
  bool is_open() const noexcept { return fd_ >= 0; }
  /// TLS is spoken here: each part that is sent is a record of its own, or several.
  bool is_sealed() const noexcept { return tls_ != nullptr; }
  const Endpoint& endpoint() const noexcept { return *endpoint_; }
  /// In a child of fork: lets go of the socket, which is the parent's, without a word to the peer.
  void abandon() noexcept;

 private:
  Stream(int fd, const Endpoint& endpoint, Duration usual);
  void close() noexcept;

  Result<void> wait(short events, short* ready, const Deadline& deadline, const char* doing);
  Result<void> send_plain(std::span<iovec> parts, ReadBuffer& in, const Deadline& deadline);
  Result<std::size_t> receive_plain(char* to, std::size_t room, const Deadline& deadline);
  Result<void> shake_hands(const TlsContext& tls, const Deadline& deadline);
  Result<void> send_sealed(const Deadline& deadline);

  int fd_ = -1;
  Duration usual_{0};
  std::shared_ptr<const Endpoint> endpoint_;
  std::unique_ptr<TlsSession> tls_;
  std::string sealed_;  // what TLS wants to have sent
};

}  // namespace detail::net
}  // namespace v1
}  // namespace flux::cache
