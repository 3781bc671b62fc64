// Walking through the folders of a file store: for scans, for pruning, and to take away what a flush put aside.
#pragma once
#include <flux/cache/detail/function_ref.hpp>

#include <dirent.h>

#include <cstddef>
#include <string>

#include "system.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::file_store {

inline constexpr char kTrash[] = "trash-";

/// Calls `visit` for each name in a directory but `.` and `..`, until it answers false. `from` is 0 or the `d_off` of a
/// name seen before, to go on behind it.
void for_each_name(int directory, FunctionRef<bool(const dirent64&)> visit, std::int64_t from = 0);

/// True for names that entries have.
bool is_entry_name(const char* name) noexcept;

/// Renames the trees of all prefixes below the cache directory, so that they are reclaimed.
void set_trees_aside(int root);

/// Takes away up to `budget` files that flushes put aside, and folders that became empty. Answers how many files went.
std::size_t reclaim_trash(int folder, std::size_t budget);

/// Takes away temporaries of ours that are older than an hour.
void reclaim_temporaries(const std::string& root);

}  // namespace detail::file_store
}  // namespace v1
}  // namespace flux::cache
