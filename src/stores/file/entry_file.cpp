#include "entry_file.hpp"

#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace detail::file_store {

namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kAlign = 16;
/// Records above this give their second place back at once, smaller ones keep it for the next overwrite.
constexpr std::uint64_t kLargestSpare = 4 * 1024 * 1024;
constexpr std::uint64_t kSmallestCut = 64 * 1024;
/// Below this, a length that a head claims needs no look at the file's size before memory is taken for it.
constexpr std::uint64_t kTrusted = 64 * 1024;

constexpr std::uint64_t aligned(std::uint64_t at) noexcept { return (at + kAlign - 1) / kAlign * kAlign; }

iovec part_of(std::string_view bytes) noexcept { return {const_cast<char*>(bytes.data()), bytes.size()}; }

// Removes what keeps a regular file from standing at the path: a link or a stranger where a folder belongs, anything
// but a regular file at the end.
bool clear_the_way(int directory, const EntryPath& path) noexcept {
  for (const std::size_t length : {1U, 4U, 5U + static_cast<unsigned>(kNameDigits)}) {
    const std::string step(path.text, length);
    struct stat what {};
    if (::fstatat(directory, step.c_str(), &what, AT_SYMLINK_NOFOLLOW) != 0) return errno == ENOENT;
    const bool is_last = length > 4;
    if (is_last ? S_ISREG(what.st_mode) : S_ISDIR(what.st_mode)) continue;
    return ::unlinkat(directory, step.c_str(), S_ISDIR(what.st_mode) ? AT_REMOVEDIR : 0) == 0;
  }
  return true;
}

bool make_folders(int directory, const EntryPath& path) noexcept {
  const char tree[2] = {path.text[0], '\0'};
  const char shard[5] = {path.text[0], '/', path.text[2], path.text[3], '\0'};
  return make_folder(directory, tree) && make_folder(directory, shard);
}

// What it looks like when the directory is gone, or its descriptor means something else.
bool is_missing(int error) noexcept { return error == ENOENT || error == ENOTDIR || error == EBADF; }

bool is_planted(int error) noexcept { return error == ELOOP || error == ENXIO || error == EISDIR || error == ENOTDIR; }

}  // namespace

ReadState read_head(int file, ThreadBuffer& buffer, Found& found) noexcept {
  const ssize_t size = read_at(file, buffer.data(), kFirstCapacity, 0);
  // A folder or a pipe in an entry's place cannot be read at an offset.
  if (size < 0) return errno == EISDIR || errno == ESPIPE || errno == EINVAL ? ReadState::absent : ReadState::failed;
  found.loaded = static_cast<std::size_t>(size);
  switch (decode_head(buffer.data(), found.loaded, found.head)) {
    case HeadState::empty: return ReadState::absent;
    case HeadState::broken: return ReadState::broken;
    case HeadState::good: break;
  }
  const std::size_t end = static_cast<std::size_t>(found.head.key_end());
  if (end > found.loaded) {
    if (found.loaded < kFirstCapacity) return ReadState::broken;  // the file ends there
    if (!buffer.grow(end, found.loaded)) return errno = ENOMEM, ReadState::failed;
    const std::size_t rest = end - found.loaded;
    if (read_at(file, buffer.data() + found.loaded, rest, found.loaded) != static_cast<ssize_t>(rest))
      return ReadState::broken;
    found.loaded = end;
  }
  found.key = {buffer.data() + kHeadBytes, found.head.key_bytes};
  return ReadState::good;
}

