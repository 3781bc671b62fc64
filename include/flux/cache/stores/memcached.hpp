// flux/cache/stores/memcached.hpp - entries on memcached servers.
#pragma once
#include <flux/cache/breaker_options.hpp>
#include <flux/cache/options.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace flux::cache {
inline namespace v1 {

class Fields;

/// One of the servers.
struct MemcachedServer {
  std::string host = "127.0.0.1";  ///< name or address, or the path of a unix socket
  int port = 11211;                ///< 1 to 65535
  int weight = 1;                  ///< its share of the keys, against the others'; 1 to 1,000,000
};

/// The spelling of the Flux documentation for what a store may say itself as well; say each in one place.
struct MemcachedOptions {
  std::string compression{};  ///< none, zstd, gzip, default; in JSON true and false as well
  std::string serializer{};   ///< native (alias pickle), msgpack, json
};

/// A store on memcached servers, each key on one of them.
struct MemcachedConfig {
  std::vector<MemcachedServer> servers{};  ///< none: 127.0.0.1:11211
  std::string prefix{};                    ///< stands before each key, behind the global prefix
  std::string serializer{};                ///< native (alias pickle), msgpack, json; empty: what `serialize` says
  std::string compression{};               ///< none, zstd, gzip, default; empty: what `serialize` says
  std::optional<Ttl> ttl{};                ///< the lifetime of what is put without one; none: for ever
  std::string on_error{};                  ///< soft (reads miss, writes answer false) or throw; empty: soft
  bool frame = true;                       ///< false: values are the plain document, readable for other languages
  std::uint64_t max_value = 0;             ///< bytes; larger values are refused; 0: what the store can
  std::optional<BreakerOptions> circuit_breaker{};  ///< none: 5 failures in a row, then a probe each second
  bool prohibit_flush = false;                      ///< `flush` is refused
  Duration timeout{0};                              ///< for one call in all; 0: the driver's own
  MemcachedOptions options{};
  std::string username{};  ///< of SASL; empty: none
  std::string password{};  ///< never shown
};

FLUX_CACHE_API void describe(Fields& fields, MemcachedServer& server);
FLUX_CACHE_API void describe(Fields& fields, MemcachedOptions& options);
FLUX_CACHE_API void describe(Fields& fields, MemcachedConfig& config);

}  // namespace v1
}  // namespace flux::cache
