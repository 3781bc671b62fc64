#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <flux/cache/detail/stable_hash.hpp>
#include <flux/cache/frame.hpp>
#include <flux/cache/snapshot.hpp>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <system_error>
#include <vector>

#include "core/random.hpp"

namespace flux::cache {
inline namespace v1 {

namespace {

constexpr std::string_view kHeader{"FXS1\x01\0\0\0", 8};
constexpr std::size_t kHead = 8 + 8 + 8;
/// Marks bytes that are a frame for whoever reads them.
constexpr Type kFrame{.name = "a frame"};

Error failure(Errc code, const std::string& path, const std::string& what) {
  return {code, "snapshot \"" + path + "\": " + what, {}, "snapshot"};
}
Error system_failure(const std::string& path) {
  return failure(Errc::unavailable, path, std::generic_category().message(errno));
}

class File {
 public:
  explicit File(int number) : number_(number) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (number_ >= 0) ::close(number_);
  }
  int number() const noexcept { return number_; }

 private:
  int number_;
};

template <class Number>
void add(std::string& out, Number number) {
  for (std::size_t byte = 0; byte < sizeof number; ++byte)
    out += static_cast<char>(static_cast<std::uint64_t>(number) >> (8 * byte) & 0xff);
}

/// Reads numbers and texts, and remembers when there was not enough of them.
struct Cursor {
  std::string_view rest;
  bool whole = true;

  template <class Number>
  Number number() {
    if (rest.size() < sizeof(Number)) return whole = false, Number{};
    const auto value = static_cast<Number>(detail::load_little<std::make_unsigned_t<Number>>(rest.data()));
    rest.remove_prefix(sizeof(Number));
    return value;
  }
  std::string_view text(std::size_t size) {
    if (rest.size() < size) return whole = false, std::string_view();
    const std::string_view out = rest.substr(0, size);
    rest.remove_prefix(size);
    return out;
  }
};

std::int64_t to_file(const Clock& clock, Instant moment) { return clock.to_wall(moment).time_since_epoch().count(); }
/// Dates that nobody means are brought to where they can be counted with.
Instant from_file(const Clock& clock, std::int64_t wall) {
  if (wall == std::numeric_limits<std::int64_t>::max()) return kNever;
  return clock.from_wall(WallTime(Duration(std::clamp<std::int64_t>(wall, 0, std::int64_t{1} << 60))));
}

/// False: the value cannot be written.
bool add_value(std::string& out, const ValueView& value) {
  switch (value.kind) {
    case Kind::none: return false;
    case Kind::integer:
    case Kind::unsigned_integer: return add(out, value.number), true;
    case Kind::text:
    case Kind::bytes: return out += value.text, true;
    case Kind::object: break;
  }
  if (value.type->save == nullptr) return false;
  auto frame = encode_frame({}, *value.type, value.object->get());
  if (!frame.ok()) return false;
  return out += *frame, true;
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

}  // namespace

Result<SnapshotReport> save_snapshot(Store& store, const std::string& path, const SnapshotOptions& options) {
  const Clock& clock = options.clock != nullptr ? *options.clock : system_clock();
  SnapshotReport report;
  std::string bytes(kHeader);
  add(bytes, clock.wall().time_since_epoch().count());
  add(bytes, std::uint64_t{0});
  const Instant now = clock.now();
  bool too_large = false;
  auto done = store.scan(Space::values, [&](std::string_view key, const Entry& entry) {
    if (!entry.expiry.is_fresh(now)) return true;
    const std::size_t from = bytes.size();
    add(bytes, std::uint32_t{0});
    add(bytes, static_cast<std::uint8_t>(entry.value.kind));
    add(bytes, static_cast<std::uint32_t>(key.size()));
    bytes += key;
    add(bytes, to_file(clock, entry.expiry.fresh_until));
    add(bytes, to_file(clock, entry.expiry.keep_until));
    add(bytes, static_cast<std::uint16_t>(entry.tags.size()));
    for (const TagStamp& tag : entry.tags) {
      add(bytes, static_cast<std::uint16_t>(tag.name.size()));
      bytes += tag.name;
    }
    add(bytes, static_cast<std::uint16_t>(entry.notes.size()));
    bytes += entry.notes;
    if (!add_value(bytes, entry.value)) {
      bytes.resize(from);
      ++report.left_out;
      return true;
    }
    const auto length = static_cast<std::uint32_t>(bytes.size() - from - 4);
    for (std::size_t byte = 0; byte < 4; ++byte) bytes[from + byte] = static_cast<char>(length >> (8 * byte) & 0xff);
    ++report.entries;
    too_large = bytes.size() > options.max_bytes;
    return !too_large;
  });
  if (!done.ok()) return Result<SnapshotReport>(done.take_error());
  if (too_large) return failure(Errc::too_large, path, "it would be larger than max_bytes");
  std::string count;
  add(count, static_cast<std::uint64_t>(report.entries));
  bytes.replace(16, 8, count);
  add(bytes, detail::stable_hash64(bytes));

  const std::string temporary = path + ".new-" + std::to_string(detail::random_bits());
  const File file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (file.number() < 0) return system_failure(path);
  if (write_all(file.number(), bytes) && ::fsync(file.number()) == 0 && ::rename(temporary.c_str(), path.c_str()) == 0)
    return report;
  auto error = system_failure(path);
  ::unlink(temporary.c_str());
  return error;
}

Result<SnapshotReport> load_snapshot(Store& store, const std::string& path, const SnapshotOptions& options) {
  const Clock& clock = options.clock != nullptr ? *options.clock : system_clock();
  std::string bytes;
  {
    const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    struct ::stat facts {};
    if (file.number() < 0 || ::fstat(file.number(), &facts) != 0) return system_failure(path);
    if (!S_ISREG(facts.st_mode)) return failure(Errc::corrupt, path, "it is no regular file");
    const auto size = static_cast<std::uint64_t>(facts.st_size);
    if (size > options.max_bytes) return failure(Errc::too_large, path, "it is larger than max_bytes");
    bytes.resize(size);
    std::size_t at = 0;
    while (at < bytes.size()) {
      const ::ssize_t got = ::read(file.number(), bytes.data() + at, bytes.size() - at);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return system_failure(path);
      if (got == 0) break;
      at += static_cast<std::size_t>(got);
    }
    bytes.resize(at);
  }
  if (bytes.size() < kHead + 8 || !bytes.starts_with("FXS1")) return failure(Errc::corrupt, path, "it is no snapshot");
  const std::string_view all = bytes;
  Cursor tail{all.substr(all.size() - 8)};
  if (tail.number<std::uint64_t>() != detail::stable_hash64(all.substr(0, all.size() - 8)))
    return failure(Errc::corrupt, path, "it does not check out");
  if (!all.starts_with(kHeader)) return failure(Errc::schema, path, "another version wrote it");

  SnapshotReport report;
  Cursor rest{all.substr(kHead, all.size() - kHead - 8)};
  const Instant now = clock.now();
  while (!rest.rest.empty()) {
    Cursor one{rest.text(rest.number<std::uint32_t>())};
    Entry entry;
    const auto kind = one.number<std::uint8_t>();
    const std::string_view key = one.text(one.number<std::uint32_t>());
    entry.expiry.fresh_until = from_file(clock, one.number<std::int64_t>());
    entry.expiry.keep_until = from_file(clock, one.number<std::int64_t>());
    std::vector<TagStamp> tags(one.number<std::uint16_t>());
    for (TagStamp& tag : tags) tag.name = one.text(one.number<std::uint16_t>());
    entry.tags = tags;
    entry.notes = one.text(one.number<std::uint16_t>());
    if (kind == 0 || kind > static_cast<std::uint8_t>(Kind::bytes)) one.whole = false;
    entry.value.kind = static_cast<Kind>(kind);
    if (entry.value.kind == Kind::integer || entry.value.kind == Kind::unsigned_integer)
      entry.value.number = one.number<std::int64_t>();
    else
      entry.value.text = one.rest;
    if (!one.whole || !rest.whole || key.empty()) return failure(Errc::corrupt, path, "an entry is not whole");
    // An object comes as its frame; who reads it with a type gets it as that.
    if (entry.value.kind == Kind::object) entry.value.kind = Kind::bytes, entry.value.type = &kFrame;
    if (!entry.expiry.is_fresh(now)) {
      ++report.left_out;
      continue;
    }
    auto written = store.put(Key(key), entry, {.when = When::absent});
    written.ok() && *written ? ++report.entries : ++report.left_out;
  }
  return report;
}

}  // namespace v1
}  // namespace flux::cache