ReadState read_record(int file, ThreadBuffer& buffer, std::uint64_t limit, Found& found) noexcept {
  const Head& head = found.head;
  const std::uint64_t length = head.record_bytes();
  const std::size_t end = static_cast<std::size_t>(head.key_end());
  const char* record = buffer.data() + head.offset;
  if (length > 0 && head.offset + length > found.loaded) {
    if (head.text_bytes > limit) return ReadState::broken;
    struct stat what {};
    if (length > kTrusted &&
        (::fstat(file, &what) != 0 || static_cast<std::uint64_t>(what.st_size) < head.offset + length))
      return ReadState::broken;
    if (!buffer.grow(end + static_cast<std::size_t>(length), end)) return errno = ENOMEM, ReadState::failed;
    found.key = {buffer.data() + kHeadBytes, head.key_bytes};
    record = buffer.data() + end;
    const ssize_t size = read_at(file, buffer.data() + end, static_cast<std::size_t>(length), head.offset);
    if (size < 0) return ReadState::failed;
    if (size != static_cast<ssize_t>(length)) return ReadState::broken;
  }
  const auto meta_bytes = static_cast<std::size_t>(head.meta_bytes());
  found.meta = {record, meta_bytes};
  found.text = {record + meta_bytes, static_cast<std::size_t>(head.text_bytes)};
  const bool checks_out = (meta_bytes == 0 || checksum(found.meta) == head.meta_sum) &&
                          (found.text.empty() || checksum(found.text) == head.text_sum);
  return checks_out ? ReadState::good : ReadState::broken;
}

void LockedEntry::release() noexcept {
  if (file_) unlock(file_.get());
  file_ = Fd();
}

Result<bool> LockedEntry::lock(Directory& directory, const Key& key, Absent absent, Duration limit) {
  constexpr int kAttempts = 1000;  // each one lost means that another call got its way
  const bool makes = absent == Absent::is_made;
  const auto missing = makes ? Directory::Missing::is_made : Directory::Missing::stays;
  auto opened = directory.open(missing);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (!opened.ok() || !*opened) return opened;
    path_ = EntryPath(key.space(), key.text(), directory.seed());
    file_ = open_below(directory.fd(), path_.text, O_RDWR | (makes ? O_CREAT : 0), makes ? 0600 : 0);
    if (!file_) {
      const int error = errno;
      if (is_missing(error) && !directory.stands()) {
        opened = directory.open_again(missing);
      } else if (error == ENOENT) {
        if (!makes) return false;
        if (!make_folders(directory.fd(), path_) && errno != ENOENT)
          return system_error(errno, "making the folder of an entry");
      } else if (is_planted(error)) {
        if (!makes) return false;
        if (!clear_the_way(directory.fd(), path_)) return system_error(errno, "replacing what is no entry");
      } else {
        return system_error(error, "opening an entry");
      }
      continue;
    }
    if (!lock_within(file_.get(), LOCK_EX, limit)) {
      const int error = errno;
      file_ = Fd();
      return system_error(error, "locking an entry");
    }
    struct stat what {};
    if (::fstat(file_.get(), &what) != 0) return system_error(errno, "looking at an entry");
    if (S_ISREG(what.st_mode) && what.st_nlink == 1) {
      if ((what.st_mode & 07777) != 0600) ::fchmod(file_.get(), 0600);
      size_ = static_cast<std::uint64_t>(what.st_size);
      device_ = what.st_dev;
      inode_ = what.st_ino;
      return look(key.text());
    }
    release();
    if (what.st_nlink == 0) continue;  // it was removed while we waited for its lock
    if (!makes) return false;
    if (::unlinkat(directory.fd(), path_.text, 0) != 0 && errno != ENOENT)
      return system_error(errno, "replacing what is no entry");
  }
  return Error{Errc::unavailable, "too many writers on one key"};
}

Result<bool> LockedEntry::look(std::string_view key) {
  has_head_ = false;
  is_blank_ = size_ == 0;
  if (is_blank_) return true;
  char small[kHeadBytes + 400];
  std::vector<char> large;
  char* bytes = small;
  const std::size_t wanted = kHeadBytes + key.size();
  if (wanted > sizeof small) large.resize(wanted), bytes = large.data();
  const ssize_t size = read_at(file_.get(), bytes, wanted, 0);
  if (size < 0) return system_error(errno, "reading an entry");
  const auto seen = static_cast<std::size_t>(size);
  const HeadState state = decode_head(bytes, seen, head_);
  is_blank_ = state == HeadState::empty;
  has_head_ = state == HeadState::good && head_.key_bytes == key.size() && seen == wanted &&
              std::memcmp(bytes + kHeadBytes, key.data(), key.size()) == 0;
  return true;
}

