#include "walk.hpp"

#include <sys/file.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <vector>

#include "directory.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::file_store {

namespace {

constexpr char kTemporary[] = ".flux-cache-";
constexpr std::int64_t kTemporaryLife = 3600;  // seconds

// Names are gathered before anything is removed: what a walk sees while its directory changes is not defined.
std::vector<std::string> names_of(int directory, std::string_view start, std::size_t limit) {
  std::vector<std::string> names;
  for_each_name(directory, [&](const dirent64& found) {
    if (std::string_view(found.d_name).starts_with(start)) names.emplace_back(found.d_name);
    return names.size() < limit;
  });
  return names;
}

bool start_is(const char* text, std::string_view start) { return std::string_view(text).starts_with(start); }

}  // namespace

void for_each_name(int directory, FunctionRef<bool(const dirent64&)> visit, std::int64_t from) {
  const Fd walk = open_below(directory, ".", O_RDONLY | O_DIRECTORY);
  if (!walk || (from != 0 && ::lseek(walk.get(), from, SEEK_SET) < 0)) return;
  alignas(dirent64) char buffer[8192];
  for (;;) {
    const ssize_t size = ::getdents64(walk.get(), buffer, sizeof buffer);
    if (size <= 0) return;
    for (ssize_t at = 0; at < size;) {
      const auto& found = *reinterpret_cast<const dirent64*>(buffer + at);
      at += found.d_reclen;
      if (std::strcmp(found.d_name, ".") == 0 || std::strcmp(found.d_name, "..") == 0) continue;
      if (!visit(found)) return;
    }
  }
}

bool is_entry_name(const char* name) noexcept {
  return std::strlen(name) == kNameDigits && std::strspn(name, "0123456789abcdef") == kNameDigits;
}

void set_trees_aside(int root) {
  for (const std::string& prefix : names_of(root, "p", static_cast<std::size_t>(-1))) {
    const Fd folder = open_below(root, prefix.c_str(), O_RDONLY | O_DIRECTORY);
    if (!folder) continue;
    for (const Space space : {Space::values, Space::tags, Space::locks, Space::limits})
      ::renameat(folder.get(), tree_of(space), folder.get(), (kTrash + random_name()).c_str());
  }
}

std::size_t reclaim_trash(int folder, std::size_t budget) {
  constexpr std::size_t kHeapsAtOnce = 16;
  std::size_t gone = 0;
  if (budget == 0) return gone;
  for (const std::string& heap : names_of(folder, kTrash, kHeapsAtOnce)) {
    const Fd tree = open_below(folder, heap.c_str(), O_RDONLY | O_DIRECTORY);
    if (!tree) continue;
    for (const std::string& shard : names_of(tree.get(), {}, kShards)) {
      const Fd files = open_below(tree.get(), shard.c_str(), O_RDONLY | O_DIRECTORY);
      if (!files) continue;
      for (const std::string& name : names_of(files.get(), {}, budget - gone))
        gone += ::unlinkat(files.get(), name.c_str(), 0) == 0;
      if (gone == budget) return gone;
      ::unlinkat(tree.get(), shard.c_str(), AT_REMOVEDIR);
    }
    ::unlinkat(folder, heap.c_str(), AT_REMOVEDIR);
  }
  return gone;
}

void reclaim_temporaries(const std::string& root) {
  const Fd directory(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return;
  std::vector<std::string> old;
  for_each_name(directory.get(), [&](const dirent64& found) {
    struct stat what {};
    if (start_is(found.d_name, kTemporary) &&
        ::fstatat(directory.get(), found.d_name, &what, AT_SYMLINK_NOFOLLOW) == 0 &&
        what.st_mtim.tv_sec + kTemporaryLife < std::time(nullptr))
      old.emplace_back(found.d_name);
    return true;
  });
  for (const std::string& name : old) ::unlinkat(directory.get(), name.c_str(), 0);
}

}  // namespace detail::file_store
}  // namespace v1
}  // namespace flux::cache
