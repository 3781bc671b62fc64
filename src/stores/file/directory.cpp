#include "directory.hpp"

#include <flux/cache/detail/stable_hash.hpp>

#include <dirent.h>
#include <sched.h>
#include <sys/file.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "home.hpp"
#include "walk.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::file_store {

namespace {

constexpr const char* kMarker = ".flux-cache";
constexpr std::string_view kMarkerTitle = "flux::cache file store\nformat ";
constexpr const char* kFormat = "1";
constexpr std::size_t kLongestFolder = 200;

constexpr char kDigits[] = "0123456789abcdef";

char* put_hex(char* to, std::uint64_t number, int digits) noexcept {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) *to++ = kDigits[(number >> shift) & 15];
  return to;
}

std::string hex(std::uint64_t number) {
  char text[16];
  return {text, put_hex(text, number, 16)};
}

// Lower-case letters and digits stand for themselves, all else is escaped: a volume that ignores case loses nothing.
std::string folder_of(const std::string& prefix) {
  std::string folder = "p-";
  for (const char c : prefix) {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-') {
      folder += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      folder += '%';
      folder += kDigits[byte >> 4];
      folder += kDigits[byte & 15];
    }
  }
  if (folder.size() <= kLongestFolder) return folder;
  const Hash128 hash = stable_hash128(prefix);
  return "p~" + hex(hash.high) + hex(hash.low);
}

std::string marker_text(std::uint64_t seed) {
  std::string text = std::string(kMarkerTitle) + kFormat + "\nseed " + hex(seed) + "\n";
  return text + "check " + hex(stable_hash64(text)) + "\n";
}

enum class Marked { ours, other_format, damaged };

Marked parse_marker(int marker, std::uint64_t& seed) {
  char buffer[256];
  const ssize_t size = read_at(marker, buffer, sizeof buffer, 0);
  const std::string_view text(buffer, size > 0 ? static_cast<std::size_t>(size) : 0);
  const std::string_view start = "seed ";
  const std::size_t at = text.find(start);
  if (at != std::string_view::npos && text.size() > at + start.size() + 16) {
    seed = std::strtoull(std::string(text.substr(at + start.size(), 16)).c_str(), nullptr, 16);
    if (marker_text(seed) == text) return Marked::ours;
  }
  const bool is_other = text.starts_with(kMarkerTitle) && !text.substr(kMarkerTitle.size()).starts_with(kFormat);
  return is_other ? Marked::other_format : Marked::damaged;
}

std::uint64_t fresh_seed() { return std::stoull(random_name().substr(0, 16), nullptr, 16); }

bool make_with_parents(const std::string& path) {
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    if (!make_folder(AT_FDCWD, path.substr(0, slash).c_str())) return false;
  }
  return make_folder(AT_FDCWD, path.c_str());
}

Error refusal(Errc code, const std::string& path, std::string why) {
  return {code, "the cache directory " + path + ' ' + std::move(why)};
}

class OpenerTurn {
 public:
  explicit OpenerTurn(std::atomic<pid_t>& opener) noexcept : opener_(opener) {
    const pid_t self = ::getpid();
    for (;;) {
      pid_t seen = opener_.load(std::memory_order_relaxed);
      if (seen == self) {
        ::sched_yield();
        continue;
      }
      if (opener_.compare_exchange_weak(seen, self, std::memory_order_acquire)) return;
    }
  }
  OpenerTurn(const OpenerTurn&) = delete;
  OpenerTurn& operator=(const OpenerTurn&) = delete;
  ~OpenerTurn() { opener_.store(0, std::memory_order_release); }

 private:
  std::atomic<pid_t>& opener_;
};

}  // namespace

EntryPath::EntryPath(Space space, std::string_view key, std::uint64_t seed) noexcept {
  const Hash128 hash = stable_hash128(key, seed);
  text[0] = *tree_of(space);
  text[1] = '/';
  put_hex(text + 2, hash.high >> 56, 2);
  text[4] = '/';
  *put_hex(put_hex(text + 5, hash.high, 14), hash.low, 16) = '\0';
}

