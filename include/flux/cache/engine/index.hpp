// flux/cache/engine/index.hpp - from a key's hash to its slot: buckets of one cache line, read without locks.
//
// A bucket holds twelve one-byte tags and twelve slot numbers. A reader loads the tags as two words, compares all at
// once, and follows the few numbers that match; whether the key is the right one, the entry itself says. A key whose
// bucket is full goes to one of the next buckets, and its own bucket counts that, so that a miss nearly always ends
// after one line. A live key never moves within a table: overwriting swaps the number in place by one store, so a
// reader sees the old entry or the new one, never neither. Only the holder of the shard's lock writes.
//
// Source: the buckets compared at once are those of Folly's F14 (N. Bronson, X. Shi, 2019), without its moves.
#pragma once
#include <flux/cache/engine/arena.hpp>
#include <flux/cache/engine/sanitizers.hpp>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

// All tags are loaded at once by an instruction that the language does not know as atomic; that is why it is written as
// assembly. Processors load aligned sixteen bytes as two whole words at least, which is all that is asked for.
// ThreadSanitizer is shown two loads of a word.
#if defined(__SSE2__) && defined(__x86_64__) && !defined(FLUX_CACHE_TSAN)
#define FLUX_CACHE_WIDE_TAGS 1
#include <emmintrin.h>
#endif

namespace flux::cache {
inline namespace v1 {
namespace engine {

struct alignas(64) Bucket {
  static constexpr std::uint32_t kWays = 12;
  static constexpr std::uint32_t kAllWays = (1u << kWays) - 1;
  static constexpr std::uint32_t kMostEscaped = 255;

  std::atomic<std::uint64_t>
      tags[2];  ///< bytes 0 to 11: tags, 0 is empty; byte 12: keys that live further on; byte 13: how far
  std::atomic<Slot> slots[kWays];

  struct Tags {
#if defined(FLUX_CACHE_WIDE_TAGS)
    __m128i all;
    std::uint32_t escaped() const noexcept { return static_cast<std::uint32_t>(_mm_extract_epi16(all, 6)) & 0xFF; }
    std::uint32_t furthest() const noexcept { return static_cast<std::uint32_t>(_mm_extract_epi16(all, 6)) >> 8; }
    /// One bit for each way whose tag equals `tag`.
    [[gnu::always_inline]] std::uint32_t match(std::uint8_t tag) const noexcept {
      const __m128i wanted = _mm_set1_epi8(static_cast<char>(tag));
      return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(all, wanted))) & kAllWays;
    }
#else
    std::uint64_t low, high;
    std::uint32_t escaped() const noexcept { return (high >> 32) & 0xFF; }
    std::uint32_t furthest() const noexcept { return (high >> 40) & 0xFF; }
    std::uint32_t match(std::uint8_t tag) const noexcept {
      std::uint32_t found = 0;
      for (std::uint32_t way = 0; way < 8; ++way) found |= std::uint32_t{((low >> (8 * way)) & 0xFF) == tag} << way;
      for (std::uint32_t way = 0; way < 4; ++way)
        found |= std::uint32_t{((high >> (8 * way)) & 0xFF) == tag} << (8 + way);
      return found;
    }
#endif
  };

  [[gnu::always_inline]] Tags read_tags() const noexcept {
#if defined(FLUX_CACHE_WIDE_TAGS)
    Tags now;
    asm volatile("movdqa %1, %0" : "=x"(now.all) : "m"(tags));
    std::atomic_signal_fence(std::memory_order_acquire);
    return now;
#else
    return {tags[0].load(std::memory_order_acquire), tags[1].load(std::memory_order_acquire)};
#endif
  }
  /// The way that holds a slot's number; `kWays` or more where none does. Under the lock, so nothing changes meanwhile.
  std::uint32_t way_of(Slot wanted) const noexcept {
#if defined(FLUX_CACHE_WIDE_TAGS)
    const auto* const four = reinterpret_cast<const __m128i*>(slots);
    const __m128i all = _mm_set1_epi32(static_cast<int>(wanted));
    const __m128i low =
        _mm_packs_epi32(_mm_cmpeq_epi32(_mm_load_si128(four), all), _mm_cmpeq_epi32(_mm_load_si128(four + 1), all));
    const __m128i high = _mm_packs_epi32(_mm_cmpeq_epi32(_mm_load_si128(four + 2), all), _mm_setzero_si128());
    const auto found = static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(low, high)));
    return static_cast<std::uint32_t>(__builtin_ctz(found | 1u << kWays));
#else
    std::uint32_t way = 0;
    while (way < kWays && slots[way].load(std::memory_order_relaxed) != wanted) ++way;
    return way;
#endif
  }
  void set_byte(std::uint32_t at, std::uint32_t value) noexcept {
    std::atomic<std::uint64_t>& word = tags[at / 8];
    const std::uint32_t shift = (at % 8) * 8;
    const std::uint64_t now = word.load(std::memory_order_relaxed);
    word.store((now & ~(std::uint64_t{0xFF} << shift)) | (std::uint64_t{value} << shift), std::memory_order_release);
  }
};
static_assert(sizeof(Bucket) == 64);

/// The parts of a 64-bit hash: the lower half places a key in its shard's table and samples it, the upper half names
/// shard and tag.
inline constexpr std::uint32_t place_of(std::uint64_t hash) noexcept { return static_cast<std::uint32_t>(hash); }
inline constexpr std::uint8_t tag_of(std::uint64_t hash) noexcept {
  const auto tag = static_cast<std::uint8_t>(hash >> 32);
  return static_cast<std::uint8_t>(tag + (tag == 0));  // 0 is an empty way
}

