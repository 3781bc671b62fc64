// The store itself: the contract's verbs over the files of entries.
#pragma once
#include <flux/cache/stores/file.hpp>

#include <atomic>

#include "directory.hpp"
#include "entry_file.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::file_store {

class FileStore final : public Store {
 public:
  explicit FileStore(const FileConfig& config);

  Traits traits() const noexcept override;
  Result<bool> get(const Key& key, const Read& how, Receiver found) override;
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override;
  Result<bool> forget(const Key& key, const Forget& how) override;
  Result<void> flush(const Scope& scope) override;
  Result<bool> has(const Key& key) override;
  Result<bool> pull(const Key& key, const Read& how, Receiver found) override;
  Result<bool> touch(const Key& key, const Expiry& expiry) override;
  Result<std::int64_t> increment(const Key& key, std::int64_t by, const Entry& if_new) override;
  Result<void> scan(Space space, Visitor visit) override;
  Result<std::size_t> prune(std::size_t budget) override;

 private:
  enum class Part { head, all };
  /// Reads without a lock, and with it where that does not settle the matter. Good only for what is wanted.
  Result<bool> read(const Key& key, bool stale, Part part, ThreadBuffer& buffer, Found& found);
  Result<bool> read_under_lock(const Key& key, bool stale, ThreadBuffer& buffer, Found& found);
  Result<bool> lock(LockedEntry& entry, const Key& key, LockedEntry::Absent absent);
  Result<bool> write(LockedEntry& locked, const Key& key, const Entry& entry, std::string_view operation);

  std::int64_t wall() const noexcept { return clock_.wall().time_since_epoch().count(); }
  std::int64_t to_stored(Instant moment) const noexcept;
  Instant from_stored(std::int64_t time) const noexcept;
  void set_expiry(Head& head, const Expiry& expiry) const noexcept;
  /// Hands the entry to whoever asked. False: its tags do not decode.
  template <class Take>
  bool hand_over(const Found& found, const Take& take) const;

  bool prune_shard(int position, std::int64_t from, std::size_t budget, std::size_t& visits, std::size_t& gone);
  bool prune_file(int shard, const char* name, std::int64_t now) const;

  const std::uint64_t max_value_;
  const Duration timeout_;
  const Clock& clock_;
  Directory directory_;
  // Where the last prune stopped: a shard, and a place in it.
  std::atomic<int> prune_shard_{0};
  std::atomic<std::int64_t> prune_place_{0};
};

/// An error of this store, with where it happened.
inline Error placed(Error error, std::string_view operation, const Key* key = nullptr) {
  error.store = "file";
  error.operation = operation;
  if (key != nullptr) error.key = key->text();
  return error;
}

template <class Take>
bool FileStore::hand_over(const Found& found, const Take& take) const {
  const Head& head = found.head;
  std::vector<TagStamp> tags;
  if (head.tag_count != 0 || head.tag_bytes != 0) {
    if (!decode_tags(found.meta.substr(0, head.tag_bytes), head.tag_count, tags)) return false;
  }
  Entry entry;
  entry.value = {.kind = head.kind, .number = head.number, .text = found.text};
  entry.expiry.fresh_until = from_stored(head.fresh_until);
  entry.expiry.keep_until =
      head.keep_until == head.fresh_until ? entry.expiry.fresh_until : from_stored(head.keep_until);
  entry.tags = tags;
  entry.notes = found.meta.substr(head.tag_bytes);
  entry.version = head.version;
  take(entry);
  return true;
}

}  // namespace detail::file_store
}  // namespace v1
}  // namespace flux::cache
