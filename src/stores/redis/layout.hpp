// Where keys are, and what an entry must be stamped with to be alive. On a server all keys are one group; on a cluster
// they are many, each in a slot. Each group has its generation, a key in the same slot: it is read in the same command
// as an entry, and no node has more to do than another.
#pragma once
#include <flux/cache/key.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "client.hpp"
#include "slots.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

enum class Spread : std::uint8_t { server, cluster };

/// The prefix as it stands in keys. A slash ends it, so that no prefix and key can look like another two. On a cluster
/// the first brace begins the mark of the key's group.
std::string escaped_prefix(std::string_view prefix, Spread spread);
/// What stands before a key, for each space.
std::array<std::string, 4> roots_of(const std::string& escaped_prefix);

/// Thread-safe.
class Layout {
 public:
  /// `root`: what stands before a group's mark to make the key of its generation.
  Layout(std::string root, Spread spread)
      : root_(std::move(root)),
        groups_(spread == Spread::cluster ? kGroups : 1),
        seen_(std::make_unique<std::atomic<std::uint64_t>[]>(groups_)) {}

  std::size_t groups() const noexcept { return groups_; }
  std::size_t group_of(const Key& key) const noexcept { return groups_ == 1 ? 0 : redis::group_of(key.text()); }
  Slot slot(std::size_t number) const { return groups_ == 1 ? Slot{0} : group(number).slot; }
  Where where(const Key& key, bool is_read = false) const { return {slot(group_of(key)), is_read}; }
  /// What stands before the text of a group's keys.
  std::string_view mark(std::size_t number) const { return groups_ == 1 ? std::string_view() : group(number).text(); }
  /// A key's text, from what stands behind the root.
  std::string_view text_behind(std::string_view marked) const noexcept {
    if (groups_ == 1) return marked;
    const std::size_t end = marked.find('}');
    return end == marked.npos ? std::string_view() : marked.substr(end + 1);
  }

  /// The key of a group's generation, as a word.
  void generation_word(Commands& commands, std::size_t number) const { commands.word(root_, mark(number), {}); }
  /// The last one that was seen; 0: none yet.
  std::uint64_t generation(std::size_t number) const noexcept { return seen_[number].load(std::memory_order_relaxed); }
  void note_generation(std::size_t number, std::uint64_t seen) noexcept {
    if (generation(number) != seen) seen_[number].store(seen, std::memory_order_relaxed);
  }

 private:
  const std::string root_;
  const std::size_t groups_;
  const std::unique_ptr<std::atomic<std::uint64_t>[]> seen_;
};

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
