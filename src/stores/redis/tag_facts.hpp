// What the records of tags said last, so that the next put under them needs no script to look first.
#pragma once
#include <flux/cache/detail/hash.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

/// As far as this process knows; whoever relies on it asks the server in the same burst whether it still holds.
struct TagFact {
  using Clock = std::chrono::steady_clock;

  std::uint64_t epoch = 0;
  Clock::time_point lives_until{};  ///< the server keeps the record at least so long
};

/// A bounded table. Thread-safe; who finds a slot in use, as a child of fork may for ever, knows nothing.
class TagFacts {
 public:
  std::optional<TagFact> find(std::string_view tag) const {
    Slot& slot = slot_of(tag);
    const std::unique_lock lock(slot.mutex, std::try_to_lock);
    return lock && slot.fact.epoch != 0 && slot.tag == tag ? std::optional<TagFact>(slot.fact) : std::nullopt;
  }
  void note(std::string_view tag, const TagFact& fact) {
    Slot& slot = slot_of(tag);
    const std::unique_lock lock(slot.mutex, std::try_to_lock);
    if (!lock) return;
    slot.tag = tag;
    slot.fact = fact;
  }
  void forget(std::string_view tag) {
    Slot& slot = slot_of(tag);
    const std::unique_lock lock(slot.mutex, std::try_to_lock);
    if (lock && slot.tag == tag) slot.fact = {};
  }

 private:
  struct Slot {
    std::mutex mutex;
    std::string tag;
    TagFact fact;
  };
  static constexpr std::size_t kSlots = 256;
  Slot& slot_of(std::string_view tag) const noexcept { return (*slots_)[detail::hash_key(tag) % kSlots]; }

  const std::unique_ptr<std::array<Slot, kSlots>> slots_ = std::make_unique<std::array<Slot, kSlots>>();
};

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
