// flux/cache/engine/shard.hpp - one shard: a table that anybody reads, and the books that one writer at a time keeps.
//
// Everything here but `find_live` runs under `lock`. What must not run under a lock (destructors of users' objects,
// listeners, the kernel's barrier) is collected in an `Aftermath` and done by the caller when the lock is free again.
// How room is made is in shard_room.hpp.
#pragma once
#include <flux/cache/engine/plan.hpp>
#include <flux/cache/engine/removal.hpp>
#include <flux/cache/engine/retired.hpp>
#include <flux/cache/engine/shard_order.hpp>
#include <flux/cache/engine/tables.hpp>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace engine {

/// What a shard's books say; sums over shards are the engine's figures.
struct ShardFigures {
  std::uint64_t puts = 0, replaced = 0, evicted = 0, expired = 0, forgotten = 0, flushed = 0, refused = 0, entries = 0,
                bytes = 0;
};

class alignas(64) Shard {
 public:
  static constexpr std::uint32_t kReclaimsPerCall = 64;
  static constexpr std::uint32_t kUnbounded = 0x3FFFFFFF;

  struct Setup {
    std::uint32_t max_items;  ///< at least 1
    std::uint64_t max_bytes;
    Policy policy;
    bool notes;              ///< somebody listens
    std::uint32_t buckets;   ///< entries that the table is made for
    std::uint32_t expected;  ///< entries that the order prepares for
    std::uint32_t batch;     ///< slots that are reclaimed together
    Micros origin;           ///< where ticks count from
  };

  Shard(Arena& arena, const Setup& setup)
      : retired_(slots_, setup.batch),
        slots_(arena),
        order_(setup.policy),
        arena_(arena),
        setup_(setup),
        tables_(setup.buckets) {
    order_.resize(setup.expected < 64 ? 64 : setup.expected, setup.buckets);
  }
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;
  ~Shard() {
    // Nobody reads any more. What listeners did not hear, they do not hear: the engine is gone.
    const auto drop = [this](Slot slot) {
      Entry& entry = at(slot);
      if (entry.kind() == Kind::object) entry.object().~HeldObject();
      if ((entry.shape & Entry::kOutside) != 0) std::free(outside(entry));
    };
    order_.for_each(drop);
    retired_.for_each_rich(drop);
  }

  [[gnu::always_inline]] Entry& at(Slot slot) const noexcept { return *reinterpret_cast<Entry*>(arena_.at(slot)); }
  const Table& table() const noexcept { return tables_.current(); }

  /// The entry of a key that no flush has passed; null if none. In a read section or under the lock.
  [[gnu::always_inline]] Entry* find_live(std::string_view key, std::uint64_t hash) const noexcept {
    Entry* found = nullptr;
    const auto same = [&](Slot slot) __attribute__((always_inline)) {
      Entry& entry = at(slot);
      prefetch_read(entry.bytes() + 64);  // the text comes while the key is compared
      found = &entry;
      return entry.has_key(key);
    };
    const Slot slot = table().find(place_of(hash), tag_of(hash), same).slot;
    return slot != 0 && !is_flushed(*found) ? found : nullptr;
  }
  /// The bucket that a key belongs to, drawn near. In a read section.
  [[gnu::always_inline]] const Bucket& approach(std::uint64_t hash) const noexcept {
    const Table& now = table();
    const Bucket& bucket = now.bucket(now.home(place_of(hash)));
    prefetch_read(&bucket);
    return bucket;
  }
  /// The first entry there that bears the key's tag, nearly always the key's own, drawn near; null if none.
  [[gnu::always_inline]] Entry* likely(const Bucket& bucket, std::uint64_t hash) const noexcept {
    const std::uint32_t ways = bucket.read_tags().match(tag_of(hash));
    if (ways == 0) return nullptr;
    const Slot slot = bucket.slots[__builtin_ctz(ways)].load(std::memory_order_acquire);
    if (slot == 0) return nullptr;
    Entry& entry = at(slot);
    for (std::size_t line = 0; line < 3; ++line) prefetch_read(entry.bytes() + 64 * line);
    return &entry;
  }
  /// `find_live` in the read section in which `likely` has answered. What that found counts, though another may have
  /// been written since: the read took place then.
  [[gnu::always_inline]] Entry* find_live(std::string_view key, std::uint64_t hash, Entry* likely) const noexcept {
    if (likely == nullptr || !likely->has_key(key)) [[unlikely]]
      return find_live_anew(key, hash);
    return is_flushed(*likely) ? nullptr : likely;
  }
  [[gnu::noinline]] Entry* find_live_anew(std::string_view key, std::uint64_t hash) const noexcept {
    return find_live(key, hash);
  }
  Table::Place find(std::string_view key, std::uint64_t hash) const noexcept {
    return table().find(place_of(hash), tag_of(hash), [&](Slot slot) { return at(slot).has_key(key); });
  }
  [[gnu::always_inline]] bool is_flushed(const Entry& entry) const noexcept {
    return entry.version() <= floor_.load(std::memory_order_acquire);
  }

