// The records of tags as they were last read, for a store that tells when any of them changes.
#pragma once
#include <flux/cache/entry.hpp>

#include <functional>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/tag_record.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// Thread-safe. Remembers a bounded number of records, each under the tag clock that the store showed before it was
/// read.
class TagCache {
 public:
  /// True: the entry is alive. False says nothing: the records have to be asked.
  bool spares(const Entry& entry, Instant now) const {
    if (entry.tag_clock == 0) return false;
    const std::shared_lock guard(mutex_);
    for (const TagStamp& tag : entry.tags) {
      const auto at = known_.find(tag.name);
      if (at == known_.end() || at->second.clock != entry.tag_clock || now >= at->second.keep_until ||
          !at->second.record.spares(tag.epoch, entry.tags))
        return false;
    }
    return true;
  }

  void learn(std::string_view name, const TagRecord& record, Instant keep_until, std::uint64_t clock) {
    if (clock == 0) return;
    const std::scoped_lock guard(mutex_);
    if (known_.size() >= kMost) known_.clear();
    known_.insert_or_assign(std::string(name), Known{record, keep_until, clock});
  }

 private:
  static constexpr std::size_t kMost = 4'096;

  struct Known {
    TagRecord record;
    Instant keep_until;
    std::uint64_t clock;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const noexcept { return std::hash<std::string_view>{}(name); }
  };

  mutable std::shared_mutex mutex_;
  std::unordered_map<std::string, Known, Hash, std::equal_to<>> known_;
};

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
