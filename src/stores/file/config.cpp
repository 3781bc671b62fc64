// What a file store is configured with: checked, and filled in.
#include <flux/cache/stores/file.hpp>

#include <errno.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

#include "home.hpp"
#include "record.hpp"

namespace flux::cache {
inline namespace v1 {

namespace detail::file_store {

std::string home_directory() {
  const char* const named = std::getenv("HOME");
  if (named != nullptr && named[0] == '/') return named;
  passwd record{};
  passwd* found = nullptr;
  char text[4096];
  if (::getpwuid_r(::geteuid(), &record, text, sizeof text, &found) != 0 || found == nullptr) return {};
  return found->pw_dir != nullptr && found->pw_dir[0] == '/' ? found->pw_dir : "";
}

const char* forbidden_directory(const struct stat& what) {
  const auto is = [&](const char* path) {
    struct stat other {};
    return ::stat(path, &other) == 0 && other.st_dev == what.st_dev && other.st_ino == what.st_ino;
  };
  if (is("/")) return "the root directory";
  const std::string home = home_directory();
  return !home.empty() && is(home.c_str()) ? "the home directory" : nullptr;
}

namespace {

Error wrong(std::string_view field, const std::string& why) {
  return {Errc::bad_config, std::string(field) + ": " + why, "file", {}, {}};
}

}  // namespace

}  // namespace detail::file_store

Result<void> FileConfig::validate() const {
  using detail::file_store::wrong;
  if (path.find('\0') != std::string::npos) return wrong("path", "holds a NUL");
  if (prefix.find_first_of(std::string("\r\n \0", 4)) != std::string::npos)
    return wrong("prefix", "holds a space, a NUL or a line break");
  struct stat what {};
  if (!path.empty() && ::stat(path.c_str(), &what) == 0) {
    if (const char* const forbidden = detail::file_store::forbidden_directory(what))
      return wrong("path", "\"" + path + "\" is " + forbidden + "; a cache needs a directory of its own");
    if (!S_ISDIR(what.st_mode)) return wrong("path", "\"" + path + "\" is not a directory");
  }
  if (timeout < Duration::zero()) return wrong("timeout", "is below 0: " + std::to_string(timeout.count()) + " us");
  if (max_value > detail::file_store::kLargestValue)
    return wrong("max_value", "is above 1 GiB: " + std::to_string(max_value) + " bytes");
  return {};
}

std::string default_file_path() {
  const char* const named = std::getenv("XDG_CACHE_HOME");
  std::string base = named != nullptr && named[0] == '/' ? named : "";
  if (base.empty()) {
    base = detail::file_store::home_directory();
    if (base.empty()) return {};
    base += "/.cache";
  }
  return base + "/flux/" + program_invocation_short_name;
}

}  // namespace v1
}  // namespace flux::cache
