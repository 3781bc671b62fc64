// flux/cache/engine/shard_room.hpp - how a shard makes room: who leaves, what is swept, what comes back, when it grows.
//
// Under the shard's lock, as everything in shard.hpp that writes. Room is made in this order: what ran out or was
// flushed and is swept by each writer, then who the order names. A slot that was given up waits for its last readers
// and comes back a few with each write.
#pragma once
#include <flux/cache/engine/shard.hpp>

#include <cstdint>
#include <utility>

namespace flux::cache {
inline namespace v1 {
namespace engine {

inline bool Shard::tidy(std::uint32_t budget, Micros now, Aftermath& aftermath) {
  bool done = true;
  if (flushed_ > 0) done = sweep_flushed(budget, aftermath);
  seen_now_ = now;
  const Tick tick = now <= setup_.origin ? 0 : static_cast<Tick>((now - setup_.origin) >> kTickShift);
  if (budget > 0 && (tick != swept_)) {
    const auto expire = [&](Slot slot) { drop_slot(slot, Cause::expired, aftermath); };
    const bool all = order_.sweep(tick, budget, expire);
    if (all) swept_ = tick;
    done = done && all;
  }
  return done;
}

inline void Shard::reclaim(std::uint32_t most, Aftermath& aftermath) {
  const std::uint64_t wanted = retired_.reclaim(most, [&](Slot slot) { strip(slot, aftermath); });
  if (wanted != 0) {
    aftermath.advance = wanted;
    tables_.free_old();
  }
}

inline bool Shard::hurry(std::uint32_t most, Aftermath& aftermath) {
  const bool waits = retired_.hurry(most, [&](Slot slot) { strip(slot, aftermath); });
  tables_.free_old();
  return waits;
}

inline void Shard::grow_if_needed() {
  if (grow_at_ == 0) {
    grow_at_ = static_cast<std::uint32_t>(tables_.ways() * 90 / 100);
    if (count_ < grow_at_) return;
  }
  const std::uint64_t doubled = (count_ + 1) * 2;
  rebuild(Tables::buckets_for(doubled < setup_.max_items ? doubled : setup_.max_items + 1));
}

inline void Shard::rebuild(std::uint32_t buckets) {
  tables_.rebuild(buckets, [this](Slot slot) -> const Entry& { return at(slot); });
  grow_at_ = static_cast<std::uint32_t>(tables_.ways() * 90 / 100);
}

inline bool Shard::evict(Aftermath& aftermath) {
  if (flushed_ > 0) {
    std::uint32_t budget = 1;
    sweep_flushed(budget, aftermath);
    if (budget == 0) return true;
  }
  Host host{*this};
  const Slot slot = order_.victim(host, capacity());
  if (slot == 0) return false;
  Entry& entry = at(slot);
  const Table::Place place = table().find_slot(entry.hash, slot);
  const Plan::Taken taken = Plan::taken_by(entry);
  unlink(place, entry.hash, entry, taken, cause_of_eviction(entry), aftermath);
  retire(slot, entry, taken, aftermath);
  return true;
}

inline void Shard::evict_neighbour(std::uint32_t place, Aftermath& aftermath) {
  const std::uint32_t index = table().home(place);
  const std::uint32_t way = static_cast<std::uint32_t>(version_ % Bucket::kWays);
  const Slot slot = table().bucket(index).slots[way].load(std::memory_order_relaxed);
  drop({index, way, slot}, at(slot).hash, cause_of_eviction(at(slot)), aftermath);
}

inline void Shard::drop_slot(Slot slot, Cause cause, Aftermath& aftermath) {
  const Entry& entry = at(slot);
  drop(table().find_slot(entry.hash, slot), entry.hash, cause, aftermath);
}

inline bool Shard::sweep_flushed(std::uint32_t& budget, Aftermath& aftermath) {
  const std::uint32_t places = order_.places();
  for (std::uint32_t steps = 0; steps < 1024 && flushed_ > 0 && budget > 0; ++steps, ++cursor_) {
    if (cursor_ >= places) cursor_ = 0;
    const Slot slot = order_.at_place(cursor_);
    if (slot == 0 || !is_flushed(at(slot))) continue;
    drop_slot(slot, Cause::flushed, aftermath);
    --budget;
  }
  return flushed_ == 0;
}

inline void Shard::retire(Slot slot, Entry& entry, const Plan::Taken& taken, Aftermath& aftermath) {
  if (setup_.policy == Policy::lru) entry.position = Entry::kRetired;  // a reader may still come to tell of its use
  retired_.add({slot, static_cast<std::uint16_t>(taken.size_class), static_cast<std::uint16_t>(taken.rich)},
               taken.outside);
  reclaim(3, aftermath);
}

inline void Shard::strip(Slot slot, Aftermath& aftermath) {
  Entry& entry = at(slot);
  if ((entry.shape & Entry::kOutside) != 0) aftermath.free_later(outside(entry));
  if (entry.kind() == Kind::object) {
    aftermath.drop_later(std::move(entry.object().object));
    entry.object().~HeldObject();
  }
}

}  // namespace engine
}  // namespace v1
}  // namespace flux::cache
