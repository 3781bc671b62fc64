// TLS by OpenSSL, over memory: the socket stays with the transport, which knows deadlines and does not die of SIGPIPE.
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <array>
#include <climits>

#include "net/tls.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::net {

namespace {

struct Free {
  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
  void operator()(SSL* session) const noexcept { SSL_free(session); }
};

std::string last_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "the connection was ended";
  std::array<char, 256> text{};
  ERR_error_string_n(code, text.data(), text.size());
  const char* const reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : text.data();
}

bool is_address(const std::string& host) {
  ASN1_OCTET_STRING* const address = a2i_IPADDRESS(host.c_str());
  ASN1_OCTET_STRING_free(address);
  ERR_clear_error();
  return address != nullptr;
}

class OpenSslSession final : public TlsSession {
 public:
  explicit OpenSslSession(std::unique_ptr<SSL, Free> ssl)
      : ssl_(std::move(ssl)), in_(BIO_new(BIO_s_mem())), out_(BIO_new(BIO_s_mem())) {
    BIO_set_mem_eof_return(in_, -1);
    BIO_set_mem_eof_return(out_, -1);
    SSL_set_bio(ssl_.get(), in_, out_);
    SSL_set_connect_state(ssl_.get());
  }

  Step handshake(std::string& out) override {
    ERR_clear_error();
    const int answer = SSL_do_handshake(ssl_.get());
    const int reason = SSL_get_error(ssl_.get(), answer);
    if (answer != 1 && reason != SSL_ERROR_WANT_READ) note_failure();
    collect(out);
    if (answer == 1) return Step::done;
    return reason == SSL_ERROR_WANT_READ ? Step::wants_more : Step::failed;
  }

  bool feed(std::string_view bytes) override {
    return BIO_write(in_, bytes.data(), static_cast<int>(bytes.size())) == static_cast<int>(bytes.size());
  }

  std::ptrdiff_t read(char* to, std::size_t room, std::string& out) override {
    ERR_clear_error();
    const int got = SSL_read(ssl_.get(), to, static_cast<int>(std::min<std::size_t>(room, INT_MAX)));
    const int reason = SSL_get_error(ssl_.get(), got);
    if (got <= 0 && reason != SSL_ERROR_WANT_READ) note_failure();
    collect(out);
    if (got > 0) return got;
    return reason == SSL_ERROR_WANT_READ ? 0 : -1;
  }

  bool write(std::string_view bytes, std::string& out) override {
    ERR_clear_error();
    while (!bytes.empty()) {
      const int size = static_cast<int>(std::min<std::size_t>(bytes.size(), 1 << 20));
      const int sent = SSL_write(ssl_.get(), bytes.data(), size);
      if (sent <= 0) {
        note_failure();
        return false;
      }
      bytes.remove_prefix(static_cast<std::size_t>(sent));
      collect(out);
    }
    return true;
  }

  std::string why() const override { return why_; }

 private:
  void collect(std::string& out) {
    char* held = nullptr;
    const long size = BIO_get_mem_data(out_, &held);
    if (size <= 0) return;
    out.append(held, static_cast<std::size_t>(size));
    (void)BIO_reset(out_);
  }

  void note_failure() {
    const long verified = SSL_get_verify_result(ssl_.get());
    why_ = last_error();
    if (verified != X509_V_OK) why_ += std::string(": ") + X509_verify_cert_error_string(verified);
  }

  std::unique_ptr<SSL, Free> ssl_;
  BIO* in_;   // the session's
  BIO* out_;  // the session's
  std::string why_;
};

class OpenSslContext final : public TlsContext {
 public:
  OpenSslContext(std::unique_ptr<SSL_CTX, Free> context, const TlsOptions& options)
      : context_(std::move(context)), options_(options) {}

  Result<std::unique_ptr<TlsSession>> session(const Endpoint& endpoint) const override {
    std::unique_ptr<SSL, Free> ssl(SSL_new(context_.get()));
    if (!ssl) return fault(endpoint, Errc::unavailable, "TLS", last_error());
    const std::string& name = !options_.server_name.empty() ? options_.server_name : endpoint.host;
    bool is_set = true;
    if (!name.empty() && is_address(name)) {
      if (options_.verify) is_set = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), name.c_str()) == 1;
    } else if (!name.empty()) {
      is_set = SSL_set_tlsext_host_name(ssl.get(), name.c_str()) == 1;
      if (options_.verify) is_set = is_set && SSL_set1_host(ssl.get(), name.c_str()) == 1;
    } else if (options_.verify) {
      return fault(endpoint, Errc::bad_config, "TLS", "a unix socket has no name to check: say server_name");
    }
    if (!is_set) return fault(endpoint, Errc::bad_config, "TLS", last_error());
    return std::unique_ptr<TlsSession>(std::make_unique<OpenSslSession>(std::move(ssl)));
  }

 private:
  const std::unique_ptr<SSL_CTX, Free> context_;
  const TlsOptions options_;
};

Error refused(const std::string& what, const std::string& path) {
  return {Errc::bad_config, "TLS: " + what + " \"" + path + "\": " + last_error()};
}

Result<std::shared_ptr<const TlsContext>> make_openssl(const TlsOptions& options) {
  ERR_clear_error();
  std::unique_ptr<SSL_CTX, Free> context(SSL_CTX_new(TLS_client_method()));
  if (!context) return Error{Errc::unavailable, "TLS: " + last_error()};
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_AUTO_RETRY | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_verify(context.get(), options.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  if (options.verify) {
    struct stat found {};
    if (options.ca.empty()) {
      (void)SSL_CTX_set_default_verify_paths(context.get());
    } else if (::stat(options.ca.c_str(), &found) == 0 && S_ISDIR(found.st_mode)) {
      if (SSL_CTX_load_verify_dir(context.get(), options.ca.c_str()) != 1) return refused("ca", options.ca);
    } else if (SSL_CTX_load_verify_file(context.get(), options.ca.c_str()) != 1) {
      return refused("ca", options.ca);
    }
  }
  if (!options.certificate.empty()) {
    if (SSL_CTX_use_certificate_chain_file(context.get(), options.certificate.c_str()) != 1)
      return refused("certificate", options.certificate);
    const std::string& key = options.key.empty() ? options.certificate : options.key;
    if (SSL_CTX_use_PrivateKey_file(context.get(), key.c_str(), SSL_FILETYPE_PEM) != 1) return refused("key", key);
    if (SSL_CTX_check_private_key(context.get()) != 1) return refused("the key does not fit the certificate", key);
  }
  return std::shared_ptr<const TlsContext>(std::make_shared<OpenSslContext>(std::move(context), options));
}

}  // namespace

}  // namespace detail::net

namespace detail {

void register_transport_tls(TransportTable& table);
void register_transport_tls(TransportTable& table) { table.tls = &net::make_openssl; }

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
