// database/queries.hpp - the SQL of the store, for one table.
//
// Two tables. `<table>`: one row an entry, found by `id`, the start of a bucket of eight row numbers that the key's
// hash names; the key is kept and compared, so what falls into the same bucket stands side by side. `<table>_meta`:
// names and numbers, by row numbers that are hashes of the names: "schema", "seed" (the hash's secret), and for each
// prefix and space its *home*, a random number that the rows carry. A row whose home is not the present one was
// flushed: that is the whole of a flush, and why it takes no time. A home below 0 says besides that each of its rows
// stands at the first number of its bucket.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::database {

/// Of the first, homes do not tell whether a row stands beside its place; all else is as it was.
inline constexpr std::int64_t kFirstSchema = 1;
inline constexpr std::int64_t kSchema = 2;
inline constexpr std::int64_t kBucket = 8;  ///< rows whose hashes may agree

enum class Query : std::uint8_t {
  begin_read,
  begin_write,
  commit,
  rollback,
  get_first,    ///< 1 id; the row there, whose ever it is
  get_fed,      ///< likewise for all that was fed: c0 id; answers the number of the fed row as well
  get,          ///< 1 id, 2 key; anywhere in the bucket, of any home, alive or not
  has,          ///< likewise; answers version, deadlines and home
  put,          ///< 1 id, 2 space, 3 key, 4..11 row, 12 now, 14 overwrite what is fresh until then at most
  put_fed,      ///< likewise for all that was fed: c0 id, c1 key, c2.. row; 2 the present home
  put_beside,   ///< as `put`, where the key stands already, else 13 slot; 2 the present home
  update,       ///< 1 id, 2 space, 3 key, 4..11 row, 12 fresh after, 13 kept after, 14 version or 0
  forget,       ///< 1 id, 2 space, 3 key, 4 version or 0
  pull,         ///< 1 id, 2 space, 3 key, 4 fresh after, 5 kept after
  touch,        ///< 1 id, 2 space, 3 key, 4 version, 5 fresh_until, 6 keep_until, 7 their share of the proof, 8 now
  count,        ///< 1 id, 2 space, 3 key, 4 version, 5 by; where the session agrees
  increment,    ///< 1 id, 2 space, 3 key, 4..11 row, 12 now, 13 by, 14 lowest, 15 highest
  forget_row,   ///< 1 id, 2 version
  rehome,       ///< 1 from home, 2 to home
  bucket,       ///< 1 id, 2 now
  scan,         ///< 1 after id, 2 home, 3 now, 4 limit
  look,         ///< 1 after id
  homes,        ///< and other numbers
  reclaim,      ///< 1 after id, 2 to id, 3 now
  flush,        ///< 1 home, 2 number
  meta,         ///< 1 id; answers number and name
  meta_if_new,  ///< 1 id, 2 name, 3 number
  meta_always,  ///< likewise
};
inline constexpr std::size_t kQueries = static_cast<std::size_t>(Query::meta_always) + 1;

/// Parameters of a row, in every query that writes one.
namespace row_parameter {
inline constexpr int version = 4, fresh_until = 5, keep_until = 6, kind = 7, number = 8, proof = 9, labels = 10,
                     value = 11;
}
/// Columns of a row, in every query that reads one; `get...` add the home, the key and what was fed, `scan` the id and
/// the key.
namespace row_column {
inline constexpr int version = 0, fresh_until = 1, keep_until = 2, kind = 3, proof = 4, labels = 5,
                     value = 6,  // or number
    home = 7, id = 7, key = 8, fed = 9;
}

struct Queries {
  /// `table` must have been validated.
  Queries(std::string_view table, const Dialect& dialect);

  std::array<std::string, kQueries> text;
  std::string table;       ///< as it was configured
  std::string meta_table;  ///< likewise
  std::array<std::string, 2> create;
  std::array<std::string, 2> drop;
  std::array<std::string, 2> stir;  ///< changes the schema's number, and nothing else
  std::string probe;                ///< can be prepared where the table has our columns
};

}  // namespace detail::database
}  // namespace v1
}  // namespace flux::cache
