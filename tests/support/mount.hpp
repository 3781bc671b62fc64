// A file system of a test's own.
#pragma once
#include <sys/mount.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>

namespace flux::cache::testing {

/// Mounted over a folder, which is made where it is missing; taken off again at the end. Needs rights that not every
/// process has.
class Mount {
 public:
  Mount(const char* source, std::string target, const char* type, unsigned long flags, const char* options)
      : target_(std::move(target)) {
    std::filesystem::create_directories(target_);
    error_ = ::mount(source, target_.c_str(), type, flags, options) == 0 ? 0 : errno;
  }
  ~Mount() {
    if (error_ == 0) ::umount2(target_.c_str(), MNT_DETACH);
  }
  Mount(const Mount&) = delete;
  Mount& operator=(const Mount&) = delete;

  bool is_there() const { return error_ == 0; }
  std::string why() const {
    return std::string("mounting needs more rights than this process has: ") + std::strerror(error_);
  }

 private:
  std::string target_;
  int error_ = 0;
};

}  // namespace flux::cache::testing
