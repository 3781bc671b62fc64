// database/sqlite_connection.hpp - one connection to SQLite and its statements. For one thread at a time.
#pragma once
#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine.hpp"
#include "sqlite_calls.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::database {

/// Waits for a lock by sleeping with jitter, longer and longer, until the deadline of the call. The deadline starts to
/// run where the first wait begins, so that calls which need not wait do not ask for the time.
class Patience {
 public:
  void allow(Duration length) noexcept { left_ = length.count(), deadline_ = 0; }
  /// False: the time is up.
  bool wait(int round) noexcept;

 private:
  std::int64_t left_ = 0;
  std::int64_t deadline_ = 0;
};

class SqliteLink final : public Connection {
 public:
  SqliteLink() = default;
  ~SqliteLink() override;
  SqliteLink(const SqliteLink&) = delete;
  SqliteLink& operator=(const SqliteLink&) = delete;

  /// Opens without looking into the file. False: see `fault`.
  bool open(const char* path, int flags);

  std::unique_ptr<Statement> prepare(const std::string& sql) override;
  bool run(const std::string& sql) override;
  Fault fault() const override;
  std::int64_t changes() const noexcept override { return sqlite3_changes64(database_); }
  bool in_transaction() const noexcept override { return sqlite3_get_autocommit(database_) == 0; }
  void ask(Respondent& respondent) noexcept override { calls_.respondent = &respondent; }
  void feed(std::span<const Cell> cells, std::size_t columns) noexcept override {
    calls_.cells = cells, calls_.columns = columns;
  }
  std::uint64_t data_version() noexcept override;
  bool schema_moved() noexcept override;
  int table_exists(std::string_view table) override;
  bool is_shared() noexcept override;
  void allow_waiting(Duration length) noexcept override;
  bool is_current() noexcept override;
  void close_quickly() noexcept override;

  sqlite3* database() noexcept { return database_; }
  Patience& patience() noexcept { return patience_; }
  void note_schema_moved() noexcept { schema_moved_ = true; }

  std::string path{};      ///< empty: in memory
  std::uint64_t file = 0;  ///< its number; 0: in memory
  std::uint64_t log = 0;   ///< the number of its log
  bool immutable = false;  ///< on a read-only file system: look again later

 private:
  sqlite3* database_ = nullptr;
  Patience patience_;
  SqliteCalls calls_;
  bool schema_moved_ = false;
};

}  // namespace detail::database
}  // namespace v1
}  // namespace flux::cache
