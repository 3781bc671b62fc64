// database/sqlite_calls.hpp - what statements in SQLite can call in this process: functions that ask the session, and a
// table of rows that lie in memory.
#pragma once
#include <sqlite3.h>

#include <span>

#include "engine.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::database {

struct SqliteCalls {
  Respondent* respondent = nullptr;
  std::span<const Cell> cells{};
  std::size_t columns = 1;

  /// False: the connection says why. Stays where it is for as long as the connection lives.
  bool add_to(sqlite3* database) noexcept;
};

}  // namespace detail::database
}  // namespace v1
}  // namespace flux::cache
