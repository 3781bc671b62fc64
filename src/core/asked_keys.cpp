#include <flux/cache/detail/asked_keys.hpp>

#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace detail {

namespace {

/// So few are compared one after another.
constexpr std::size_t kFew = 8;
constexpr std::uint64_t kIndex = 0xffffffff;

/// A table by hash, twice as large as the batch, of half a hash and an index behind it: sorting a thousand keys that
/// begin alike costs ten times as much, and so does comparing keys where their hashes tell them apart.
struct Room {
  std::unique_ptr<char[]> text;
  std::vector<Key> keys;
  std::vector<std::uint64_t> table;  ///< empty where the keys are few

  /// The slot of the key, or the free one where it belongs.
  std::size_t slot_of(const Key& key) const noexcept {
    const std::size_t mask = table.size() - 1;
    std::size_t at = key.hash() & mask;
    while (table[at] != 0 &&
           (((table[at] ^ key.hash()) & ~kIndex) != 0 || keys[(table[at] & kIndex) - 1].text() != key.text()))
      at = (at + 1) & mask;
    return at;
  }

  std::size_t find(const Key& key) const noexcept {
    if (!table.empty()) return static_cast<std::size_t>(table[slot_of(key)] & kIndex) - 1;  // a free slot is zero
    for (std::size_t i = 0; i < keys.size(); ++i)
      if (keys[i] == key) return i;
    return AskedKeys::kNone;
  }
};

}  // namespace

AskedKeys::AskedKeys(std::span<const std::string_view> keys) {
  if (keys.empty()) return;
  auto room = std::make_shared<Room>();
  std::size_t bytes = 0;
  for (const std::string_view key : keys) bytes += key.size();
  room->text.reset(new char[bytes]);
  room->keys.reserve(keys.size());
  if (keys.size() > kFew) room->table.resize(std::bit_ceil(2 * keys.size()));
  char* to = room->text.get();
  for (const std::string_view text : keys) {
    if (!text.empty()) std::memcpy(to, text.data(), text.size());
    const Key key(std::string_view(to, text.size()));
    if (room->table.empty()) {
      if (room->find(key) != kNone) continue;
    } else {
      std::uint64_t& slot = room->table[room->slot_of(key)];
      if (slot != 0) continue;
      slot = (key.hash() & ~kIndex) | (room->keys.size() + 1);
    }
    room->keys.push_back(key);
    to += text.size();
  }
  keys_ = room->keys.data();
  size_ = room->keys.size();
  room_ = std::move(room);
}

std::size_t AskedKeys::find(std::string_view key) const noexcept {
  return room_ == nullptr ? kNone : static_cast<const Room*>(room_.get())->find(Key(key));
}

std::size_t AskedKeys::at(std::string_view key) const {
  const std::size_t place = find(key);
  if (place == kNone)
    throw std::out_of_range("flux::cache: the key \"" + std::string(key) + "\" was not asked for in this batch");
  return place;
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