  // ---- under the lock ----

  /// True where an entry of these sizes can be kept at all: at most an eighth of the shard's bytes.
  bool accepts(std::uint64_t charge) const noexcept {
    return setup_.max_bytes == ~std::uint64_t{0} ? charge != Plan::kTooLarge : charge <= setup_.max_bytes / 8;
  }
  /// Writes the entry for `key`, which stands at `old` or, where that is none, nowhere. False where memory is out or
  /// the entry is too large; then the old one is gone too, so that nothing outdated stays.
  bool write(std::string_view key, std::uint64_t hash, const Table::Place& old, Cause old_cause, const Draft& draft,
             const Plan& plan, void* block, Aftermath& aftermath) {
    const std::uint64_t charge = plan.charge;
    if (old.slot == 0) order_.prefetch(place_of(hash));
    Slot slot = 0;
    if (accepts(charge)) slot = take(plan.size_class);
    if (slot == 0) {
      if (block != nullptr) aftermath.free_later(block);
      ++figures_.refused;
      if (old.slot != 0) drop(old, hash, old_cause, aftermath);
      return false;
    }
    Entry& entry = at(slot);
    if (old.slot != 0) order_.prefetch_place(at(old.slot).position);
    plan.lay(entry.bytes(), key, place_of(hash), next_version(), draft, block);
    ++figures_.puts;
    const Tick tick = tick_of(draft);
    if (old.slot != 0) {
      Entry& before = at(old.slot);
      const Plan::Taken taken = Plan::taken_by(before);
      const std::uint64_t freed = taken.charge();
      if (bytes_ - freed + charge <= setup_.max_bytes) {
        const std::uint8_t recency = before.recency.load(std::memory_order_relaxed);
        entry.recency.store(static_cast<std::uint8_t>(recency + (recency < Entry::kMostRecency)),
                            std::memory_order_relaxed);
        entry.position = before.position;
        order_.replace(entry.position, slot, tick);
        tables_.writable().swap(old, slot);
        bytes_ += charge - freed;
        const bool flushed = is_flushed(before);
        flushed_ -= flushed;
        note(before, flushed ? Cause::flushed : old_cause, aftermath);
        retire(old.slot, before, taken, aftermath);
        return true;
      }
      drop(old, hash, old_cause, aftermath);
    }
    while (count_ + 1 > setup_.max_items || bytes_ + charge > setup_.max_bytes) {
      if (!evict(aftermath)) break;
    }
    link(slot, hash, tick, charge, aftermath);
    return true;
  }

  /// Takes an entry out of everything; `cause` goes to the listener and the books.
  void drop(const Table::Place& place, std::uint64_t hash_low, Cause cause, Aftermath& aftermath) {
    Entry& entry = at(place.slot);
    const Plan::Taken taken = Plan::taken_by(entry);
    unlink(place, static_cast<std::uint32_t>(hash_low), entry, taken, cause, aftermath);
    order_.remove(entry.position);
    retire(place.slot, entry, taken, aftermath);
  }

