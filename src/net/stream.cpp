#include "net/stream.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "net/resolve.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::net {

namespace {

constexpr const char* kConnecting = "connecting";
constexpr const char* kSending = "sending";
constexpr const char* kReceiving = "receiving";
/// How far a call may have come and still rely on the socket's own timeout: no call ends later than this.
constexpr Duration kSlack = std::chrono::milliseconds(5);
constexpr std::size_t kLeastRead = 16 * 1024;
/// What one address may take while others are left to try.
constexpr Duration kLeastTry = std::chrono::milliseconds(50);

template <class Value>
void set(int fd, int level, int option, const Value& value) noexcept {
  (void)::setsockopt(fd, level, option, &value, sizeof value);
}

timeval to_timeval(Duration length) noexcept {
  return {static_cast<time_t>(length.count() / 1'000'000), static_cast<suseconds_t>(length.count() % 1'000'000)};
}

/// Below 0: the time is up.
int poll_one(int fd, short events, short* ready, Duration left) noexcept {
  pollfd one{fd, events, 0};
  const timespec limit{static_cast<time_t>(left.count() / 1'000'000),
                       static_cast<long>(left.count() % 1'000'000) * 1000};
  const int answer = ::ppoll(&one, 1, &limit, nullptr);
  if (ready != nullptr) *ready = one.revents;
  return answer;
}

void prepare(int fd, bool is_tcp, Duration usual) noexcept {
  const int on = 1;
  set(fd, SOL_SOCKET, SO_RCVTIMEO, to_timeval(std::max(usual, Duration(1'000))));
  if (!is_tcp) return;
  set(fd, IPPROTO_TCP, TCP_NODELAY, on);
  // A peer that went away without a word is found out while nobody asks: after 30 seconds of silence.
  set(fd, SOL_SOCKET, SO_KEEPALIVE, on);
  set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 15);
  set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
  set(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
  const auto milliseconds = static_cast<unsigned>(std::clamp<Duration::rep>(usual.count() / 1000, 1'000, 60'000));
  set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, milliseconds);
}

/// A connected socket, or below 0, with errno.
int connect_to(const SocketAddress& address, const Deadline& deadline) noexcept {
  const int fd = ::socket(address.bytes.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return fd;
  int error = ::connect(fd, reinterpret_cast<const sockaddr*>(&address.bytes), address.size) == 0 ? 0 : errno;
  while (error == EINPROGRESS || error == EINTR || error == EAGAIN) {
    // A unix socket whose queue is full answers EAGAIN and is to be asked again.
    const bool is_full = error == EAGAIN;
    const int ready = is_full ? ::usleep(1'000), 1 : poll_one(fd, POLLOUT, nullptr, deadline.left());
    if (ready == 0 || deadline.is_past()) {
      error = ETIMEDOUT;
    } else if (ready < 0) {
      error = errno == EINTR ? EINTR : errno;
    } else if (is_full) {
      error = ::connect(fd, reinterpret_cast<const sockaddr*>(&address.bytes), address.size) == 0 ? 0 : errno;
    } else {
      socklen_t size = sizeof error;
      if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    }
  }
  if (error == 0) {
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags >= 0 && ::fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0) return fd;
    error = errno;
  }
  ::close(fd);
  errno = error;
  return -1;
}

}  // namespace

Stream::Stream(int fd, const Endpoint& endpoint, Duration usual)
    : fd_(fd), usual_(usual), endpoint_(std::make_shared<const Endpoint>(endpoint)) {}

Stream::Stream(Stream&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      usual_(other.usual_),
      endpoint_(std::move(other.endpoint_)),
      tls_(std::move(other.tls_)),
      sealed_(std::move(other.sealed_)) {}

Stream& Stream::operator=(Stream&& other) noexcept {
  if (this == &other) return *this;
  close();
  fd_ = std::exchange(other.fd_, -1);
  usual_ = other.usual_;
  endpoint_ = std::move(other.endpoint_);
  tls_ = std::move(other.tls_);
  sealed_ = std::move(other.sealed_);
  return *this;
}

Stream Stream::closed(std::shared_ptr<const Endpoint> endpoint) noexcept {
  Stream stream;
  stream.endpoint_ = std::move(endpoint);
  return stream;
}

void Stream::close() noexcept {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

void Stream::abandon() noexcept { close(); }

Result<Stream> Stream::connect(const Endpoint& endpoint, const TlsContext* tls, Duration usual,
                               const Deadline& deadline) {
  auto addresses = resolve(endpoint, deadline);
  if (!addresses.ok()) return Result<Stream>(addresses.take_error());
  int error = 0;
  for (std::size_t i = 0; i < addresses->size(); ++i) {
    const auto others = static_cast<Duration::rep>(addresses->size() - i);
    const Duration share = std::max(deadline.left() / others, kLeastTry);
    const int fd = connect_to((*addresses)[i], deadline.within(share));
    if (fd >= 0) {
      Stream stream(fd, endpoint, usual);
      prepare(fd, endpoint.socket.empty(), usual);
      if (tls == nullptr) return stream;
      auto secured = stream.shake_hands(*tls, deadline);
      if (!secured.ok()) return Result<Stream>(secured.take_error());
      return stream;
    }
    error = errno;
    if (deadline.is_past()) break;
  }
  return system_fault(endpoint, kConnecting, error);
}

Result<void> Stream::wait(short events, short* ready, const Deadline& deadline, const char* doing) {
  for (;;) {
    const Duration left = deadline.left();
    const int answer = poll_one(fd_, events, ready, left);
    if (answer > 0) return {};
    if (answer == 0) return timed_out(*endpoint_, doing);
    if (errno != EINTR) return system_fault(*endpoint_, doing, errno);
  }
}

Result<void> Stream::send(std::span<iovec> parts, ReadBuffer& in, const Deadline& deadline) {
  if (tls_ == nullptr) return send_plain(parts, in, deadline);
  for (const iovec& part : parts)
    if (!tls_->write({static_cast<const char*>(part.iov_base), part.iov_len}, sealed_))
      return fault(*endpoint_, Errc::unavailable, kSending, tls_->why());
  return send_sealed(deadline);
}

Result<void> Stream::send_sealed(const Deadline& deadline) {
  if (sealed_.empty()) return {};
  // What comes meanwhile stays with the kernel: it is sealed, and a session is fed in one place.
  iovec part{sealed_.data(), sealed_.size()};
  while (part.iov_len > 0) {
    const ssize_t sent = ::send(fd_, part.iov_base, part.iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      part.iov_base = static_cast<char*>(part.iov_base) + sent;
      part.iov_len -= static_cast<std::size_t>(sent);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return system_fault(*endpoint_, kSending, errno);
    auto ready = wait(POLLOUT, nullptr, deadline, kSending);
    if (!ready.ok()) return ready;
  }
  sealed_.clear();
  return {};
}

Result<void> Stream::send_plain(std::span<iovec> parts, ReadBuffer& in, const Deadline& deadline) {
  while (!parts.empty()) {
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = std::min<std::size_t>(parts.size(), IOV_MAX);
    // A single part is what nearly all calls send: the kernel then has no list to copy and to check.
    ssize_t sent = parts.size() == 1
                       ? ::send(fd_, parts.front().iov_base, parts.front().iov_len, MSG_NOSIGNAL | MSG_DONTWAIT)
                       : ::sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      while (!parts.empty() && static_cast<std::size_t>(sent) >= parts.front().iov_len) {
        sent -= static_cast<ssize_t>(parts.front().iov_len);
        parts = parts.subspan(1);
      }
      if (parts.empty()) break;
      parts.front().iov_base = static_cast<char*>(parts.front().iov_base) + sent;
      parts.front().iov_len -= static_cast<std::size_t>(sent);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return system_fault(*endpoint_, kSending, errno);
    short ready = 0;
    auto waited = wait(POLLOUT | POLLIN, &ready, deadline, kSending);
    if (!waited.ok()) return waited;
    if ((ready & POLLIN) == 0) continue;
    in.reserve(kLeastRead);
    const ssize_t got = ::recv(fd_, in.room(), in.room_size(), MSG_DONTWAIT);
    if (got > 0) in.filled(static_cast<std::size_t>(got));
    if (got == 0) return fault(*endpoint_, Errc::unavailable, kSending, "the server closed the connection");
    if (got < 0 && errno != EAGAIN && errno != EINTR) return system_fault(*endpoint_, kSending, errno);
  }
  return {};
}

Result<std::size_t> Stream::receive_plain(char* to, std::size_t room, const Deadline& deadline) {
  for (;;) {
    int flags = 0;
    const Duration left = deadline.left();
    if (left + kSlack < usual_) {
      auto ready = wait(POLLIN, nullptr, deadline, kReceiving);
      if (!ready.ok()) return Result<std::size_t>(ready.take_error());
      flags = MSG_DONTWAIT;
    }
    const ssize_t got = ::recv(fd_, to, room, flags);
    if (got > 0) return static_cast<std::size_t>(got);
    if (got == 0) return fault(*endpoint_, Errc::unavailable, kReceiving, "the server closed the connection");
    if (errno == EINTR) continue;
    if ((errno == EAGAIN || errno == EWOULDBLOCK) && !deadline.is_past()) continue;
    return system_fault(*endpoint_, kReceiving, errno);
  }
}

Result<void> Stream::receive(ReadBuffer& in, std::size_t wanted, const Deadline& deadline) {
  in.reserve(std::max(wanted, kLeastRead));
  if (tls_ == nullptr) {
    auto got = receive_plain(in.room(), in.room_size(), deadline);
    if (!got.ok()) return Result<void>(got.take_error());
    in.filled(*got);
    return {};
  }
  for (;;) {
    const std::ptrdiff_t got = tls_->read(in.room(), in.room_size(), sealed_);
    if (got < 0) return fault(*endpoint_, Errc::unavailable, kReceiving, tls_->why());
    auto sent = send_sealed(deadline);
    if (!sent.ok()) return sent;
    if (got > 0) {
      in.filled(static_cast<std::size_t>(got));
      return {};
    }
    char sealed[kLeastRead];
    auto more = receive_plain(sealed, sizeof sealed, deadline);
    if (!more.ok()) return Result<void>(more.take_error());
    if (!tls_->feed({sealed, *more})) return fault(*endpoint_, Errc::unavailable, kReceiving, tls_->why());
  }
}

Result<void> Stream::shake_hands(const TlsContext& tls, const Deadline& deadline) {
  auto session = tls.session(*endpoint_);
  if (!session.ok()) return Result<void>(session.take_error());
  tls_ = std::move(*session);
  for (;;) {
    const TlsSession::Step step = tls_->handshake(sealed_);
    auto sent = send_sealed(deadline);
    if (step == TlsSession::Step::failed) return fault(*endpoint_, Errc::denied, "TLS handshake", tls_->why());
    if (!sent.ok()) return sent;
    if (step == TlsSession::Step::done) return {};
    char sealed[kLeastRead];
    auto more = receive_plain(sealed, sizeof sealed, deadline);
    if (!more.ok()) {
      more.error().message += " (TLS handshake)";
      return Result<void>(more.take_error());
    }
    if (!tls_->feed({sealed, *more})) return fault(*endpoint_, Errc::denied, "TLS handshake", tls_->why());
  }
}

void Stream::interrupt() noexcept {
  if (fd_ >= 0) ::shutdown(fd_, SHUT_RDWR);
}

bool Stream::is_quiet() noexcept {
  char byte[1];
  if (tls_ == nullptr) {
    const ssize_t got = ::recv(fd_, byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT);
    return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  }
  // Under TLS a server may send tickets of its own accord: what counts is whether it said anything to us.
  char sealed[kLeastRead];
  const ssize_t got = ::recv(fd_, sealed, sizeof sealed, MSG_DONTWAIT);
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK)) return false;
  if (got > 0 && !tls_->feed({sealed, static_cast<std::size_t>(got)})) return false;
  return tls_->read(byte, sizeof byte, sealed_) == 0;
}

}  // namespace detail::net
}  // namespace v1
}  // namespace flux::cache
