// flux/cache/engine/engine.hpp - the memory machine: many shards behind one door.
//
// How it works, in plain words. Each part has a file of its own with its details and sources; docs/design/engine.md has
// the reasons and what was tried.
//
// Reading. A key's 64-bit hash, computed once by the caller, names a shard, a bucket in the shard's table and a
// one-byte tag. The bucket is one cache line of twelve tags and slot numbers (index.hpp). A reader compares all tags at
// once, follows the number that matches to the entry (entry.hpp), and compares the key there: two dependent cache
// misses for an unpredictable key, which is what the time of a hit consists of. A reader takes no lock. It writes its
// own thread's record (epoch.hpp), its own thread's counters (tally.hpp), and the entry's two-bit recency until that is
// full, so a hot key's lines stay shared by all cores.
//
// Writing. A writer takes the lock of one shard (lock.hpp), builds the new entry in a free slot (arena.hpp) and swaps
// its number into the bucket by one store: a reader sees the old entry or the new one, whole. Entries do not change
// after that, but for an integer counted in place with its version and the deadlines of a touch. Reading, deciding and
// writing under the lock, `update` is what everything conditional is built of. Per key, all operations are
// linearizable: a write takes effect at its store into the bucket, a read at its load from there, a flush at its store
// of the shard's floor, the version up to which entries no longer count.
//
// Reclaiming. A slot that was taken out of the table may still be under a reader's eyes. It waits, stamped with an
// epoch, until every reader that could have found it has left; then it is free again, a few with each write. A writer
// never waits for readers, a reader never for anybody. Objects are destroyed and listeners called after the lock is let
// go; the listener's keys were copied, so that a slow one holds nothing back.
//
// Evicting. Where a bound is reached, the shard's order (order.hpp) names a victim: a window for newcomers, a main
// clock with the two-bit recency, ghosts of those who left, a sketch of frequencies. Its knobs are turned by a study of
// miniature caches on a sample of the keys (shadow.hpp), which also answers what another size would bring.
//
// Expiring. An entry whose deadline has come is a miss at once, because each visit compares; entries without deadline
// read no clock, and for the others the coarse clock suffices unless the deadline is within its grain. The room comes
// back by ticks kept beside the queues (deadlines.hpp): each write sweeps its own shard before it evicts anything that
// lives, readers help now and then, `maintain` does it for who wants to; no call reclaims more than 64.
//
// Bounds. Each shard has its share of the items and of the bytes and never passes it, so the sums are never passed
// either; below 4,096 items there is one shard and the bound is exact. Room is made before an entry comes in. Bytes are
// what an entry really takes (slot, block, an object's weight) plus 16 for index and order. What is larger than an
// eighth of a shard's bytes is refused, and what it was to replace is gone, so that nothing outdated stays.
//
// Forks, ends. Before a fork all locks are taken (registry.hpp), so the child finds whole engines. Thread-local and
// static destructors may use an engine that still lives.
#pragma once
#include <flux/cache/detail/hash.hpp>
#include <flux/cache/engine/change.hpp>
#include <flux/cache/engine/registry.hpp>
#include <flux/cache/engine/setup.hpp>
#include <flux/cache/engine/shadow.hpp>
#include <flux/cache/engine/shard_check.hpp>
#include <flux/cache/engine/shard_room.hpp>
#include <flux/cache/engine/tally.hpp>

#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace engine {

/// Keeps entries by key, within bounds. Safe for concurrent use; keys are views, valid for the call only. The callbacks
/// of `visit` run inside a read section: what they borrow is theirs until they return, and memory of the whole process
/// is not reclaimed meanwhile, so they should be short. Those of `update` run under a lock and must not call the
/// engine.
class Engine final : private Registered {
 public:
  explicit Engine(const Options& options) : options_(options), now_(options.clock), tally_(new Tally) {
    make_shards();
    if (options_.policy == Policy::adaptive && options_.max_items > 0 && options_.max_bytes == 0)
      begin_study(options_.max_items);
    enlist();
  }
  ~Engine() {
    delist();
    for (std::uint32_t index = 0; index < shard_count_; ++index) shards_[index].~Shard();
    ::operator delete (static_cast<void*>(shards_), std::align_val_t{alignof(Shard)});
  }

