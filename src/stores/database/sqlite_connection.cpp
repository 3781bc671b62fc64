#include "sqlite_connection.hpp"

#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/random.hpp"
#include "sqlite_file.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::database {

namespace {

std::int64_t steady_microseconds() noexcept {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1'000;
}

void sleep_microseconds(std::int64_t length) noexcept {
  const timespec pause{static_cast<time_t>(length / 1'000'000), static_cast<long>(length % 1'000'000 * 1'000)};
  ::nanosleep(&pause, nullptr);
}

Trouble trouble_of(int code, int system_error, const char* message) {
  switch (code & 0xff) {
    case SQLITE_OK: return Trouble::none;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: return Trouble::busy;
    case SQLITE_FULL: return Trouble::full;
    case SQLITE_IOERR: return system_error == ENOSPC || system_error == EDQUOT ? Trouble::full : Trouble::lost;
    case SQLITE_CANTOPEN: return Trouble::lost;
    case SQLITE_READONLY: return code == SQLITE_READONLY_DBMOVED ? Trouble::lost : Trouble::read_only;
    case SQLITE_PERM:
    case SQLITE_AUTH: return Trouble::read_only;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return Trouble::corrupt;
    case SQLITE_CONSTRAINT: return Trouble::constraint;
    case SQLITE_TOOBIG: return Trouble::too_large;
    case SQLITE_SCHEMA: return Trouble::missing;
    case SQLITE_ERROR:
      return std::strstr(message, "no such table") != nullptr || std::strstr(message, "no such column") != nullptr ||
                     std::strstr(message, "no column named") != nullptr
                 ? Trouble::missing
                 : Trouble::other;
    default: return Trouble::other;
  }
}

class SqliteStatement final : public Statement {
 public:
  SqliteStatement(SqliteLink& home, sqlite3_stmt* statement) : home_(home), statement_(statement) {}
  ~SqliteStatement() override { sqlite3_finalize(statement_); }

  void bind(int parameter, std::int64_t number) noexcept override { sqlite3_bind_int64(statement_, parameter, number); }
  void bind(int parameter, std::string_view bytes) noexcept override {
    sqlite3_bind_blob64(statement_, parameter, bytes.empty() ? "" : bytes.data(), bytes.size(), SQLITE_STATIC);
  }
  void bind_null(int parameter) noexcept override { sqlite3_bind_null(statement_, parameter); }

  Step step() noexcept override {
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) [[likely]]
      return Step::row;
    if (const int prepared = sqlite3_stmt_status(statement_, SQLITE_STMTSTATUS_REPREPARE, 0); prepared != prepared_)
      prepared_ = prepared, home_.note_schema_moved();
    return code == SQLITE_DONE ? Step::done : Step::failed;
  }
  void reset() noexcept override { sqlite3_reset(statement_); }

  bool is_null(int column) noexcept override { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  std::int64_t integer(int column) noexcept override { return sqlite3_column_int64(statement_, column); }
  std::string_view bytes(int column) noexcept override {
    const void* const data = sqlite3_column_blob(statement_, column);
    if (data == nullptr) return {};
    return {static_cast<const char*>(data), static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
  }

 private:
  SqliteLink& home_;
  sqlite3_stmt* statement_;
  int prepared_ = 0;
};

}  // namespace

bool Patience::wait(int round) noexcept {
  const std::int64_t now = steady_microseconds();
  if (deadline_ == 0) deadline_ = now + left_;
  if (now >= deadline_) return false;
  const std::int64_t most = std::int64_t{64} << std::min(round, 6);
  const std::int64_t pause = most / 4 + static_cast<std::int64_t>(random_below(static_cast<std::uint64_t>(most)));
  sleep_microseconds(std::min(pause, deadline_ - now));
  return true;
}

SqliteLink::~SqliteLink() { sqlite3_close_v2(database_); }

bool SqliteLink::open(const char* name, int flags) {
  const int code = sqlite3_open_v2(name, &database_, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  if (database_ == nullptr) return false;
  sqlite3_extended_result_codes(database_, 1);
  sqlite3_busy_handler(
      database_, [](void* link, int round) { return static_cast<SqliteLink*>(link)->patience_.wait(round) ? 1 : 0; },
      this);
  return code == SQLITE_OK && calls_.add_to(database_);
}

std::unique_ptr<Statement> SqliteLink::prepare(const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(database_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                      &statement, nullptr);
  return code == SQLITE_OK ? std::make_unique<SqliteStatement>(*this, statement) : nullptr;
}

bool SqliteLink::run(const std::string& sql) {
  return sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK;
}

Fault SqliteLink::fault() const {
  if (database_ == nullptr) return {Trouble::other, "out of memory"};
  const char* const message = sqlite3_errmsg(database_);
  const Trouble trouble = trouble_of(sqlite3_extended_errcode(database_), sqlite3_system_errno(database_), message);
  return {trouble == Trouble::none ? Trouble::other : trouble, message, file};
}

std::uint64_t SqliteLink::data_version() noexcept {
  unsigned version = 0;
  sqlite3_file_control(database_, nullptr, SQLITE_FCNTL_DATA_VERSION, &version);  // null: main
  return std::uint64_t{version} + 1;
}

bool SqliteLink::schema_moved() noexcept { return std::exchange(schema_moved_, false); }

int SqliteLink::table_exists(std::string_view table) {
  const std::size_t dot = table.find('.');
  const std::string schema(dot == table.npos ? "main" : table.substr(0, dot));
  const std::string_view name = table.substr(dot == table.npos ? 0 : dot + 1);
  // A query, not a look into the connection's memory of the schema, which may be behind.
  const std::string sql = "SELECT 1 FROM \"" + schema + "\".sqlite_master WHERE name=?1 COLLATE NOCASE";
  sqlite3_stmt* query = nullptr;
  if (sqlite3_prepare_v2(database_, sql.c_str(), -1, &query, nullptr) != SQLITE_OK) return -1;
  sqlite3_bind_text(query, 1, name.data(), static_cast<int>(name.size()), SQLITE_STATIC);
  const int code = sqlite3_step(query);
  sqlite3_finalize(query);
  return code == SQLITE_ROW ? 1 : code == SQLITE_DONE ? 0 : -1;
}

bool SqliteLink::is_shared() noexcept {
  const auto others = prepare(
      "SELECT count(*) FROM sqlite_master a WHERE type='table' AND name NOT LIKE 'sqlite@_%' ESCAPE '@' AND NOT EXISTS"
      " (SELECT 1 FROM sqlite_master b WHERE b.name=a.name||'_meta' OR a.name=b.name||'_meta')");
  return others != nullptr && others->step() == Step::row && others->integer(0) != 0;
}

void SqliteLink::allow_waiting(Duration length) noexcept {
  patience_.allow(length);
  if (log == 0 && file != 0 && !immutable) log = file_number(path + "-wal");
}

bool SqliteLink::is_current() noexcept {
  if (file == 0) return true;
  if (immutable) return false;
  if (file_number(path) == file) return file_size(path) != 0;
  remove_leftovers(path, log);
  return false;
}

void SqliteLink::close_quickly() noexcept {
  if (database_ != nullptr) sqlite3_db_config(database_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
}

}  // namespace detail::database
}  // namespace v1
}  // namespace flux::cache