bool LockedEntry::write(Head fresh, std::string_view key, std::string_view meta, std::string_view text) noexcept {
  fresh.key_bytes = static_cast<std::uint32_t>(key.size());
  fresh.text_bytes = text.size();
  fresh.meta_sum = meta.empty() ? 0 : checksum(meta);
  fresh.text_sum = text.empty() ? 0 : checksum(text);
  const std::uint64_t low = aligned(fresh.key_end());
  const std::uint64_t length = fresh.record_bytes();
  char head[kHeadBytes];

  if (has_head_) {
    fresh.key_sum = head_.key_sum;
    const std::uint64_t living = head_.record_bytes();
    fresh.offset = living == 0 || low + length <= head_.offset ? low : aligned(head_.offset + living);
    encode_head(fresh, head);
    iovec record[] = {part_of(meta), part_of(text)};
    iovec top[] = {part_of({head, kHeadBytes})};
    if (write_at(file_.get(), record, fresh.offset) && write_at(file_.get(), top, 0)) {
      give_back(fresh);
      return true;
    }
  } else {
    if (!is_blank_ && !blank()) return false;
    fresh.key_sum = checksum(key);
    fresh.offset = low;
    encode_head(fresh, head);
    const char zeros[kAlign] = {};
    const std::string_view gap(zeros, static_cast<std::size_t>(low - fresh.key_end()));
    iovec parts[] = {part_of({head, kHeadBytes}), part_of(key), part_of(gap), part_of(meta), part_of(text)};
    iovec top[] = {parts[0]};
    // Within one page head and record go together; otherwise the head goes last.
    const bool written = low + length <= kPage ? write_at(file_.get(), parts, 0)
                                               : write_at(file_.get(), std::span(parts).subspan(1), kHeadBytes) &&
                                                     write_at(file_.get(), top, 0);
    if (written) {
      give_back(fresh);
      return true;
    }
  }
  const int error = errno;
  if (size_ > 0) {
    (void)blank();
  } else {
    (void)::ftruncate(file_.get(), 0);  // the room it got is better given back
  }
  errno = error;
  return false;
}

// Cuts off, or turns into a hole, what overwriting left behind and will hardly use again.
void LockedEntry::give_back(const Head& fresh) noexcept {
  const std::uint64_t end = fresh.offset + fresh.record_bytes();
  const std::uint64_t length = fresh.record_bytes();
  const bool is_large = length > kLargestSpare;
  const std::uint64_t tail = size_ > end ? size_ - end : 0;
  if (tail > (is_large ? 0 : std::max(kSmallestCut, 3 * length)))
    (void)::ftruncate(file_.get(), static_cast<off_t>(end));
  const std::uint64_t low = aligned(fresh.key_end());
  if (is_large && fresh.offset > low)
    (void)::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(low),
                      static_cast<off_t>(fresh.offset - low));
}

bool LockedEntry::write_head(const Head& fresh) noexcept {
  char head[kHeadBytes];
  encode_head(fresh, head);
  iovec part[] = {part_of({head, kHeadBytes})};
  return write_at(file_.get(), part, 0);
}

bool LockedEntry::blank() noexcept {
  char zeros[kHeadBytes] = {};
  iovec part[] = {part_of({zeros, kHeadBytes})};
  return write_at(file_.get(), part, 0);
}

// The path is walked again, and may lead to a newer tree by now: the file there goes only if it is the one we hold.
bool LockedEntry::remove(const Directory& directory) noexcept {
  const char shard[5] = {path_.text[0], '/', path_.text[2], path_.text[3], '\0'};
  const Fd folder = open_below(directory.fd(), shard, O_PATH | O_DIRECTORY);
  if (!folder) return errno == ENOENT;
  struct stat what {};
  if (::fstatat(folder.get(), path_.name(), &what, AT_SYMLINK_NOFOLLOW) != 0) return errno == ENOENT;
  if (what.st_dev != device_ || what.st_ino != inode_) return true;
  return ::unlinkat(folder.get(), path_.name(), 0) == 0 || errno == ENOENT;
}

}  // namespace detail::file_store
}  // namespace v1
}  // namespace flux::cache
