// flux/cache/engine/plan.hpp - what an entry will take and how its bytes are laid down; computed before any lock.
#pragma once
#include <flux/cache/engine/arena.hpp>
#include <flux/cache/engine/entry.hpp>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

namespace flux::cache {
inline namespace v1 {
namespace engine {

/// Sizes and shape of an entry that is to be written.
struct Plan {
  static constexpr std::uint64_t kTooLarge = ~std::uint64_t{0};
  static constexpr std::size_t kOverhead = 16;  ///< index, queues and marks of an entry, charged with it

  // Whole words: parts written one by one and read as one would have to wait for the stores before them.
  std::uint64_t charge;      ///< bytes it will be charged with; `kTooLarge` where a part is over its limit
  std::uint32_t size_class;  ///< of its slot
  std::uint32_t shape;       ///< see Entry

  [[gnu::always_inline]] Plan(std::string_view key, const Draft& draft) noexcept {
    const std::size_t rest = rest_size(key, draft);
    shape = static_cast<std::uint32_t>(draft.kind);
    if (draft.keep_until != kNever || draft.fresh_until != kNever) shape |= Entry::kKeep;
    if (draft.fresh_until < draft.keep_until) shape |= Entry::kFresh;
    if (!draft.labels.empty()) shape |= Entry::kLabels;
    if (key.size() > 0xFFFF) shape |= Entry::kLongKey;
    std::size_t size = Entry::rest_offset(shape) + rest;
    charge = kOverhead;
    if (size > std::size_t{SizeClasses::kLargest} * Arena::kUnit) [[unlikely]] {
      shape |= Entry::kOutside;
      size = Entry::rest_offset(shape) + sizeof(char*);
      charge += rest + 16;
    }
    size_class = SizeClasses::class_of(size);
    charge += SizeClasses::bytes_of(size_class);
    if (draft.kind == Kind::object) charge += draft.weight;
    if (key.size() > kMaxKeySize || draft.text.size() > kMaxTextSize || draft.labels.size() > kMaxLabelsSize)
      charge = kTooLarge;
  }
  bool is_outside() const noexcept { return (shape & Entry::kOutside) != 0; }

  /// Labels, key and text.
  static std::size_t rest_size(std::string_view key, const Draft& draft) noexcept {
    return Entry::labels_span(draft.labels.size()) + key.size() + (draft.kind == Kind::text ? draft.text.size() : 0);
  }
  /// Keys of the usual lengths are copied by two overlapping words; a call costs more than they do.
  [[gnu::always_inline]] static void copy_key(char* to, std::string_view key) noexcept {
    struct Wide {
      std::uint64_t words[2];
    };
    const std::size_t size = key.size();
    if (size - sizeof(Wide) <= sizeof(Wide)) [[likely]] {
      Wide first, last;
      std::memcpy(&first, key.data(), sizeof first);
      std::memcpy(&last, key.data() + size - sizeof last, sizeof last);
      std::memcpy(to, &first, sizeof first);
      std::memcpy(to + size - sizeof last, &last, sizeof last);
    } else {
      std::memcpy(to, key.data(), size);
    }
  }
  [[gnu::always_inline]] static void lay_rest(char* to, std::string_view key, const Draft& draft) noexcept {
    if (!draft.labels.empty()) {
      const auto size = static_cast<std::uint32_t>(draft.labels.size());
      std::memcpy(to, &size, sizeof size);
      std::memcpy(to + 8, draft.labels.data(), draft.labels.size());
      to += Entry::labels_span(draft.labels.size());
    }
    copy_key(to, key);
    if (draft.kind == Kind::text && !draft.text.empty())
      std::memcpy(to + key.size(), draft.text.data(), draft.text.size());
  }
  /// A block with what lies outside of the slot; null where memory is out.
  static void* make_block(std::string_view key, const Draft& draft) noexcept {
    void* const block = std::malloc(rest_size(key, draft));
    if (block != nullptr) lay_rest(static_cast<char*>(block), key, draft);
    return block;
  }

  /// Writes the whole entry but its place in the order. `block`: what `make_block` made, where `is_outside`.
  void lay(char* bytes, std::string_view key, std::uint32_t hash, std::uint64_t version, const Draft& draft,
           void* block) const noexcept {
    auto* const entry = new (bytes) Entry;
    entry->hash = hash;
    entry->position = 0;
    entry->text_size = draft.kind == Kind::text ? static_cast<std::uint32_t>(draft.text.size()) : 0;
    entry->key_size_low = static_cast<std::uint16_t>(key.size());
    entry->shape = static_cast<std::uint8_t>(shape);
    entry->recency.store(0, std::memory_order_relaxed);
    if ((shape & Entry::kKeep) != 0) new (bytes + sizeof(Entry)) std::atomic<Micros>(to_micros(draft.keep_until));
    if ((shape & Entry::kFresh) != 0) new (bytes + sizeof(Entry) + 8) std::atomic<Micros>(to_micros(draft.fresh_until));
    if (draft.kind == Kind::integer) new (bytes + entry->payload_offset()) std::atomic<std::int64_t>(draft.integer);
    if (draft.kind == Kind::object)
      new (bytes + entry->payload_offset()) HeldObject{draft.object, draft.type, draft.weight};
    if (is_outside()) {
      std::memcpy(bytes + entry->rest_offset(), &block, sizeof block);
    } else {
      lay_rest(bytes + entry->rest_offset(), key, draft);
    }
    entry->stamp.store((version << 16) | (std::uint64_t{draft.user_kind} << 8) | draft.flags,
                       std::memory_order_relaxed);
  }

  /// What an entry that stands in its slot takes: the same as when it was planned.
  struct Taken {
    std::uint32_t size_class;
    std::uint32_t rich;     ///< 1 with an object, or with a block outside of the slot
    std::uint64_t outside;  ///< bytes outside of the slot

    std::uint64_t charge() const noexcept { return SizeClasses::bytes_of(size_class) + outside + kOverhead; }
  };
  [[gnu::always_inline]] static Taken taken_by(const Entry& entry) noexcept {
    const std::uint32_t rich = entry.kind() == Kind::object || (entry.shape & Entry::kOutside) != 0;
    return {class_of(entry), rich, rich != 0 ? entry.outside_bytes() : 0};
  }
  /// The class of the slot that an entry stands in.
  [[gnu::always_inline]] static std::uint32_t class_of(const Entry& entry) noexcept {
    return SizeClasses::class_of(entry.slot_bytes());
  }
};

}  // namespace engine
}  // namespace v1
}  // namespace flux::cache
