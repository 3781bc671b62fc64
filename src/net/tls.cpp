#include "net/tls.hpp"

#include "core/rooms.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::net {

Result<std::shared_ptr<const TlsContext>> make_tls(const TlsOptions& options) {
  TransportTable table;
  register_transports(table);
  if (table.tls == nullptr)
    return Error{Errc::bad_config, "TLS is asked for, but this program was built without it (component tls)"};
  return table.tls(options);
}

}  // namespace detail::net
}  // namespace v1
}  // namespace flux::cache
