#include "net/endpoint.hpp"

#include <cerrno>
#include <system_error>

namespace flux::cache {
inline namespace v1 {
namespace detail::net {

std::string Endpoint::name() const {
  if (!socket.empty()) return "unix:" + socket;
  const std::string number = std::to_string(port);
  return host.find(':') != host.npos ? "[" + host + "]:" + number : host + ":" + number;
}

Error fault(const Endpoint& endpoint, Errc code, const char* doing, const std::string& why) {
  Error error;
  error.code = code;
  error.message = endpoint.name();
  error.message += ": ";
  error.message += doing;
  error.message += ": ";
  error.message += why;
  return error;
}

Error system_fault(const Endpoint& endpoint, const char* doing, int error) {
  if (error == EAGAIN || error == EWOULDBLOCK || error == ETIMEDOUT) return timed_out(endpoint, doing);
  return fault(endpoint, Errc::unavailable, doing, std::system_category().message(error));
}

Error timed_out(const Endpoint& endpoint, const char* doing) {
  return fault(endpoint, Errc::timeout, doing, "no answer in time");
}

}  // namespace detail::net
}  // namespace v1
}  // namespace flux::cache
