// flux/cache/engine/entry.hpp - how an entry lies in its slot, and what a reader sees of it.
//
//   header (24 bytes) | keep, fresh deadline | integer or object | address outside | labels | key | text
//
// Only what an entry needs is there: the `shape` byte says which parts. A text without lifetime is header, key, text,
// so that the header and a usual key share the first cache line. Where the whole does not fit into the largest slot,
// the last three parts lie in a block of their own and the slot keeps its address.
//
// After publication nothing changes but: the recency, the deadlines (`touch`), and an integer with its version. Those
// are atomic. A reader takes the version before the integer and a writer stores it after the integer, so that a
// compare-and-swap with a version that was read can never overlook an increment.
#pragma once
#include <flux/cache/clock.hpp>
#include <flux/cache/engine/arena.hpp>
#include <flux/cache/type.hpp>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <string_view>

namespace flux::cache {
inline namespace v1 {
namespace engine {

/// What an entry holds.
enum class Kind : std::uint8_t {
  text,     ///< bytes
  integer,  ///< 64 bits, counted in place
  object,   ///< a live, immutable object with its type's table
};

/// Longest key in bytes.
inline constexpr std::size_t kMaxKeySize = 0x1FFFF;
/// Longest text in bytes.
inline constexpr std::size_t kMaxTextSize = 0xFFFFFFFF;
/// Longest label block in bytes.
inline constexpr std::size_t kMaxLabelsSize = 0xFFFFF;

/// A moment as the entry keeps it: microseconds on the steady line.
using Micros = std::int64_t;
inline constexpr Micros kNeverMicros = Instant::max().time_since_epoch().count();
inline constexpr Micros to_micros(Instant moment) noexcept { return moment.time_since_epoch().count(); }
inline constexpr Instant to_instant(Micros micros) noexcept { return Instant(Duration(micros)); }

/// The object part.
struct HeldObject {
  Object object;
  const Type* type;
  std::uint64_t weight;
};

/// Compares keys in words of eight, the last ones overlapping; short keys are most, and a call to memcmp costs as much.
[[gnu::always_inline]] inline bool same_bytes(const char* a, const char* b, std::size_t size) noexcept {
  if (size < 8) {
    for (std::size_t at = 0; at < size; ++at)
      if (a[at] != b[at]) return false;
    return true;
  }
  if (size > 64) return std::memcmp(a, b, size) == 0;
  std::uint64_t x, y, differs = 0;
  for (std::size_t at = 0; at + 8 < size; at += 8) {
    std::memcpy(&x, a + at, 8);
    std::memcpy(&y, b + at, 8);
    differs |= x ^ y;
  }
  std::memcpy(&x, a + size - 8, 8);
  std::memcpy(&y, b + size - 8, 8);
  return (differs | (x ^ y)) == 0;
}

struct Entry {
  static constexpr std::uint8_t kKindBits = 0x03, kOutside = 0x04, kKeep = 0x08, kFresh = 0x10, kLabels = 0x20,
                                kLongKey = 0x40;
  static constexpr std::uint8_t kUnusual =
      kOutside | kLabels | kLongKey;                     ///< without these, key and text follow at once
  static constexpr std::uint32_t kRetired = 0xFFFFFFFF;  ///< position of an entry that is in no queue
  static constexpr std::uint8_t kMostRecency = 3;

  std::atomic<std::uint64_t> stamp;   ///< version in the upper 48 bits, then the caller's kind, then the flags
  std::uint32_t hash;                 ///< the lower half of the key's hash
  std::uint32_t position;             ///< place in the eviction order; under the shard's lock
  std::uint32_t text_size;            //
  std::uint16_t key_size_low;         //
  std::atomic<std::uint8_t> recency;  ///< how often it was seen lately, up to 3
  std::uint8_t shape;                 //

  Kind kind() const noexcept { return static_cast<Kind>(shape & kKindBits); }
  std::uint64_t version() const noexcept { return stamp.load(std::memory_order_acquire) >> 16; }
  std::size_t key_size() const noexcept { return key_size_low + ((shape & kLongKey) != 0 ? std::size_t{0x10000} : 0); }

  char* bytes() const noexcept { return reinterpret_cast<char*>(const_cast<Entry*>(this)); }
  std::atomic<Micros>& micros(std::size_t offset) const noexcept {
    return *reinterpret_cast<std::atomic<Micros>*>(bytes() + offset);
  }
  bool has_deadline() const noexcept { return (shape & kKeep) != 0; }
  Micros keep() const noexcept {
    return (shape & kKeep) != 0 ? micros(sizeof(Entry)).load(std::memory_order_relaxed) : kNeverMicros;
  }
  Micros fresh() const noexcept {
    return (shape & kFresh) != 0 ? micros(sizeof(Entry) + 8).load(std::memory_order_relaxed) : keep();
  }

  std::size_t payload_offset() const noexcept { return payload_offset(shape); }
  std::size_t rest_offset() const noexcept { return rest_offset(shape); }
  static constexpr std::size_t payload_offset(std::uint32_t shape) noexcept {
    return sizeof_header() + ((shape & kKeep) != 0 ? 8 : 0) + ((shape & kFresh) != 0 ? 8 : 0);
  }
  static std::size_t rest_offset(std::uint32_t shape) noexcept;
  static constexpr std::size_t sizeof_header() noexcept { return 24; }

  std::atomic<std::int64_t>& integer() const noexcept {
    return *reinterpret_cast<std::atomic<std::int64_t>*>(bytes() + payload_offset());
  }
  HeldObject& object() const noexcept { return *reinterpret_cast<HeldObject*>(bytes() + payload_offset()); }

  /// Labels, key and text, here or outside.
  [[gnu::always_inline]] char* rest() const noexcept {
    char* const here = bytes() + rest_offset();
    return (shape & kOutside) == 0 ? here : block_at(here);
  }
  static char* block_at(const char* here) noexcept {
    char* block;
    std::memcpy(&block, here, sizeof block);
    return block;
  }
  [[gnu::always_inline]] std::string_view labels() const noexcept {
    if ((shape & kLabels) == 0) return {};
    const char* const from = rest();
    std::uint32_t size;
    std::memcpy(&size, from, sizeof size);
    return {from + 8, size};
  }
  /// Bytes of the label part: a size, padding, the labels, padding to 8.
  static std::size_t labels_span(std::size_t size) noexcept {
    return size == 0 ? 0 : 8 + ((size + 7) & ~std::size_t{7});
  }
  [[gnu::always_inline]] const char* key_data() const noexcept {
    if ((shape & kUnusual) == 0) [[likely]]
      return bytes() + rest_offset();
    const char* const from = rest();
    if ((shape & kLabels) == 0) return from;
    std::uint32_t size;
    std::memcpy(&size, from, sizeof size);
    return from + labels_span(size);
  }
  [[gnu::always_inline]] std::string_view key() const noexcept { return {key_data(), key_size()}; }
  [[gnu::always_inline]] std::string_view text() const noexcept {
    if ((shape & kUnusual) == 0) [[likely]]
      return {bytes() + rest_offset() + key_size_low, text_size};
    return {key_data() + key_size(), text_size};
  }

  [[gnu::always_inline]] bool has_key(std::string_view wanted) const noexcept {
    if ((shape & kUnusual) == 0) [[likely]]
      return key_size_low == wanted.size() && same_bytes(bytes() + rest_offset(), wanted.data(), wanted.size());
    return has_unusual_key(wanted);
  }
  [[gnu::noinline]] bool has_unusual_key(std::string_view wanted) const noexcept {
    return key_size() == wanted.size() && same_bytes(key_data(), wanted.data(), wanted.size());
  }

  /// Bytes of the slot in use.
  [[gnu::always_inline]] std::size_t slot_bytes() const noexcept {
    if ((shape & kUnusual) == 0) [[likely]]
      return rest_offset() + key_size_low + text_size;
    if ((shape & kOutside) != 0) return rest_offset() + sizeof(char*);
    return rest_offset() + labels_span(labels().size()) + key_size() + text_size;
  }
  /// Bytes outside of the slot that belong to the entry.
  std::size_t outside_bytes() const noexcept {
    std::size_t sum = kind() == Kind::object ? object().weight : 0;
    if ((shape & kOutside) != 0) sum += labels_span(labels().size()) + key_size() + text_size + 16;
    return sum;
  }
};
static_assert(sizeof(Entry) == Entry::sizeof_header());

/// Where labels, key and text begin, by shape: one load for what three decisions say.
struct RestOffsets {
  std::uint8_t of[128] = {};
  constexpr RestOffsets() noexcept {
    constexpr std::uint8_t kSizes[4] = {0, 8, sizeof(HeldObject), 0};
    for (std::uint32_t shape = 0; shape < 128; ++shape)
      of[shape] = static_cast<std::uint8_t>(Entry::payload_offset(shape) + kSizes[shape & Entry::kKindBits]);
  }
};
inline constexpr RestOffsets kRestOffsets;
[[gnu::always_inline]] inline std::size_t Entry::rest_offset(std::uint32_t shape) noexcept {
  return kRestOffsets.of[shape];
}

/// The engine's time, read as late and as cheaply as the question allows.
class Now {
 public:
  /// `clock` null: the machine's own steady clock.
  explicit Now(const Clock* clock) noexcept : clock_(clock) {}

  /// True where `deadline` has come. Without a deadline no clock is read; far from it the coarse one suffices.
  bool reached(Micros deadline) const noexcept {
    if (deadline == kNeverMicros) return false;
    if (clock_ != nullptr) return deadline <= to_micros(clock_->now());
    const Micros coarse = machine(CLOCK_MONOTONIC_COARSE);
    if (deadline <= coarse) return true;
    if (deadline > coarse + kGrain) return false;
    return deadline <= machine(CLOCK_MONOTONIC);
  }
  /// The moment, to the clock's best.
  Micros exact() const noexcept { return clock_ != nullptr ? to_micros(clock_->now()) : machine(CLOCK_MONOTONIC); }
  /// The moment, at most `kGrain` behind.
  Micros coarse() const noexcept {
    return clock_ != nullptr ? to_micros(clock_->now()) : machine(CLOCK_MONOTONIC_COARSE);
  }

  static constexpr Micros kGrain = 20'000;  ///< more than any kernel's tick (10 ms at 100 Hz)

 private:
  static Micros machine(clockid_t which) noexcept {
    timespec at{};
    ::clock_gettime(which, &at);
    return Micros{at.tv_sec} * 1'000'000 + at.tv_nsec / 1'000;
  }
  const Clock* clock_;
};

/// An entry as a reader sees it: borrowed, valid inside the call that hands it out.
class View {
 public:
  View(const Entry& entry, Now now) noexcept
      : entry_(&entry), stamp_(entry.stamp.load(std::memory_order_acquire)), now_(now) {}

  std::string_view key() const noexcept { return entry_->key(); }
  Kind kind() const noexcept { return entry_->kind(); }
  /// The bytes; empty for other kinds.
  [[gnu::always_inline]] std::string_view text() const noexcept { return entry_->text(); }
  /// Only for `Kind::integer`.
  std::int64_t integer() const noexcept { return entry_->integer().load(std::memory_order_acquire); }
  /// Only for `Kind::object`: the object, borrowed.
  const void* object() const noexcept { return entry_->object().object.get(); }
  /// Only for `Kind::object`: a copy keeps the object beyond the call.
  const Object& share() const noexcept { return entry_->object().object; }
  /// Only for `Kind::object`.
  const Type& type() const noexcept { return *entry_->object().type; }
  /// After this the entry is stale; never later than `keep_until`.
  Instant fresh_until() const noexcept { return to_instant(entry_->fresh()); }
  /// At this moment the entry is gone.
  Instant keep_until() const noexcept { return to_instant(entry_->keep()); }
  bool has_deadline() const noexcept { return entry_->has_deadline(); }
  /// True before `fresh_until`; reads a clock only where there is a deadline of its own to compare.
  [[gnu::always_inline]] bool is_fresh() const noexcept {
    return (entry_->shape & Entry::kFresh) == 0 || !now_.reached(entry_->fresh());
  }
  /// Another number after each write of this key; for compare-and-swap. Unique for 2^48 writes of a shard.
  std::uint64_t version() const noexcept { return stamp_ >> 16; }
  std::uint8_t user_kind() const noexcept { return static_cast<std::uint8_t>(stamp_ >> 8); }
  std::uint8_t flags() const noexcept { return static_cast<std::uint8_t>(stamp_); }
  /// The caller's opaque block, aligned to 8.
  [[gnu::always_inline]] std::string_view labels() const noexcept { return entry_->labels(); }
  bool has_labels() const noexcept { return (entry_->shape & Entry::kLabels) != 0; }
  const Now& now() const noexcept { return now_; }
  const Entry& entry() const noexcept { return *entry_; }

 private:
  const Entry* entry_;
  std::uint64_t stamp_;
  Now now_;
};

/// What to write. Views only: the engine copies.
struct Draft {
  Kind kind = Kind::text;
  std::string_view text{};       ///< `Kind::text`
  std::int64_t integer = 0;      ///< `Kind::integer`
  Object object{};               ///< `Kind::object`
  const Type* type = nullptr;    ///< `Kind::object`
  std::size_t weight = 0;        ///< `Kind::object`: bytes charged; `of` asks the type
  Instant keep_until = kNever;   ///< gone from then on
  Instant fresh_until = kNever;  ///< stale from then on; what is later than `keep_until` counts as `keep_until`
  std::string_view labels{};     ///< opaque, small; readers get it back aligned to 8
  std::uint8_t user_kind = 0;    ///< the caller's, handed back
  std::uint8_t flags = 0;        ///< the caller's, handed back

  static Draft of(std::string_view text) noexcept {
    Draft draft;
    draft.text = text;
    return draft;
  }
  static Draft of(std::int64_t integer) noexcept {
    Draft draft;
    draft.kind = Kind::integer;
    draft.integer = integer;
    return draft;
  }
  /// Weighs the object; what its weigher throws passes through.
  static Draft of(Object object, const Type& type) {
    Draft draft;
    draft.kind = Kind::object;
    draft.weight = type.weigh != nullptr ? type.weigh(object.get()) : 0;
    draft.object = std::move(object);
    draft.type = &type;
    return draft;
  }
  Draft& until(Instant keep) noexcept {
    keep_until = fresh_until = keep;
    return *this;
  }
  Draft& until(Instant fresh, Instant keep) noexcept {
    fresh_until = fresh;
    keep_until = keep;
    return *this;
  }
};

}  // namespace engine
}  // namespace v1
}  // namespace flux::cache
