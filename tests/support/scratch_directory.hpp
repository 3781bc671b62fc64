// A directory for one test, gone with it.
#pragma once
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace flux::cache {
inline namespace v1 {
namespace testing {

/// Where tests that write much and care for no disk do so: in memory, if the machine has that.
inline std::filesystem::path memory_backed_directory() {
  return ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : std::filesystem::temp_directory_path();
}

class ScratchDirectory {
 public:
  explicit ScratchDirectory(const std::filesystem::path& where = std::filesystem::temp_directory_path()) {
    std::string pattern = (where / "flux-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    path_ = pattern;
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const noexcept { return path_; }
  std::string operator/(const std::string& name) const { return path_ + '/' + name; }

 private:
  std::string path_;
};

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