const char* tree_of(Space space) noexcept {
  switch (space) {
    case Space::tags: return "t";
    case Space::locks: return "l";
    case Space::limits: return "m";
    default: return "v";
  }
}

Directory::Directory(std::string path, const std::string& prefix, bool allow_unsafe, Duration limit)
    : path_(std::move(path)), prefix_folder_(folder_of(prefix)), allow_unsafe_(allow_unsafe), limit_(limit) {}

Directory::~Directory() {
  struct stat now {};
  const int fd = fd_.load();
  if (fd >= 0 && ::fstat(fd, &now) == 0 && is_ours(now)) ::close(fd);
}

bool Directory::look_is_due() noexcept {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
  return looked_at_.load(std::memory_order_relaxed) != static_cast<std::int64_t>(time.tv_sec);
}

bool Directory::stands() const noexcept {
  struct stat now {};
  return ::fstat(fd(), &now) == 0 && is_ours(now) && now.st_nlink > 0;
}

bool Directory::is_current() const noexcept {
  struct stat root {};
  return ::stat(path_.c_str(), &root) == 0 && Identity{root.st_dev, root.st_ino} == root_ && stands();
}

Result<bool> Directory::open_again(Missing missing) {
  looked_at_.store(-1, std::memory_order_relaxed);
  return open_slowly(missing);
}

Result<bool> Directory::open_slowly(Missing missing) {
  const OpenerTurn turn(opener_);
  if (usable_.load(std::memory_order_relaxed)) {
    if (!look_is_due()) return true;
    if (is_current()) {
      timespec time{};
      ::clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
      looked_at_.store(static_cast<std::int64_t>(time.tv_sec), std::memory_order_relaxed);
      return true;
    }
    usable_.store(false, std::memory_order_relaxed);
  }
  auto root = open_root(missing);
  if (!root.ok()) return Result<bool>(root.take_error());
  if (!*root) return false;
  std::uint64_t seed = 0;
  auto marked = read_marker(root->get(), missing, seed);
  if (!marked.ok() || !*marked) return marked;

  const char* const folder = prefix_folder_.c_str();
  Fd fresh = open_below(root->get(), folder, O_RDONLY | O_DIRECTORY);
  if (!fresh && errno == ENOENT) {
    if (missing == Missing::stays) return false;
    if (!make_folder(root->get(), folder)) return system_error(errno, "making the directory of the prefix");
    fresh = open_below(root->get(), folder, O_RDONLY | O_DIRECTORY);
  }
  if (!fresh) return system_error(errno, "opening the directory of the prefix");

  struct stat now {};
  if (::fstat(root->get(), &now) != 0) return system_error(errno, "looking at the cache directory");
  root_ = {now.st_dev, now.st_ino};
  adopt(std::move(fresh));
  seed_.store(seed, std::memory_order_relaxed);
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
  looked_at_.store(static_cast<std::int64_t>(time.tv_sec), std::memory_order_relaxed);
  usable_.store(true, std::memory_order_release);
  return true;
}

// Where the number still means what we opened, it is turned to the new directory. Where somebody closed it behind our
// back (daemons close all they find), it may be theirs by now, and is left alone.
void Directory::adopt(Fd fresh) {
  struct stat now {};
  const int old = fd();
  const bool is_kept = old >= 0 && ::fstat(old, &now) == 0 && is_ours(now);
  ::fstat(fresh.get(), &now);
  device_ = now.st_dev;
  inode_ = now.st_ino;
  if (is_kept && ::dup3(fresh.get(), old, O_CLOEXEC) >= 0) return;
  fd_.store(fresh.release(), std::memory_order_relaxed);
}

