#include <flux/cache/testing/chaos_proxy.hpp>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <list>
#include <mutex>
#include <random>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace testing {

namespace {

using Clock = std::chrono::steady_clock;

sockaddr_in address_of(const std::string& host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  ::inet_pton(AF_INET, host.c_str(), &address.sin_addr);
  return address;
}

int open_socket() { return ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); }

}  // namespace

struct ChaosProxy::State {
  struct Pair {
    int client = -1;
    int server = -1;
    std::string to_client{};
    std::string to_server{};
    Clock::time_point not_before{};  // nothing goes to the client earlier
    bool is_silent = false;          // nothing goes to the client any more
    bool is_over = false;
  };
  struct Orders {
    ProxyFault fault = ProxyFault::none;
    Duration pause{5'000};
    Duration hold{0};
    std::string instead = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    bool cut = false;
    bool end = false;
  };

  State(std::string to_host, std::uint16_t to_port) : host(std::move(to_host)), server_port(to_port) {
    wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake < 0 || !listen(0)) throw std::system_error(errno, std::system_category(), "chaos proxy");
    thread = std::thread([this] { run(); });
  }
  ~State() {
    order([](Orders& orders) { orders.end = true; });
    thread.join();
    ::close(wake);
  }

  template <class Change>
  void order(Change change) {
    {
      const std::scoped_lock lock(mutex);
      change(orders);
    }
    const std::uint64_t one = 1;
    (void)!::write(wake, &one, sizeof one);
  }

