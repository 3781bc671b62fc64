// Giving back what nobody can read any more: what has run out, and the places of tags that no entry carries.
#include <flux/cache/executor.hpp>

#include <algorithm>

#include "memory_store.hpp"

namespace flux::cache {
inline namespace v1 {
namespace memory {

Result<std::size_t> MemoryStore::prune(std::size_t budget) {
  const auto before = values_.figures();
  const auto share = static_cast<std::uint32_t>(std::min<std::size_t>(budget / values_.shards() + 1, 1'000'000));
  values_.maintain(share);
  for (auto& other : others_) other->maintain(share);
  reservations_.prune(engine::to_instant(values_.now().exact()));
  sweep_tags();
  const auto after = values_.figures();
  return static_cast<std::size_t>(after.expired - before.expired + after.flushed - before.flushed);
}

void MemoryStore::sweep_behind() {
  if (sweeping_.exchange(true)) return;
  const bool taken = executor()->submit([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->sweep_tags(), self->sweeping_ = false;
  });
  if (!taken) sweeping_ = false;
}

/// Gives back the slots of tags that no entry carries any more.
void MemoryStore::sweep_tags() {
  TagTable::Sweep sweep(tags_);
  values_.for_each([&](const engine::View& view) {
    const Labels labels(view.labels());
    for (std::size_t i = 0; i < labels.count(); ++i) sweep.in_use(labels.marks()[i].slot);
  });
  sweep.finish();
}

}  // namespace memory
}  // namespace v1
}  // namespace flux::cache