  /// A new life for an entry that stays as it is otherwise.
  bool retime(const Table::Place& place, std::uint64_t hash, Instant fresh, Instant keep, Aftermath& aftermath) {
    Entry& entry = at(place.slot);
    Draft draft;
    draft.fresh_until = fresh;
    draft.keep_until = keep;
    const bool two = fresh < keep;
    if (entry.has_deadline() && two == ((entry.shape & Entry::kFresh) != 0)) {
      // A reader between the two stores sees the new end with the old middle: both are lives that the entry had.
      entry.micros(sizeof(Entry)).store(to_micros(keep), std::memory_order_relaxed);
      if (two) entry.micros(sizeof(Entry) + 8).store(to_micros(fresh), std::memory_order_relaxed);
      entry.stamp.store((next_version() << 16) | (entry.stamp.load(std::memory_order_relaxed) & 0xFFFF),
                        std::memory_order_release);
      order_.retime(entry.position, tick_of(draft));
      return true;
    }
    if (!entry.has_deadline() && keep == kNever && fresh == kNever) return true;
    return reshape(place, hash, draft, aftermath);
  }

  /// Counts in place: the integer first, the version after it.
  void count_to(Entry& entry, std::int64_t value) noexcept {
    entry.integer().store(value, std::memory_order_release);
    entry.stamp.store((next_version() << 16) | (entry.stamp.load(std::memory_order_relaxed) & 0xFFFF),
                      std::memory_order_release);
  }

  /// Everything that was there is gone at once; reclaimed behind.
  void flush() noexcept {
    floor_.store(version_, std::memory_order_release);
    flushed_ = count_;
    cursor_ = 0;
  }

  /// Frees what the last readers have left, looks for what ran out or was flushed: at most `budget` entries. True where
  /// nothing is left to do.
  bool tidy(std::uint32_t budget, Micros now, Aftermath& aftermath);
  bool has_flushed() const noexcept { return flushed_ > 0; }

  /// Slots whose readers have gone are free again; at most `most`.
  void reclaim(std::uint32_t most, Aftermath& aftermath);
  /// Brings back whatever waits, however little; for maintenance. True where something still waits.
  bool hurry(std::uint32_t most, Aftermath& aftermath);

  void used(const Entry& entry) noexcept {
    if (entry.position < Entry::kRetired) order_.used(entry.position);
  }

  ShardFigures figures() const noexcept {
    ShardFigures figures = figures_;
    figures.entries = count_ - flushed_;
    figures.bytes = bytes_;
    return figures;
  }
  std::uint64_t bytes_of_books() const noexcept {
    return sizeof(Shard) + table().bytes() + order_.bytes() + retired_.bytes();
  }
  const Setup& setup() const noexcept { return setup_; }
  /// The knobs as the study has chosen them.
  void follow(const Setting& setting, std::uint32_t choice) noexcept {
    if (choice == choice_) [[likely]]
      return;
    choice_ = choice;
    order_.use(setting);
  }
  std::uint64_t count() const noexcept { return count_; }
  bool has_evicted() const noexcept { return figures_.evicted > 0; }
  /// What follows draws near what a write will need: books, bucket, entry and, mostly, the slot before the lock; under
  /// it a slot that nobody could foresee.
  void prefetch_books() const noexcept {
    prefetch_write(&lock);
    prefetch_write(&retired_);
    prefetch_write(reinterpret_cast<const char*>(&retired_) + 64);
    prefetch_write(&figures_);
  }
  /// Before the lock: the slot that will likely be taken.
  void prefetch_next(std::uint32_t size_class) const noexcept { slots_.prefetch(retired_.approach(), size_class); }
  /// Reads the bucket, so that the entry is on its way when the lock is taken; whether it is the right one shows later.
  /// Where there is none, the order will be written.
  void prefetch_entry(const Bucket& bucket, std::uint64_t hash) const noexcept {
    const std::uint32_t ways = bucket.read_tags().match(tag_of(hash));
    if (ways == 0) return order_.prefetch_books();
    const Slot slot = bucket.slots[__builtin_ctz(ways)].load(std::memory_order_relaxed);
    if (slot != 0) prefetch_read(arena_.at(slot));
  }
  const Bucket& prefetch_bucket(std::uint64_t hash) const noexcept {
    const Table& now = table();
    const Bucket& bucket = now.bucket(now.home(place_of(hash)));
    prefetch_write(&bucket);
    return bucket;
  }
  void prefetch_slot(std::uint32_t size_class) const noexcept {
    if (retired_.peek(size_class) == 0) slots_.prefetch(slots_.peek(size_class), size_class);
  }
  bool has_deadlines() const noexcept { return has_deadlines_; }

