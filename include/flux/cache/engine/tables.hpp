// flux/cache/engine/tables.hpp - a shard's table as it grows: the one in use, and those that a last reader may still
// see.
#pragma once
#include <flux/cache/engine/epoch.hpp>
#include <flux/cache/engine/index.hpp>

#include <atomic>
#include <cstdint>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace engine {

/// `current` may be called by anybody in a read section or under the shard's lock; all else under the lock.
class Tables {
 public:
  explicit Tables(std::uint64_t entries) : current_(Table::make(buckets_for(entries))) {}
  Tables(const Tables&) = delete;
  Tables& operator=(const Tables&) = delete;
  ~Tables() {
    Table::destroy(current_.load(std::memory_order_relaxed));
    for (Table* const table : old_) Table::destroy(table);
  }

  [[gnu::always_inline]] const Table& current() const noexcept { return *current_.load(std::memory_order_acquire); }
  Table& writable() noexcept { return *current_.load(std::memory_order_relaxed); }
  std::uint64_t ways() const noexcept { return std::uint64_t{current().size()} * Bucket::kWays; }

  /// Buckets that hold so many entries four fifths full.
  static std::uint32_t buckets_for(std::uint64_t entries) noexcept {
    const std::uint64_t buckets = entries * 100 / (Bucket::kWays * 80) + 1;
    return buckets > 0xFFFFFFF ? 0xFFFFFFF : static_cast<std::uint32_t>(buckets);
  }

  /// A larger table; readers in the old one find there what they may. `at(slot)` is the entry.
  template <class At>
  void rebuild(std::uint32_t buckets, At&& at) {
    Table* const old = current_.load(std::memory_order_relaxed);
    Table* table = nullptr;
    for (bool fits = false; !fits; buckets += buckets / 8 + 1) {
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
            if (const Slot ahead = slot.load(std::memory_order_relaxed)) __builtin_prefetch(&at(ahead));
      }
    }
    current_.store(table, std::memory_order_release);
    free_old();
    old_.push_back(old);
    stamp_ = epoch_domain.stamp();
  }
  void free_old() noexcept {
    if (old_.empty() || !epoch_domain.is_safe(stamp_)) return;
    for (Table* const table : old_) Table::destroy(table);
    old_.clear();
  }

 private:
  std::atomic<Table*> current_;
  std::vector<Table*> old_;
  std::uint64_t stamp_ = 0;
};

}  // namespace engine
}  // namespace v1
}  // namespace flux::cache
