// flux/cache/stores/database.hpp - entries in a table of a database; the engine is SQLite.
//
// One row an entry, shared by all processes on the machine and exact between them: put, add, compare-and-swap, pull and
// counters are one statement each. The table may live in a database of yours: beside it and its `<table>_meta` nothing
// is touched, but that the database is switched to write-ahead logging. Options, faults and figures stand in
// docs/stores/database.md; why it is built so, in docs/design/database_store.md.
#pragma once
#include <flux/cache/breaker_options.hpp>
#include <flux/cache/options.hpp>
#include <flux/cache/store.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace flux::cache {
inline namespace v1 {

class Fields;

/// A store over a table. Several stores may share one table under different prefixes; no prefix is one, too.
struct DatabaseConfig {
  std::string table = "cache";  ///< letters, digits and underscores, at most 128; before it, at most, "main."
  std::string prefix{};         ///< keeps this store's entries, and its flushes, apart from its neighbours'
  std::string serializer{};     ///< native (alias pickle), msgpack, json; empty: what `serialize` says
  std::string compression{};    ///< none, zstd, gzip, default; empty: what `serialize` says
  std::optional<Ttl> ttl{};     ///< the lifetime of what is put without one; none: for ever
  std::string on_error{};       ///< soft (reads miss, writes answer false) or throw; empty: soft
  std::string connection{};     ///< one of `connections` with the driver sqlite; empty: "default"
  std::size_t sweep = 2;        ///< rows looked at, on average, for each row written, and reclaimed if dead; 0 to 1,000
  std::uint64_t max_value = 0;  ///< bytes; larger values are refused; 0: 900,000,000, which is also the most
  std::optional<BreakerOptions> circuit_breaker{};  ///< stop asking it while it is down; none: never
  bool prohibit_flush = false;                      ///< `flush` is refused
  Duration timeout{0};                              ///< the most a call waits; 0: the connection's `busy_timeout`
  const Clock* clock = nullptr;                     ///< whose time it goes by; null: the machine's

  /// Errc::bad_config, with the field's name as the error's key.
  FLUX_CACHE_API Result<void> validate() const;
};

/// How safe a write is when the machine (not just the process) dies.
enum class Synchronous : std::uint8_t {
  off,     ///< the file may be damaged; for caches that start cold anyway
  normal,  ///< the last writes may be lost, the file stays whole
  full,    ///< nothing acknowledged is lost; a disk flush for each write
};

/// What to do with a database file that cannot be read.
enum class OnCorrupt : std::uint8_t {
  set_aside,  ///< rename it to `<database>.corrupt-N` and start anew; not where it was seen to hold tables of others
  refuse,     ///< leave it alone; every call answers Errc::corrupt
};

/// A database in one file, by SQLite. Made with its directories where it is not there; the file is for its owner alone.
struct SqliteConnection {
  /// The path, relative to where the process stands when the store is made; ":memory:": in this process alone, on one
  /// connection; empty: `$XDG_CACHE_HOME/flux/<program>.sqlite`, else `~/.cache/flux/<program>.sqlite`.
  std::string database{};
  Duration busy_timeout = std::chrono::seconds(5);  ///< the most a call waits, for other writers and for the pool; > 0
  Synchronous synchronous = Synchronous::normal;    ///< what a write survives
  std::size_t connections = 4;                      ///< the most that are open at a time; 1 to 64
  OnCorrupt on_corrupt = OnCorrupt::set_aside;      ///< what becomes of a damaged file
  Duration recheck = std::chrono::seconds(1);   ///< how often to see whether the file was replaced or is writable; > 0
  std::uint64_t cache_bytes = 8 * 1024 * 1024;  ///< page cache of each connection; 64 KiB to 4 GiB
  std::uint32_t checkpoint_pages = 4000;  ///< pages of 4 KiB that the log holds before it is folded in; 1 to 1,000,000

  /// Errc::bad_config, with the field's name as the error's key.
  FLUX_CACHE_API Result<void> validate() const;
};

FLUX_CACHE_API void describe(Fields& fields, DatabaseConfig& config);
FLUX_CACHE_API void describe(Fields& fields, SqliteConnection& connection);

/// A store over a table in a SQLite database. Nothing is opened before the first call; a configuration that does not
/// validate is answered by each call with Errc::bad_config. Safe for concurrent use, and by both sides of a fork.
FLUX_CACHE_API StorePtr make_database(const DatabaseConfig& config, const SqliteConnection& connection);

}  // namespace v1
}  // namespace flux::cache
