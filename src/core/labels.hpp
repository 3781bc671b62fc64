// Tags on an entry, against the tags of a call.
#pragma once
#include <flux/cache/entry.hpp>
#include <flux/cache/options.hpp>

#include <algorithm>

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// The rule on reads under tags: the entry must carry all of them.
inline bool carries(const Entry& entry, std::span<const std::string> tags) {
  return std::all_of(tags.begin(), tags.end(), [&](const std::string& wanted) {
    return std::any_of(entry.tags.begin(), entry.tags.end(), [&](const TagStamp& tag) { return tag.name == wanted; });
  });
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
