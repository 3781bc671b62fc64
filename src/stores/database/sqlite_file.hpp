// database/sqlite_file.hpp - the file below a SQLite database: made, looked at, set aside.
//
// No descriptor of the database itself is ever kept or closed here: closing one would drop every lock that SQLite holds
// on the file in this process. What must not happen twice at a time is done under a lock on the directory.
#pragma once
#include <cstdint>
#include <string>

#include "engine.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::database {

/// Where a database goes without a path; empty where the user has no home.
std::string default_path();
/// The number of the file that the path names now; 0: there is none.
std::uint64_t file_number(const std::string& path) noexcept;
/// The size of a file; 0 where there is none.
std::uint64_t file_size(const std::string& path) noexcept;
/// An empty database beside a log that is not: somebody has cut it off, for its first page is written before its log.
bool is_truncated(const std::string& path) noexcept;
/// Makes an empty file for its owner alone, with its directories, where there is none. What a lost database of the same
/// name left behind is removed first, for SQLite would take it for its own.
bool make_file(const std::string& path, Fault& fault);
/// Removes the log and the index of a database that was unlinked or replaced, `log` being the number of its log;
/// nothing where the log is another one by now.
void remove_leftovers(const std::string& path, std::uint64_t log) noexcept;
/// Renames the database and its log to the first free `<path>.corrupt-N`, if the path still names file `number`.
/// Answers the new name; empty: another one was faster, or it cannot be renamed.
std::string rename_corrupt(const std::string& path, std::uint64_t number) noexcept;

}  // namespace detail::database
}  // namespace v1
}  // namespace flux::cache
