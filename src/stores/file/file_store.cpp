#include "file_store.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <limits>

#include "core/random.hpp"
#include "core/wall_time.hpp"
#include "walk.hpp"

namespace flux::cache {
inline namespace v1 {

namespace detail::file_store {

namespace {

constexpr std::size_t kFlushReclaims = 64;
constexpr int kReadsWithoutLock = 4;
constexpr Duration kUsualTimeout{1'000'000};

// As it stands, but from the root and without a tail: "link/" would be followed where "link" is not.
std::string absolute_path(const std::string& path) {
  if (path.empty()) return default_file_path();
  std::error_code fault;
  std::filesystem::path whole = std::filesystem::absolute(path, fault).lexically_normal();
  if (fault) return path;
  if (!whole.has_filename() && whole.has_relative_path()) whole = whole.parent_path();
  return whole.string();
}

Error corrupt() { return {Errc::corrupt, "the entry's file is damaged; it was removed"}; }

bool is_kept(const Head* head, std::int64_t now) noexcept { return head != nullptr && now < head->keep_until; }
bool is_fresh(const Head* head, std::int64_t now) noexcept { return head != nullptr && now < head->fresh_until; }

}  // namespace

FileStore::FileStore(const FileConfig& config)
    : max_value_(config.max_value == 0 ? kLargestValue : std::min(config.max_value, kLargestValue)),
      timeout_(config.timeout > Duration::zero() ? config.timeout : kUsualTimeout),
      clock_(config.clock != nullptr ? *config.clock : system_clock()),
      directory_(absolute_path(config.path), config.prefix, config.allow_unsafe_directory, timeout_) {}

Traits FileStore::traits() const noexcept {
  return {.kind = "file", .shared = true, .persistent = true, .max_value_bytes = max_value_};
}

std::int64_t FileStore::to_stored(Instant moment) const noexcept {
  return moment == kNever ? kWallForever : WallTime(clock_).to_stored(moment);
}

Instant FileStore::from_stored(std::int64_t time) const noexcept {
  return time == kWallForever ? kNever : WallTime(clock_).from_stored(time);
}

void FileStore::set_expiry(Head& head, const Expiry& expiry) const noexcept {
  head.fresh_until = to_stored(expiry.fresh_until);
  head.keep_until = expiry.keep_until == expiry.fresh_until ? head.fresh_until : to_stored(expiry.keep_until);
}

Result<bool> FileStore::lock(LockedEntry& entry, const Key& key, LockedEntry::Absent absent) {
  if (key.text().empty() || key.text().size() > kLongestKey) return Error{Errc::bad_key, "a key has 1 byte to 16 MiB"};
  return entry.lock(directory_, key, absent, timeout_);
}

Result<bool> FileStore::read(const Key& key, bool stale, Part part, ThreadBuffer& buffer, Found& found) {
  auto opened = directory_.open(Directory::Missing::stays);
  if (!opened.ok() || !*opened) return opened;
  const EntryPath path(key.space(), key.text(), directory_.seed());
  const Fd file = open_below(directory_.fd(), path.text, O_RDONLY);
  if (!file) {
    switch (const int error = errno) {
      case ENOENT:
      case ENOTDIR:
      case EBADF:
        if (directory_.stands()) return false;
        opened = directory_.open_again(Directory::Missing::stays);
        if (!opened.ok() || !*opened) return opened;
        return read_under_lock(key, stale, buffer, found);
      case ELOOP:
      case ENXIO: return false;  // planted: not an entry
      default: return system_error(error, "opening an entry");
    }
  }
  const std::int64_t now = wall();
  for (int attempt = 0; attempt < kReadsWithoutLock; ++attempt) {
    ReadState state = read_head(file.get(), buffer, found);
    if (state == ReadState::good) {
      if (found.key == key.text()) {
        if (!(stale ? is_kept(&found.head, now) : is_fresh(&found.head, now))) return false;
        if (part == Part::head) return true;
        state = read_record(file.get(), buffer, max_value_, found);
        if (state == ReadState::good) return true;
      } else {
        if (checksum(found.key) == found.head.key_sum) return false;  // another key of the same 128 bits
        state = ReadState::broken;
      }
    }
    if (state == ReadState::absent) return false;
    if (state == ReadState::failed) return system_error(errno, "reading an entry");
  }
  return read_under_lock(key, stale, buffer, found);
}

Result<bool> FileStore::read_under_lock(const Key& key, bool stale, ThreadBuffer& buffer, Found& found) {
  LockedEntry locked;
  auto there = lock(locked, key, LockedEntry::Absent::stays);
  if (!there.ok() && there.error().code == Errc::timeout) return there;
  if (!there.ok()) return corrupt();  // as a read-only directory has it: nobody writes, so it stays damaged
  if (!*there) return false;
  const std::int64_t now = wall();
  ReadState state = read_head(locked.fd(), buffer, found);
  if (state == ReadState::good && locked.head() == nullptr) {
    if (checksum(found.key) == found.head.key_sum) return false;
    state = ReadState::broken;
  }
  if (state == ReadState::good) {
    if (!(stale ? is_kept(&found.head, now) : is_fresh(&found.head, now))) return false;
    state = read_record(locked.fd(), buffer, max_value_, found);
  }
  switch (state) {
    case ReadState::good: return true;
    case ReadState::absent: return false;
    case ReadState::failed: return system_error(errno, "reading an entry");
    case ReadState::broken: break;
  }
  (void)locked.remove(directory_);
  return corrupt();
}

Result<bool> FileStore::get(const Key& key, const Read& how, Receiver found) {
  ThreadBuffer buffer;
  if (buffer.data() == nullptr) return placed({Errc::unavailable, "no memory"}, "get", &key);
  Found seen;
  auto there = read(key, how.stale, Part::all, buffer, seen);
  if (!there.ok()) return placed(std::move(there.error()), "get", &key);
  if (!*there) return false;
  if (!hand_over(seen, found)) return placed(corrupt(), "get", &key);
  return true;
}

Result<bool> FileStore::has(const Key& key) {
  ThreadBuffer buffer;
  if (buffer.data() == nullptr) return placed({Errc::unavailable, "no memory"}, "has", &key);
  Found seen;
  auto there = read(key, false, Part::head, buffer, seen);
  if (!there.ok()) return placed(std::move(there.error()), "has", &key);
  return *there;
}

Result<bool> FileStore::write(LockedEntry& locked, const Key& key, const Entry& entry, std::string_view operation) {
  std::string meta;
  encode_tags(entry.tags, meta);
  Head head;
  head.version = random_bits();
  head.kind = entry.value.kind;
  head.number = entry.value.number;
  head.tag_count = static_cast<std::uint16_t>(entry.tags.size());
  head.tag_bytes = static_cast<std::uint32_t>(meta.size());
  head.note_bytes = static_cast<std::uint32_t>(entry.notes.size());
  set_expiry(head, entry.expiry);
  meta += entry.notes;
  if (!locked.write(head, key.text(), meta, entry.value.text))
    return placed(system_error(errno, "writing an entry"), operation, &key);
  return true;
}

Result<bool> FileStore::put(const Key& key, const Entry& entry, const Write& how) {
  if (entry.value.kind == Kind::object)
    return placed({Errc::not_serializable, "files hold bytes, not objects of type " +
                                               std::string(entry.value.type != nullptr ? entry.value.type->name : "?")},
                  "put", &key);
  if (entry.value.text.size() > max_value_)
    return placed({Errc::too_large, "the value has " + std::to_string(entry.value.text.size()) +
                                        " bytes, the limit is " + std::to_string(max_value_)},
                  "put", &key);
  if (entry.tags.size() > std::numeric_limits<std::uint16_t>::max())
    return placed({Errc::too_large, "more than 65,535 tags on an entry"}, "put", &key);
  const bool may_be_new =
      how.when == When::always || how.when == When::absent || (how.when == When::unchanged && how.version == 0);
  LockedEntry locked;
  auto there = lock(locked, key, may_be_new ? LockedEntry::Absent::is_made : LockedEntry::Absent::stays);
  if (!there.ok()) return placed(std::move(there.error()), "put", &key);
  if (!*there) return false;
  const std::int64_t now = wall();
  const Head* const old = locked.head();
  if (how.when == When::absent && is_fresh(old, now)) return false;
  if (how.when == When::present && !is_fresh(old, now)) return false;
  if (how.when == When::unchanged && (is_kept(old, now) ? old->version : 0) != how.version) return false;
  auto written = write(locked, key, entry, "put");
  if (!written.ok() && !is_kept(old, now)) (void)locked.remove(directory_);
  return written;
}

Result<bool> FileStore::forget(const Key& key, const Forget& how) {
  LockedEntry locked;
  auto there = lock(locked, key, LockedEntry::Absent::stays);
  if (!there.ok()) return placed(std::move(there.error()), "forget", &key);
  if (!*there) return false;
  const std::int64_t now = wall();
  const Head* const old = locked.head();
  if (how.version != 0 && !(is_kept(old, now) && old->version == how.version)) return false;
  const bool comes_again = key.space() == Space::locks;
  const bool gone = comes_again ? locked.blank() : locked.remove(directory_);
  if (!gone) return placed(system_error(errno, "removing an entry"), "forget", &key);
  return is_fresh(old, now);
}

Result<bool> FileStore::pull(const Key& key, const Read&, Receiver found) {
  ThreadBuffer buffer;
  if (buffer.data() == nullptr) return placed({Errc::unavailable, "no memory"}, "pull", &key);
  Found seen;
  {
    LockedEntry locked;
    auto there = lock(locked, key, LockedEntry::Absent::stays);
    if (!there.ok()) return placed(std::move(there.error()), "pull", &key);
    const std::int64_t now = wall();
    if (!*there) return false;
    if (!is_fresh(locked.head(), now)) {
      if (!locked.remove(directory_)) return placed(system_error(errno, "removing an entry"), "pull", &key);
      return false;
    }
    ReadState state = read_head(locked.fd(), buffer, seen);
    if (state == ReadState::good) state = read_record(locked.fd(), buffer, max_value_, seen);
    if (state == ReadState::failed) return placed(system_error(errno, "reading an entry"), "pull", &key);
    if (!locked.remove(directory_)) return placed(system_error(errno, "removing an entry"), "pull", &key);
    if (state != ReadState::good) return placed(corrupt(), "pull", &key);
  }
  if (!hand_over(seen, found)) return placed(corrupt(), "pull", &key);
  return true;
}

Result<bool> FileStore::touch(const Key& key, const Expiry& expiry) {
  LockedEntry locked;
  auto there = lock(locked, key, LockedEntry::Absent::stays);
  if (!there.ok()) return placed(std::move(there.error()), "touch", &key);
  if (!*there || !is_fresh(locked.head(), wall())) return false;
  Head head = *locked.head();
  head.version = random_bits();
  set_expiry(head, expiry);
  if (!locked.write_head(head)) return placed(system_error(errno, "writing an entry"), "touch", &key);
  return true;
}

Result<std::int64_t> FileStore::increment(const Key& key, std::int64_t by, const Entry& if_new) {
  constexpr std::uint64_t kLongestNumber = 4096;
  using Answer = Result<std::int64_t>;
  LockedEntry locked;
  auto there = lock(locked, key, LockedEntry::Absent::is_made);
  if (!there.ok()) return placed(std::move(there.error()), "increment", &key);
  const Head* const old = locked.head();
  if (!is_fresh(old, wall())) {
    Entry entry = if_new;
    entry.value = {.kind = Kind::integer, .number = by};
    auto written = write(locked, key, entry, "increment");
    return written.ok() ? Answer(by) : Answer(written.take_error());
  }
  ValueView value{.kind = old->kind, .number = old->number};
  std::string text;
  if (old->kind == Kind::text && old->text_bytes <= kLongestNumber) {
    text.resize(static_cast<std::size_t>(old->text_bytes));
    const ssize_t size = read_at(locked.fd(), text.data(), text.size(), old->offset + old->meta_bytes());
    if (size != static_cast<ssize_t>(text.size()) || (!text.empty() && checksum(text) != old->text_sum)) {
      (void)locked.remove(directory_);
      return placed(corrupt(), "increment", &key);
    }
    value.text = text;
  }
  auto sum = add_to_counter(value, by);
  if (!sum.ok()) return placed(std::move(sum.error()), "increment", &key);
  Head head = *old;
  head.version = random_bits();
  head.kind = Kind::integer;
  head.number = *sum;
  head.text_bytes = head.text_sum = 0;
  if (!locked.write_head(head)) return placed(system_error(errno, "writing an entry"), "increment", &key);
  return sum;
}

Result<void> FileStore::flush(const Scope& scope) {
  if (!scope.tags.empty()) return placed({Errc::unsupported, "files know no tags; a layer above keeps them"}, "flush");
  auto opened = directory_.open_again(Directory::Missing::stays);
  if (!opened.ok()) return placed(std::move(opened.error()), "flush");
  if (!*opened) return {};
  const std::string aside = kTrash + random_name();
  if (::renameat(directory_.fd(), tree_of(Space::values), directory_.fd(), aside.c_str()) != 0 && errno != ENOENT)
    return placed(system_error(errno, "setting the entries aside"), "flush");
  reclaim_trash(directory_.fd(), kFlushReclaims);
  return {};
}

}  // namespace detail::file_store

StorePtr make_file(const FileConfig& config) { return std::make_shared<detail::file_store::FileStore>(config); }

}  // namespace v1
}  // namespace flux::cache
