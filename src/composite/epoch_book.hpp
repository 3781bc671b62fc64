// One number for the epochs that a tag has in several parts.
//
// Who stamps before a load gets one number for each tag; the write that comes later gives each part its own epoch. What
// a number stands for is kept in two halves of a bounded table: when one is full, the older is forgotten. A number that
// is no longer known goes to the parts as it is, and none of them accepts it: a miss, never a revival.
#pragma once
#include <flux/cache/detail/stable_hash.hpp>
#include <flux/cache/engine/registry.hpp>
#include <flux/cache/entry.hpp>

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace composite {

class EpochBook final : private engine::Registered {
 public:
  EpochBook() { enlist(); }
  ~EpochBook() { delist(); }

  /// The number for these epochs, one of each part; 0 for a part that did not answer.
  std::uint64_t enter(std::vector<std::uint64_t> of_parts) {
    std::uint64_t number = 0;
    for (const std::uint64_t epoch : of_parts) number = detail::fingerprint_join(number, epoch);
    number |= std::uint64_t{1} << 63;
    const engine::Held held(lock_);
    if (young_.size() >= kHalf) old_ = std::move(young_), young_.clear();
    young_.insert_or_assign(number, std::move(of_parts));
    return number;
  }

  /// The entry as a part takes it; `room` holds the stamps as long as the entry is used.
  Entry for_part(const Entry& entry, std::size_t part, std::vector<TagStamp>& room) const {
    bool stamped = false;
    for (const TagStamp& tag : entry.tags) stamped = stamped || tag.epoch != 0;
    if (!stamped) return entry;
    room.assign(entry.tags.begin(), entry.tags.end());
    const engine::Held held(lock_);
    for (TagStamp& tag : room) tag.epoch = of(tag.epoch, part);
    Entry out = entry;
    out.tags = room;
    return out;
  }

 private:
  static constexpr std::size_t kHalf = 8'192;
  using Half = std::unordered_map<std::uint64_t, std::vector<std::uint64_t>>;

  std::uint64_t of(std::uint64_t number, std::size_t part) const {
    if (number == 0) return 0;
    for (const Half* half : {&young_, &old_})
      if (const auto at = half->find(number); at != half->end())
        return at->second[part] != 0 ? at->second[part] : number;
    return number;
  }
  void before_fork() noexcept override { lock_.lock(); }
  void after_fork() noexcept override { lock_.unlock(); }

  mutable engine::Lock lock_;
  Half young_;
  Half old_;
};

}  // namespace composite
}  // namespace v1
}  // namespace flux::cache
