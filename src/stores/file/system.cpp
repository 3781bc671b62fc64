#include "system.hpp"

#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <ctime>

#include "core/random.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::file_store {

namespace {

// Old kernels and strict sandboxes lack openat2; then only the last step of a path is guarded.
std::atomic<bool> has_openat2{true};

constexpr std::size_t kLargestKept = 4 * 1024 * 1024;

struct Kept {
  char* data;
  std::size_t capacity;
};
constinit thread_local Kept kept{nullptr, 0};

// Frees what an ending thread kept. A key of pthreads, because a thread_local with a destructor cannot be used by the
// destructors that run after it.
pthread_key_t make_key() noexcept {
  pthread_key_t key;
  const auto free_kept = [](void*) {
    std::free(kept.data);
    kept = {nullptr, 0};
  };
  return ::pthread_key_create(&key, free_kept) == 0 ? key : static_cast<pthread_key_t>(-1);
}

void mark_thread() noexcept {
  static const pthread_key_t key = make_key();
  if (key != static_cast<pthread_key_t>(-1)) ::pthread_setspecific(key, &kept);
}

}  // namespace

void Fd::reset() noexcept {
  if (fd_ < 0) return;
  const int saved = errno;
  ::close(fd_);
  errno = saved;
}

Fd open_below(int directory, const char* path, int flags, mode_t mode) noexcept {
  // O_PATH takes no O_NONBLOCK, and needs none.
  flags |= O_NOFOLLOW | O_CLOEXEC | ((flags & O_PATH) != 0 ? 0 : O_NONBLOCK);
  for (;;) {
    int fd = -1;
    if (has_openat2.load(std::memory_order_relaxed)) {
      open_how how{};
      how.flags = static_cast<std::uint64_t>(flags);
      how.mode = mode;
      how.resolve = RESOLVE_NO_SYMLINKS;
      fd = static_cast<int>(::syscall(SYS_openat2, directory, path, &how, sizeof how));
      if (fd < 0 && errno == ENOSYS) {
        has_openat2.store(false, std::memory_order_relaxed);
        continue;
      }
    }
    if (fd < 0 && (!has_openat2.load(std::memory_order_relaxed) || errno == EPERM)) {
      fd = ::openat(directory, path, flags, mode);
    }
    if (fd >= 0 || errno != EINTR) return Fd(fd);
  }
}

bool make_folder(int directory, const char* path) noexcept {
  if (::mkdirat(directory, path, 0700) == 0) return ::fchmodat(directory, path, 0700, 0) == 0;
  return errno == EEXIST;
}

ssize_t read_at(int fd, char* to, std::size_t size, std::uint64_t at) noexcept {
  for (;;) {
    const ssize_t got = ::pread(fd, to, size, static_cast<off_t>(at));
    if (got >= 0 || errno != EINTR) return got;
  }
}

bool write_at(int fd, std::span<iovec> parts, std::uint64_t at) noexcept {
  while (!parts.empty()) {
    if (parts.front().iov_len == 0) {
      parts = parts.subspan(1);
      continue;
    }
    const ssize_t put = ::pwritev(fd, parts.data(), static_cast<int>(parts.size()), static_cast<off_t>(at));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return put < 0 ? false : (errno = ENOSPC, false);
    at += static_cast<std::uint64_t>(put);
    std::size_t done = static_cast<std::size_t>(put);
    while (!parts.empty() && done >= parts.front().iov_len) done -= parts.front().iov_len, parts = parts.subspan(1);
    if (done > 0) {
      parts.front().iov_base = static_cast<char*>(parts.front().iov_base) + done;
      parts.front().iov_len -= done;
    }
  }
  return true;
}

// flock belongs to the open file, not to the process: it keeps threads apart as well, and a killed holder lets go. It
// has no limit of its own, so it is asked again: at first while yielding, for a holder needs some microseconds only.
bool lock_within(int fd, int how, Duration limit) noexcept {
  using Steady = std::chrono::steady_clock;
  constexpr int kYields = 16;
  constexpr std::uint64_t kLongestNap = 500;  // microseconds
  Steady::time_point deadline{};
  std::uint64_t nap = 20;
  for (int attempt = 0;; ++attempt) {
    if (::flock(fd, how | LOCK_NB) == 0) return true;
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return false;
    if (attempt < kYields) {
      ::sched_yield();
      continue;
    }
    if (attempt == kYields) {
      deadline = Steady::now() + limit;
    } else if (Steady::now() >= deadline) {
      errno = EWOULDBLOCK;
      return false;
    }
    const timespec rest{0, static_cast<long>(1000 * (nap / 2 + random_below(nap)))};
    ::nanosleep(&rest, nullptr);
    nap = nap * 2 < kLongestNap ? nap * 2 : kLongestNap;
  }
}

// Said aloud, because a child of fork may hold a copy of the descriptor, and closing ours would then let go of nothing.
void unlock(int fd) noexcept {
  const int saved = errno;
  ::flock(fd, LOCK_UN);
  errno = saved;
}

std::string random_name() {
  unsigned char bytes[16];
  if (::getentropy(bytes, sizeof bytes) != 0) {
    for (unsigned char& byte : bytes) byte = static_cast<unsigned char>(random_bits());
  }
  std::string name;
  for (const unsigned char byte : bytes) name += "0123456789abcdef"[byte >> 4], name += "0123456789abcdef"[byte & 15];
  return name;
}

std::string words(int error) {
  const char* const text = ::strerrordesc_np(error);
  return text != nullptr ? text : "error " + std::to_string(error);
}

Error system_error(int error, std::string_view doing) {
  Errc code = Errc::unavailable;
  if (error == EACCES || error == EPERM) code = Errc::denied;
  if (error == EFBIG) code = Errc::too_large;
  if (error == EWOULDBLOCK) code = Errc::timeout;
  return {code, std::string(doing) + ": " + (code == Errc::timeout ? "another writer holds its lock" : words(error))};
}

ThreadBuffer::ThreadBuffer() noexcept
    : data_(std::exchange(kept.data, nullptr)), capacity_(std::exchange(kept.capacity, 0)) {
  if (data_ == nullptr) grow(kFirstCapacity, 0);
}

ThreadBuffer::~ThreadBuffer() {
  if (kept.data != nullptr || capacity_ > kLargestKept) {
    std::free(data_);
  } else {
    kept = {data_, capacity_};
  }
}

bool ThreadBuffer::grow(std::size_t size, std::size_t keep) noexcept {
  if (size <= capacity_) return true;
  size = (size + 4095) / 4096 * 4096;
  char* const larger = static_cast<char*>(std::malloc(size));
  if (larger == nullptr) return false;
  if (keep > 0) memcpy(larger, data_, keep);
  std::free(data_);
  data_ = larger;
  capacity_ = size;
  mark_thread();
  return true;
}

}  // namespace detail::file_store
}  // namespace v1
}  // namespace flux::cache
