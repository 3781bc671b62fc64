// flux/cache/engine/shard.hpp - one shard: a table that anybody reads, and the books that one writer at a time keeps.
//
// Everything here but `find_live` runs under `lock`. What must not run under a lock (destructors of users' objects,
// listeners, the kernel's barrier) is collected in an `Aftermath` and done by the caller when the lock is free again.
#pragma once
#include <flux/cache/engine/arena.hpp>
#include <flux/cache/engine/entry.hpp>
#include <flux/cache/engine/epoch.hpp>
#include <flux/cache/engine/index.hpp>
#include <flux/cache/engine/order.hpp>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace engine {

/// Why an entry left.
enum class Cause : std::uint8_t {
  replaced,   ///< overwritten
  expired,    ///< its time was up
  size,       ///< room was needed
  forgotten,  ///< somebody asked
  flushed,    ///< all were asked to go
};

/// What a listener hears: each removal once.
struct Removal {
  std::string_view key;  ///< valid during the call
  Cause cause;
};

/// Work that waits until the shard's lock is free.
struct Aftermath {
  struct Note {
    std::string key;
    Cause cause;
  };
  std::vector<Object> objects;  ///< dropped with this
  std::vector<void*> blocks;    ///< freed with this
  std::vector<Note> notes;
  std::uint64_t advance = 0;  ///< a stamp that should become safe; 0: none

  Aftermath() = default;
  Aftermath(const Aftermath&) = delete;
  Aftermath& operator=(const Aftermath&) = delete;
  ~Aftermath() {
    for (void* const block : blocks) std::free(block);
  }
};

/// What a shard's books say; sums over shards are the engine's figures.
struct ShardFigures {
  std::uint64_t entries = 0, bytes = 0, puts = 0, evicted = 0, expired = 0, forgotten = 0, flushed = 0, replaced = 0,
                refused = 0;
};

class alignas(64) Shard {
 public:
  static constexpr std::uint32_t kReclaimsPerCall = 64;
  static constexpr std::uint64_t kTooLarge = ~std::uint64_t{0};
  static constexpr std::uint32_t kUnbounded = 0x3FFFFFFF;
  static constexpr std::size_t kOverhead = 16;  ///< index, queues and marks of an entry, charged with it

  struct Setup {
    std::uint32_t max_items;  ///< at least 1
    std::uint64_t max_bytes;
    Policy policy;
    bool notes;              ///< somebody listens
    std::uint32_t expected;  ///< entries to prepare for
    Micros origin;           ///< where ticks count from
  };

  Shard(Arena& arena, const Setup& setup)
      : slots_(arena), arena_(arena), setup_(setup), table_(Table::make(buckets_for(setup.expected))) {
    const std::uint32_t batch = setup.max_items / 128;
    batch_ = batch < 16 ? 16 : batch > 256 ? 256 : batch;
    frame_.resize(setup.expected < 64 ? 64 : setup.expected, setup.policy == Policy::adaptive);
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
    if (setup_.policy == Policy::lru) {
      lru_.for_each(drop);
    } else {
      frame_.for_each(drop);
    }
    for (const Slot slot : sealed_rich_) drop(slot);
    for (const Slot slot : open_rich_) drop(slot);
    Table::destroy(table_.load(std::memory_order_relaxed));
    for (Table* const table : old_tables_) Table::destroy(table);
  }

  Entry& at(Slot slot) const noexcept { return *reinterpret_cast<Entry*>(arena_.at(slot)); }
  const Table& table() const noexcept { return *table_.load(std::memory_order_acquire); }

  /// The slot of a key that no flush has passed; 0 if none. In a read section or under the lock.
  Slot find_live(std::string_view key, std::uint64_t hash) const noexcept {
    const Slot slot = find(key, hash).slot;
    return slot != 0 && !is_flushed(at(slot)) ? slot : 0;
  }
  Table::Place find(std::string_view key, std::uint64_t hash) const noexcept {
    return table().find(place_of(hash), tag_of(hash), [&](Slot slot) {
      const Entry& entry = at(slot);
      return entry.has_key(key);
    });
  }
  bool is_flushed(const Entry& entry) const noexcept {
    return entry.version() <= floor_.load(std::memory_order_acquire);
  }

  // ---- under the lock ----

