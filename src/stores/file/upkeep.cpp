// Walks over a file store: listing what is there, and taking away what is over.
#include <sys/file.h>

#include <cerrno>

#include "file_store.hpp"
#include "walk.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::file_store {

namespace {

constexpr Space kSpaces[] = {Space::values, Space::tags, Space::locks, Space::limits};
constexpr int kPositions = static_cast<int>(std::size(kSpaces)) * kShards;

std::string shard_at(int position) {
  constexpr char kDigits[] = "0123456789abcdef";
  const int shard = position % kShards;
  return std::string(tree_of(kSpaces[position / kShards])) + '/' + kDigits[shard >> 4] + kDigits[shard & 15];
}

}  // namespace

// The key is taken from the file, and the file's name proves it.
Result<void> FileStore::scan(Space space, Visitor visit) {
  auto opened = directory_.open_again(Directory::Missing::stays);
  if (!opened.ok()) return placed(std::move(opened.error()), "scan");
  if (!*opened) return {};
  bool goes_on = true;
  for (int shard = 0; shard < kShards && goes_on; ++shard) {
    const std::string path = shard_at(static_cast<int>(space) * kShards + shard);
    const Fd folder = open_below(directory_.fd(), path.c_str(), O_RDONLY | O_DIRECTORY);
    if (!folder) continue;
    for_each_name(folder.get(), [&](const dirent64& name) {
      if (!is_entry_name(name.d_name)) return true;
      ThreadBuffer buffer;
      Found seen;
      const Fd file = open_below(folder.get(), name.d_name, O_RDONLY);
      if (!file || buffer.data() == nullptr || read_head(file.get(), buffer, seen) != ReadState::good) return true;
      const std::string text(seen.key);
      const EntryPath proper(space, text, directory_.seed());
      if (std::string_view(proper.name()) != name.d_name) return true;
      auto there = read(Key(text, space), true, Part::all, buffer, seen);
      if (!there.ok() || !*there) return true;
      hand_over(seen, [&](const Entry& entry) { goes_on = visit(text, entry); });
      return goes_on;
    });
  }
  return {};
}

// Each call takes up where the last one stopped. A file costs three system calls to look at, so a call looks at a
// number of them that its budget bounds, and at all of them where there are few.
Result<std::size_t> FileStore::prune(std::size_t budget) {
  auto opened = directory_.open_again(Directory::Missing::stays);
  if (!opened.ok()) return placed(std::move(opened.error()), "prune");
  if (!*opened || budget == 0) return std::size_t{0};
  reclaim_temporaries(directory_.path());
  std::size_t gone = reclaim_trash(directory_.fd(), budget);
  std::size_t visits = 4096 + 32 * std::min<std::size_t>(budget, 1'000'000);
  int position = prune_shard_.load(std::memory_order_relaxed);
  std::int64_t place = prune_place_.load(std::memory_order_relaxed);
  for (int turn = 0; turn <= kPositions; ++turn) {
    if (!prune_shard(position, place, budget, visits, gone)) return gone;
    position = (position + 1) % kPositions;
    place = 0;
  }
  prune_shard_.store(position, std::memory_order_relaxed);
  prune_place_.store(0, std::memory_order_relaxed);
  return gone;
}

bool FileStore::prune_shard(int position, std::int64_t from, std::size_t budget, std::size_t& visits,
                            std::size_t& gone) {
  const Fd folder = open_below(directory_.fd(), shard_at(position).c_str(), O_RDONLY | O_DIRECTORY);
  if (!folder) return true;
  bool goes_on = true;
  const std::int64_t now = wall();
  std::int64_t place = from;
  for_each_name(
      folder.get(),
      [&](const dirent64& name) {
        if (gone >= budget || visits == 0) return goes_on = false;
        --visits;
        if (is_entry_name(name.d_name)) gone += prune_file(folder.get(), name.d_name, now);
        place = name.d_off;
        return true;
      },
      from);
  if (!goes_on) {
    prune_shard_.store(position, std::memory_order_relaxed);
    prune_place_.store(place, std::memory_order_relaxed);
  }
  return goes_on;
}

// What a writer is busy with is left alone; so is what cannot be read for a reason other than its bytes.
bool FileStore::prune_file(int shard, const char* name, std::int64_t now) const {
  const auto is_over = [now](int file) {
    char bytes[kHeadBytes];
    Head head;
    const ssize_t size = read_at(file, bytes, sizeof bytes, 0);
    if (size < 0) return false;
    return decode_head(bytes, static_cast<std::size_t>(size), head) != HeadState::good || head.keep_until <= now;
  };
  const Fd file = open_below(shard, name, O_RDONLY);
  if (!file || !is_over(file.get()) || !lock_within(file.get(), LOCK_EX, Duration::zero())) return false;
  struct stat what {};
  const bool goes = ::fstat(file.get(), &what) == 0 && S_ISREG(what.st_mode) && what.st_nlink > 0 &&
                    is_over(file.get()) && ::unlinkat(shard, name, 0) == 0;
  unlock(file.get());
  return goes;
}

}  // namespace detail::file_store
}  // namespace v1
}  // namespace flux::cache