/// One shard's buckets: this header, then the buckets, in one block.
class alignas(64) Table {
 public:
  static constexpr std::uint32_t kReach = 32;  ///< buckets that a key may lie away from its own

  /// Empty buckets are zeros, so a large table takes no memory before it is used.
  static Table* make(std::uint32_t buckets) {
    const std::size_t bytes = sizeof(Table) + std::size_t{buckets} * sizeof(Bucket);
    void* const block = std::calloc(1, bytes + alignof(Table));
    if (block == nullptr) throw std::bad_alloc();
    const auto address = reinterpret_cast<std::uintptr_t>(block);
    return new (static_cast<char*>(block) + (alignof(Table) - address % alignof(Table))) Table(buckets, block);
  }
  static void destroy(Table* table) noexcept { std::free(table->block_); }

  std::uint32_t size() const noexcept { return buckets_; }
  std::size_t bytes() const noexcept { return sizeof(Table) + std::size_t{buckets_} * sizeof(Bucket); }
  Bucket& bucket(std::uint32_t index) noexcept { return reinterpret_cast<Bucket*>(this + 1)[index]; }
  const Bucket& bucket(std::uint32_t index) const noexcept { return reinterpret_cast<const Bucket*>(this + 1)[index]; }
  std::uint32_t home(std::uint32_t place) const noexcept {
    return static_cast<std::uint32_t>((std::uint64_t{place} * buckets_) >> 32);
  }
  std::uint32_t next(std::uint32_t index) const noexcept { return index + 1 == buckets_ ? 0 : index + 1; }
  std::uint32_t reach() const noexcept { return buckets_ < kReach ? buckets_ : kReach; }

  /// Where a slot's number stands.
  struct Place {
    std::uint32_t bucket = 0;
    std::uint32_t way = 0;
    Slot slot = 0;
  };

  /// The first slot under this tag for which `same(slot)` holds; slot 0 if none. Callable without any lock.
  template <class Same>
  [[gnu::always_inline]] Place find(std::uint32_t place, std::uint8_t tag, Same&& same) const noexcept {
    std::uint32_t index = home(place);
    std::uint32_t further = 0;
    for (bool first = true;; first = false) {
      const Bucket& here = bucket(index);
      const Bucket::Tags tags = here.read_tags();
      for (std::uint32_t ways = tags.match(tag); ways != 0; ways &= ways - 1) {
        const auto way = static_cast<std::uint32_t>(__builtin_ctz(ways));
        const Slot slot = here.slots[way].load(std::memory_order_acquire);
        if (slot != 0 && same(slot)) [[likely]]
          return {index, way, slot};
      }
      if (first) further = tags.furthest();
      if (further == 0) [[likely]]
        return {};
      --further;
      index = next(index);
    }
  }

  /// Finds a slot by its number where the tag is not known; under the lock.
  Place find_slot(std::uint32_t place, Slot wanted) const noexcept {
    std::uint32_t index = home(place);
    for (std::uint32_t distance = 0, furthest = bucket(index).read_tags().furthest(); distance <= furthest;
         ++distance) {
      const std::uint32_t way = bucket(index).way_of(wanted);
      if (way < Bucket::kWays) return {index, way, wanted};
      index = next(index);
    }
    return {};
  }

  void swap(const Place& at, Slot slot) noexcept {
    bucket(at.bucket).slots[at.way].store(slot, std::memory_order_release);
  }

  /// False where all buckets within reach are full.
  bool insert(std::uint32_t place, std::uint8_t tag, Slot slot) noexcept {
    const std::uint32_t first = home(place);
    std::uint32_t index = first;
    for (std::uint32_t distance = 0, reach_ = reach(); distance < reach_; ++distance) {
      Bucket& here = bucket(index);
      const std::uint32_t empty = here.read_tags().match(0);
      if (empty != 0) {
        if (distance > 0) escape(bucket(first), distance);
        const auto way = static_cast<std::uint32_t>(__builtin_ctz(empty));
        here.slots[way].store(slot, std::memory_order_release);
        here.set_byte(way, tag);
        return true;
      }
      index = next(index);
    }
    return false;
  }

  void erase(std::uint32_t place, const Place& at) noexcept {
    Bucket& here = bucket(at.bucket);
    here.set_byte(at.way, 0);
    here.slots[at.way].store(0, std::memory_order_release);
    const std::uint32_t first = home(place);
    if (at.bucket != first) come_home(bucket(first));
  }

  std::uint8_t tag_at(const Place& at) const noexcept {
    return static_cast<std::uint8_t>(bucket(at.bucket).tags[at.way / 8].load(std::memory_order_relaxed) >>
                                     ((at.way % 8) * 8));
  }

 private:
  Table(std::uint32_t buckets, void* block) noexcept : buckets_(buckets), block_(block) {}

  static void escape(Bucket& home, std::uint32_t distance) noexcept {
    const Bucket::Tags now = home.read_tags();
    if (distance > now.furthest()) home.set_byte(13, distance);
    if (now.escaped() < Bucket::kMostEscaped) home.set_byte(12, now.escaped() + 1);
  }
  static void come_home(Bucket& home) noexcept {
    const std::uint32_t escaped = home.read_tags().escaped();
    if (escaped == Bucket::kMostEscaped) return;  // once it cannot count on, it stays; a new table starts afresh
    home.set_byte(12, escaped - 1);
    if (escaped == 1) home.set_byte(13, 0);
  }

  std::uint32_t buckets_;
  void* block_;
};

}  // namespace engine
}  // namespace v1
}  // namespace flux::cache
