// flux/cache/config.hpp - which stores there are and how they are set up: as JSON, or as C++ structs.
//
//   {"default": "file",
//    "stores":      {"file": {"driver": "file", "path": "storage/cache"}, ...},
//    "connections": {"cache": {"driver": "redis", "host": "127.0.0.1"}, ...},
//    "prefix":      "${CACHE_PREFIX:flux}",
//    "serialize":   {"compress": true, "algorithm": "zstd"}}
//
// Both forms go through the same strict reading, once, when the configuration is put in force.
// docs/guide/configuration.md has every key in a table. Nothing here touches a disk or a server, but for
// `Config::from_file`.
#pragma once
#include <flux/cache/detail/core.hpp>
#include <flux/cache/detail/export.hpp>
#include <flux/cache/fields.hpp>
#include <flux/cache/stores/database.hpp>
#include <flux/cache/stores/distributed.hpp>
#include <flux/cache/stores/file.hpp>
#include <flux/cache/stores/memcached.hpp>
#include <flux/cache/stores/memory.hpp>
#include <flux/cache/stores/redis.hpp>
#include <flux/cache/stores/tiered.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace flux::cache {
inline namespace v1 {

class Clock;

namespace detail {

/// Its address tells one type from another.
template <class T>
inline char type_mark = 0;

/// A driver's struct of any type, as settings; shared and immutable, so copying one costs little.
class FLUX_CACHE_API AnyConfig {
 public:
  explicit AnyConfig(Settings settings);

  const Settings& settings() const noexcept { return *settings_; }
  /// The name under "driver"; empty where there is none.
  std::string_view driver() const noexcept;
  /// The struct it was made of, with what cannot be written down, such as a listener; null where it is another's.
  template <class Struct>
  const Struct* given() const noexcept {
    return mark_ == &type_mark<Struct> ? static_cast<const Struct*>(given_.get()) : nullptr;
  }

 protected:
  template <class Struct>
  explicit AnyConfig(const Struct* given) : AnyConfig(to_settings(*given)) {
    given_ = std::make_shared<const Struct>(*given);
    mark_ = &type_mark<Struct>;
  }

 private:
  std::shared_ptr<const Settings> settings_;
  std::shared_ptr<const void> given_;
  const char* mark_ = nullptr;
};

}  // namespace detail

/// The configuration of one store: any driver's struct (FileConfig, RedisConfig, one of your own), or settings.
class StoreConfig : public detail::AnyConfig {
 public:
  StoreConfig() : AnyConfig(Settings::map()) {}
  explicit StoreConfig(Settings settings) : AnyConfig(std::move(settings)) {}
  template <Described Config>
  StoreConfig(const Config& config) : AnyConfig(&config) {}
};

/// The configuration of one connection: SqliteConnection, RedisConnection, or settings.
class ConnectionConfig : public detail::AnyConfig {
 public:
  ConnectionConfig() : AnyConfig(Settings::map()) {}
  explicit ConnectionConfig(Settings settings) : AnyConfig(std::move(settings)) {}
  template <Described Config>
  ConnectionConfig(const Config& config) : AnyConfig(&config) {}
};

/// Things by name, in the order in which they were written. Looks up in linear time: there are few.
template <class T>
class Named {
 public:
  using value_type = std::pair<std::string, T>;

  Named() = default;
  Named(std::initializer_list<value_type> items) : items_(items) {}

  auto begin() const noexcept { return items_.begin(); }
  auto end() const noexcept { return items_.end(); }
  std::size_t size() const noexcept { return items_.size(); }
  bool empty() const noexcept { return items_.empty(); }

  const T* find(std::string_view name) const noexcept {
    for (const value_type& item : items_)
      if (item.first == name) return &item.second;
    return nullptr;
  }
  /// The thing of that name; a new one is put at the end.
  T& operator[](std::string_view name) {
    for (value_type& item : items_)
      if (item.first == name) return item.second;
    return items_.emplace_back(std::string(name), T()).second;
  }
  /// Adds without looking whether the name is there already.
  void add(std::string name, T thing) { items_.emplace_back(std::move(name), std::move(thing)); }

 private:
  std::vector<value_type> items_;
};

/// How values become bytes, for every store that does not say otherwise itself.
struct SerializeConfig {
  bool compress = false;              ///< compress what is at least `threshold` long
  std::string algorithm = "zstd";     ///< zstd or gzip
  std::string serializer = "native";  ///< native (alias pickle), msgpack or json
  std::uint64_t threshold = 1024;     ///< bytes; shorter values are left as they are
  std::string dictionary{};           ///< of zstd: a file that it was trained into; empty: none
};

/// What callers may ask of any store; beyond is an InvalidKey or an InvalidTag.
struct LimitsConfig {
  std::uint64_t key = kMaxKeyBytes;  ///< bytes of a key; 1 to 16 MiB
  int tags = 64;                     ///< tags on one entry; 1 to 10,000
  std::uint64_t tag = 256;           ///< bytes of a tag; 1 to 64 KiB
};

/// Everything that a manager needs to know. A plain value; nothing happens until it is put in force.
struct FLUX_CACHE_API Config {
  std::string default_store{};            ///< empty: the only store there is, or "memory" where there is none
  Named<StoreConfig> stores{};            ///< by name
  Named<ConnectionConfig> connections{};  ///< by name, for the stores that speak over one
  std::string prefix{};                   ///< stands before each store's own prefix
  SerializeConfig serialize{};
  LimitsConfig limits{};
  std::vector<std::string> warnings{};  ///< what is allowed but should be looked at; no secrets in it
  std::string file{};                   ///< that it was read from, for every mistake to name; empty: none

  /// Reads JSON. `${NAME}` and `${NAME:fallback}` in any text are replaced by the environment's variable, once; `$${`
  /// stands for `${`. Throws ConfigError: where it is not JSON, by line and column; a key at the top that is not known
  /// or a value of the wrong type, by JSON pointer. Stores and connections are checked by `validate`.
  static Config from_json(std::string_view text);
  /// Reads a file of JSON, at most 16 MiB. A file that holds a secret and that others can read earns a warning naming
  /// file, mode and place. Throws ConfigError also where the file cannot be read.
  static Config from_file(const std::string& path);
};

/// The environment's variable, or `fallback` where it is not set. Do not call while another thread changes it.
FLUX_CACHE_API std::string env(const char* name, std::string_view fallback = {});
inline std::string env(const std::string& name, std::string_view fallback = {}) { return env(name.c_str(), fallback); }

/// Checks all of it against the drivers that are known and answers it complete: with the name of the default store,
/// with a store "memory" where there is none, with its warnings. Throws ConfigError naming every mistake by its JSON
/// pointer.
FLUX_CACHE_API Config checked(Config config);
/// Checks all of it. Throws ConfigError.
FLUX_CACHE_API void validate(const Config& config);
/// The configuration as JSON, as it could be read again but for its secrets, which are "***".
FLUX_CACHE_API std::string to_json(const Config& config);

/// What every store may be told, put together from the store's own settings and what stands around it.
struct StoreRules {
  RepositoryOptions repository{};      ///< ttl, on_error, limits and prohibit_flush; the clock is left to the manager
  std::string serializer = "native";   ///< never an alias
  std::string compression = "none";    ///< "none" or a compressor's name
  std::uint64_t compress_from = 1024;  ///< bytes; shorter values are left as they are
  std::string dictionary{};            ///< the compressor's: a file; empty: none
  bool bytes = false;                  ///< the store itself names a serializer or a compressor: keep bytes, not objects
  bool frame = true;                   ///< false: the plain document, for other languages to read and write
  std::uint64_t max_value = 0;         ///< bytes; 0: what the store can
  Duration timeout{0};                 ///< for one call in all; 0: the driver's own
  std::optional<BreakerOptions> circuit_breaker{};  ///< none: a lenient one before what is remote, otherwise none
  std::string prefix{};                             ///< the composed one, see `compose_prefix`
};

/// The rules of a store of a configuration that was `checked`.
FLUX_CACHE_API StoreRules rules_of(const Config& config, std::string_view store);

/// The global prefix, then the store's, each closed by a colon unless it is empty or has one: "flux" and "flux_cache:"
/// become "flux:flux_cache:". So the key "bc" under "a" and the key "c" under "ab" never meet.
FLUX_CACHE_API std::string compose_prefix(std::string_view global, std::string_view store);

}  // namespace v1
}  // namespace flux::cache