Result<Fd> Directory::open_root(Missing missing) const {
  if (path_.empty()) return Error{Errc::bad_config, "no path is configured and the user has no home directory"};
  const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (allow_unsafe_ ? 0 : O_NOFOLLOW);
  Fd root(::open(path_.c_str(), flags));
  if (!root && errno == ENOENT) {
    if (missing == Missing::stays) return Fd();
    if (!make_with_parents(path_)) return system_error(errno, "making the cache directory " + path_);
    root = Fd(::open(path_.c_str(), flags));
  }
  if (!root) {
    const int error = errno;
    struct stat what {};
    if (::lstat(path_.c_str(), &what) == 0 && S_ISLNK(what.st_mode))
      return refusal(Errc::bad_config, path_, "is a symbolic link; name what it points to");
    if (error == ENOTDIR) return refusal(Errc::bad_config, path_, "is not a directory");
    return system_error(error, "opening the cache directory " + path_);
  }
  struct stat now {};
  if (::fstat(root.get(), &now) != 0) return system_error(errno, "looking at the cache directory " + path_);
  if (const char* const what = forbidden_directory(now))
    return refusal(Errc::bad_config, path_, std::string("is ") + what + "; a cache needs one of its own");
  const bool is_strange = now.st_uid != ::geteuid();
  const bool is_open = (now.st_mode & (S_IWGRP | S_IWOTH)) != 0;
  if (is_strange || is_open) {
    const std::string why =
        is_strange ? "belongs to user " + std::to_string(now.st_uid) + ", not to user " + std::to_string(::geteuid())
                   : "can be written to by its group or by everybody; mode 0700 is right";
    if (!allow_unsafe_) return refusal(Errc::denied, path_, why);
    if (!warned_.exchange(true))
      std::fprintf(stderr, "flux cache: warning: the cache directory %s %s; used all the same, as configured\n",
                   path_.c_str(), why.c_str());
  }
  return root;
}

Result<bool> Directory::read_marker(int root, Missing missing, std::uint64_t& seed) const {
  const Fd marker = open_below(root, kMarker, O_RDONLY);
  if (!marker && errno != ENOENT) return system_error(errno, "opening the marker of the cache directory");
  if (!marker) {
    bool is_empty = true;
    for_each_name(
        root, [&](const dirent64& found) { return is_empty = std::string_view(found.d_name).starts_with(kMarker); });
    // Another process may have finished its marker, and put entries beside it, since we looked.
    if (!is_empty && ::faccessat(root, kMarker, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
      return read_marker(root, missing, seed);
    if (!is_empty)
      return refusal(Errc::bad_config, path_, "holds files that are not this cache's, and no marker; name another one");
    return missing == Missing::stays ? Result<bool>(false) : make_marker(root, seed);
  }
  const Marked marked = parse_marker(marker.get(), seed);
  if (marked == Marked::ours) return true;
  if (marked == Marked::other_format) return refusal(Errc::bad_config, path_, "is in another format than format 1");
  // A damaged marker has lost the seed, and with it the way to every entry.
  return missing == Missing::stays ? Result<bool>(false) : make_marker(root, seed);
}

// Under a lock on the directory itself, so that of many processes one makes it. Synced, so that a power loss leaves it
// whole or absent.
Result<bool> Directory::make_marker(int root, std::uint64_t& seed) const {
  if (!lock_within(root, LOCK_EX, limit_)) return system_error(errno, "locking the cache directory");
  struct Unlock {
    int fd;
    ~Unlock() { unlock(fd); }
  } const unlock_at_end{root};

  const std::string name = std::string(kMarker) + '-' + random_name() + ".tmp";
  if (const Fd marker = open_below(root, kMarker, O_RDONLY)) {
    if (parse_marker(marker.get(), seed) == Marked::ours) return true;
    set_trees_aside(root);
  }
  seed = fresh_seed();
  std::string content = marker_text(seed);
  const Fd fresh = open_below(root, name.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (!fresh) return system_error(errno, "making the marker of the cache directory");
  iovec part{content.data(), content.size()};
  const bool written = ::fchmod(fresh.get(), 0600) == 0 && write_at(fresh.get(), {&part, 1}, 0) &&
                       ::fsync(fresh.get()) == 0 && ::renameat(root, name.c_str(), root, kMarker) == 0;
  if (written) return true;
  const int error = errno;
  ::unlinkat(root, name.c_str(), 0);
  return system_error(error, "making the marker of the cache directory");
}

}  // namespace detail::file_store
}  // namespace v1
}  // namespace flux::cache
