// flux/cache/engine/epoch.hpp - when is memory that readers may still look at free to be used again?
//
// A reader announces itself by storing the current epoch in a record of its own, looks, and clears the record: two
// plain stores, no shared line written. A writer first unlinks an entry, so that no new reader can find it, stamps it
// with the epoch, and reuses it once every announced reader has announced itself at least two epochs later.
//
// The announcement must not sink below the reader's loads. The usual fence would cost each reader more than the rest of
// the lookup; instead the rare party pays: after raising the epoch, the advancing thread asks the kernel to run a full
// barrier on every core that runs this process (membarrier(2), PRIVATE_EXPEDITED). Why two epochs: a writer may read
// epoch e, be overtaken by the rise to e+1, and its unlinking store may leave the store buffer only in that rise's
// barrier; a reader of e+1 may therefore still have found the entry, a reader of e+2 cannot (the second rise follows
// the barrier, so both cost one). Where the system call is missing, and under ThreadSanitizer, readers and writers use
// sequentially consistent operations instead.
//
// Source: K. Fraser, "Practical lock-freedom", 2004 (epochs); M. Desnoyers et al., "User-Level Implementations of
// Read-Copy Update", IEEE TPDS 2012 (barriers by the writer).
//
// One domain serves all engines of the process. Records are never freed, only handed on when their thread ends, so that
// a thread-local or static destructor may still use a cache; after `fork` the child takes over the records of threads
// that do not exist in it.
#pragma once
#include <flux/cache/engine/lock.hpp>
#include <flux/cache/engine/sanitizers.hpp>

#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

