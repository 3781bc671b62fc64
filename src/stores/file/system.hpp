// What the file store asks of the system: descriptors that close themselves, whole reads and writes, locks with a
// limit.
#pragma once
#include <flux/cache/clock.hpp>
#include <flux/cache/error.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace flux::cache {
inline namespace v1 {
namespace detail::file_store {

/// An open file; closed with its owner.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(), fd_ = std::exchange(other.fd_, -1);
    return *this;
  }
  ~Fd() { reset(); }

  explicit operator bool() const noexcept { return fd_ >= 0; }
  int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }

 private:
  void reset() noexcept;

  int fd_ = -1;
};

/// Opens a path below a directory and follows no symbolic link at any step of it. Close-on-exec and non-blocking
/// always; `errno` as openat has it.
Fd open_below(int directory, const char* path, int flags, mode_t mode = 0) noexcept;

/// Makes a directory with mode 0700 whatever the umask. True as well where one stood already.
bool make_folder(int directory, const char* path) noexcept;

/// Reads once, restarted where a signal came between. At most `size` bytes; fewer at the end of the file.
ssize_t read_at(int fd, char* to, std::size_t size, std::uint64_t at) noexcept;

/// Writes everything, or answers false with `errno`. Changes `parts`.
bool write_at(int fd, std::span<iovec> parts, std::uint64_t at) noexcept;

/// `flock`, tried again until the limit has passed; then false with EWOULDBLOCK. `how` is LOCK_SH or LOCK_EX.
bool lock_within(int fd, int how, Duration limit) noexcept;
void unlock(int fd) noexcept;

/// 32 hexadecimal digits that nobody can foretell.
std::string random_name();

/// The system's words for an error number.
std::string words(int error);

/// What a failed system call means to the caller.
Error system_error(int error, std::string_view doing);

/// What every thread buffer has from the start.
inline constexpr std::size_t kFirstCapacity = 32 * 1024;

/// A buffer that its thread keeps for the next call. Nested calls get one of their own. Needs no thread-local
/// destructor, so it works in static destruction and in threads that are ending.
class ThreadBuffer {
 public:
  ThreadBuffer() noexcept;
  ThreadBuffer(const ThreadBuffer&) = delete;
  ThreadBuffer& operator=(const ThreadBuffer&) = delete;
  ~ThreadBuffer();

  char* data() const noexcept { return data_; }
  std::size_t capacity() const noexcept { return capacity_; }
  /// At least `size` bytes, the first `keep` of which stay as they are. False: no memory.
  bool grow(std::size_t size, std::size_t keep) noexcept;

 private:
  char* data_ = nullptr;
  std::size_t capacity_ = 0;
};

}  // namespace detail::file_store
}  // namespace v1
}  // namespace flux::cache
