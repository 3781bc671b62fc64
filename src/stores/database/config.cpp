#include <flux/cache/stores/database.hpp>

#include "database_store.hpp"
#include "sqlite_engine.hpp"
#include "sqlite_file.hpp"

namespace flux::cache {
inline namespace v1 {

namespace {

constexpr std::size_t kLongestName = 128;

bool is_name(std::string_view name) {
  if (name.empty() || name.size() > kLongestName) return false;
  if (name.front() >= '0' && name.front() <= '9') return false;
  for (const char c : name)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_')) return false;
  return true;
}

Error bad(const char* field, std::string message) { return {Errc::bad_config, std::move(message), {}, {}, field}; }

}  // namespace

Result<void> DatabaseConfig::validate() const {
  const std::size_t dot = table.find('.');
  const std::string_view name = std::string_view(table).substr(dot == table.npos ? 0 : dot + 1);
  if (!is_name(name) || (dot != table.npos && !is_name(std::string_view(table).substr(0, dot))))
    return bad("table",
               table.substr(0, 64).append(
                   " is no table name: letters, digits and underscores, no digit first, at most 128, and at most "
                   "one \"schema.\" before it"));
  if (name.starts_with("sqlite_")) return bad("table", "names that begin with \"sqlite_\" belong to the engine");
  if (max_value > detail::database::kMostValueBytes)
    return bad("max_value", "is above 900,000,000: " + std::to_string(max_value) + " bytes");
  if (timeout < Duration::zero()) return bad("timeout", "it must not be below zero");
  if (sweep > 1000) return bad("sweep", "it must be from 0 to 1,000");
  return {};
}

Result<void> SqliteConnection::validate() const {
  if (database.empty() && detail::database::default_path().empty())
    return bad("database", "no path is given, and the user has no home for one");
  if (database.find('\0') != database.npos) return bad("database", "the path of the database holds a zero byte");
  if (busy_timeout <= Duration::zero()) return bad("busy_timeout", "it must be above zero");
  if (synchronous > Synchronous::full) return bad("synchronous", "there is no such mode");
  if (connections < 1 || connections > 64) return bad("connections", "it must be from 1 to 64");
  if (on_corrupt > OnCorrupt::refuse) return bad("on_corrupt", "there is no such rule");
  if (recheck <= Duration::zero()) return bad("recheck", "it must be above zero");
  if (cache_bytes < 64 * 1024 || cache_bytes > (std::uint64_t{4} << 30))
    return bad("cache_bytes", "it must be from 64 KiB to 4 GiB");
  if (checkpoint_pages < 1 || checkpoint_pages > 1'000'000)
    return bad("checkpoint_pages", "it must be from 1 to 1,000,000");
  return {};
}

StorePtr make_database(const DatabaseConfig& config, const SqliteConnection& connection) {
  using namespace detail::database;
  auto valid = config.validate();
  if (valid.ok()) valid = connection.validate();
  if (valid.ok() && config.table.find('.') != config.table.npos && !config.table.starts_with("main."))
    valid = bad("table", "the only schema of a SQLite connection is \"main\"");
  // A database in memory ends with its one connection.
  const std::size_t most = connection.database == ":memory:" ? 1 : connection.connections;
  SqliteConnection opened = connection;
  if (config.timeout > Duration::zero()) opened.busy_timeout = config.timeout;
  const PoolOptions pool{most, opened.busy_timeout, opened.recheck};
  auto engine = make_sqlite_engine(opened);
  return std::make_shared<DatabaseStore>(config, std::move(engine), pool, valid.take_error());
}

}  // namespace v1
}  // namespace flux::cache
