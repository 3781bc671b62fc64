#include "sqlite_calls.hpp"

#include <new>
#include <string>

namespace flux::cache {
inline namespace v1 {
namespace detail::database {

namespace {

SqliteCalls& calls_of(sqlite3_context* context) noexcept {
  return *static_cast<SqliteCalls*>(sqlite3_user_data(context));
}

std::string_view bytes_of(sqlite3_value* value) noexcept {
  const void* const data = sqlite3_value_blob(value);
  if (data == nullptr) return {};
  return {static_cast<const char*>(data), static_cast<std::size_t>(sqlite3_value_bytes(value))};
}

template <bool sole>
void home(sqlite3_context* context, int, sqlite3_value** arguments) {
  if (const auto number = calls_of(context).respondent->home(sqlite3_value_int64(arguments[0]), sole))
    sqlite3_result_int64(context, *number);
  else
    sqlite3_result_error(context, "there is no home for it", -1);
}

void may_count(sqlite3_context* context, int, sqlite3_value** arguments) {
  const auto number = [&](int at) { return sqlite3_value_int64(arguments[at]); };
  const Counter counter{number(0), number(1), number(2), number(3), number(4), bytes_of(arguments[5])};
  sqlite3_result_int(context, calls_of(context).respondent->may_count(counter) ? 1 : 0);
}

void counted_proof(sqlite3_context* context, int, sqlite3_value**) {
  sqlite3_result_int64(context, calls_of(context).respondent->counted_proof());
}

// --- the table of rows in memory; it has no name in any schema but its module's

struct FedRows {
  sqlite3_vtab base;
  SqliteCalls* calls;
};

struct FedCursor {
  sqlite3_vtab_cursor base;
  std::size_t row;
};

const SqliteCalls& calls_of(sqlite3_vtab_cursor* cursor) noexcept {
  return *reinterpret_cast<FedRows*>(cursor->pVtab)->calls;
}
std::size_t& row_of(sqlite3_vtab_cursor* cursor) noexcept { return reinterpret_cast<FedCursor*>(cursor)->row; }

int connect(sqlite3* database, void* calls, int, const char* const*, sqlite3_vtab** table, char**) {
  std::string columns;
  for (std::size_t column = 0; column < kFedColumns; ++column)
    columns += (column == 0 ? "c" : ",c") + std::to_string(column);
  if (const int code = sqlite3_declare_vtab(database, ("CREATE TABLE fed(" + columns + ")").c_str()); code != SQLITE_OK)
    return code;
  auto* const made = new (std::nothrow) FedRows{{}, static_cast<SqliteCalls*>(calls)};
  if (made == nullptr) return SQLITE_NOMEM;
  *table = &made->base;
  return SQLITE_OK;
}

int disconnect(sqlite3_vtab* table) {
  delete reinterpret_cast<FedRows*>(table);
  return SQLITE_OK;
}

// Always walked from end to end, in the order given.
int plan(sqlite3_vtab*, sqlite3_index_info* plan) {
  plan->estimatedCost = 1;
  plan->estimatedRows = 100;
  return SQLITE_OK;
}

int open(sqlite3_vtab*, sqlite3_vtab_cursor** cursor) {
  auto* const made = new (std::nothrow) FedCursor{};
  if (made == nullptr) return SQLITE_NOMEM;
  *cursor = &made->base;
  return SQLITE_OK;
}

int close(sqlite3_vtab_cursor* cursor) {
  delete reinterpret_cast<FedCursor*>(cursor);
  return SQLITE_OK;
}

int start(sqlite3_vtab_cursor* cursor, int, const char*, int, sqlite3_value**) {
  row_of(cursor) = 0;
  return SQLITE_OK;
}

int next(sqlite3_vtab_cursor* cursor) {
  ++row_of(cursor);
  return SQLITE_OK;
}

int at_end(sqlite3_vtab_cursor* cursor) {
  const SqliteCalls& calls = calls_of(cursor);
  return (row_of(cursor) + 1) * calls.columns > calls.cells.size() ? 1 : 0;
}

int column(sqlite3_vtab_cursor* cursor, sqlite3_context* context, int column) {
  const SqliteCalls& calls = calls_of(cursor);
  if (static_cast<std::size_t>(column) >= calls.columns) return SQLITE_OK;
  const Cell& cell = calls.cells[row_of(cursor) * calls.columns + static_cast<std::size_t>(column)];
  switch (cell.type) {
    case Cell::Type::null: break;
    case Cell::Type::number: sqlite3_result_int64(context, cell.number); break;
    case Cell::Type::bytes:
      sqlite3_result_blob64(context, cell.bytes.empty() ? "" : cell.bytes.data(), cell.bytes.size(), SQLITE_STATIC);
      break;
  }
  return SQLITE_OK;
}

int row_number(sqlite3_vtab_cursor* cursor, sqlite3_int64* number) {
  *number = static_cast<sqlite3_int64>(row_of(cursor));
  return SQLITE_OK;
}

const sqlite3_module kFedRows = [] {
  sqlite3_module module{};
  module.xConnect = connect;
  module.xBestIndex = plan;
  module.xDisconnect = disconnect;
  module.xOpen = open;
  module.xClose = close;
  module.xFilter = start;
  module.xNext = next;
  module.xEof = at_end;
  module.xColumn = column;
  module.xRowid = row_number;
  return module;
}();

}  // namespace

bool SqliteCalls::add_to(sqlite3* database) noexcept {
  const auto add = [&](const char* name, int arguments, void (*function)(sqlite3_context*, int, sqlite3_value**)) {
    return sqlite3_create_function_v2(database, name, arguments, SQLITE_UTF8 | SQLITE_DIRECTONLY, this, function,
                                      nullptr, nullptr, nullptr) == SQLITE_OK;
  };
  return add("flux_home", 1, home<false>) && add("flux_sole_home", 1, home<true>) &&
         add("flux_may_count", 6, may_count) && add("flux_counted_proof", 0, counted_proof) &&
         sqlite3_create_module_v2(database, "flux_cache_fed_rows", &kFedRows, this, nullptr) == SQLITE_OK;
}

}  // namespace detail::database
}  // namespace v1
}  // namespace flux::cache
