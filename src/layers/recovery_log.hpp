// What waits for a store to come back: the last operation for each key, flushes of tags, or one flush of all.
#pragma once
#include <flux/cache/entry.hpp>
#include <flux/cache/key.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace flux::cache {
inline namespace v1 {

class RecoveryLog {
 public:
  enum class Kind : std::uint8_t { put, forget, flush, flush_tags };
  struct Operation {
    Kind kind = Kind::forget;
    std::string key{};
    EntryCopy entry{};
    std::vector<std::string> tags{};
    bool any = false;
    std::int64_t wall = 0;  ///< when it was asked for, in microseconds of wall time
    std::int64_t only = 0;  ///< other than 0, of a forget: only what was put at that time
  };

  explicit RecoveryLog(std::size_t max_keys) : max_keys_(std::max<std::size_t>(max_keys, 1)) {}

  std::size_t size() const noexcept { return operations_.size(); }

  void put(std::string_view key, const Entry& entry, std::int64_t wall) {
    Operation operation{.kind = Kind::put, .key = std::string(key), .wall = wall};
    operation.entry = EntryCopy(entry);
    add(std::move(operation));
  }
  void forget(std::string_view key, std::int64_t wall, std::int64_t only = 0) {
    add({.kind = Kind::forget, .key = std::string(key), .wall = wall, .only = only});
  }
  /// What came before it does not matter any more.
  void flush(std::int64_t wall) {
    operations_.clear();
    by_key_.clear();
    by_tags_.clear();
    flush_ = next_;
    operations_.emplace(next_++, Operation{.kind = Kind::flush, .wall = wall});
  }
  /// An earlier flush of the same tags hits nothing that this one does not: it is forgotten.
  void flush_tags(std::vector<std::string> tags, bool any, std::int64_t wall) {
    if (const auto at = by_tags_.find({any, tags}); at != by_tags_.end()) {
      operations_.erase(at->second);
      by_tags_.erase(at);
    }
    if (full()) return flush(wall);
    Operation operation{.kind = Kind::flush_tags, .wall = wall};
    operation.tags = std::move(tags);
    operation.any = any;
    by_tags_.emplace(std::pair(any, operation.tags), next_);
    operations_.emplace(next_++, std::move(operation));
  }
  /// The store took a newer operation on the key.
  void drop(std::string_view key) {
    if (const auto at = by_key_.find(std::string(key)); at != by_key_.end()) {
      operations_.erase(at->second);
      by_key_.erase(at);
    }
  }

  bool flush_waits() const noexcept { return flush_.has_value(); }
  bool tag_flush_waits() const noexcept { return !by_tags_.empty(); }
  /// Does something other than a flush of tags decide what the key holds, and what does it say?
  std::optional<const Operation*> about(std::string_view key) const {
    if (const auto at = by_key_.find(std::string(key)); at != by_key_.end()) return &operations_.at(at->second);
    if (flush_) return &operations_.at(*flush_);
    return std::nullopt;
  }
  /// Has the entry been flushed by a waiting flush of its tags?
  bool flushes(const Entry& entry) const {
    for (const auto& [number, operation] : operations_)
      if (operation.kind == Kind::flush_tags && is_hit(entry, operation.tags, operation.any)) return true;
    return false;
  }
  template <class Tags>
  static bool is_hit(const Entry& entry, const Tags& tags, bool any) {
    const auto carried = [&](std::string_view tag) {
      return std::any_of(entry.tags.begin(), entry.tags.end(), [&](const TagStamp& has) { return has.name == tag; });
    };
    return any ? std::any_of(tags.begin(), tags.end(), carried) : std::all_of(tags.begin(), tags.end(), carried);
  }

  /// Somebody else flushed at that time: older puts of what the flush hit only take away what they would have replaced.
  void flushed(std::span<const std::string_view> tags, bool any, std::int64_t wall) {
    for (auto& [number, operation] : operations_) {
      if (operation.kind != Kind::put || operation.wall >= wall) continue;
      if (!tags.empty() && !is_hit(operation.entry.view(), tags, any)) continue;
      operation.kind = Kind::forget;
      operation.entry = EntryCopy();
    }
  }

  /// The oldest operation, with its number.
  const std::pair<const std::uint64_t, Operation>* first() const {
    return operations_.empty() ? nullptr : &*operations_.begin();
  }
  /// It was done, unless another one has taken its place meanwhile.
  void done(std::uint64_t number) {
    const auto at = operations_.find(number);
    if (at == operations_.end()) return;
    if (at->second.kind == Kind::flush) flush_.reset();
    if (at->second.kind == Kind::flush_tags) by_tags_.erase({at->second.any, at->second.tags});
    if (!at->second.key.empty()) by_key_.erase(at->second.key);
    operations_.erase(at);
  }

 private:
  bool full() const noexcept { return operations_.size() >= max_keys_; }
  void add(Operation operation) {
    drop(operation.key);
    if (full()) {
      flush(operation.wall);
      if (operation.kind == Kind::forget || max_keys_ == 1) return;
    }
    by_key_.emplace(operation.key, next_);
    operations_.emplace(next_++, std::move(operation));
  }

  const std::size_t max_keys_;
  std::map<std::uint64_t, Operation> operations_;
  std::unordered_map<std::string, std::uint64_t> by_key_;
  std::optional<std::uint64_t> flush_;
  std::map<std::pair<bool, std::vector<std::string>>, std::uint64_t> by_tags_;
  std::uint64_t next_ = 1;
};

}  // namespace v1
}  // namespace flux::cache
