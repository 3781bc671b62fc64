// Which tags a key carried when it was last seen, so that the next read asks for their records at once.
#pragma once
#include <flux/cache/entry.hpp>
#include <flux/cache/key.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

/// A bounded table of guesses. A wrong one costs a round trip, or some bytes; nothing relies on it. Thread-safe.
class TagHints {
 public:
  using Names = std::shared_ptr<const std::vector<std::string>>;

  /// Null: none are known.
  Names find(const Key& key) const {
    if (!any_.load(std::memory_order_relaxed)) return nullptr;
    const Slot& slot = (*slots_)[key.hash() % kSlots];
    const std::unique_lock lock(slot.mutex, std::try_to_lock);  // a child of fork may find it taken for ever
    return lock && slot.hash == key.hash() ? slot.names : nullptr;
  }
  void note(const Key& key, std::span<const TagStamp> tags) {
    if (tags.empty() && !any_.load(std::memory_order_relaxed)) return;
    any_.store(true, std::memory_order_relaxed);
    Slot& slot = (*slots_)[key.hash() % kSlots];
    const std::unique_lock lock(slot.mutex, std::try_to_lock);
    if (!lock) return;
    if (tags.empty()) {
      if (slot.hash == key.hash()) slot.names = nullptr;
      return;
    }
    slot.hash = key.hash();
    auto names = std::make_shared<std::vector<std::string>>();
    for (const TagStamp& tag : tags) names->emplace_back(tag.name);
    slot.names = std::move(names);
  }

 private:
  struct Slot {
    mutable std::mutex mutex;
    std::uint64_t hash = 0;
    Names names;
  };
  static constexpr std::size_t kSlots = 1024;
  using Slots = std::array<Slot, kSlots>;

  std::atomic<bool> any_{false};
  const std::unique_ptr<Slots> slots_ = std::make_unique<Slots>();
};

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
