// Tags on an entry, against the tags of a call.
#pragma once
#include <flux/cache/entry.hpp>
#include <flux/cache/options.hpp>

#include <algorithm>
#include <span>
#include <string>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// The rule on reads under tags: the entry must carry all of them.
inline bool carries(const Entry& entry, std::span<const std::string> tags) {
  return std::all_of(tags.begin(), tags.end(), [&](const std::string& wanted) {
    return std::any_of(entry.tags.begin(), entry.tags.end(), [&](const TagStamp& tag) { return tag.name == wanted; });
  });
}

/// The tags of the options and of the call, each once; the names are borrowed.
inline std::vector<TagStamp> stamps_of(const Tags* call, const Options* options) {
  std::vector<TagStamp> all;
  const auto add = [&](const Tags& tags) {
    for (const std::string& tag : tags)
      if (std::none_of(all.begin(), all.end(), [&](const TagStamp& seen) { return seen.name == tag; }))
        all.push_back({tag, 0});
  };
  if (options != nullptr) add(options->tags);
  if (call != nullptr) add(*call);
  return all;
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
