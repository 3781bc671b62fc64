// What a plain read of the tiers shows of an entry.
#pragma once
#include <flux/cache/entry.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace tiered {

/// What a nearer tier shows: its versions are never the far tier's.
inline constexpr std::size_t kNearMark = 0x7ead;

/// Hands on what a plain read found. Which tier answered says nothing to the caller: each has epochs of its own for a
/// tag, so none are shown; and a tier with a cap keeps the entry's own end as its `keep_until`.
template <class Found>
void show(const Entry& entry, std::uint64_t version, bool capped, Found& found) {
  if (version == entry.version && !capped && entry.tags.empty()) return found(entry);
  Entry shown = entry;
  shown.version = version;
  if (capped) shown.expiry.fresh_until = entry.expiry.keep_until;
  if (entry.tags.empty()) [[likely]]
    return found(shown);
  std::vector<TagStamp> names;
  for (const TagStamp& tag : entry.tags) names.push_back({tag.name, 0});
  shown.tags = names;
  found(shown);
}

}  // namespace tiered
}  // namespace v1
}  // namespace flux::cache
