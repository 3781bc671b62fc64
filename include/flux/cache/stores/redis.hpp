// flux/cache/stores/redis.hpp - entries on a redis server, shared by all that reach it.
//
// One round trip for each operation, over a pool of connections with one deadline for each call. Options, faults and
// figures stand in docs/stores/redis.md, the reasons in docs/design/redis_store.md.
#pragma once
#include <flux/cache/breaker_options.hpp>
#include <flux/cache/options.hpp>
#include <flux/cache/store.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace flux::cache {
inline namespace v1 {

class Fields;

/// One of the sentinels, or a node of a cluster.
struct RedisNode {
  std::string host = "127.0.0.1";  ///< name or address
  int port = 0;                    ///< 1 to 65535; 0: the usual one, 26379 of sentinels and 6379 of nodes
};

/// The sentinels that know where the primary is. The connection's TLS holds for them as well.
struct RedisSentinel {
  std::string name{};              ///< of the primary, as the sentinels call it
  std::vector<RedisNode> nodes{};  ///< asked in turn until one knows; empty: there are no sentinels
  std::string username{};          ///< of the sentinels' own ACL; empty: the default user
  std::string password{};          ///< of the sentinels; never shown
};

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
  Duration pool_wait = std::chrono::milliseconds(100);  ///< the most a call waits for one of them to come free; above 0
  bool shared = false;        ///< threads share one connection for short calls, and what they ask goes out together
  bool tls = false;           ///< speak TLS; implied by rediss:// and by each of the options below
  std::string ca{};           ///< whom to trust: a file of certificates (PEM), or a folder of them; empty: the system's
  std::string certificate{};  ///< our own, for servers that ask for one: a file (PEM)
  std::string key{};          ///< its private key: a file (PEM)
  std::string server_name{};  ///< sent as SNI and looked for in the server's certificate; empty: the host
  bool verify = true;         ///< false: believe whoever answers
  RedisSentinel sentinel{};   ///< where to ask for the primary, instead of host, port and socket
  bool cluster = false;       ///< it is a Redis Cluster: keys are spread over its nodes
  std::vector<RedisNode> seeds{};  ///< nodes that are asked first who else there is; empty: host and port
  bool replica_reads = false;      ///< `get` and `many` ask replicas, which may be behind: what they answer may be old

  /// Errc::bad_config, with the field's name as the error's key.
  FLUX_CACHE_API Result<void> validate() const;
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
  Duration timeout{0};                              ///< for one call in all; 0: the connection's
  const Clock* clock = nullptr;                     ///< whose time it goes by; null: the machine's
};

FLUX_CACHE_API void describe(Fields& fields, RedisNode& node);
FLUX_CACHE_API void describe(Fields& fields, RedisSentinel& sentinel);
FLUX_CACHE_API void describe(Fields& fields, RedisConnection& connection);
FLUX_CACHE_API void describe(Fields& fields, RedisConfig& config);

/// What a server answers to a command of one's own.
struct RedisReply {
  enum class Kind : std::uint8_t { nothing, integer, text, status, error, array };
  Kind kind = Kind::nothing;
  std::int64_t integer = 0;
  std::string text{};  ///< of text, status and error
  std::vector<RedisReply> elements{};
};

/// The store, and what else its server can do. Thread-safe, and usable by both sides of a fork.
class FLUX_CACHE_TYPE RedisStore : public Store {
 public:
  /// The server's INFO, one section of it or the usual ones: "redis_version" -> "7.0.15". One round trip.
  virtual Result<std::map<std::string, std::string>> info(std::string_view section = {}) = 0;
  /// Sends a command as it is, on a cluster to the node that has the slot of its first key: its keys are the server's,
  /// with no prefix put before them. What the server refuses comes as a reply of kind error. Never sent twice. Not for
  /// commands that turn the connection into something else (SUBSCRIBE, MONITOR, MULTI, SELECT): those are
  /// Errc::unsupported.
  virtual Result<RedisReply> command(const std::vector<std::string>& words) = 0;
  /// The name under which the server keeps an entry.
  virtual std::string stored_key(const Key& key) const = 0;
};

/// A store on a server. Connects at its first use; a configuration that does not validate is answered by each call with
/// Errc::bad_config.
FLUX_CACHE_API std::shared_ptr<RedisStore> make_redis(const RedisConfig& config = {},
                                                      const RedisConnection& connection = {});

}  // namespace v1
}  // namespace flux::cache
