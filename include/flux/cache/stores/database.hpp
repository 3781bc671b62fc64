// flux/cache/stores/database.hpp - entries in a table of an SQL database.
#pragma once
#include <flux/cache/options.hpp>
#include <flux/cache/store.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace flux::cache {
inline namespace v1 {

class Fields;

/// An SQLite database, as `connections` names it.
struct SqliteConnection {
  std::string database{};                           ///< the file; empty: a file of the user's own cache directory
  Duration busy_timeout = std::chrono::seconds(5);  ///< the longest wait for another writer
};

/// A table of entries.
struct DatabaseConfig {
  std::string table = "cache";   ///< letters, digits and underscores, with at most one schema and its dot
  std::string prefix{};          ///< stands before each key, behind the global prefix
  std::string serializer{};      ///< native (alias pickle), msgpack, json; empty: what `serialize` says
  std::string compression{};     ///< none, zstd, gzip, default; empty: what `serialize` says
  std::optional<Ttl> ttl{};      ///< the lifetime of what is put without one; none: for ever
  std::string on_error{};        ///< soft (reads miss, writes answer false) or throw; empty: soft
  std::string connection{};      ///< one of `connections` with the driver sqlite; empty: "default"
  const Clock* clock = nullptr;  ///< whose time it goes by; null: the machine's
};

FLUX_CACHE_API void describe(Fields& fields, SqliteConnection& connection);
FLUX_CACHE_API void describe(Fields& fields, DatabaseConfig& config);

/// Opens the database at first use.
FLUX_CACHE_API StorePtr make_database(const DatabaseConfig& config, const SqliteConnection& connection);

}  // namespace v1
}  // namespace flux::cache
