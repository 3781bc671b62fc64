// The generations of a prefix: what an entry must be stamped with to be alive. One on a server; on a cluster one for
// each slot, in that slot, so that it is read in the same command as an entry and no node has more to do than another.
#pragma once
#include <flux/cache/key.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <string>

#include "commands.hpp"
#include "slots.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

enum class Layout : std::uint8_t { server, cluster };

/// Thread-safe.
class Generations {
 public:
  /// `roots`: what stands before the keys of each space.
  Generations(std::string root, const std::array<std::string, 4>& roots, Layout layout)
      : root_(std::move(root)),
        count_(layout == Layout::cluster ? kSlots : 1),
        seen_(std::make_unique<std::atomic<std::uint64_t>[]>(count_)) {
    for (std::size_t i = 0; i < roots.size(); ++i) crcs_[i] = crc16(roots[i]);
  }

  /// On a server there is one slot for all.
  Slot slot_of(const Key& key) const noexcept {
    return count_ == 1 ? Slot{0} : redis::slot_of(crcs_[static_cast<std::size_t>(key.space())], key.text());
  }
  std::size_t slots() const noexcept { return count_; }
  /// The key of a slot's generation, as a word.
  void word(Commands& commands, Slot slot) const {
    if (count_ == 1) {
      commands.word(root_);
      return;
    }
    const std::string_view mark = word_of_slot(slot);
    commands.open(root_.size() + mark.size() + 2).piece(root_).piece("{").piece(mark).piece("}").close();
  }
  /// The last one that was seen; 0: none yet.
  std::uint64_t seen(Slot slot) const noexcept { return seen_[slot].load(std::memory_order_relaxed); }
  void note(Slot slot, std::uint64_t generation) noexcept {
    if (seen(slot) != generation) seen_[slot].store(generation, std::memory_order_relaxed);
  }

 private:
  const std::string root_;
  const std::size_t count_;
  std::array<std::uint16_t, 4> crcs_{};
  const std::unique_ptr<std::atomic<std::uint64_t>[]> seen_;
};

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
