// What an entry carries besides its value, in the engine's opaque block: tags with their marks, then the notes.
//
//   number of tags (2) | for each: slot (4), epoch (8), length of the name (2), name | notes
#pragma once
#include <flux/cache/engine/entry.hpp>
#include <flux/cache/entry.hpp>

#include <array>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "tag_table.hpp"

namespace flux::cache {
inline namespace v1 {
namespace memory {

/// Writes a block; empty where there is nothing to say.
inline std::string pack_labels(const TagMark* marks, std::size_t count, std::string_view notes) {
  std::string out;
  if (count == 0 && notes.empty()) return out;
  const auto number = [&](auto value) { out.append(reinterpret_cast<const char*>(&value), sizeof value); };
  number(static_cast<std::uint16_t>(count));
  for (std::size_t i = 0; i < count; ++i) {
    number(marks[i].slot);
    number(marks[i].epoch);
    number(static_cast<std::uint16_t>(marks[i].name.size()));
    out += marks[i].name;
  }
  out += notes;
  return out;
}

/// A block read in place: the names and notes are those of the entry.
class Labels {
 public:
  static constexpr std::size_t kMost = 8;  // more of them take the heap

  explicit Labels(std::string_view block) {
    if (block.empty()) return;
    std::uint16_t count = 0;
    std::memcpy(&count, block.data(), sizeof count);
    TagMark* to = few_.data();
    if (count > kMost) many_.resize(count), to = many_.data();
    walk(block, notes_, [&](const TagMark& mark) { return *to++ = mark, true; });
    count_ = count;
  }

  /// Calls `f(mark)` for each tag of a block that is not empty, until one is answered with false; then tells the notes.
  template <class F>
  static bool walk(std::string_view block, std::string_view& notes, F&& f) {
    const char* at = block.data();
    const auto number = [&](auto& value) { std::memcpy(&value, at, sizeof value), at += sizeof value; };
    std::uint16_t count = 0;
    number(count);
    for (std::uint16_t i = 0; i < count; ++i) {
      TagMark mark;
      std::uint16_t size = 0;
      number(mark.slot);
      number(mark.epoch);
      number(size);
      mark.name = {at, size};
      at += size;
      if (!f(mark)) return false;
    }
    notes = block.substr(static_cast<std::size_t>(at - block.data()));
    return true;
  }

  /// Is a block that is not empty untouched by every flush, and are the wanted tags among its own, in this order? A yes
  /// is one; a no is worth a longer look: a flush of an intersection spares some, and the order may be another.
  static bool clearly_carry(std::string_view block, const TagTable& tags,
                            std::span<const std::string> wanted) noexcept {
    const char* at = block.data();
    const auto number = [&](auto& value) { std::memcpy(&value, at, sizeof value), at += sizeof value; };
    std::uint16_t count = 0;
    for (number(count); count != 0; --count) {
      TagMark mark;
      std::uint16_t size = 0;
      number(mark.slot);
      number(mark.epoch);
      number(size);
      if (!tags.is_current(mark)) return false;
      // Names are short: comparing words costs less than a call.
      if (!wanted.empty() && wanted.front().size() == size && engine::same_bytes(wanted.front().data(), at, size))
        wanted = wanted.subspan(1);
      at += size;
    }
    return wanted.empty();
  }

  const TagMark* marks() const noexcept { return count_ > kMost ? many_.data() : few_.data(); }
  std::size_t count() const noexcept { return count_; }
  std::string_view notes() const noexcept { return notes_; }

 private:
  std::array<TagMark, kMost> few_{};
  std::vector<TagMark> many_;
  std::size_t count_ = 0;
  std::string_view notes_;
};

}  // namespace memory
}  // namespace v1
}  // namespace flux::cache