  template <class F>
  void for_each_slot(F&& f) const {
    order_.for_each(f);
  }

  /// Nothing that the books say may contradict another of them; an empty string, or what is wrong. In shard_check.hpp.
  std::string check() const;

  Lock lock;

 private:
  struct Host {
    Shard& shard;
    std::uint8_t recency(Slot slot) const noexcept { return shard.at(slot).recency.load(std::memory_order_relaxed); }
    void set_recency(Slot slot, std::uint8_t recency) const noexcept {
      shard.at(slot).recency.store(recency, std::memory_order_relaxed);
    }
    std::uint32_t hash(Slot slot) const noexcept { return shard.at(slot).hash; }
    void place(Slot slot, std::uint32_t position) const noexcept { shard.at(slot).position = position; }
    void prefetch(Slot slot) const noexcept {
      if (slot != 0) prefetch_write(&shard.at(slot));
    }
    void approach(std::uint32_t hash) const noexcept {
      const Table& now = shard.table();
      prefetch_read(&now.bucket(now.home(hash)));  // who is near need not leave, and others read the bucket
    }
    bool dead(Slot slot) const noexcept { return shard.flushed_ > 0 && shard.is_flushed(shard.at(slot)); }
  };

  std::uint64_t next_version() noexcept { return ++version_; }
  Tick tick_of(const Draft& draft) noexcept {
    if (draft.keep_until == kNever && draft.fresh_until == kNever) return kNoTick;
    return tick_of(to_micros(draft.keep_until));
  }
  Tick tick_of(Micros keep) noexcept {
    if (keep == kNeverMicros) return kNoTick;
    has_deadlines_ = true;
    if (keep <= setup_.origin) return 1;
    const std::int64_t tick = ((keep - setup_.origin) >> kTickShift) + 1;
    return tick >= kNoTick ? kNoTick - 1 : static_cast<Tick>(tick);
  }

  static char* outside(const Entry& entry) noexcept {
    char* block;
    std::memcpy(&block, entry.bytes() + entry.rest_offset(), sizeof block);
    return block;
  }
  Fullness fullness() const noexcept {
    if (setup_.max_bytes != ~std::uint64_t{0}) return {bytes_, setup_.max_bytes};
    return {count_, setup_.max_items == kUnbounded ? 0 : setup_.max_items};
  }
  Slot take(std::uint32_t size_class) noexcept {
    const Slot slot = retired_.reuse(size_class);
    return slot != 0 ? slot : slots_.take(size_class, fullness());
  }

  void link(Slot slot, std::uint64_t hash, Tick tick, std::uint64_t charge, Aftermath& aftermath) {
    if (count_ + 1 > grow_at_) grow_if_needed();
    Host host{*this};
    order_.insert(host, slot, tick, capacity());
    ++count_;
    bytes_ += charge;
    while (!tables_.writable().insert(place_of(hash), tag_of(hash), slot)) {
      if (count_ * 4 > tables_.ways()) {
        rebuild(table().size() + table().size() / 8 + 1);
      } else {
        evict_neighbour(place_of(hash), aftermath);
      }
    }
  }
  void grow_if_needed();
  void rebuild(std::uint32_t buckets);
  /// How many entries the frame may count on: the bound, or what fits into the bytes as it looks now.
  std::uint32_t capacity() const noexcept {
    const std::uint64_t most = setup_.max_items < kUnbounded ? setup_.max_items : count_ + 1;
    return static_cast<std::uint32_t>(setup_.max_bytes != ~std::uint64_t{0} && count_ + 1 < most ? count_ + 1 : most);
  }

  /// Room for one more. False where nothing is left to evict.
  bool evict(Aftermath& aftermath);
  /// What has run out does not make room for others: it is gone already, and only the sweep was not there yet. Every
  /// writer of a shard with deadlines has told the time before it evicts.
  Cause cause_of_eviction(const Entry& entry) const noexcept {
    return entry.has_deadline() && entry.keep() <= seen_now_ ? Cause::expired : Cause::size;
  }
  /// For hashes that crowd one place of a table that is nearly empty otherwise: one of the crowd leaves.
  void evict_neighbour(std::uint32_t place, Aftermath& aftermath);
  void drop_slot(Slot slot, Cause cause, Aftermath& aftermath);

