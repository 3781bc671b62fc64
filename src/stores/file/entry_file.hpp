// The file of one entry: read without a lock, written under one.
//
// A file holds a head, the key, and room for two records. The head names the living one. A writer puts the new record
// where the living one is not, and then rewrites the head, which lies within one page: killed at any moment, it leaves
// the old entry or the new one. A reader that meets a writer sees a head or a record whose sum is wrong, and looks
// again; if that does not help, it looks under the lock, and what is wrong then is damaged.
#pragma once
#include <flux/cache/key.hpp>
#include <flux/cache/result.hpp>

#include <cstdint>
#include <string_view>

#include "directory.hpp"
#include "record.hpp"
#include "system.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::file_store {

/// What was read; the views point into the thread's buffer.
struct Found {
  Head head;
  std::string_view key, meta, text;
  std::size_t loaded = 0;  ///< bytes of the file's start that lie in the buffer
};

enum class ReadState {
  good,
  absent,  ///< nothing was written there, or it is no entry's file at all
  broken,  ///< head or record do not check out
  failed,  ///< the system refused; errno
};

/// Reads the head and the key, and for small entries all the rest with it.
ReadState read_head(int file, ThreadBuffer& buffer, Found& found) noexcept;
/// Reads what is still missing, and checks it. After `read_head` answered good.
ReadState read_record(int file, ThreadBuffer& buffer, std::uint64_t limit, Found& found) noexcept;

/// An entry's file under its exclusive lock.
class LockedEntry {
 public:
  LockedEntry() = default;
  LockedEntry(const LockedEntry&) = delete;
  LockedEntry& operator=(const LockedEntry&) = delete;
  ~LockedEntry() { release(); }

  enum class Absent { is_made, stays };
  /// Opens and locks. False: there is no such file, and none was to be made. What is planted in an entry's place (a
  /// link, a pipe, a second name of another file) is no such file, and gives way where one is made.
  Result<bool> lock(Directory& directory, const Key& key, Absent absent, Duration limit);
  void release() noexcept;

  int fd() const noexcept { return file_.get(); }
  /// The head of this key's entry, fresh or not; null where there is none.
  const Head* head() const noexcept { return has_head_ ? &head_ : nullptr; }

  /// Writes an entry in place of what is there. On failure the old entry is given up, for it is not to look new.
  /// False: errno.
  bool write(Head fresh, std::string_view key, std::string_view meta, std::string_view text) noexcept;
  /// Writes a head alone, for changes that leave the record as it is. False: errno, and nothing changed.
  bool write_head(const Head& fresh) noexcept;
  /// Gives up the entry and leaves its file to the next one: half the cost of removing it and making another. For names
  /// that come again and again, such as those of locks. False: errno.
  bool blank() noexcept;
  /// Takes the file away. False: errno.
  bool remove(const Directory& directory) noexcept;

 private:
  Result<bool> look(std::string_view key);
  void give_back(const Head& fresh) noexcept;

  Fd file_;
  EntryPath path_{Space::values, {}, 0};
  Head head_;
  bool has_head_ = false;
  bool is_blank_ = true;  // the head's place holds nothing but zeros
  std::uint64_t size_ = 0;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace detail::file_store
}  // namespace v1
}  // namespace flux::cache
