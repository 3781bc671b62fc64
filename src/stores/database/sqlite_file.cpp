#include "sqlite_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace flux::cache {
inline namespace v1 {
namespace detail::database {

namespace {

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool make_directories(const std::string& path) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
      struct stat there;
      if (::stat(part.c_str(), &there) != 0) return false;
    }
    if (end == path.npos) return true;
  }
}

/// Holds other processes' changes of names in a directory off.
class DirectoryLock {
 public:
  explicit DirectoryLock(const std::string& directory)
      : descriptor_(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    while (descriptor_ >= 0 && ::flock(descriptor_, LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  ~DirectoryLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  int descriptor_;
};

void remove_companions(const std::string& path) noexcept {
  for (const char* const suffix : {"-wal", "-shm", "-journal"}) ::unlink((path + suffix).c_str());
}

}  // namespace

std::string default_path() {
  const char* const cache = std::getenv("XDG_CACHE_HOME");
  const char* const home = std::getenv("HOME");
  std::string base;
  if (cache != nullptr && cache[0] == '/')
    base = cache;
  else if (home != nullptr && home[0] == '/')
    base = std::string(home) + "/.cache";
  else
    return {};
  return base + "/flux/" + program_invocation_short_name + ".sqlite";
}

std::uint64_t file_number(const std::string& path) noexcept {
  struct stat there;
  return ::stat(path.c_str(), &there) == 0 ? static_cast<std::uint64_t>(there.st_ino) : 0;
}

std::uint64_t file_size(const std::string& path) noexcept {
  struct stat there;
  return ::stat(path.c_str(), &there) == 0 ? static_cast<std::uint64_t>(there.st_size) : 0;
}

bool is_truncated(const std::string& path) noexcept {
  return file_size(path + "-wal") != 0 && file_number(path) != 0 && file_size(path) == 0;  // in this order
}

bool make_file(const std::string& path, Fault& fault) {
  if (file_number(path) != 0) return true;
  const std::string directory = directory_of(path);
  int why = 0;
  if (make_directories(directory)) {
    const DirectoryLock lock(directory);
    if (file_number(path) != 0) return true;
    remove_companions(path);
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor >= 0 || errno == EEXIST) {
      if (descriptor >= 0) ::close(descriptor);  // nobody can hold a lock on it yet
      return true;
    }
    why = errno;
  } else {
    why = errno;
  }
  fault.trouble = why == EROFS || why == EACCES || why == EPERM ? Trouble::read_only
                  : why == ENOSPC || why == EDQUOT              ? Trouble::full
                                                                : Trouble::other;
  fault.message = path + " cannot be made: " + std::strerror(why);
  return false;
}

void remove_leftovers(const std::string& path, std::uint64_t log) noexcept {
  const DirectoryLock lock(directory_of(path));
  if (log != 0 && file_number(path + "-wal") == log) remove_companions(path);
}

std::string rename_corrupt(const std::string& path, std::uint64_t number) noexcept {
  const DirectoryLock lock(directory_of(path));
  if (file_number(path) != number) return {};
  for (int n = 1; n < 1'000'000; ++n) {
    const std::string aside = path + ".corrupt-" + std::to_string(n);
    struct stat there;
    if (::lstat(aside.c_str(), &there) == 0) continue;
    ::rename((path + "-wal").c_str(), (aside + "-wal").c_str());
    if (::rename(path.c_str(), aside.c_str()) != 0) return {};
    remove_companions(path);
    return aside;
  }
  return {};
}

}  // namespace detail::database
}  // namespace v1
}  // namespace flux::cache
