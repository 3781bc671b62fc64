// From a host's name to its addresses, within a deadline.
#pragma once
#include <flux/cache/result.hpp>

#include <sys/socket.h>

#include <vector>

#include "net/deadline.hpp"
#include "net/endpoint.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::net {

struct SocketAddress {
  sockaddr_storage bytes{};
  socklen_t size = 0;
};

/// All addresses, in the order in which to try them; at least one. A name is looked up in a thread of its own, which is
/// left behind where the deadline passes first.
Result<std::vector<SocketAddress>> resolve(const Endpoint& endpoint, const Deadline& deadline);

}  // namespace detail::net
}  // namespace v1
}  // namespace flux::cache
