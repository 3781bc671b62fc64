// Tags of the memory store: each tag a slot, whose epoch a reader compares with what stands in the entry.
//
// A reader of a tagged entry loads one epoch per tag and takes no lock. A flush writes one. Slots of tags that no entry
// carries any more are found by a sweep over the entries and used again; since epochs are random, an entry that was
// written against the old use of a slot is merely a miss.
#pragma once
#include <flux/cache/store.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/fork_mutex.hpp"
#include "core/tag_record.hpp"

namespace flux::cache {
inline namespace v1 {
namespace memory {

/// A tag as it stands in an entry's labels.
struct TagMark {
  std::uint32_t slot;
  std::uint64_t epoch;
  std::string_view name;
};

class TagTable {
 public:
  TagTable() = default;
  ~TagTable();
  TagTable(const TagTable&) = delete;
  TagTable& operator=(const TagTable&) = delete;

  /// The tag's mark as of now; begins the tag where it is new.
  TagMark mark(std::string_view name);
  /// Nothing was flushed since the tag was given this mark.
  bool is_current(const TagMark& mark) const noexcept {
    return epoch(mark.slot).load(std::memory_order_acquire) == mark.epoch;
  }
  /// Is an entry with these marks untouched by every flush since? One load a tag, unless an intersection was flushed.
  bool spares(const TagMark* marks, std::size_t count) const;
  /// Every tag of the scope gets a new epoch, or the intersection a rule.
  void flush(const Scope& scope, std::size_t max_rules);

  /// Marks slots in use; those left out, and begun before the sweep, are given back.
  class Sweep {
   public:
    explicit Sweep(TagTable& table);
    void in_use(std::uint32_t slot) { used_[slot] = true; }
    /// How many slots came back.
    std::size_t finish();

   private:
    TagTable& table_;
    std::vector<bool> used_;
  };
  /// So many tags have begun since the last sweep that another one is due.
  bool wants_sweep() const noexcept {
    return begun_.load(std::memory_order_relaxed) >= sweep_at_.load(std::memory_order_relaxed);
  }
  std::size_t size() const;

 private:
  static constexpr std::size_t kChunk = 4096;
  static constexpr std::size_t kChunks = 4096;
  struct Chunk {
    std::array<std::atomic<std::uint64_t>, kChunk> epochs{};
  };

  std::atomic<std::uint64_t>& epoch(std::uint32_t slot) const noexcept {
    return chunks_[slot / kChunk].load(std::memory_order_acquire)->epochs[slot % kChunk];
  }
  std::uint32_t take_slot();
  void set(std::uint32_t slot, detail::TagRecord record);

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return detail::hash_key(text); }
  };

  mutable detail::ForkMutex mutex_;
  std::unordered_map<std::string, std::uint32_t, Hash, std::equal_to<>> slots_;
  std::unordered_map<std::uint32_t, detail::TagRecord> ruled_;  // records of slots with rules
  std::vector<std::uint32_t> free_;
  std::uint32_t next_ = 0;
  std::atomic<std::size_t> begun_{0};
  std::atomic<std::size_t> sweep_at_{10'000};
  mutable std::array<std::atomic<Chunk*>, kChunks> chunks_{};
};

}  // namespace memory
}  // namespace v1
}  // namespace flux::cache
