// A hit of the memory store. Alone in its file: a compiler stops inlining where a file has had much of it, and a hit
// would then be put together from calls.
#include <algorithm>

#include "memory_store.hpp"
#include "shown.hpp"

namespace flux::cache {
inline namespace v1 {
namespace memory {

/// `is_alive` and `hand_over` in one walk over the labels, for the usual few tags that nothing has flushed.
bool MemoryStore::hand_over_alive(const engine::View& view, Receiver found) const {
  std::array<TagStamp, 4> few;
  std::string_view notes;
  std::size_t count = 0;
  const bool current = Labels::walk(view.labels(), notes, [&](const TagMark& mark) {
    if (count == few.size() || !tags_.is_current(mark)) return false;
    few[count++] = {mark.name, mark.epoch};
    return true;
  });
  if (!current) [[unlikely]] {
    if (!is_alive(view)) return false;
    hand_over(view, found);
    return true;
  }
  Entry entry = plain(view);
  entry.notes = notes;
  entry.tags = {few.data(), count};
  found(entry);
  return true;
}

Result<bool> MemoryStore::get(const Key& key, const Read& how, Receiver found) {
  if (how.as != nullptr && decodes_.load(std::memory_order_relaxed)) [[unlikely]]
    return get_decoding(key, how, found);
  bool there = false;
  engine_of(key.space()).visit(key.text(), key.hash(), [&](const engine::View& view) {
    if (!how.stale && !view.is_fresh()) return;
    if (!view.has_labels()) [[likely]] {
      there = true;
      found(plain(view));
    } else {
      there = hand_over_alive(view, found);
    }
  });
  if (!there && how.stale && key.space() == Space::values && reservations_.any()) return get_reserved(key, found);
  return there;
}

Result<Got> MemoryStore::get_value(const Key& key, const ValueRead& how) {
  if (decodes_.load(std::memory_order_relaxed)) [[unlikely]]
    return Store::get_value(key, how);
  Got got = Got::nothing;
  engine_of(key.space()).visit(key.text(), key.hash(), [&](const engine::View& view) {
    if (!view.is_fresh()) return;
    if (view.has_labels() || !how.tags.empty()) {
      const std::string_view labels = view.labels();
      got = !labels.empty() && Labels::clearly_carry(labels, tags_, how.tags) ? Got::value : judge(labels, how.tags);
      if (got != Got::value) return;
    }
    got = how.take(value_of(view)) ? Got::value : Got::another_type;
  });
  return got;
}

/// Does a fresh entry live, and carry the tags, where that is not clear at a glance?
Got MemoryStore::judge(std::string_view block, std::span<const std::string> tags) const {
  const Labels labels(block);
  if (!tags_.spares(labels.marks(), labels.count())) return Got::nothing;
  const auto has = [&](std::string_view wanted) {
    return std::any_of(labels.marks(), labels.marks() + labels.count(),
                       [&](const TagMark& mark) { return mark.name == wanted; });
  };
  return std::all_of(tags.begin(), tags.end(), has) ? Got::value : Got::other_tags;
}

}  // namespace memory
}  // namespace v1
}  // namespace flux::cache