  /// True where an entry of these sizes can be kept at all: at most an eighth of the shard's bytes.
  bool accepts(std::uint64_t charge) const noexcept {
    return setup_.max_bytes == ~std::uint64_t{0} ? charge != kTooLarge : charge <= setup_.max_bytes / 8;
  }
  static std::size_t in_slot(std::string_view key, const Draft& draft, std::uint8_t shape) noexcept {
    const std::size_t fixed = Entry::rest_offset(shape);
    return (shape & Entry::kOutside) != 0 ? fixed + 8 : fixed + rest_size(key, draft);
  }
  static std::size_t rest_size(std::string_view key, const Draft& draft) noexcept {
    return Entry::labels_span(draft.labels.size()) + key.size() + (draft.kind == Kind::text ? draft.text.size() : 0);
  }
  static std::uint8_t shape_of(std::string_view key, const Draft& draft) noexcept {
    auto shape = static_cast<std::uint8_t>(draft.kind);
    if (draft.keep_until != kNever || draft.fresh_until != kNever) shape |= Entry::kKeep;
    if (draft.fresh_until < draft.keep_until) shape |= Entry::kFresh;
    if (!draft.labels.empty()) shape |= Entry::kLabels;
    if (key.size() > 0xFFFF) shape |= Entry::kLongKey;
    if (Entry::rest_offset(shape) + rest_size(key, draft) > std::size_t{SizeClasses::kLargest} * Arena::kUnit)
      shape |= Entry::kOutside;
    return shape;
  }
  /// Bytes that an entry will be charged with; `kTooLarge` where a part is over its limit.
  static std::uint64_t charge_of(std::string_view key, const Draft& draft) noexcept {
    if (key.size() > kMaxKeySize || draft.text.size() > kMaxTextSize || draft.labels.size() > kMaxLabelsSize)
      return kTooLarge;
    const std::uint8_t shape = shape_of(key, draft);
    std::uint64_t charge = Slots::charged(in_slot(key, draft, shape)) + kOverhead;
    if ((shape & Entry::kOutside) != 0) charge += rest_size(key, draft) + 16;
    if (draft.kind == Kind::object) charge += draft.weight;
    return charge;
  }

