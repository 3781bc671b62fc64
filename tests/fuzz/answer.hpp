// What a server answered, as a reader of ours meets it: all at once, or so many bytes at a time.
#pragma once
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "net/stream.hpp"
#include "support/scratch_directory.hpp"

namespace flux::cache {
inline namespace v1 {
namespace fuzz {

/// Stands where TLS would, seals nothing, and hands out a few bytes at each read.
class Drip final : public detail::net::TlsSession {
 public:
  Drip(std::size_t piece, std::size_t& handed_out) : piece_(piece), handed_out_(handed_out) {}

  Step handshake(std::string&) override { return Step::done; }
  bool feed(std::string_view bytes) override {
    held_ += bytes;
    return true;
  }
  std::ptrdiff_t read(char* to, std::size_t room, std::string&) override {
    const std::size_t size = std::min({piece_, room, held_.size() - at_});
    std::memcpy(to, held_.data() + at_, size);
    at_ += size;
    handed_out_ += size;
    return static_cast<std::ptrdiff_t>(size);
  }
  bool write(std::string_view bytes, std::string& out) override {
    out += bytes;
    return true;
  }
  std::string why() const override { return {}; }

 private:
  const std::size_t piece_;
  std::size_t& handed_out_;
  std::string held_;
  std::size_t at_ = 0;
};

/// A server that has said `bytes`, and nothing will follow.
class Answer final : public detail::net::TlsContext {
 public:
  /// `piece`: what a reader gets at a time at most.
  Answer(std::string_view bytes, std::size_t piece) : piece_(piece) {
    auto stream =
        detail::net::Stream::connect(place(), this, std::chrono::seconds(1), detail::net::Deadline::in(kPatience));
    if (!stream.ok()) std::abort();
    stream_ = std::move(*stream);
    server_ = ::accept4(listener(), nullptr, nullptr, SOCK_CLOEXEC);
    const int room = 1 << 20;  // all of it fits, so that one thread plays both parts
    (void)::setsockopt(server_, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    if (::send(server_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) != static_cast<ssize_t>(bytes.size()))
      std::abort();
    (void)::shutdown(server_, SHUT_WR);
  }
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;
  ~Answer() override { ::close(server_); }

  detail::net::Stream take_stream() { return std::move(stream_); }
  /// So many bytes have been read.
  std::size_t handed_out() const noexcept { return handed_out_; }

  Result<std::unique_ptr<detail::net::TlsSession>> session(const detail::net::Endpoint&) const override {
    return std::unique_ptr<detail::net::TlsSession>(std::make_unique<Drip>(piece_, handed_out_));
  }

  /// Long enough for anything: all bytes are there.
  static constexpr Duration kPatience = std::chrono::seconds(30);
  /// Longer inputs are cut: a socket does not hold more at once.
  static constexpr std::size_t kMost = 64 * 1024;

 private:
  static const detail::net::Endpoint& place() {
    static const testing::ScratchDirectory directory(testing::memory_backed_directory());
    static const detail::net::Endpoint endpoint{.socket = directory / "server"};
    return endpoint;
  }
  static int listener() {
    static const int fd = [] {
      const int made = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      std::strncpy(address.sun_path, place().socket.c_str(), sizeof address.sun_path - 1);
      if (::bind(made, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || ::listen(made, 8) != 0)
        std::abort();
      return made;
    }();
    return fd;
  }
  static inline const int kListening = listener();

  const std::size_t piece_;
  mutable std::size_t handed_out_ = 0;
  detail::net::Stream stream_;
  int server_ = -1;
};

}  // namespace fuzz
}  // namespace v1
}  // namespace flux::cache
