// A server that says what a test wants it to, and one question to a real one.
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <flux/cache/stores/memcached.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <thread>

namespace flux::cache::testing {

/// Takes connections on a loopback port. Greets as memcached does, and answers what comes then as the script says; with
/// a pause, byte by byte.
class ScriptedServer {
 public:
  using Script = std::function<std::string(std::string_view request)>;
  enum class Greeting { usual, none };

  explicit ScriptedServer(Script script, std::chrono::milliseconds pause = {}, Greeting greeting = Greeting::usual)
      : script_(std::move(script)),
        pause_(pause),
        greeting_(greeting),
        fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(fd_, 64) != 0 ||
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      std::abort();
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ~ScriptedServer() {
    is_over_ = true;
    thread_.join();
    ::close(fd_);
  }

  int port() const { return port_; }

 private:
  bool waits_for(int fd) const {
    while (!is_over_) {
      pollfd one{fd, POLLIN, 0};
      if (::poll(&one, 1, 10) > 0) return true;
    }
    return false;
  }
  // One connection at a time; the next in line waits in the queue.
  void serve() {
    while (waits_for(fd_)) {
      const int peer = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
      if (peer < 0) continue;
      converse(peer);
      ::close(peer);
    }
  }
  void converse(int peer) {
    char bytes[64 * 1024];
    while (waits_for(peer)) {
      const ssize_t got = ::recv(peer, bytes, sizeof bytes, 0);
      if (got <= 0) return;
      const std::string_view request(bytes, static_cast<std::size_t>(got));
      std::string answer;
      if (greeting_ == Greeting::usual && request == "mn\r\n") {
        answer = "MN\r\n";
      } else if (greeting_ == Greeting::usual && request == "stats settings\r\n") {
        answer = "STAT item_size_max 1048576\r\nEND\r\n";
      } else {
        answer = script_(request);
        for (const char byte : answer) {
          if (pause_.count() == 0) break;
          if (is_over_ || ::send(peer, &byte, 1, MSG_NOSIGNAL) != 1) return;
          std::this_thread::sleep_for(pause_);
        }
        if (pause_.count() != 0) continue;
      }
      if (::send(peer, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return;
    }
  }

  const Script script_;
  const std::chrono::milliseconds pause_;
  const Greeting greeting_;
  const int fd_;
  int port_ = 0;
  std::atomic<bool> is_over_{false};
  std::thread thread_;
};

/// What a server answers to one request, past the store: its first line.
inline std::string ask(const MemcachedServer& where, const std::string& request) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(where.port));
  ::inet_pton(AF_INET, where.host.c_str(), &address.sin_addr);
  std::string answer;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::send(fd, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size())) {
    char byte = 0;
    while (!answer.ends_with('\n') && ::recv(fd, &byte, 1, 0) == 1) answer += byte;
  }
  ::close(fd);
  return answer;
}

}  // namespace flux::cache::testing