  /// Writes the entry for `key`, which stands at `old` or, where that is none, nowhere. False where memory is out or
  /// the entry is too large; then the old one is gone too, so that nothing outdated stays.
  bool write(std::string_view key, std::uint64_t hash, Table::Place old, Cause old_cause, const Draft& draft,
             void* block, Aftermath& aftermath) {
    const std::uint64_t charge = charge_of(key, draft);
    Slot slot = 0;
    if (accepts(charge)) slot = compose(key, hash, draft, block);
    if (slot == 0) {
      if (block != nullptr) aftermath.blocks.push_back(block);
      ++figures_.refused;
      if (old.slot != 0) drop(old, hash, old_cause, aftermath);
      return false;
    }
    ++figures_.puts;
    const Tick tick = tick_of(draft);
    if (old.slot != 0) {
      Entry& before = at(old.slot);
      const std::uint64_t freed = charge_at(old.slot);
      if (bytes_ - freed + charge <= setup_.max_bytes) {
        Entry& entry = at(slot);
        const std::uint8_t recency = before.recency.load(std::memory_order_relaxed);
        entry.recency.store(static_cast<std::uint8_t>(recency + (recency < Entry::kMostRecency)),
                            std::memory_order_relaxed);
        entry.position = before.position;
        if (setup_.policy == Policy::lru) {
          lru_.replace(entry.position, slot, tick);
        } else {
          frame_.replace(entry.position, slot, tick);
        }
        table_.load(std::memory_order_relaxed)->swap(old, slot);
        bytes_ += charge - freed;
        const bool flushed = is_flushed(before);
        flushed_ -= flushed;
        note(before, flushed ? Cause::flushed : old_cause, aftermath);
        retire(old.slot, aftermath);
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
    unlink(place, static_cast<std::uint32_t>(hash_low), entry, cause, aftermath);
    order_remove(entry.position);
    retire(place.slot, aftermath);
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
      order_retime(entry.position, tick_of(draft));
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
  bool tidy(std::uint32_t budget, Micros now, Aftermath& aftermath) {
    bool done = true;
    if (flushed_ > 0) done = sweep_flushed(budget, aftermath);
    const Tick tick = now <= setup_.origin ? 0 : static_cast<Tick>((now - setup_.origin) >> kTickShift);
    if (budget > 0 && (tick != swept_)) {
      const auto expire = [&](Slot slot) { drop_slot(slot, Cause::expired, aftermath); };
      const bool all =
          setup_.policy == Policy::lru ? lru_.sweep(tick, budget, expire) : frame_.sweep(tick, budget, expire);
      if (all) swept_ = tick;
      done = done && all;
    }
    return done;
  }
  bool has_flushed() const noexcept { return flushed_ > 0; }

  /// Slots whose readers have gone are free again; at most `most`.
  void reclaim(std::uint32_t most, Aftermath& aftermath) {
    if (!waits_sealed()) {
      if (open_.size() + open_rich_.size() < batch_) return;
      seal();
      aftermath.advance = stamp_;
      return;
    }
    if (!epoch_domain.is_safe(stamp_)) {
      if (open_.size() + open_rich_.size() >= patience_) {
        patience_ = static_cast<std::uint32_t>(open_.size() + open_rich_.size()) + 8;
        aftermath.advance = stamp_;
      }
      return;
    }
    for (std::uint32_t left = most; left > 0 && !sealed_.empty(); --left) {
      slots_.give(sealed_.back());
      sealed_.pop_back();
    }
    for (std::uint32_t left = most; left > 0 && !sealed_rich_.empty(); --left) {
      const Slot slot = sealed_rich_.back();
      sealed_rich_.pop_back();
      strip(slot, aftermath);
      slots_.give(slot);
    }
  }
  /// Seals whatever waits, however little; for maintenance. True where something still waits.
  bool hurry(std::uint32_t most, Aftermath& aftermath) {
    if (!waits_sealed() && waits_open()) seal();
    if (waits_sealed()) {
      if (!epoch_domain.is_safe(stamp_)) epoch_domain.advance(stamp_);
      if (epoch_domain.is_safe(stamp_)) reclaim(most, aftermath);
    }
    free_old_tables();
    return waits_sealed() || waits_open();
  }

  void used(Slot slot) noexcept {
    const Entry& entry = at(slot);
    if (entry.position < Entry::kRetired) lru_.used(entry.position);
  }

  ShardFigures figures() const noexcept {
    ShardFigures figures = figures_;
    figures.entries = count_ - flushed_;
    figures.bytes = bytes_;
    return figures;
  }
  std::uint64_t bytes_of_books() const noexcept {
    return sizeof(Shard) + table().bytes() + (setup_.policy == Policy::lru ? lru_.bytes() : frame_.bytes()) +
           (sealed_.capacity() + open_.capacity() + sealed_rich_.capacity() + open_rich_.capacity()) * sizeof(Slot);
  }
  const Setup& setup() const noexcept { return setup_; }
  /// The knobs as the study has chosen them.
  void follow(const Setting& setting, std::uint32_t choice) noexcept {
    if (choice == choice_) [[likely]]
      return;
    choice_ = choice;
    frame_.use(setting);
  }
  std::uint64_t count() const noexcept { return count_; }
  bool has_evicted() const noexcept { return figures_.evicted > 0; }
  /// Draws near what a write will need: the bucket before the lock, the slot under it.
  void prefetch_bucket(std::uint64_t hash) const noexcept {
    const Table& now = table();
    __builtin_prefetch(&now.bucket(now.home(place_of(hash))));
  }
  void prefetch_slot(std::string_view key, const Draft& draft) const noexcept {
    const std::size_t size = in_slot(key, draft, shape_of(key, draft));
    if (size <= std::size_t{SizeClasses::kLargest} * Arena::kUnit) slots_.prefetch(size);
  }
  bool has_deadlines() const noexcept { return has_deadlines_; }

  template <class F>
  void for_each_slot(F&& f) const {
    if (setup_.policy == Policy::lru) {
      lru_.for_each(f);
    } else {
      frame_.for_each(f);
    }
  }

  /// Nothing that the books say may contradict another of them; an empty string, or what is wrong.
  std::string check() const {
    std::uint64_t members = 0, charged = 0, flushed = 0;
    std::string wrong;
    for_each_slot([&](Slot slot) {
      ++members;
      const Entry& entry = at(slot);
      charged += charge_at(slot);
      flushed += is_flushed(entry);
      const std::uint32_t position = entry.position;
      const bool known = position < Entry::kRetired &&
                         (setup_.policy == Policy::lru ? lru_.member(position) : frame_.member(position)) == slot;
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

  static std::uint32_t buckets_for(std::uint64_t entries) noexcept {
    const std::uint64_t buckets = entries * 100 / (Bucket::kWays * 82) + 1;
    return buckets > 0xFFFFFFF ? 0xFFFFFFF : static_cast<std::uint32_t>(buckets);
  }

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
      if (slot != 0) __builtin_prefetch(&shard.at(slot));
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
  std::uint64_t charge_at(Slot slot) const noexcept {
    return slots_.size_of(slot) + at(slot).outside_bytes() + kOverhead;
  }

  /// A slot with everything in it but its place in table and order.
  Slot compose(std::string_view key, std::uint64_t hash, const Draft& draft, void* block) {
    const std::uint8_t shape = shape_of(key, draft);
    const Slot slot = slots_.take(in_slot(key, draft, shape));
    if (slot == 0) return 0;
    char* const bytes = arena_.at(slot);
    auto* const entry = new (bytes) Entry;
    entry->hash = place_of(hash);
    entry->position = 0;
    entry->text_size = draft.kind == Kind::text ? static_cast<std::uint32_t>(draft.text.size()) : 0;
    entry->key_size_low = static_cast<std::uint16_t>(key.size());
    entry->shape = shape;
    entry->recency.store(0, std::memory_order_relaxed);
    if ((shape & Entry::kKeep) != 0) {
      const Instant keep = draft.keep_until;
      new (bytes + sizeof(Entry)) std::atomic<Micros>(to_micros(keep));
    }
    if ((shape & Entry::kFresh) != 0) new (bytes + sizeof(Entry) + 8) std::atomic<Micros>(to_micros(draft.fresh_until));
    if (draft.kind == Kind::integer) new (bytes + entry->payload_offset()) std::atomic<std::int64_t>(draft.integer);
    if (draft.kind == Kind::object)
      new (bytes + entry->payload_offset()) HeldObject{draft.object, draft.type, draft.weight};
    if ((shape & Entry::kOutside) != 0) {
      std::memcpy(bytes + entry->rest_offset(), &block, sizeof block);
    } else {
      fill_rest(bytes + entry->rest_offset(), key, draft);
    }
    entry->stamp.store((next_version() << 16) | (std::uint64_t{draft.user_kind} << 8) | draft.flags,
                       std::memory_order_relaxed);
    return slot;
  }

 public:
  static void fill_rest(char* to, std::string_view key, const Draft& draft) noexcept {
    if (!draft.labels.empty()) {
      const auto size = static_cast<std::uint32_t>(draft.labels.size());
      std::memcpy(to, &size, sizeof size);
      std::memcpy(to + 8, draft.labels.data(), draft.labels.size());
      to += Entry::labels_span(draft.labels.size());
    }
    std::memcpy(to, key.data(), key.size());
    if (draft.kind == Kind::text && !draft.text.empty())
      std::memcpy(to + key.size(), draft.text.data(), draft.text.size());
  }

 private:
  void link(Slot slot, std::uint64_t hash, Tick tick, std::uint64_t charge, Aftermath& aftermath) {
    if (count_ + 1 > grow_at_) grow_if_needed();
    Host host{*this};
    if (setup_.policy == Policy::lru) {
      lru_.insert(host, slot, tick);
    } else {
      frame_.insert(host, slot, tick, capacity(), setup_.policy == Policy::fifo);
    }
    ++count_;
    bytes_ += charge;
    while (!table_.load(std::memory_order_relaxed)->insert(place_of(hash), tag_of(hash), slot)) {
      const std::uint64_t ways = std::uint64_t{table().size()} * Bucket::kWays;
      if (count_ * 4 > ways) {
        rebuild(table().size() * 2);
      } else {
        evict_neighbour(place_of(hash), aftermath);
      }
    }
  }
  void grow_if_needed() {
    const std::uint64_t ways = std::uint64_t{table().size()} * Bucket::kWays;
    if (grow_at_ == 0) {
      grow_at_ = static_cast<std::uint32_t>(ways * 90 / 100);
      if (count_ < grow_at_) return;
    }
    const std::uint64_t doubled = (count_ + 1) * 2;
    rebuild(buckets_for(doubled < setup_.max_items ? doubled : setup_.max_items + 1));
  }
  /// A larger table; readers in the old one find there what they may.
  void rebuild(std::uint32_t buckets) {
    Table* const old = table_.load(std::memory_order_relaxed);
    Table* table = nullptr;
    for (bool fits = false; !fits; buckets *= 2) {
      if (table != nullptr) Table::destroy(table);
      table = Table::make(buckets);
      fits = true;
      for (std::uint32_t index = 0; index < old->size() && fits; ++index) {
        const Bucket& bucket = old->bucket(index);
        for (std::uint32_t way = 0; way < Bucket::kWays && fits; ++way) {
          const Slot slot = bucket.slots[way].load(std::memory_order_relaxed);
          if (slot != 0) fits = table->insert(at(slot).hash, old->tag_at({index, way, slot}), slot);
        }
        if (index + 4 < old->size())
          for (const auto& slot : old->bucket(index + 4).slots)
            __builtin_prefetch(arena_.at(slot.load(std::memory_order_relaxed)));
      }
    }
    table_.store(table, std::memory_order_release);
    grow_at_ = static_cast<std::uint32_t>(std::uint64_t{table->size()} * Bucket::kWays * 90 / 100);
    free_old_tables();
    old_tables_.push_back(old);
    old_tables_stamp_ = epoch_domain.stamp();
  }
  void free_old_tables() noexcept {
    if (old_tables_.empty() || !epoch_domain.is_safe(old_tables_stamp_)) return;
    for (Table* const table : old_tables_) Table::destroy(table);
    old_tables_.clear();
  }

  /// How many entries the frame may count on: the bound, or what fits into the bytes as it looks now.
  std::uint32_t capacity() const noexcept {
    const std::uint64_t most = setup_.max_items < kUnbounded ? setup_.max_items : count_ + 1;
    return static_cast<std::uint32_t>(setup_.max_bytes != ~std::uint64_t{0} && count_ + 1 < most ? count_ + 1 : most);
  }

  /// Room for one more. False where nothing is left to evict.
  bool evict(Aftermath& aftermath) {
    if (flushed_ > 0) {
      std::uint32_t budget = 1;
      sweep_flushed(budget, aftermath);
      if (budget == 0) return true;
    }
    Host host{*this};
    const Slot slot =
        setup_.policy == Policy::lru ? lru_.victim() : frame_.victim(host, capacity(), setup_.policy == Policy::fifo);
    if (slot == 0) return false;
    Entry& entry = at(slot);
    const Table::Place place = table().find_slot(entry.hash, slot);
    unlink(place, entry.hash, entry, Cause::size, aftermath);
    retire(slot, aftermath);
    return true;
  }
  /// For hashes that crowd one place of a table that is nearly empty otherwise: one of the crowd leaves.
  void evict_neighbour(std::uint32_t place, Aftermath& aftermath) {
    const std::uint32_t index = table().home(place);
    const std::uint32_t way = static_cast<std::uint32_t>(version_ % Bucket::kWays);
    const Slot slot = table().bucket(index).slots[way].load(std::memory_order_relaxed);
    drop({index, way, slot}, at(slot).hash, Cause::size, aftermath);
  }
  void drop_slot(Slot slot, Cause cause, Aftermath& aftermath) {
    const Entry& entry = at(slot);
    drop(table().find_slot(entry.hash, slot), entry.hash, cause, aftermath);
  }

  void unlink(const Table::Place& place, std::uint32_t hash, Entry& entry, Cause cause, Aftermath& aftermath) {
    table_.load(std::memory_order_relaxed)->erase(hash, place);
    --count_;
    bytes_ -= charge_at(place.slot);
    if (is_flushed(entry)) {
      --flushed_;
      cause = Cause::flushed;
    }
    note(entry, cause, aftermath);
  }
  void note(const Entry& entry, Cause cause, Aftermath& aftermath) {
    switch (cause) {
      case Cause::replaced: ++figures_.replaced; break;
      case Cause::expired: ++figures_.expired; break;
      case Cause::size: ++figures_.evicted; break;
      case Cause::forgotten: ++figures_.forgotten; break;
      case Cause::flushed: ++figures_.flushed; break;
    }
    if (setup_.notes) aftermath.notes.push_back({std::string(entry.key()), cause});
  }
  void order_remove(std::uint32_t position) {
    if (setup_.policy == Policy::lru) {
      lru_.remove(position);
    } else {
      frame_.remove(position);
    }
  }
  void order_retime(std::uint32_t position, Tick tick) {
    if (setup_.policy == Policy::lru) {
      lru_.retime(position, tick);
    } else {
      frame_.retime(position, tick);
    }
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
    void* block = nullptr;
    if ((shape_of(key, draft) & Entry::kOutside) != 0) {
      block = std::malloc(rest_size(key, draft));
      if (block == nullptr) return false;
      fill_rest(static_cast<char*>(block), key, draft);
    }
    const bool quiet = setup_.notes;
    const std::size_t heard = aftermath.notes.size();
    const std::uint64_t replaced = figures_.replaced;
    const bool written = write(key, hash, place, Cause::replaced, draft, block, aftermath);
    if (written && figures_.replaced != replaced) {
      // A longer life is no removal.
      --figures_.replaced;
      if (quiet) aftermath.notes.erase(aftermath.notes.begin() + static_cast<std::ptrdiff_t>(heard));
    }
    return written;
  }

  bool sweep_flushed(std::uint32_t& budget, Aftermath& aftermath) {
    const std::uint32_t places = setup_.policy == Policy::lru ? lru_.places() : frame_.places();
    for (std::uint32_t steps = 0; steps < 1024 && flushed_ > 0 && budget > 0; ++steps, ++cursor_) {
      if (cursor_ >= places) cursor_ = 0;
      const Slot slot = setup_.policy == Policy::lru ? lru_.at_place(cursor_) : frame_.at_place(cursor_);
      if (slot == 0 || !is_flushed(at(slot))) continue;
      drop_slot(slot, Cause::flushed, aftermath);
      --budget;
    }
    return flushed_ == 0;
  }

  void retire(Slot slot, Aftermath& aftermath) {
    Entry& entry = at(slot);
    entry.position = Entry::kRetired;
    // Most slots hold nothing but bytes; they are freed later without another look at their cold memory.
    const bool rich = entry.kind() == Kind::object || (entry.shape & Entry::kOutside) != 0;
    (rich ? open_rich_ : open_).push_back(slot);
    reclaim(3, aftermath);
  }
  bool waits_sealed() const noexcept { return !sealed_.empty() || !sealed_rich_.empty(); }
  bool waits_open() const noexcept { return !open_.empty() || !open_rich_.empty(); }
  void seal() noexcept {
    sealed_.swap(open_);
    sealed_rich_.swap(open_rich_);
    stamp_ = epoch_domain.stamp();
    patience_ = batch_ / 4;
  }
  void strip(Slot slot, Aftermath& aftermath) {
    Entry& entry = at(slot);
    if ((entry.shape & Entry::kOutside) != 0) aftermath.blocks.push_back(outside(entry));
    if (entry.kind() == Kind::object) {
      aftermath.objects.push_back(std::move(entry.object().object));
      entry.object().~HeldObject();
    }
  }

  std::uint64_t count_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t version_ = 0;
  std::uint64_t flushed_ = 0;  ///< members that a flush has passed
  std::uint32_t cursor_ = 0;   ///< where the search for them goes on
  Tick swept_ = 0;
  std::uint32_t grow_at_ = 0;
  std::uint32_t batch_ = 16;
  std::uint32_t choice_ = ~0u;
  std::uint32_t patience_ = 0;
  bool has_deadlines_ = false;
  std::uint64_t stamp_ = 0;
  std::vector<Slot> open_, open_rich_;      ///< retired, not yet stamped; rich: with an object or a block
  std::vector<Slot> sealed_, sealed_rich_;  ///< retired before `stamp_`
  std::vector<Table*> old_tables_;
  std::uint64_t old_tables_stamp_ = 0;
  Slots slots_;
  FrameOrder frame_;
  LruOrder lru_;
  ShardFigures figures_;
  Arena& arena_;
  Setup setup_;

  // What readers load; written by growth and flushes alone.
  alignas(64) std::atomic<Table*> table_;
  std::atomic<std::uint64_t> floor_{0};
};

}  // namespace engine
}  // namespace v1
}  // namespace flux::cache
