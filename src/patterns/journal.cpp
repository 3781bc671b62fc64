#include "journal.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <flux/cache/detail/stable_hash.hpp>
#include <flux/cache/error.hpp>

#include <cerrno>
#include <cstring>
#include <map>
#include <system_error>

namespace flux::cache {
inline namespace v1 {
namespace detail {

namespace {

constexpr std::string_view kHeader{"FXJ1\x01\0\0\0", 8};
constexpr std::size_t kRecordHead = 4 + 8;
constexpr std::size_t kBodyHead = 1 + 8 + 4;
constexpr std::uint32_t kMostBody = 1U << 30;
/// A journal with nothing pending begins anew when it is longer than this.
constexpr std::uint64_t kBeginAnew = 1 << 20;
enum : std::uint8_t { kWrite = 1, kDone = 2, kDropped = 3 };

template <class Number>
void add_number(std::string& out, Number number) {
  for (std::size_t byte = 0; byte < sizeof number; ++byte) out += static_cast<char>(number >> (8 * byte) & 0xff);
}

template <class Number>
Number number_at(std::string_view from, std::size_t at) {
  return static_cast<Number>(load_little<Number>(from.data() + at));
}

[[noreturn]] void refuse(const std::string& path, const std::string& what, int code) {
  throw ConfigError(Error{Errc::bad_config, "journal: \"" + path + "\": " + what +
                                                (code != 0 ? ": " + std::generic_category().message(code) : "")});
}

bool write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ::ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

void add_record(std::string& out, std::uint8_t kind, std::uint64_t sequence, std::string_view key,
                std::string_view value) {
  const auto length = static_cast<std::uint32_t>(kBodyHead + key.size() + value.size());
  add_number(out, length);
  const std::size_t sum_at = out.size();
  add_number(out, std::uint64_t{0});
  out += static_cast<char>(kind);
  add_number(out, sequence);
  add_number(out, static_cast<std::uint32_t>(key.size()));
  out += key;
  out += value;
  const std::uint64_t sum = stable_hash64(std::string_view(out).substr(sum_at + 8), length);
  for (std::size_t byte = 0; byte < 8; ++byte) out[sum_at + byte] = static_cast<char>(sum >> (8 * byte) & 0xff);
}

}  // namespace

Journal::Journal(std::string path, std::vector<Record>& pending) : path_(std::move(path)) {
  // The lock stands beside the journal, which is replaced as a whole.
  lock_ = ::open((path_ + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (lock_ < 0) refuse(path_, "its lock cannot be opened", errno);
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    const int code = errno;
    ::close(lock_);
    refuse(path_, code == EWOULDBLOCK ? "another queue has it open" : "it cannot be locked",
           code == EWOULDBLOCK ? 0 : code);
  }
  try {
    pending = read();
    rewrite(pending);
  } catch (...) {
    if (file_ >= 0) ::close(file_);
    ::close(lock_);
    throw;
  }
}

Journal::~Journal() {
  if (dirty_) (void)::fdatasync(file_);
  ::close(file_);
  ::close(lock_);
}

std::vector<Journal::Record> Journal::read() {
  const int file = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0) {
    if (errno == ENOENT) return {};
    refuse(path_, "it cannot be opened", errno);
  }
  std::string all;
  char block[64 * 1024];
  for (;;) {
    const ::ssize_t got = ::read(file, block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const int code = errno;
      ::close(file);
      refuse(path_, "it cannot be read", code);
    }
    if (got == 0) break;
    all.append(block, static_cast<std::size_t>(got));
  }
  ::close(file);
  std::string_view rest = all;
  if (rest.empty()) return {};
  if (!rest.starts_with(kHeader)) refuse(path_, "it is no journal of this version", 0);
  rest.remove_prefix(kHeader.size());

  std::map<std::uint64_t, Record> pending;
  while (rest.size() >= kRecordHead) {
    const auto length = number_at<std::uint32_t>(rest, 0);
    if (length < kBodyHead || length > kMostBody || rest.size() - kRecordHead < length) break;
    const std::string_view body = rest.substr(kRecordHead, length);
    if (number_at<std::uint64_t>(rest, 4) != stable_hash64(body, length)) break;
    const auto sequence = number_at<std::uint64_t>(body, 1);
    const auto key_size = number_at<std::uint32_t>(body, 9);
    if (key_size > length - kBodyHead) break;
    last_sequence_ = std::max(last_sequence_, sequence);
    switch (static_cast<std::uint8_t>(body[0])) {
      case kWrite:
        pending.insert_or_assign(sequence, Record{sequence, std::string(body.substr(kBodyHead, key_size)),
                                                  std::string(body.substr(kBodyHead + key_size))});
        break;
      case kDone: pending.erase(pending.begin(), pending.upper_bound(sequence)); break;
      case kDropped: pending.erase(sequence); break;
      default: break;
    }
    rest.remove_prefix(kRecordHead + length);
  }
  std::vector<Record> records;
  records.reserve(pending.size());
  for (auto& [sequence, record] : pending) records.push_back(std::move(record));
  return records;
}

/// Writes what is pending to a new file, and puts that in the old one's place.
void Journal::rewrite(const std::vector<Record>& pending) {
  const std::string temporary = path_ + ".new";
  const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) refuse(path_, "it cannot be written", errno);
  std::string bytes(kHeader);
  if (last_sequence_ != 0 && pending.empty()) add_record(bytes, kDone, last_sequence_, {}, {});
  for (const Record& record : pending) add_record(bytes, kWrite, record.sequence, record.key, record.value);
  if (!write_all(file, bytes) || ::fdatasync(file) != 0 || ::rename(temporary.c_str(), path_.c_str()) != 0) {
    const int code = errno;
    ::close(file);
    ::unlink(temporary.c_str());
    refuse(path_, "it cannot be written", code);
  }
  if (file_ >= 0) ::close(file_);
  file_ = file;
  size_ = bytes.size();
  dirty_ = false;
}

bool Journal::append(std::uint8_t kind, std::uint64_t sequence, std::string_view key, std::string_view value) {
  if (key.size() + value.size() > kMostBody - kBodyHead) return false;
  buffer_.clear();
  add_record(buffer_, kind, sequence, key, value);
  if (write_all(file_, buffer_)) {
    size_ += buffer_.size();
    dirty_ = true;
    return true;
  }
  // Half a record would hide all that follow.
  if (::ftruncate(file_, static_cast<::off_t>(size_)) == 0) ::lseek(file_, static_cast<::off_t>(size_), SEEK_SET);
  return false;
}

bool Journal::add(std::uint64_t sequence, std::string_view key, std::string_view value) {
  if (!append(kWrite, sequence, key, value)) return false;
  last_sequence_ = sequence;
  return true;
}

void Journal::done(std::uint64_t up_to) { (void)append(kDone, up_to, {}, {}); }
void Journal::dropped(std::uint64_t sequence) { (void)append(kDropped, sequence, {}, {}); }

void Journal::all_done() {
  if (size_ < kBeginAnew) return;
  try {
    rewrite({});
  } catch (const ConfigError&) {  // no room for a new one: the old one goes on
  }
}

int Journal::dirty_copy() {
  if (!dirty_) return -1;
  dirty_ = false;
  return ::fcntl(file_, F_DUPFD_CLOEXEC, 0);
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
