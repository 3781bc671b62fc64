// What the engine shows, in the contract's words.
#pragma once
#include <flux/cache/engine/entry.hpp>
#include <flux/cache/entry.hpp>

#include <array>
#include <vector>

#include "labels.hpp"

namespace flux::cache {
inline namespace v1 {
namespace memory {

[[gnu::always_inline]] inline ValueView value_of(const engine::View& view) noexcept {
  switch (view.kind()) {
    case engine::Kind::text: return {.kind = static_cast<Kind>(view.user_kind()), .text = view.text()};
    case engine::Kind::integer: return {.kind = static_cast<Kind>(view.user_kind()), .number = view.integer()};
    case engine::Kind::object: return {.kind = Kind::object, .type = &view.type(), .object = &view.share()};
  }
  return {};
}

/// All of the entry but its labels.
[[gnu::always_inline]] inline Entry plain(const engine::View& view) noexcept {
  // Each member once: an entry that is emptied first costs as much as the lookup's hash.
  Expiry expiry;
  if (view.has_deadline()) expiry = {view.fresh_until(), view.keep_until()};
  return {value_of(view), expiry, {}, {}, view.version(), 0};
}

/// Calls `found` with the entry, labels and all.
template <class F>
void hand_over(const engine::View& view, F&& found) {
  Entry entry = plain(view);
  const std::string_view block = view.labels();
  if (block.empty()) [[likely]] {
    found(entry);
    return;
  }
  const Labels labels(block);
  entry.notes = labels.notes();
  std::array<TagStamp, Labels::kMost> few;
  std::vector<TagStamp> many;
  TagStamp* stamps = few.data();
  if (labels.count() > Labels::kMost) many.resize(labels.count()), stamps = many.data();
  for (std::size_t i = 0; i < labels.count(); ++i) stamps[i] = {labels.marks()[i].name, labels.marks()[i].epoch};
  entry.tags = {stamps, labels.count()};
  found(entry);
}

}  // namespace memory
}  // namespace v1
}  // namespace flux::cache
