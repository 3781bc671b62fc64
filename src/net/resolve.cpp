#include "net/resolve.hpp"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <sys/un.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>

namespace flux::cache {
inline namespace v1 {
namespace detail::net {

namespace {

constexpr int kMostLookups = 32;

std::atomic<int> lookups{0};
// The threads of a parent do not exist in its child.
[[maybe_unused]] const int fork_watch =
    pthread_atfork(nullptr, nullptr, [] { lookups.store(0, std::memory_order_relaxed); });

struct Answer {
  int fault = 0;
  std::vector<SocketAddress> addresses;
};

Answer look_up(const std::string& host, const std::string& port, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  Answer answer;
  answer.fault = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &list);
  if (answer.fault != 0) return answer;
  for (const addrinfo* at = list; at != nullptr; at = at->ai_next) {
    if (at->ai_addrlen > sizeof(sockaddr_storage)) continue;
    SocketAddress address;
    std::memcpy(&address.bytes, at->ai_addr, at->ai_addrlen);
    address.size = at->ai_addrlen;
    answer.addresses.push_back(address);
  }
  ::freeaddrinfo(list);
  if (answer.addresses.empty()) answer.fault = EAI_NONAME;
  return answer;
}

/// A lookup under way; the thread that runs it may outlast who asked.
struct Lookup {
  std::mutex mutex;
  std::condition_variable done;
  bool is_done = false;
  Answer answer;
};

bool start(const std::shared_ptr<Lookup>& lookup, const std::string& host, const std::string& port) {
  if (lookups.fetch_add(1, std::memory_order_relaxed) >= kMostLookups) {
    lookups.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  // The program's signals are for its own threads.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  bool started = true;
  try {
    std::thread([lookup, host, port] {
      Answer answer = look_up(host, port, AI_ADDRCONFIG);
      const std::scoped_lock guard(lookup->mutex);
      lookup->answer = std::move(answer);
      lookup->is_done = true;
      lookups.fetch_sub(1, std::memory_order_relaxed);
      lookup->done.notify_all();
    }).detach();
  } catch (const std::system_error&) {
    lookups.fetch_sub(1, std::memory_order_relaxed);
    started = false;
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

Result<std::vector<SocketAddress>> unix_address(const Endpoint& endpoint) {
  sockaddr_un path{};
  if (endpoint.socket.size() >= sizeof path.sun_path)
    return fault(endpoint, Errc::bad_config, "connecting", "the path of a unix socket has at most 107 bytes");
  path.sun_family = AF_UNIX;
  std::memcpy(path.sun_path, endpoint.socket.data(), endpoint.socket.size());
  SocketAddress address;
  std::memcpy(&address.bytes, &path, sizeof path);
  address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + endpoint.socket.size() + 1);
  return std::vector<SocketAddress>{address};
}

}  // namespace

Result<std::vector<SocketAddress>> resolve(const Endpoint& endpoint, const Deadline& deadline) {
  if (!endpoint.socket.empty()) return unix_address(endpoint);
  const std::string port = std::to_string(endpoint.port);
  Answer answer = look_up(endpoint.host, port, AI_NUMERICHOST);
  if (answer.fault == 0) return std::move(answer.addresses);

  const auto lookup = std::make_shared<Lookup>();
  if (!start(lookup, endpoint.host, port))
    return fault(endpoint, Errc::unavailable, "looking up the name", "too many lookups are waiting for an answer");
  std::unique_lock lock(lookup->mutex);
  if (!lookup->done.wait_until(lock, deadline.end(), [&] { return lookup->is_done; }))
    return timed_out(endpoint, "looking up the name");
  if (lookup->answer.fault != 0)
    return fault(endpoint, Errc::unavailable, "looking up the name", ::gai_strerror(lookup->answer.fault));
  return std::move(lookup->answer.addresses);
}

}  // namespace detail::net
}  // namespace v1
}  // namespace flux::cache
