// The floor: what a server and the kernel take for the bytes of a batch, which were put together before the clock
// started and whose answers nobody looks at. No client can be faster with these commands.
#pragma once
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

namespace flux::bench {

class RawBurst {
 public:
  /// `port` 0: `host` is the path of a unix socket. `bytes`: all commands, which are sent once to learn how much is
  /// answered.
  RawBurst(const std::string& host, int port, std::string bytes) : bytes_(std::move(bytes)) {
    if (port == 0) {
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      std::strncpy(address.sun_path, host.c_str(), sizeof address.sun_path - 1);
      connect(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    } else {
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(static_cast<in_port_t>(port));
      ::inet_pton(AF_INET, host.c_str(), &address.sin_addr);
      connect(AF_INET, reinterpret_cast<const sockaddr*>(&address), sizeof address);
      const int on = 1;
      ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    answered_ = exchange(SIZE_MAX);
  }
  RawBurst(const RawBurst&) = delete;
  ~RawBurst() { ::close(fd_); }

  void run() {
    if (exchange(answered_) != answered_) std::abort();
  }

 private:
  void connect(int family, const sockaddr* address, socklen_t size) {
    fd_ = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd_ < 0 || ::connect(fd_, address, size) != 0) std::abort();
    ::fcntl(fd_, F_SETFL, O_NONBLOCK);
  }
  /// Sends all, and receives that much, or until nothing has come for a while.
  std::size_t exchange(std::size_t wanted) {
    std::size_t sent = 0, received = 0;
    while (received < wanted) {
      if (sent < bytes_.size()) {
        const auto more = ::send(fd_, bytes_.data() + sent, bytes_.size() - sent, MSG_NOSIGNAL);
        if (more > 0) sent += static_cast<std::size_t>(more);
      }
      const auto more = ::recv(fd_, answer_, sizeof answer_, 0);
      if (more > 0) {
        received += static_cast<std::size_t>(more);
        continue;
      }
      if (more == 0) std::abort();
      pollfd ready{fd_, static_cast<short>(sent < bytes_.size() ? POLLIN | POLLOUT : POLLIN), 0};
      if (::poll(&ready, 1, 300) == 0 && sent == bytes_.size()) break;
    }
    return received;
  }

  int fd_ = -1;
  std::string bytes_;
  std::size_t answered_ = 0;
  char answer_[64 * 1024];
};

}  // namespace flux::bench
