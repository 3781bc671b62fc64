// examples/shop/sqlite.hpp - the little of SQLite's C interface that the shop needs, safe and short.
#pragma once
#include <sqlite3.h>

#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace shop {

/// A prepared statement in use: bound, stepped, and reset at the end.
class Query {
 public:
  explicit Query(sqlite3_stmt* statement) : statement_(statement) {}
  Query(const Query&) = delete;
  ~Query() {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }

  Query& bind(std::int64_t value) {
    sqlite3_bind_int64(statement_, ++bound_, value);
    return *this;
  }
  /// The text must live as long as the query.
  Query& bind(std::string_view value) {
    sqlite3_bind_text(statement_, ++bound_, value.data(), static_cast<int>(value.size()), SQLITE_STATIC);
    return *this;
  }

  /// True: there is a row to read.
  bool next() {
    const int said = sqlite3_step(statement_);
    if (said == SQLITE_ROW) return true;
    if (said == SQLITE_DONE) return false;
    throw std::runtime_error(std::string("SQLite: ") + sqlite3_errmsg(sqlite3_db_handle(statement_)));
  }
  std::int64_t number(int column) const { return sqlite3_column_int64(statement_, column); }
  std::string text(int column) const {
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return {text, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
  }

 private:
  sqlite3_stmt* statement_;
  int bound_ = 0;
};

/// One connection with its prepared statements, for one thread at a time.
class Connection {
 public:
  explicit Connection(const std::string& path) {
    sqlite3* handle = nullptr;
    const int said = sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
    handle_.reset(handle);
    if (said != SQLITE_OK) throw std::runtime_error("SQLite: " + path + ": " + sqlite3_errmsg(handle));
    sqlite3_busy_timeout(handle, 10'000);
    run("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -32768");
  }

  /// `sql` is prepared once; it must be a literal.
  Query query(const char* sql) {
    Statement& statement = statements_[sql];
    if (!statement) {
      sqlite3_stmt* prepared = nullptr;
      if (sqlite3_prepare_v3(handle_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &prepared, nullptr) != SQLITE_OK)
        throw std::runtime_error(std::string("SQLite: ") + sqlite3_errmsg(handle_.get()));
      statement.reset(prepared);
    }
    return Query(statement.get());
  }

  /// Statements without answers.
  void run(const char* sql) {
    if (sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK)
      throw std::runtime_error(std::string("SQLite: ") + sqlite3_errmsg(handle_.get()));
  }

 private:
  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  using Statement = std::unique_ptr<sqlite3_stmt, Close>;

  std::unique_ptr<sqlite3, Close> handle_;
  std::map<const char*, Statement> statements_;  // goes before the handle
};

}  // namespace shop