namespace flux::cache {
inline namespace v1 {
namespace engine {

/// What the library keeps for a thread: where it reads, which counters are its own. Lives for ever, is reused.
struct alignas(64) ThreadRecord {
  std::atomic<std::uint64_t> section{0};  ///< the epoch announced by a reader; 0 outside of any read section
  std::atomic<bool> taken{false};         ///< belongs to a living thread
  std::uint32_t number = 0;               ///< small and dense: the first thread is 0
  ThreadRecord* next = nullptr;           ///< the domain's list; only ever grows at its head
};

/// The epochs of this process.
class EpochDomain {
 public:
  static constexpr std::uint64_t kMargin = 2;

  /// The epoch to stamp what was unlinked before this call. Orders that unlinking before the look at the epoch.
  std::uint64_t stamp() noexcept {
#if defined(FLUX_CACHE_TSAN)
    return epoch_.fetch_add(0, std::memory_order_seq_cst);
#else
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return epoch_.load(std::memory_order_acquire);
#endif
  }

  /// True where nobody can still read what was stamped so.
  bool is_safe(std::uint64_t stamp) const noexcept { return stamp < safe_.load(std::memory_order_acquire); }

  /// Raises the epoch, if need be, so far that `stamp` can become safe, and looks what has become safe. Never waits: if
  /// another thread is at it, that one's work counts. A rise costs 0.6 us alone, about 6 us beside a running thread.
  void advance(std::uint64_t stamp) noexcept {
    if (!advancing_.try_lock()) return;
    std::uint64_t now = epoch_.load(std::memory_order_relaxed);
    if (now < stamp + kMargin) {
      epoch_.fetch_add(1, std::memory_order_seq_cst);
      heavy_barrier();
      now = epoch_.fetch_add(1, std::memory_order_seq_cst) + 1;
    }
    std::uint64_t oldest = now;
    for (const ThreadRecord* record = records_.load(std::memory_order_acquire); record != nullptr;
         record = record->next) {
      const std::uint64_t section = record->section.load(kLook);
      if (section != 0 && section < oldest) oldest = section;
    }
    const std::uint64_t safe = oldest - (kMargin - 1);
    if (safe > safe_.load(std::memory_order_relaxed)) safe_.store(safe, std::memory_order_release);
    advancing_.unlock();
  }

  [[gnu::always_inline]] std::uint64_t enter(ThreadRecord& record) noexcept {
    const std::uint64_t before = record.section.load(std::memory_order_relaxed);
    if (before == 0) {
#if defined(FLUX_CACHE_TSAN)
      record.section.exchange(epoch_.load(std::memory_order_seq_cst), std::memory_order_seq_cst);
#else
      record.section.store(epoch_.load(std::memory_order_acquire), std::memory_order_release);
      if (light_.load(std::memory_order_relaxed)) [[likely]] {
        std::atomic_signal_fence(std::memory_order_seq_cst);
      } else {
        std::atomic_thread_fence(std::memory_order_seq_cst);
      }
#endif
    }
    return before;
  }
  [[gnu::always_inline]] static void leave(ThreadRecord& record, std::uint64_t before) noexcept {
    record.section.store(before, std::memory_order_release);
  }

  /// A record for a thread that has none; the domain's lock is held for the walk over the list.
  [[gnu::noinline]] ThreadRecord& acquire_record() noexcept {
    Held held(registry_);
    prepare();
    for (ThreadRecord* record = records_.load(std::memory_order_relaxed); record != nullptr; record = record->next) {
      if (!record->taken.load(std::memory_order_acquire)) {
        record->taken.store(true, std::memory_order_relaxed);
        return *record;
      }
    }
    auto* const record = new ThreadRecord;
    record->taken.store(true, std::memory_order_relaxed);
    record->number = count_++;
    record->next = records_.load(std::memory_order_relaxed);
    records_.store(record, std::memory_order_release);
    return *record;
  }
  static void release_record(ThreadRecord& record) noexcept { record.taken.store(false, std::memory_order_release); }

  Lock& registry() noexcept { return registry_; }
  /// Called once a process, and again in a forked child, under the registry's lock.
  void prepare() noexcept {
    if (prepared_) return;
    prepared_ = true;
#if !defined(FLUX_CACHE_TSAN)
    light_.store(::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0,
                 std::memory_order_relaxed);
#endif
  }
  /// In a forked child: only the calling thread lives on; `own` is its record, or null.
  void adopt_after_fork(const ThreadRecord* own) noexcept {
    prepared_ = false;
    prepare();
    for (ThreadRecord* record = records_.load(std::memory_order_relaxed); record != nullptr; record = record->next) {
      if (record == own) continue;
      record->section.store(0, std::memory_order_relaxed);
      record->taken.store(false, std::memory_order_relaxed);
    }
  }
  Lock& advancing() noexcept { return advancing_; }

 private:
#if defined(FLUX_CACHE_TSAN)
  static constexpr std::memory_order kLook = std::memory_order_seq_cst;
#else
  static constexpr std::memory_order kLook = std::memory_order_acquire;
#endif

  void heavy_barrier() noexcept {
#if !defined(FLUX_CACHE_TSAN)
    if (light_.load(std::memory_order_relaxed)) {
      ::syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    } else {
      std::atomic_thread_fence(std::memory_order_seq_cst);
    }
#endif
  }

  alignas(64) std::atomic<std::uint64_t> epoch_{8};  // read by every reader, written once in thousands of retirements
  std::atomic<bool> light_{false};
  alignas(64) std::atomic<std::uint64_t> safe_{0};
  std::atomic<ThreadRecord*> records_{nullptr};
  Lock advancing_;
  Lock registry_;
  std::uint32_t count_ = 0;
  bool prepared_ = false;
};

/// Constant-initialised and trivially destroyed, so that it works before, during and after static construction.
inline constinit EpochDomain epoch_domain;

inline constinit thread_local ThreadRecord* thread_record_pointer = nullptr;
inline constinit thread_local bool thread_is_ending = false;

/// Gives the record back when its thread ends.
struct ThreadRecordKeeper {
  ~ThreadRecordKeeper() {
    thread_is_ending = true;
    if (thread_record_pointer != nullptr && thread_record_pointer->section.load(std::memory_order_relaxed) == 0) {
      EpochDomain::release_record(*thread_record_pointer);
      thread_record_pointer = nullptr;
    }
  }
  void touch() const noexcept { asm volatile("" ::"r"(this)); }
};

[[gnu::noinline, gnu::cold]] inline ThreadRecord& register_thread() noexcept {
  thread_record_pointer = &epoch_domain.acquire_record();
  // A destructor of a later thread-local object may come here after the keeper is gone: that record stays taken.
  if (!thread_is_ending) {
    static thread_local ThreadRecordKeeper keeper;
    keeper.touch();
  }
  return *thread_record_pointer;
}

/// This thread's record: one load and one predicted branch.
[[gnu::always_inline]] inline ThreadRecord& this_thread() noexcept {
  ThreadRecord* const record = thread_record_pointer;
  if (record != nullptr) [[likely]]
    return *record;
  return register_thread();
}

/// While one lives, nothing that its thread found in an engine is reclaimed. Nests.
class ReadSection {
 public:
  ReadSection() noexcept : ReadSection(this_thread()) {}
  explicit ReadSection(ThreadRecord& record) noexcept : record_(record), before_(epoch_domain.enter(record)) {}
  ReadSection(const ReadSection&) = delete;
  ReadSection& operator=(const ReadSection&) = delete;
  ~ReadSection() { EpochDomain::leave(record_, before_); }

 private:
  ThreadRecord& record_;
  std::uint64_t before_;
};

}  // namespace engine
}  // namespace v1
}  // namespace flux::cache
