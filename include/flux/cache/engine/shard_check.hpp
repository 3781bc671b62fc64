// flux/cache/engine/shard_check.hpp - compares a shard's books with one another, for tests.
#pragma once
#include <flux/cache/engine/shard.hpp>

#include <cstdint>
#include <string>

namespace flux::cache {
inline namespace v1 {
namespace engine {

inline std::string Shard::check() const {
  std::uint64_t members = 0, charged = 0, flushed = 0;
  std::string wrong;
  for_each_slot([&](Slot slot) {
    ++members;
    const Entry& entry = at(slot);
    charged += Plan::taken_by(entry).charge();
    if (SizeClasses::bytes_of(Plan::class_of(entry)) != slots_.size_of(slot)) wrong = "a slot of another class";
    flushed += is_flushed(entry);
    const std::uint32_t position = entry.position;
    const bool known = position < Entry::kRetired && order_.member(position) == slot;
    if (!known) wrong = "an entry does not know its place in the order";
    if (table().find_slot(entry.hash, slot).slot != slot) wrong = "an entry cannot be found in the table";
  });
  std::uint64_t indexed = 0;
  for (std::uint32_t index = 0; index < table().size(); ++index) {
    const Bucket& bucket = table().bucket(index);
    for (std::uint32_t way = 0; way < Bucket::kWays; ++way) {
      const bool tagged = table().tag_at({index, way, 0}) != 0;
      const bool filled = bucket.slots[way].load(std::memory_order_relaxed) != 0;
      if (tagged != filled) wrong = "a tag without a slot or a slot without a tag";
      indexed += filled;
    }
  }
  if (members != count_) wrong = "the order and the count disagree";
  if (indexed != count_) wrong = "the table and the count disagree";
  if (charged != bytes_) wrong = "the bytes charged do not add up";
  if (flushed != flushed_) wrong = "the flushed entries do not add up";
  if (count_ > setup_.max_items) wrong = "more entries than allowed";
  if (bytes_ > setup_.max_bytes) wrong = "more bytes than allowed";
  return wrong;
}

}  // namespace engine
}  // namespace v1
}  // namespace flux::cache
