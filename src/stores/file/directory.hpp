// The directory of a file store: found or made at first use, checked for being ours, noticed when it is replaced.
//
//   <path>/.flux-cache          the marker: what this directory is, its format, and the seed of its file names
//   <path>/p-<prefix>/          one for each prefix
//   <path>/p-<prefix>/v/ab/...  the entries of Space::values, in 256 shards; t, l, m: tags, locks, limits
//   <path>/p-<prefix>/trash-*   what a flush put aside
//
// A flush renames `v`. As every call walks there by path from the directory of its prefix, one that begins afterwards
// finds another `v` or none: no number has to be compared, and none can get lost.
#pragma once
#include <flux/cache/key.hpp>
#include <flux/cache/result.hpp>

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "system.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::file_store {

inline constexpr int kShards = 256;
inline constexpr std::size_t kNameDigits = 30;  ///< of a file in its shard: 128 bits of hash, less the shard's 8

/// The file of an entry, from the directory of its prefix: "v/ab/0123...".
struct EntryPath {
  char text[2 + 3 + kNameDigits + 1];

  EntryPath(Space space, std::string_view key, std::uint64_t seed) noexcept;
  const char* name() const noexcept { return text + 5; }
};

/// The folder of a space: "v", "t", "l", "m".
const char* tree_of(Space space) noexcept;

class Directory {
 public:
  Directory(std::string path, const std::string& prefix, bool allow_unsafe, Duration limit);
  ~Directory();

  enum class Missing { stays, is_made };
  /// Makes sure that `fd()` and `seed()` are those of the directory that stands under the path now, as far as a look
  /// once a second tells. False: there is none, and it was not to be made.
  Result<bool> open(Missing missing) {
    if (usable_.load(std::memory_order_acquire) && !look_is_due()) [[likely]]
      return true;
    return open_slowly(missing);
  }
  /// The same with a look at the disk. For those who found nothing where something should be, and for `flush`.
  Result<bool> open_again(Missing missing);

  int fd() const noexcept { return fd_.load(std::memory_order_relaxed); }
  std::uint64_t seed() const noexcept { return seed_.load(std::memory_order_relaxed); }
  /// False: it was removed since it was opened, or somebody closed the descriptor behind our back.
  bool stands() const noexcept;

  const std::string& path() const noexcept { return path_; }

 private:
  struct Identity {
    dev_t device = 0;
    ino_t inode = 0;
    friend bool operator==(const Identity&, const Identity&) = default;
  };

  bool look_is_due() noexcept;
  Result<bool> open_slowly(Missing missing);
  bool is_current() const noexcept;
  Result<Fd> open_root(Missing missing) const;
  Result<bool> read_marker(int root, Missing missing, std::uint64_t& seed) const;
  Result<bool> make_marker(int root, std::uint64_t& seed) const;
  void adopt(Fd fresh);
  bool is_ours(const struct stat& what) const noexcept { return what.st_dev == device_ && what.st_ino == inode_; }

  const std::string path_;
  const std::string prefix_folder_;
  const bool allow_unsafe_;
  const Duration limit_;

  // Atomics, not a lock around a struct: a child of fork must find nothing locked. A descriptor keeps its number for
  // life, and what it points to is exchanged by dup3, so no call in flight can hit a stranger's file.
  std::atomic<int> fd_{-1};
  std::atomic<std::uint64_t> seed_{0};
  std::atomic<bool> usable_{false};
  std::atomic<std::int64_t> looked_at_{0};
  std::atomic<pid_t> opener_{0};  // the process that is opening; a parent's mark means nothing to its child
  Identity root_{};               // guarded by opener_
  std::atomic<dev_t> device_{0};  // of what fd_ was opened on
  std::atomic<ino_t> inode_{0};
  mutable std::atomic<bool> warned_{false};
};

}  // namespace detail::file_store
}  // namespace v1
}  // namespace flux::cache
