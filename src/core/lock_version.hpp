// The version of a lock's record: proposed by who swaps it, so that it can swap again without a look.
#pragma once
#include <flux/cache/store.hpp>

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// What a store whose versions are random numbers may give the entry; 0: a number of its own. An entry that is a copy
/// of what stands there brings the old version along, which never serves again.
inline std::uint64_t proposed_version(const Key& key, const Entry& entry, const Write& how) noexcept {
  const bool is_proposal = key.space() == Space::locks && how.when == When::unchanged && entry.version != how.version;
  return is_proposal ? entry.version : 0;
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