  const Options& options() const noexcept { return options_; }
  const Now& now() const noexcept { return now_; }
  std::uint32_t shards() const noexcept { return shard_count_; }

  /// Calls `f(const View&)` on the entry, if it is there; true if so. Where `f` answers a bool, false makes it a miss:
  /// a caller that finds the labels outdated says so. Takes no lock and, for a hot key, writes nothing that others
  /// read.
  template <class F>
  bool visit(std::string_view key, std::uint64_t hash, F&& f) {
    ThreadRecord& thread = this_thread();
    ReadSection section(thread);
    Shard& shard = shard_of(hash);
    Entry* const entry = shard.find_live(key, hash);
    if (entry == nullptr) {
      missed(thread);
      return false;
    }
    return look(shard, *entry, thread, std::forward<F>(f));
  }

  /// `visit` for many: `f(index, const View&)` for each probe that hits. Lines are fetched ahead, so that the waits for
  /// memory overlap. Answers the number of hits.
  template <class F>
  std::size_t visit_many(std::span<const Probe> probes, F&& f) {
    static constexpr std::size_t kBatch = 32;
    const Bucket* buckets[kBatch];
    Entry* likely[kBatch];
    ThreadRecord& thread = this_thread();
    ReadSection section(thread);
    std::size_t hits = 0;
    for (std::size_t from = 0; from < probes.size(); from += kBatch) {
      const std::size_t many = probes.size() - from < kBatch ? probes.size() - from : kBatch;
      const Probe* const batch = probes.data() + from;
      for (std::size_t index = 0; index < many; ++index)
        buckets[index] = &shard_of(batch[index].hash).approach(batch[index].hash);
      for (std::size_t index = 0; index < many; ++index)
        likely[index] = shard_of(batch[index].hash).likely(*buckets[index], batch[index].hash);
      for (std::size_t index = 0; index < many; ++index) {
        const Probe& probe = batch[index];
        Shard& shard = shard_of(probe.hash);
        Entry* const entry = shard.find_live(probe.key, probe.hash, likely[index]);
        if (entry == nullptr) {
          missed(thread);
          continue;
        }
        hits += look(shard, *entry, thread, [&](const View& view) { return f(from + index, view); });
      }
    }
    return hits;
  }

  /// Writes an entry. False where it is too large or memory is out; what was there before is gone then.
  bool put(std::string_view key, std::uint64_t hash, const Draft& draft) {
    Shard& shard = shard_of(hash);
    Aftermath aftermath;
    const Plan plan(key, draft);
    {
      ReadSection section;  // a table may be replaced meanwhile, so the look at it is a reader's
      const Bucket& bucket = shard.prefetch_bucket(hash);
      shard.prefetch_books();
      shard.prefetch_next(plan.size_class);
      shard.prefetch_entry(bucket, hash);
    }
    void* const block = make_block(shard, key, draft, plan);
    bool written, evicted;
    {
      Held held(shard.lock);
      shard.prefetch_slot(plan.size_class);
      tidy(shard, aftermath);
      const Table::Place place = shard.find(key, hash);
      written =
          shard.write(key, hash, place, place.slot == 0 ? Cause::replaced : cause_of_overwriting(shard, place.slot),
                      draft, plan, block, aftermath);
      evicted = shard.has_evicted();
    }
    settle(aftermath);
    wrote(hash, evicted);
    return written;
  }

  /// Removes an entry; true where something live was removed.
  bool erase(std::string_view key, std::uint64_t hash) {
    return update(key, hash, [](const View* view) { return view != nullptr ? Change::remove() : Change::keep(); }) ==
           Outcome::done;
  }

