// Which tags an entry had as it was read for a swap, so that the swap need not read it again to find out.
#pragma once
#include <flux/cache/detail/hash.hpp>
#include <flux/cache/entry.hpp>
#include <flux/cache/key.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <span>

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// Thread-safe and lossy: of the entries last noted some are still known, by a fingerprint of key, version and stamps.
/// A version stands for one write of its key, whose tags no later one changes.
class TagsSeen {
 public:
  void note(const Key& key, const Entry& entry) noexcept {
    slot(key).store(print(key, entry.version, entry.tags), std::memory_order_relaxed);
  }
  /// False says nothing: it may have been forgotten.
  bool knows(const Key& key, std::uint64_t version, std::span<const TagStamp> tags) const noexcept {
    return slot(key).load(std::memory_order_relaxed) == print(key, version, tags);
  }

 private:
  static std::uint64_t print(const Key& key, std::uint64_t version, std::span<const TagStamp> tags) noexcept {
    std::uint64_t print = fold(key.hash(), version);
    for (const TagStamp& tag : tags) print = fold(fold(print, hash_key(tag.name)), tag.epoch);
    return print;
  }
  static std::uint64_t fold(std::uint64_t a, std::uint64_t b) noexcept {
    const std::uint64_t parts[] = {a, b};
    return hash_key({reinterpret_cast<const char*>(parts), sizeof parts});
  }
  std::atomic<std::uint64_t>& slot(const Key& key) noexcept { return slots_[key.hash() % kSlots]; }
  const std::atomic<std::uint64_t>& slot(const Key& key) const noexcept { return slots_[key.hash() % kSlots]; }

  static constexpr std::size_t kSlots = 256;
  std::array<std::atomic<std::uint64_t>, kSlots> slots_{};
};

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