  bool listen(std::uint16_t at) {
    listener = open_socket();
    const int on = 1;
    ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address = address_of("127.0.0.1", at);
    socklen_t size = sizeof address;
    if (::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener, 128) != 0 ||
        ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      ::close(std::exchange(listener, -1));
      return false;
    }
    port = ntohs(address.sin_port);
    return true;
  }

  static void cut_off(Pair& pair) {
    const linger at_once{1, 0};
    ::setsockopt(pair.client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    pair.is_over = true;
  }

  void accept_all() {
    for (;;) {
      const int client = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (client < 0) return;
      Pair pair;
      pair.client = client;
      pair.server = open_socket();
      const int on = 1;
      ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      ::setsockopt(pair.server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      const sockaddr_in address = address_of(host, server_port);
      if (::connect(pair.server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
          errno != EINPROGRESS)
        cut_off(pair);
      accepted.fetch_add(1, std::memory_order_relaxed);
      pairs.push_back(std::move(pair));
    }
  }

  /// What can be read now; an end of the peer ends the pair.
  static std::string read_all(int fd, Pair& pair) {
    std::string all;
    char bytes[16 * 1024];
    for (;;) {
      const ssize_t got = ::recv(fd, bytes, sizeof bytes, 0);
      if (got > 0) {
        all.append(bytes, static_cast<std::size_t>(got));
      } else {
        if (got == 0 || (errno != EAGAIN && errno != ENOTCONN && errno != EINTR)) pair.is_over = true;
        return all;
      }
    }
  }

  static void write_some(int fd, std::string& from, std::size_t most, Pair& pair) {
    const ssize_t sent = ::send(fd, from.data(), std::min(most, from.size()), MSG_NOSIGNAL);
    if (sent > 0) from.erase(0, static_cast<std::size_t>(sent));
    if (sent < 0 && errno != EAGAIN && errno != ENOTCONN && errno != EINTR) pair.is_over = true;
  }

  void relay(Pair& pair, const Orders& now, bool client_ready, bool server_ready) {
    if (client_ready) {
      std::string said = read_all(pair.client, pair);
      if (now.fault == ProxyFault::reset && !said.empty()) return cut_off(pair);
      if (now.fault != ProxyFault::black_hole) pair.to_server += said;
    }
    if (server_ready && !pair.is_over) {
      std::string said = read_all(pair.server, pair);
      if (!said.empty()) {
        if (now.fault == ProxyFault::wrong_reply) said = now.instead;
        if (now.fault == ProxyFault::double_reply) said += said;
        if (now.fault == ProxyFault::half_reply) said.resize(said.size() / 2);
        if (now.fault == ProxyFault::black_hole) said.clear();
        if (!pair.is_silent) pair.to_client += said;
        if (now.fault == ProxyFault::half_reply || now.fault == ProxyFault::black_hole) pair.is_silent = true;
        if (now.hold > Duration(0)) {
          std::uniform_int_distribution<Duration::rep> some(0, now.hold.count());
          pair.not_before = Clock::now() + Duration(some(random));
        }
      }
    }
    if (!pair.to_server.empty()) write_some(pair.server, pair.to_server, pair.to_server.size(), pair);
    if (!pair.to_client.empty() && Clock::now() >= pair.not_before) {
      const bool drips = now.fault == ProxyFault::drip;
      write_some(pair.client, pair.to_client, drips ? 1 : pair.to_client.size(), pair);
      if (drips) pair.not_before = Clock::now() + now.pause;
    }
  }

  void run() {
    for (;;) {
      Orders now;
      {
        const std::scoped_lock lock(mutex);
        now = orders;
        orders.cut = false;
      }
      if (now.end) break;
      const bool refuses = now.fault == ProxyFault::refuse;
      if (refuses && listener >= 0) ::close(std::exchange(listener, -1));
      if (!refuses && listener < 0) (void)listen(port);
      if (refuses || now.cut)
        for (Pair& pair : pairs) cut_off(pair);
      close_ended();

      std::vector<pollfd> watched{{wake, POLLIN, 0}, {listener, POLLIN, 0}};
      auto timeout = std::chrono::milliseconds(1'000);
      if (!refuses && listener < 0) timeout = std::chrono::milliseconds(5);
      for (const Pair& pair : pairs) {
        const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(pair.not_before - Clock::now());
        const bool waits = !pair.to_client.empty() && rest.count() >= 0;
        if (waits) timeout = std::min(timeout, rest + std::chrono::milliseconds(1));
        const bool pushes = !pair.to_client.empty() && !waits;
        watched.push_back({pair.client, static_cast<short>(POLLIN | (pushes ? POLLOUT : 0)), 0});
        watched.push_back({pair.server, static_cast<short>(POLLIN | (pair.to_server.empty() ? 0 : POLLOUT)), 0});
      }
      (void)::poll(watched.data(), watched.size(), static_cast<int>(timeout.count()));
      std::uint64_t drained = 0;
      (void)!::read(wake, &drained, sizeof drained);
      std::size_t at = 2;
      for (Pair& pair : pairs) {
        const bool client_ready = (watched[at].revents & (POLLIN | POLLHUP | POLLERR)) != 0;
        const bool server_ready = (watched[at + 1].revents & (POLLIN | POLLHUP | POLLERR)) != 0;
        at += 2;
        relay(pair, now, client_ready, server_ready);
      }
      if (listener >= 0) accept_all();
      close_ended();
    }
    for (Pair& pair : pairs) pair.is_over = true;
    close_ended();
    if (listener >= 0) ::close(listener);
  }

  void close_ended() {
    pairs.remove_if([](const Pair& pair) {
      if (!pair.is_over) return false;
      ::close(pair.client);
      ::close(pair.server);
      return true;
    });
  }

  const std::string host;
  const std::uint16_t server_port;
  std::atomic<std::uint16_t> port{0};
  std::atomic<std::uint64_t> accepted{0};
  int listener = -1;
  int wake = -1;
  std::list<Pair> pairs;
  std::mt19937_64 random{42};
  std::mutex mutex;
  Orders orders;
  std::thread thread;
};

ChaosProxy::ChaosProxy(std::string host, std::uint16_t port) : state_(std::make_unique<State>(std::move(host), port)) {}
ChaosProxy::~ChaosProxy() = default;

std::uint16_t ChaosProxy::port() const noexcept { return state_->port; }
void ChaosProxy::set(ProxyFault fault) {
  state_->order([&](auto& orders) { orders.fault = fault; });
}
void ChaosProxy::pause(Duration length) {
  state_->order([&](auto& orders) { orders.pause = length; });
}
void ChaosProxy::hold(Duration longest) {
  state_->order([&](auto& orders) { orders.hold = longest; });
}
void ChaosProxy::instead(std::string bytes) {
  state_->order([&](auto& orders) { orders.instead = std::move(bytes); });
}
void ChaosProxy::cut() {
  state_->order([](auto& orders) { orders.cut = true; });
}
std::uint64_t ChaosProxy::accepted() const noexcept { return state_->accepted.load(std::memory_order_relaxed); }

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