  /// Calls `f(const View*)` under the shard's lock on the entry as it is now (null: none that lives) and does what the
  /// `Change` it returns says; nobody else changes the key meanwhile. `f` must be short and must not call the engine;
  /// what it throws passes through and changes nothing.
  template <class F>
  Outcome update(std::string_view key, std::uint64_t hash, F&& f) {
    Shard& shard = shard_of(hash);
    Aftermath aftermath;
    Outcome outcome = Outcome::kept;
    bool wrote_one = false, evicted = false;
    {
      Held held(shard.lock);
      tidy(shard, aftermath);
      const Table::Place place = shard.find(key, hash);
      bool live = false;
      Cause gone = Cause::replaced;
      if (place.slot != 0) {
        gone = cause_of_overwriting(shard, place.slot);
        live = gone == Cause::replaced && !shard.is_flushed(shard.at(place.slot));
      }
      Change change = Change::keep();
      if (live) {
        const View view(shard.at(place.slot), now_);
        change = f(static_cast<const View*>(&view));
      } else {
        change = f(static_cast<const View*>(nullptr));
      }
      switch (change.what_) {
        case Change::What::keep: break;
        case Change::What::write: {
          const Plan plan(key, *change.draft_);
          void* const block = make_block(shard, key, *change.draft_, plan);
          outcome = shard.write(key, hash, place, gone, *change.draft_, plan, block, aftermath) ? Outcome::done
                                                                                                : Outcome::refused;
          break;
        }
        case Change::What::remove:
          if (!live) break;
          shard.drop(place, hash, change.cause_, aftermath);
          outcome = Outcome::done;
          break;
        case Change::What::retime:
          if (!live) break;
          outcome =
              shard.retime(place, hash, change.fresh_, change.keep_, aftermath) ? Outcome::done : Outcome::refused;
          break;
        case Change::What::count:
          if (!live) break;
          shard.count_to(shard.at(place.slot), change.value_);
          outcome = Outcome::done;
          break;
      }
      if (place.slot != 0 && !live && change.what_ != Change::What::write) {
        shard.drop(place, hash, gone, aftermath);  // it was in the way of nobody, but its time is up
      }
      wrote_one = change.what_ == Change::What::write;
      evicted = shard.has_evicted();
    }
    settle(aftermath);
    if (wrote_one) wrote(hash, evicted);
    return outcome;
  }

  /// All entries are gone when this returns; in constant time, the memory comes back behind, some with each later call.
  void clear() {
    for (std::uint32_t index = 0; index < shard_count_; ++index) {
      Held held(shards_[index].lock);
      shards_[index].flush();
    }
    mortal_.store(true, std::memory_order_relaxed);
    owed_.store(shard_count_, std::memory_order_relaxed);
  }

  /// Does what is due: at most `budget` reclaims in each of at most `most_shards` shards. True where nothing is left to
  /// do. Anybody may call it; nobody has to.
  bool maintain(std::uint32_t budget = Shard::kReclaimsPerCall, std::uint32_t most_shards = ~0u) {
    bool done = true;
    if (most_shards > shard_count_) most_shards = shard_count_;
    const std::uint32_t first = turn_.fetch_add(most_shards, std::memory_order_relaxed);
    for (std::uint32_t index = 0; index < most_shards; ++index) {
      Shard& shard = shards_[(first + index) & (shard_count_ - 1)];
      Aftermath aftermath;
      {
        Held held(shard.lock);
        done = shard.tidy(budget, now_.coarse(), aftermath) && done;
        done = !shard.hurry(budget, aftermath) && done;
      }
      settle(aftermath);
    }
    return done;
  }

  /// Calls `f(const View&)` on entries that are there; weakly consistent: what comes or goes meanwhile may be seen or
  /// not, nothing is seen twice unless it was written meanwhile. Holds a shard's lock only to list its slots.
  template <class F>
  void for_each(F&& f) {
    std::vector<Slot> slots;
    for (std::uint32_t index = 0; index < shard_count_; ++index) {
      Shard& shard = shards_[index];
      ReadSection section;
      slots.clear();
      {
        Held held(shard.lock);
        shard.for_each_slot([&](Slot slot) { slots.push_back(slot); });
      }
      for (const Slot slot : slots) {
        const Entry& entry = shard.at(slot);
        if (shard.is_flushed(entry) || now_.reached(entry.keep())) continue;
        f(View(entry, now_));
      }
    }
  }

