// flux/cache/stores/redis.hpp - entries on a redis server.
#pragma once
#include <flux/cache/breaker_options.hpp>
#include <flux/cache/options.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace flux::cache {
inline namespace v1 {

class Fields;

/// A redis server, as `connections` names it.
struct RedisConnection {
  std::string host = "127.0.0.1";  ///< name or address
  int port = 6379;                 ///< 1 to 65535
  int database = 0;                ///< 0 to 65535; servers have 16 unless told otherwise
  std::string username{};          ///< of the ACL; empty: the default user
  std::string password{};          ///< never shown
  std::string socket{};            ///< the path of a unix socket, instead of host and port
  std::string url{};               ///< redis://, rediss:// or unix://, instead of all above; user info never shown
  std::string client_name{};       ///< as CLIENT LIST shows it
  Duration timeout = std::chrono::seconds(1);  ///< for one call: pool, connect, send and receive together; above 0
  int pool_size = 16;                          ///< connections at most; 1 to 10,000
};

/// A store on a redis server.
struct RedisConfig {
  std::string connection{};     ///< one of `connections` with the driver redis; empty: "default"
  std::string prefix{};         ///< stands before each key, behind the global prefix
  std::string serializer{};     ///< native (alias pickle), msgpack, json; empty: what `serialize` says
  std::string compression{};    ///< none, zstd, gzip, default; empty: what `serialize` says
  std::optional<Ttl> ttl{};     ///< the lifetime of what is put without one; none: for ever
  std::string on_error{};       ///< soft (reads miss, writes answer false) or throw; empty: soft
  bool frame = true;            ///< false: values are the plain document, readable for other languages
  std::uint64_t max_value = 0;  ///< bytes; larger values are refused; 0: what the store can
  std::optional<BreakerOptions> circuit_breaker{};  ///< none: 5 failures in a row, then a probe each second
  bool prohibit_flush = false;                      ///< `flush` is refused
  Duration timeout{0};                              ///< for one call in all; 0: the driver's own
};

FLUX_CACHE_API void describe(Fields& fields, RedisConnection& connection);
FLUX_CACHE_API void describe(Fields& fields, RedisConfig& config);

}  // namespace v1
}  // namespace flux::cache
