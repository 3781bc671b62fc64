// The layout that file caches usually have: does the file exist, open it, lock it, read or replace it; two levels of
// directories under names of hashes.
#pragma once
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>

namespace flux::bench {

class UsualFiles {
 public:
  explicit UsualFiles(std::string root) : root_(std::move(root)) { ::mkdir(root_.c_str(), 0700); }

  bool get(std::string_view key, std::string& value) const {
    const std::string path = path_of(key);
    if (::access(path.c_str(), F_OK) != 0) return false;
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ::flock(fd, LOCK_SH);
    struct stat what {};
    ::fstat(fd, &what);
    value.resize(static_cast<std::size_t>(what.st_size));
    const bool whole = ::read(fd, value.data(), value.size()) == what.st_size;
    ::flock(fd, LOCK_UN);
    ::close(fd);
    return whole;
  }

  void put(std::string_view key, std::string_view value) const {
    const std::string path = path_of(key);
    const std::string folder = path.substr(0, path.rfind('/'));
    if (::access(folder.c_str(), F_OK) != 0) {
      ::mkdir(folder.substr(0, folder.rfind('/')).c_str(), 0700);
      ::mkdir(folder.c_str(), 0700);
    }
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) std::abort();
    ::flock(fd, LOCK_EX);
    if (::ftruncate(fd, 0) != 0 || ::write(fd, value.data(), value.size()) < 0) std::abort();
    ::flock(fd, LOCK_UN);
    ::close(fd);
  }

 private:
  std::string path_of(std::string_view key) const {
    std::uint64_t hash = std::hash<std::string_view>()(key);
    char name[40];
    std::snprintf(name, sizeof name, "%016llx%016llx", static_cast<unsigned long long>(hash),
                  static_cast<unsigned long long>(hash * 0x9e3779b97f4a7c15U));
    return root_ + '/' + std::string(name, 2) + '/' + std::string(name + 2, 2) + '/' + name;
  }

  std::string root_;
};

}  // namespace flux::bench
