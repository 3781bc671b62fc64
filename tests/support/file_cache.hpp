// A file store in a scratch directory, with a look at the files behind it.
#pragma once
#include <flux/cache/stores/file.hpp>
#include <flux/cache/testing/fake_clock.hpp>
#include <flux/cache/testing/store_probe.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "support/scratch_directory.hpp"

namespace flux::cache::testing {

class FileCache : public StoreProbe {
 public:
  FileCache() { watch(open()); }
  explicit FileCache(const std::filesystem::path& where) : scratch_(where) { watch(open()); }

  /// Another store on the same directory.
  StorePtr open(FileConfig config = {}) const {
    config.path = path();
    config.clock = &clock_;
    return make_file(config);
  }
  std::string path() const { return scratch_ / "cache"; }
  const ScratchDirectory& scratch() const { return scratch_; }
  FakeClock& clock() { return clock_; }
  Expiry in(Duration life) const { return Expiry::at(after(clock_.now(), life)); }

  /// The files of entries in the living trees, in no order.
  std::vector<std::string> files() const { return files_below("trash-", false); }
  /// Those that flushes put aside.
  std::vector<std::string> trash() const { return files_below("trash-", true); }
  /// The only entry's file.
  std::string file() const {
    const auto all = files();
    EXPECT_EQ(all.size(), 1U);
    return all.empty() ? path() + "/none" : all.front();
  }
  /// Where an entry of the key stands or would stand.
  std::string file_of(const std::string& key) const {
    const auto before = files();
    put(key, integer(1));
    for (const std::string& now : files()) {
      if (std::find(before.begin(), before.end(), now) == before.end()) return now;
    }
    ADD_FAILURE() << "no new file for " << key;
    return {};
  }

 private:
  std::vector<std::string> files_below(const std::string& part, bool wanted) const {
    std::vector<std::string> found;
    if (!std::filesystem::exists(path())) return found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path())) {
      const std::string name = entry.path().string();
      if (entry.is_directory() && !entry.is_symlink()) continue;
      if (name.find("/.flux-cache") != std::string::npos || (name.find(part) != std::string::npos) != wanted) continue;
      found.push_back(name);
    }
    return found;
  }

  ScratchDirectory scratch_;
  FakeClock clock_;
};

inline std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

}  // namespace flux::cache::testing
