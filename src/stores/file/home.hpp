// The user's own places: where a cache may stand by default, and where it never may.
#pragma once
#include <sys/stat.h>

#include <string>

namespace flux::cache {
inline namespace v1 {
namespace detail::file_store {

/// Empty where the user has none.
std::string home_directory();

/// "the root directory" or "the home directory"; null for any other.
const char* forbidden_directory(const struct stat& what);

}  // namespace detail::file_store
}  // namespace v1
}  // namespace flux::cache
