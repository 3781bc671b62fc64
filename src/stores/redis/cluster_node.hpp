// A node of a cluster, and what calls learn about it. Each has a breaker of its own: one that does not answer costs
// some calls their time, and the calls to the others nothing.
#pragma once
#include <flux/cache/circuit_breaker.hpp>

#include "cluster_client.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

/// The server has said it; otherwise nobody has.
inline bool was_refused(const Error& error) noexcept { return error.message.starts_with(kServerSays); }

struct ClusterClient::Node {
  Node(const RedisConnection& connection, Duration timeout, ServerClient::Role role)
      : client(connection, timeout, role), role(role) {}

  ServerClient client;
  const ServerClient::Role role;
  std::atomic<bool> has_slots{false};
  std::atomic<bool> is_silent{false};  // when it was asked last it did not answer
  CircuitBreaker breaker{{.timeout = std::chrono::milliseconds(500), .max_timeout = std::chrono::seconds(1)}};
};

/// What a call learns about whether a node answers. To be ended once.
struct ClusterClient::Trial {
  explicit Trial(Node& of) noexcept : node(&of), pass(of.breaker.enter()) {}

  /// An attempt ended. What the server refused is an answer, and a lack of connections is our own.
  void note(const Error* error) noexcept {
    has_failed =
        error != nullptr && !was_refused(*error) && (error->code == Errc::unavailable || error->code == Errc::timeout);
    was_put_off = false;
    if (node->is_silent.load(std::memory_order_relaxed) != has_failed)
      node->is_silent.store(has_failed, std::memory_order_relaxed);
  }
  void end() noexcept {
    if (!pass) return;
    has_failed ? node->breaker.fail(pass) : node->breaker.succeed(pass);
  }
  Error refusal() const {
    return net::fault(node->client.endpoint(), Errc::unavailable, "asking",
                      "it did not answer several times, and is left alone for a moment");
  }

  Node* node;
  CircuitBreaker::Pass pass;
  bool has_failed = false;
  bool was_put_off = false;  // it asked to wait
};

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
