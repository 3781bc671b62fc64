// flux/cache/stores/memcached.hpp - entries on memcached servers: shared by all machines that reach them, gone with the
// server that kept them.
//
// Speaks the meta protocol of memcached 1.6 over connections of its own; the binary protocol, and SASL with it, goes
// through libmemcached. Keys are placed by weighted ketama, as other clients place them. docs/stores/memcached.md has
// the options, the limits and the figures, docs/design/memcached_store.md the reasons.
#pragma once
#include <flux/cache/breaker_options.hpp>
#include <flux/cache/options.hpp>
#include <flux/cache/store.hpp>

#include <cstdint>
#include <map>
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
  Duration timeout{0};                              ///< for one call in all, connecting included; 0: a second
  MemcachedOptions options{};
  std::string username{};  ///< of SASL, or of the server's `--auth-file` under the meta protocol; empty: none
  std::string password{};  ///< never shown
  /// meta (memcached 1.6 and later) or binary (through libmemcached). Empty: binary where a user is named, for SASL
  /// knows no other; meta otherwise.
  std::string protocol{};
  int pool_size = 16;     ///< connections to each server at most; 1 to 10,000
  int failure_limit = 2;  ///< failures in a row after which a server is left alone for a while; 1 to 1,000
  /// The longest that a server is left alone before one caller tries it again; the others fail at once meanwhile.
  Duration retry_after = std::chrono::milliseconds(500);
  /// Walks over the store (`scan`, `keys_of`) ask the servers' crawlers, which tell most keys and not surely all, and
  /// read every key of the server for it. False: they answer `Errc::unsupported`.
  bool listing = true;
  /// Values above the server's item limit are kept in parts, each where its own key belongs. False: they are refused.
  bool chunks = false;
  bool tls = false;           ///< speak TLS, under the meta protocol; implied by each of the options below
  std::string ca{};           ///< whom to trust: a file of certificates (PEM), or a folder of them; empty: the system's
  std::string certificate{};  ///< our own, for servers that ask for one: a file (PEM)
  std::string key{};          ///< its private key: a file (PEM)
  std::string server_name{};  ///< sent as SNI and looked for in each server's certificate; empty: its host
  bool verify = true;         ///< false: believe whoever answers
  const Clock* clock = nullptr;  ///< whose time lifetimes go by; null: the machine's

  /// `Errc::bad_config`, naming the field and what it got.
  FLUX_CACHE_API Result<void> validate() const;
};

/// What one server says about itself, and what the store knows of it.
struct MemcachedServerStats {
  std::string server{};                         ///< host and port, or "unix:" and the path
  bool is_up = false;                           ///< it answered when it was asked last
  std::uint64_t failures = 0;                   ///< calls that it did not answer, since the store was made
  std::size_t connections = 0;                  ///< of this store, those in use included
  std::map<std::string, std::string> values{};  ///< the server's own `stats`; empty where it did not answer
};

/// The store as `Cache::store("memcached").as<MemcachedStore>()` hands it out, for what the contract does not cover.
/// Thread-safe.
class FLUX_CACHE_TYPE MemcachedStore : public Store {
 public:
  /// Asks every server, one after the other, within the time of one call.
  virtual std::vector<MemcachedServerStats> stats() = 0;
  /// Which server a key is on: its index in the configuration.
  virtual std::size_t server_of(const Key& key) const = 0;
};

FLUX_CACHE_API void describe(Fields& fields, MemcachedServer& server);
FLUX_CACHE_API void describe(Fields& fields, MemcachedOptions& options);
FLUX_CACHE_API void describe(Fields& fields, MemcachedConfig& config);

/// A store on the servers. Connects to none of them before its first use; what is wrong with the configuration is the
/// error of each call. Thread-safe, and usable after `fork` on both sides.
FLUX_CACHE_API std::shared_ptr<MemcachedStore> make_memcached(const MemcachedConfig& config);

}  // namespace v1
}  // namespace flux::cache
