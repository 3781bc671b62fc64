#include "net/tls.hpp"

#include "core/rooms.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::net {

namespace {

constexpr const char* kNoTls = "TLS is asked for, but this program was built without it (component tls)";

TransportTable::MakeTls find_tls() {
  TransportTable table;
  register_transports(table);
  return table.tls;
}

}  // namespace

Result<std::shared_ptr<const TlsContext>> make_tls(const TlsOptions& options) {
  const auto make = find_tls();
  if (make == nullptr) return Error{Errc::bad_config, kNoTls};
  return make(options);
}

Result<void> check_tls(const TlsOptions& options, bool by_socket) {
  const auto bad = [](const char* option, const char* why) { return Error{Errc::bad_config, why, {}, {}, option}; };
  if (!options.key.empty() && options.certificate.empty())
    return bad("key", "there is no certificate that it belongs to");
  if (!options.enabled) return {};
  if (by_socket && options.verify && options.server_name.empty())
    return bad("server_name", "a unix socket has no name to look for in a certificate");
  if (find_tls() == nullptr) return bad("tls", kNoTls);
  return {};
}

Result<std::shared_ptr<const TlsContext>> TlsSource::get() {
  if (!options_.enabled) return std::shared_ptr<const TlsContext>();
  const std::scoped_lock lock(mutex_);
  if (!made_) {
    auto made = make_tls(options_);
    if (!made.ok()) return made;
    made_ = *made;
  }
  return made_;
}

}  // namespace detail::net
}  // namespace v1
}  // namespace flux::cache
