// Any bytes as a tag's record: refused, or it says again what it was read from; and a flush hits what it names,
// whatever the record held, and nothing that was stamped after it.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/tag_record.hpp"

using flux::cache::TagStamp;
using flux::cache::detail::TagRecord;

namespace {

constexpr std::size_t kMaxRules = 64;

void require(bool holds) {
  if (!holds) std::abort();
}

std::vector<TagStamp> stamps_of(const std::vector<std::string>& names) {
  std::vector<TagStamp> stamps;
  for (const std::string& name : names) stamps.push_back({name, 0});
  return stamps;
}

/// The flush of an intersection: names separated by zero bytes, a long one spelled by its length.
std::vector<std::string> names_in(std::string_view bytes) {
  std::vector<std::string> names;
  while (!bytes.empty()) {
    const std::string_view name = bytes.substr(0, bytes.find('\0'));
    bytes.remove_prefix(std::min(bytes.size(), name.size() + 1));
    if (name.starts_with('\xff') && name.size() == 3) {
      names.emplace_back(static_cast<unsigned char>(name[1]) * 256U + static_cast<unsigned char>(name[2]) + 256U, 'n');
    } else {
      names.emplace_back(name);
    }
  }
  return names;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes = std::string_view(reinterpret_cast<const char*>(data), size).substr(2);
  const std::string_view encoded = bytes.substr(0, data[0] * 256U + data[1]);
  TagRecord record;
  if (!TagRecord::decode(encoded, record)) return 0;
  require(record.encode() == encoded);
  require(record.spares(record.epoch, {}));
  for (const TagRecord::Rule& rule : record.rules) {
    const std::uint64_t before = (record.epoch & ~TagRecord::kCountMask) | ((rule.made - 1U) & TagRecord::kCountMask);
    require(rule.made == 0 || before == record.epoch || !record.spares(before, stamps_of(rule.others)));
  }

  const std::uint64_t stamp = record.epoch;
  const std::vector<std::string> others = names_in(bytes.substr(encoded.size()));
  const std::size_t rules = record.rules.size();
  record.flush(others, kMaxRules, ~stamp);
  require(!record.spares(stamp, stamps_of(others)));
  require(record.spares(record.epoch, stamps_of(others)));
  require(record.rules.size() <= std::max(rules, kMaxRules));
  if (rules == 0 && !others.empty() && !record.rules.empty()) {
    // Who lacks one of the names is not hit.
    std::vector<TagStamp> fewer = stamps_of(others);
    std::erase_if(fewer, [&](const TagStamp& tag) { return tag.name == others.front(); });
    require(record.spares(stamp, fewer));
  }
  TagRecord again;
  require(TagRecord::decode(record.encode(), again) && again.encode() == record.encode());
  return 0;
}
