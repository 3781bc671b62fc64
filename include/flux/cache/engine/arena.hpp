// flux/cache/engine/arena.hpp - where entries live: slots of a few sizes, in pages, in large chunks.
//
// A slot is named by 32 bits (its distance in units of 16 bytes), so that the index and the queues need 4 bytes for an
// entry where a pointer takes 8. Chunks of 2 MiB come from the kernel, aligned; those that the
// bounds promise to fill are asked for as huge pages, because a wait for the page tables costs as much as one for the
// entry. A shard takes pages of 16 KiB from the chunks and cuts each into slots of one size. A page whose last slot was
// freed goes back and may serve another shard and size, so a load whose sizes change does not strand memory.
//
// Readers only translate a slot's number into an address. All else happens under a shard's lock, except for taking and
// giving back whole pages, which has a lock of its own. Free slots are poisoned under AddressSanitizer.
#pragma once
#include <flux/cache/engine/lock.hpp>
#include <flux/cache/engine/prefetch.hpp>
#include <flux/cache/engine/sanitizers.hpp>

#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>
#include <vector>

#if defined(FLUX_CACHE_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#endif

namespace flux::cache {
inline namespace v1 {
namespace engine {

/// A slot's number. 0 names none.
using Slot = std::uint32_t;

#if defined(FLUX_CACHE_ASAN)
inline constexpr bool kPoisons = true;
#else
inline constexpr bool kPoisons = false;
#endif

inline void poison([[maybe_unused]] const void* at, [[maybe_unused]] std::size_t size) noexcept {
#if defined(FLUX_CACHE_ASAN)
  __asan_poison_memory_region(at, size);
#endif
}
inline void unpoison([[maybe_unused]] const void* at, [[maybe_unused]] std::size_t size) noexcept {
#if defined(FLUX_CACHE_ASAN)
  __asan_unpoison_memory_region(at, size);
#endif
}

/// Objects are held from mapped memory, where the leak checker looks only if it is told.
inline void show_to_leak_checker([[maybe_unused]] const void* at, [[maybe_unused]] std::size_t size) noexcept {
#if defined(FLUX_CACHE_ASAN)
  __lsan_register_root_region(at, size);
#endif
}
inline void hide_from_leak_checker([[maybe_unused]] const void* at, [[maybe_unused]] std::size_t size) noexcept {
#if defined(FLUX_CACHE_ASAN)
  __lsan_unregister_root_region(at, size);
#endif
}

/// Slot sizes in units of 16 bytes: exact up to 256 bytes, then chosen so that a page is cut with little waste.
struct SizeClasses {
  static constexpr std::uint32_t kUnit = 16;
  static constexpr std::uint32_t kPageUnits = 1024;
  static constexpr std::uint32_t kLargest = 128;  ///< units; what is larger lives outside of the arena
  static constexpr std::uint8_t kUnits[] = {2,  3,  4,  5,  6,  7,  8,  9,  10, 11,  12,  13, 14, 15,
                                            16, 17, 18, 20, 22, 24, 26, 28, 30, 32,  36,  40, 44, 48,
                                            51, 56, 60, 64, 68, 73, 78, 85, 93, 102, 113, 128};
  static constexpr std::uint32_t kCount = sizeof kUnits;

  std::uint8_t of[kLargest + 1] = {};

  constexpr SizeClasses() noexcept {
    std::uint8_t index = 0;
    for (std::uint32_t units = 0; units <= kLargest; ++units) {
      if (units > kUnits[index]) ++index;
      of[units] = index;
    }
  }
  /// The class for so many bytes, up to the largest.
  static inline std::uint32_t class_of(std::size_t bytes) noexcept;
  static constexpr std::size_t bytes_of(std::uint32_t size_class) noexcept {
    return std::size_t{kUnits[size_class]} * kUnit;
  }
};
inline constexpr SizeClasses kSizeClasses;
inline std::uint32_t SizeClasses::class_of(std::size_t bytes) noexcept {
  return kSizeClasses.of[(bytes + kUnit - 1) / kUnit];
}

/// How full a shard is of what it may hold; `whole` 0 where nothing bounds it.
struct Fullness {
  std::uint64_t part, whole;
};

/// The chunks and pages of one engine.
class Arena {
 public:
  static constexpr std::uint32_t kUnit = SizeClasses::kUnit;
  static constexpr std::uint32_t kPageUnits = SizeClasses::kPageUnits;
  static constexpr std::size_t kPageBytes = std::size_t{kPageUnits} * kUnit;
  static constexpr std::uint32_t kChunkPages = 128;
  static constexpr std::size_t kChunkBytes = kPageBytes * kChunkPages;
  static constexpr std::uint32_t kChunks = 1u << 15;  // 64 GiB
  static constexpr std::uint32_t kChunkShift = 17;    // units of a chunk
  static constexpr std::uint32_t kPageShift = 10;     // units of a page
  static constexpr std::uint32_t kHugeFrom =
      32;  ///< where nothing is promised, huge pages are asked for from this chunk on

  /// One page's books; a cache line.
  struct alignas(64) Page {
    static constexpr std::uint32_t kWords = 8;
    std::uint64_t free[kWords] = {};  ///< one bit for each slot that is not in use
    std::uint32_t previous = 0;       ///< in the list of its shard and size class, while it has free slots
    std::uint32_t next = 0;
    std::uint16_t live = 0;
    std::uint16_t slots = 0;
    std::uint8_t size_class = 0;
    std::uint8_t units = 0;
    bool listed = false;
  };

  Arena() : bases_(zeroed<std::atomic<char*>>(kChunks)), books_(zeroed<Page*>(kChunks)) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() {
    for (std::uint32_t chunk = 1; chunk < chunks_; ++chunk) {
      char* const base = bases_[chunk].load(std::memory_order_relaxed);
      unpoison(base, kChunkBytes);
      hide_from_leak_checker(base, kChunkBytes);
      ::munmap(base, kChunkBytes);
      delete[] books_[chunk];
    }
    std::free(static_cast<void*>(bases_));
    std::free(static_cast<void*>(books_));
  }

  /// Where a slot lies. For readers: one load from a table that stays in the nearest cache.
  [[gnu::always_inline]] char* at(Slot slot) const noexcept {
    return bases_[slot >> kChunkShift].load(std::memory_order_relaxed) +
           std::size_t{slot & ((1u << kChunkShift) - 1)} * kUnit;
  }
  Page& page(std::uint32_t number) const noexcept { return books_[number >> 7][number & 127]; }
  static std::uint32_t page_of(Slot slot) noexcept { return slot >> kPageShift; }

  /// A page, in the books as owned by nobody; 0 where the kernel has no more. One shard's fullness stands for all.
  std::uint32_t take_page(const Fullness& fullness) noexcept {
    Held held(lock_);
    if (spare_.empty() && !add_chunk(fullness)) return 0;
    const std::uint32_t number = spare_.back();
    spare_.pop_back();
    ++pages_taken_;
    return number;
  }
  void give_page(std::uint32_t number) noexcept {
    Held held(lock_);
    spare_.push_back(number);  // capacity was reserved when the chunk came
    --pages_taken_;
    // What lies idle beyond an eighth of all goes back to the kernel; the address stays ours.
    if (spare_.size() > 4 * kChunkPages && spare_.size() > pages_taken_ / 8) {
      char* const base = at(number << kPageShift);
      unpoison(base, kPageBytes);
      ::madvise(base, kPageBytes, MADV_DONTNEED);
    }
  }

  /// Bytes of the pages in use.
  std::uint64_t bytes() noexcept {
    Held held(lock_);
    return pages_taken_ * kPageBytes;
  }
  Lock& lock() noexcept { return lock_; }

 private:
  template <class T>
  static T* zeroed(std::size_t count) {
    void* const memory = std::calloc(count, sizeof(T));  // large enough to be mapped lazily
    if (memory == nullptr) throw std::bad_alloc();
    return static_cast<T*>(memory);
  }

  /// True where the pages yet to come will fill a chunk: what was taken so far, told on to the bound.
  bool will_fill(const Fullness& fullness) const noexcept {
    if (fullness.whole == 0) return chunks_ >= kHugeFrom;
    if (fullness.part == 0) return false;
    const double taken = static_cast<double>(pages_taken_);
    return taken * static_cast<double>(fullness.whole) / static_cast<double>(fullness.part) >=
           taken + kChunkPages * 5 / 4;
  }
  bool add_chunk(const Fullness& fullness) noexcept {
    if (chunks_ == kChunks) return false;
    void* const raw = ::mmap(nullptr, 2 * kChunkBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (raw == MAP_FAILED) return false;
    char* const start = static_cast<char*>(raw);
    const auto address = reinterpret_cast<std::uintptr_t>(start);
    const std::size_t skip = (kChunkBytes - address % kChunkBytes) % kChunkBytes;
    if (skip > 0) ::munmap(start, skip);
    ::munmap(start + skip + kChunkBytes, kChunkBytes - skip);
    char* const base = start + skip;
    Page* const books = new (std::nothrow) Page[kChunkPages];
    bool ok = books != nullptr && ::mprotect(base, kChunkBytes, PROT_READ | PROT_WRITE) == 0;
    if (ok) {
      try {
        spare_.reserve(std::size_t{chunks_} * kChunkPages);
      } catch (...) {
        ok = false;
      }
    }
    if (!ok) {
      delete[] books;
      ::munmap(base, kChunkBytes);
      return false;
    }
    if (will_fill(fullness)) ::madvise(base, kChunkBytes, MADV_HUGEPAGE);
    poison(base, kChunkBytes);
    show_to_leak_checker(base, kChunkBytes);
    bases_[chunks_].store(base, std::memory_order_relaxed);
    books_[chunks_] = books;
    for (std::uint32_t page = kChunkPages; page > 0; --page) spare_.push_back(chunks_ * kChunkPages + page - 1);
    ++chunks_;
    return true;
  }

  std::atomic<char*>* bases_;
  Page** books_;
  Lock lock_;
  std::uint32_t chunks_ = 1;  // chunk 0 stays empty, so that slot 0 can name none
  std::vector<std::uint32_t> spare_;
  std::uint64_t pages_taken_ = 0;
};

/// A shard's share of the arena; used under the shard's lock alone.
class Slots {
 public:
  explicit Slots(Arena& arena) noexcept : arena_(arena) {}

  /// A slot of a class, or 0 where memory is out.
  Slot take(std::uint32_t size_class, const Fullness& fullness) noexcept {
    std::uint32_t number = open_[size_class];
    if (number == 0) [[unlikely]] {
      number = open_page(size_class, fullness);
      if (number == 0) return 0;
    }
    Arena::Page& page = arena_.page(number);
    std::uint32_t word = 0;
    while (page.free[word] == 0) ++word;
    const auto bit = static_cast<std::uint32_t>(__builtin_ctzll(page.free[word]));
    page.free[word] &= page.free[word] - 1;
    if (++page.live == page.slots) unlist(page);
    const Slot slot = (number << Arena::kPageShift) + (word * 64 + bit) * page.units;
    wake(slot, size_class);
    return slot;
  }
  /// A slot that is about to be written again, and one that nobody looks at any more but that stays taken.
  void wake([[maybe_unused]] Slot slot, [[maybe_unused]] std::uint32_t size_class) noexcept {
    if constexpr (kPoisons) unpoison(arena_.at(slot), SizeClasses::bytes_of(size_class));
  }
  void rest([[maybe_unused]] Slot slot, [[maybe_unused]] std::uint32_t size_class) noexcept {
    if constexpr (kPoisons) poison(arena_.at(slot), SizeClasses::bytes_of(size_class));
  }

  /// Back to its page, after `rest`; the page goes back to the arena with its last slot.
  void give(Slot slot) noexcept {
    const std::uint32_t number = Arena::page_of(slot);
    Arena::Page& page = arena_.page(number);
    const std::uint32_t index = (slot & (Arena::kPageUnits - 1)) / page.units;
    page.free[index / 64] |= std::uint64_t{1} << (index % 64);
    if (!page.listed) list(number, page);
    if (--page.live == 0) {
      unlist(page);
      --pages_;
      if (spare_ == 0 && pages_ >= 64) {
        spare_ = number;  // one stays at hand, so that a slot that comes and goes does not move pages
      } else {
        arena_.give_page(number);
      }
    }
  }

  std::size_t size_of(Slot slot) const noexcept {
    return std::size_t{arena_.page(Arena::page_of(slot)).units} * Arena::kUnit;
  }

  /// The slot that `take` would give, 0 where it would have to open a page; for prefetching.
  Slot peek(std::uint32_t size_class) const noexcept {
    const std::uint32_t number = open_[size_class];
    if (number == 0) return 0;
    const Arena::Page& page = arena_.page(number);
    std::uint32_t word = 0;
    while (word < Arena::Page::kWords && page.free[word] == 0) ++word;
    if (word == Arena::Page::kWords) return 0;
    return (number << Arena::kPageShift) +
           (word * 64 + static_cast<std::uint32_t>(__builtin_ctzll(page.free[word]))) * page.units;
  }
  /// Draws the first lines of a slot near, to write them.
  void prefetch(Slot slot, std::uint32_t size_class) const noexcept {
    if (slot == 0) return;
    const char* const at = arena_.at(slot);
    const std::size_t size = SizeClasses::bytes_of(size_class) < 192 ? SizeClasses::bytes_of(size_class) : 192;
    for (std::size_t line = 0; line < size; line += 64) prefetch_write(at + line);
    prefetch_write(at + size - 1);
  }

 private:
  [[gnu::noinline]] std::uint32_t open_page(std::uint32_t size_class, const Fullness& fullness) noexcept {
    const std::uint32_t number = spare_ != 0 ? std::exchange(spare_, 0) : arena_.take_page(fullness);
    if (number == 0) return 0;
    Arena::Page& page = arena_.page(number);
    page.units = SizeClasses::kUnits[size_class];
    page.size_class = static_cast<std::uint8_t>(size_class);
    page.slots = static_cast<std::uint16_t>(Arena::kPageUnits / page.units);
    page.live = 0;
    page.listed = false;
    for (std::uint32_t word = 0; word < Arena::Page::kWords; ++word) {
      const std::uint32_t first = word * 64;
      page.free[word] = first >= page.slots       ? 0
                        : page.slots - first < 64 ? (std::uint64_t{1} << (page.slots - first)) - 1
                                                  : ~std::uint64_t{0};
    }
    poison(arena_.at(number << Arena::kPageShift), Arena::kPageBytes);
    list(number, page);
    ++pages_;
    return number;
  }
  void list(std::uint32_t number, Arena::Page& page) noexcept {
    // Behind the first, so that the page that is being filled stays first.
    std::uint32_t& head = open_[page.size_class];
    page.listed = true;
    if (head == 0) {
      page.previous = page.next = 0;
      head = number;
      return;
    }
    Arena::Page& first = arena_.page(head);
    page.previous = head;
    page.next = first.next;
    if (page.next != 0) arena_.page(page.next).previous = number;
    first.next = number;
  }
  void unlist(Arena::Page& page) noexcept {
    if (page.previous != 0) {
      arena_.page(page.previous).next = page.next;
    } else {
      open_[page.size_class] = page.next;
    }
    if (page.next != 0) arena_.page(page.next).previous = page.previous;
    page.previous = page.next = 0;
    page.listed = false;
  }

  Arena& arena_;
  std::uint32_t open_[SizeClasses::kCount] = {};
  std::uint32_t spare_ = 0;
  std::uint32_t pages_ = 0;
};

}  // namespace engine
}  // namespace v1
}  // namespace flux::cache
