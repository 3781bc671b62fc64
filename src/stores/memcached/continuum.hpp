// Which server a key belongs to: the weighted continuum of libketama, point for point as libmemcached and the clients
// that agree with it place them (MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, MD5).
//
// Each server gets 40 names for each equal share that it has, "host-0", "host-1"... or "host:port-0" off the usual
// port; the MD5 of each name gives four points on a circle of 32 bits. A key belongs to the first point at or after the
// first four bytes of its own MD5. A server that joins or leaves moves no key between the others.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace detail::memcached {

class Continuum {
 public:
  struct Server {
    std::string host;  ///< as it is configured; the path of a unix socket
    int port = 11211;  ///< 0 for a unix socket
    std::uint32_t weight = 1;
  };

  explicit Continuum(const std::vector<Server>& servers);

  /// The index of the server that a wire key belongs to. With one server no hash is computed.
  std::size_t server_of(std::string_view wire_key) const noexcept;

 private:
  struct Point {
    std::uint32_t value;
    std::uint32_t server;
  };
  std::vector<Point> points_;  // by value; empty with one server
};

}  // namespace detail::memcached
}  // namespace v1
}  // namespace flux::cache