  Figures figures() {
    Figures sum;
    {
      Held held(study_.lock());
      sum.resident = arena_.bytes() + study_.bytes() + sizeof(Engine) + sizeof(Tally);
    }
    for (std::uint32_t index = 0; index < shard_count_; ++index) {
      Held held(shards_[index].lock);
      const ShardFigures part = shards_[index].figures();
      sum.entries += part.entries;
      sum.bytes += part.bytes;
      sum.puts += part.puts;
      sum.replaced += part.replaced;
      sum.evicted += part.evicted;
      sum.expired += part.expired;
      sum.forgotten += part.forgotten;
      sum.flushed += part.flushed;
      sum.refused += part.refused;
      sum.resident += shards_[index].bytes_of_books();
    }
    tally_->sum(sum.hits, sum.misses);
    return sum;
  }

  /// The hit ratios that half and twice the size would have had lately, and this size in the same miniature; empty
  /// while too little was seen, and for other policies than `adaptive`.
  std::vector<Estimate> estimates() {
    Held held(study_.lock());
    return study_.estimates();
  }

  /// Compares all books with one another; empty, or what is wrong. For tests; takes each shard's lock for long.
  std::string check() {
    for (std::uint32_t index = 0; index < shard_count_; ++index) {
      Held held(shards_[index].lock);
      if (std::string wrong = shards_[index].check(); !wrong.empty()) return wrong;
    }
    return {};
  }

 private:
  Shard& shard_of(std::uint64_t hash) const noexcept {
    // The top bits: the table's place comes from the lower half, the tag from the bits between.
    return shards_[(hash >> 40) & (shard_count_ - 1)];
  }

  template <class F>
  [[gnu::always_inline]] bool look(Shard& shard, Entry& entry, ThreadRecord& thread, F&& f) {
    if (entry.has_deadline() && now_.reached(entry.keep())) [[unlikely]] {
      missed(thread);
      return false;
    }
    const std::uint8_t recency = entry.recency.load(std::memory_order_relaxed);
    if (recency < Entry::kMostRecency)
      entry.recency.store(static_cast<std::uint8_t>(recency + 1), std::memory_order_relaxed);
    if constexpr (std::is_same_v<std::invoke_result_t<F, View>, bool>) {
      if (!f(View(entry, now_))) {
        missed(thread);
        return false;
      }
    } else {
      f(View(entry, now_));
    }
    const std::uint32_t place = entry.hash;
    const std::uint64_t count = tally_->hit(thread.number);
    if (options_.policy == Policy::lru) [[unlikely]] {
      Held held(shard.lock);
      shard.used(entry);
    }
    if (study_.samples(place)) [[unlikely]]
      seen(place);
    if (mortal_.load(std::memory_order_relaxed)) help(count);
    return true;
  }
  [[gnu::always_inline]] void missed(const ThreadRecord& thread) {
    const std::uint64_t count = tally_->miss(thread.number);
    if (mortal_.load(std::memory_order_relaxed)) help(count);
  }

  /// Readers sweep too, so that what expires under a load of reads alone does not stay: one call in 256, one in 8 while
  /// something is known to be left, a shard after the other, never waiting for a lock.
  void help(std::uint64_t count) {
    const bool owed = owed_.load(std::memory_order_relaxed) > 0;
    if ((count & (owed ? 7 : 255)) == 0) [[unlikely]]
      sweep_one();
  }
  [[gnu::noinline]] void sweep_one() {
    Shard& shard = shards_[turn_.fetch_add(1, std::memory_order_relaxed) & (shard_count_ - 1)];
    if (!shard.lock.try_lock()) return;
    Aftermath aftermath;
    {
      Held held(shard.lock, true);
      // Owed is a run of shards without a find: a full round of them pays the debt.
      if (shard.tidy(Shard::kReclaimsPerCall, now_.coarse(), aftermath)) {
        const std::uint32_t owed = owed_.load(std::memory_order_relaxed);
        if (owed > 0) owed_.store(owed - 1, std::memory_order_relaxed);
      } else {
        owed_.store(shard_count_, std::memory_order_relaxed);
      }
      shard.reclaim(Shard::kReclaimsPerCall, aftermath);
    }
    settle(aftermath);
  }

