#include "tag_record.hpp"

#include <algorithm>
#include <cstring>

namespace flux::cache {
inline namespace v1 {
namespace detail {

namespace {

/// What the bytes have place for.
constexpr std::size_t kMostOthers = 0xff, kLongestName = 0xffff;

}  // namespace

bool TagRecord::spares(std::uint64_t stamp, std::span<const TagStamp> tags) const {
  if (stamp == epoch) return true;
  if ((stamp & ~kCountMask) != (epoch & ~kCountMask)) return false;
  const auto carried = [&](const std::string& name) {
    return std::any_of(tags.begin(), tags.end(), [&](const TagStamp& tag) { return tag.name == name; });
  };
  return std::none_of(rules.begin(), rules.end(), [&](const Rule& rule) {
    return (stamp & kCountMask) < rule.made && std::all_of(rule.others.begin(), rule.others.end(), carried);
  });
}

void TagRecord::flush(std::vector<std::string> others, std::size_t max_rules, std::uint64_t random) {
  const bool is_full = rules.size() >= max_rules || (epoch & kCountMask) == kCountMask;
  const bool has_place =
      others.size() <= kMostOthers &&
      std::none_of(others.begin(), others.end(), [](const auto& name) { return name.size() > kLongestName; });
  if (is_full || !has_place) {
    *this = begin(random);
    return;
  }
  // The same intersection flushed again replaces its rule: what the older one hit, the newer one hits too.
  std::erase_if(rules, [&](const Rule& rule) { return rule.others == others; });
  ++epoch;
  rules.push_back({static_cast<std::uint16_t>(epoch & kCountMask), std::move(others)});
}

std::string TagRecord::encode() const {
  std::string out;
  const auto number = [&](std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
  };
  number(epoch, 8);
  for (const Rule& rule : rules) {
    number(rule.made, 2);
    number(rule.others.size(), 1);
    for (const std::string& other : rule.others) {
      number(other.size(), 2);
      out += other;
    }
  }
  return out;
}

bool TagRecord::decode(std::string_view bytes, TagRecord& out) {
  bool whole = true;
  const auto number = [&](std::size_t size) {
    std::uint64_t value = 0;
    if (bytes.size() < size) return whole = false, value;
    for (std::size_t i = 0; i < size; ++i)
      value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
    bytes.remove_prefix(size);
    return value;
  };
  out = {};
  out.epoch = number(8);
  while (whole && !bytes.empty()) {
    Rule rule;
    rule.made = static_cast<std::uint16_t>(number(2));
    for (std::uint64_t left = number(1); left > 0 && whole; --left) {
      const auto size = static_cast<std::size_t>(number(2));
      if (!whole || bytes.size() < size) return false;
      rule.others.emplace_back(bytes.substr(0, size));
      bytes.remove_prefix(size);
    }
    out.rules.push_back(std::move(rule));
  }
  return whole && out.epoch != 0;
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