  [[gnu::always_inline]] void unlink(const Table::Place& place, std::uint32_t hash, const Entry& entry,
                                     const Plan::Taken& taken, Cause cause, Aftermath& aftermath) {
    tables_.writable().erase(hash, place);
    --count_;
    bytes_ -= taken.charge();
    if (is_flushed(entry)) {
      --flushed_;
      cause = Cause::flushed;
    }
    note(entry, cause, aftermath);
  }
  [[gnu::always_inline]] void note(const Entry& entry, Cause cause, Aftermath& aftermath) {
    switch (cause) {
      [[likely]] case Cause::replaced : ++figures_.replaced;
      break;
      case Cause::expired: ++figures_.expired; break;
      case Cause::size: ++figures_.evicted; break;
      case Cause::forgotten: ++figures_.forgotten; break;
      case Cause::flushed: ++figures_.flushed; break;
    }
    if (setup_.notes) [[unlikely]]
      take_note(entry, cause, aftermath);
  }
  [[gnu::noinline]] static void take_note(const Entry& entry, Cause cause, Aftermath& aftermath) {
    aftermath.tell_later({std::string(entry.key()), cause});
  }
  /// The same entry with other deadline fields: a new slot that takes over what lay outside of the old one.
  bool reshape(const Table::Place& place, std::uint64_t hash, const Draft& times, Aftermath& aftermath) {
    Entry& before = at(place.slot);
    const std::string_view key = before.key();
    Draft draft;
    draft.kind = before.kind();
    draft.text = before.text();
    draft.labels = before.labels();
    if (draft.kind == Kind::integer) draft.integer = before.integer().load(std::memory_order_relaxed);
    if (draft.kind == Kind::object) {
      draft.object = before.object().object;
      draft.type = before.object().type;
      draft.weight = before.object().weight;
    }
    const std::uint64_t stamp = before.stamp.load(std::memory_order_relaxed);
    draft.user_kind = static_cast<std::uint8_t>(stamp >> 8);
    draft.flags = static_cast<std::uint8_t>(stamp);
    draft.fresh_until = times.fresh_until;
    draft.keep_until = times.keep_until;
    const Plan plan(key, draft);
    void* block = nullptr;
    if (plan.is_outside() && (block = Plan::make_block(key, draft)) == nullptr) return false;
    const bool told = setup_.notes;
    const std::size_t heard = aftermath.notes();
    const std::uint64_t replaced = figures_.replaced;
    const bool written = write(key, hash, place, Cause::replaced, draft, plan, block, aftermath);
    if (written && figures_.replaced != replaced) {
      // A longer life is no removal.
      --figures_.replaced;
      if (told) aftermath.untell(heard);
    }
    return written;
  }

  bool sweep_flushed(std::uint32_t& budget, Aftermath& aftermath);

  void retire(Slot slot, Entry& entry, const Plan::Taken& taken, Aftermath& aftermath);
  void strip(Slot slot, Aftermath& aftermath);

  std::uint32_t cursor_ = 0;  ///< where the search for flushed members goes on
  std::uint64_t count_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t version_ = 0;
  std::uint64_t flushed_ = 0;                             ///< members that a flush has passed
  Micros seen_now_ = std::numeric_limits<Micros>::min();  ///< the time as the last writer told it
  Tick swept_ = 0;
  std::uint32_t grow_at_ = 0;
  std::uint32_t choice_ = ~0u;
  bool has_deadlines_ = false;
  // With the line above, all that an overwriting put writes here; kept together, since each line that another core
  // wrote last is one to wait for.
  alignas(64) Retired retired_;
  ShardFigures figures_;
  Slots slots_;
  ShardOrder order_;
  Arena& arena_;
  Setup setup_;

  // What readers load; written by growth and flushes alone.
  alignas(64) Tables tables_;
  std::atomic<std::uint64_t> floor_{0};
};

}  // namespace engine
}  // namespace v1
}  // namespace flux::cache