  /// An access to one of the keys that stand for all.
  void seen(std::uint32_t place) {
    if (!study_.sees(place) || options_.max_bytes == 0) return;
    // Bounded by bytes, the number of entries is a finding: where it has moved far, the miniatures start anew.
    const std::uint64_t entries = about_entries();
    if (entries > study_.entries() * 3 / 2 || entries < study_.entries() * 2 / 3) begin_study(entries);
  }
  std::uint64_t about_entries() {
    Shard& shard = shards_[turn_.fetch_add(1, std::memory_order_relaxed) & (shard_count_ - 1)];
    Held held(shard.lock);
    return shard.count() * shard_count_;
  }
  void begin_study(std::uint64_t entries) {
    Held held(study_.lock());
    study_.begin(entries);
    studied_.store(true, std::memory_order_relaxed);
  }
  /// What a writer does for the order under the lock: takes over the study's choice.
  void follow(Shard& shard) noexcept {
    const std::uint32_t choice = study_.chosen();
    shard.follow(kSettings[choice], choice);
  }
  /// And after it: lets the study see the access, and begins it with the first eviction.
  void wrote(std::uint64_t hash, bool evicted) {
    if (options_.policy != Policy::adaptive) return;
    if (study_.samples(place_of(hash))) [[unlikely]]
      seen(place_of(hash));
    if (evicted && !studied_.load(std::memory_order_relaxed)) [[unlikely]]
      begin_study(about_entries());
  }

  Cause cause_of_overwriting(const Shard& shard, Slot slot) const noexcept {
    const Entry& entry = shard.at(slot);
    return entry.has_deadline() && now_.reached(entry.keep()) ? Cause::expired : Cause::replaced;
  }

  /// What does not fit into a slot is copied before the lock is taken.
  static void* make_block(const Shard& shard, std::string_view key, const Draft& draft, const Plan& plan) {
    if (!plan.is_outside()) [[likely]]
      return nullptr;
    if (!shard.accepts(plan.charge)) return nullptr;
    void* const block = Plan::make_block(key, draft);
    if (block == nullptr) throw std::bad_alloc();
    return block;
  }

  /// A writer's share of the sweeping; what has expired makes room before anything that lives.
  void tidy(Shard& shard, Aftermath& aftermath) {
    follow(shard);
    if (shard.has_flushed() || shard.has_deadlines()) [[unlikely]] {
      if (!mortal_.load(std::memory_order_relaxed)) mortal_.store(true, std::memory_order_relaxed);
      if (!shard.tidy(Shard::kReclaimsPerCall, now_.coarse(), aftermath))
        owed_.store(shard_count_, std::memory_order_relaxed);
    }
  }
  void settle(Aftermath& aftermath) noexcept {
    if (aftermath.advance != 0) epoch_domain.advance(aftermath.advance);
    aftermath.for_each_note([this](const Aftermath::Note& note) {
      try {
        options_.listener.heard(options_.listener.context, Removal{note.key, note.cause});
      } catch (...) {
      }
    });
  }

  void make_shards() {
    shard_count_ = shards_for(options_);
    void* const memory = ::operator new (sizeof(Shard) * shard_count_, std::align_val_t{alignof(Shard)});
    shards_ = static_cast<Shard*>(memory);
    const Micros origin = now_.exact();
    for (std::uint32_t index = 0; index < shard_count_; ++index)
      new (&shards_[index]) Shard(arena_, setup_of(options_, shard_count_, index, origin));
  }

  void before_fork() noexcept override {
    for (std::uint32_t index = 0; index < shard_count_; ++index) shards_[index].lock.lock();
    arena_.lock().lock();
    study_.lock().lock();
  }
  void after_fork() noexcept override {
    study_.lock().unlock();
    arena_.lock().unlock();
    for (std::uint32_t index = shard_count_; index > 0; --index) shards_[index - 1].lock.unlock();
  }

  Options options_;
  Now now_;
  std::uint32_t shard_count_ = 1;
  Shard* shards_ = nullptr;
  std::unique_ptr<Tally> tally_;
  Arena arena_;
  Study study_;
  std::atomic<bool> mortal_{false};  // something has a deadline or was flushed; read by every visit
  std::atomic<bool> studied_{false};
  alignas(64) std::atomic<std::uint32_t> turn_{0};
  std::atomic<std::uint32_t> owed_{0};  // shards that may still hold what has run out
};

}  // namespace engine
}  // namespace v1
}  // namespace flux::cache
