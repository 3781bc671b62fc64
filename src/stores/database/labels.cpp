#include "row.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::database {

namespace {

void append_count(std::string& out, std::uint64_t count) {
  for (; count >= 0x80; count >>= 7) out += static_cast<char>(count | 0x80);
  out += static_cast<char>(count);
}

bool take_count(std::string_view& from, std::uint64_t& count) {
  count = 0;
  for (int shift = 0; shift < 63 && !from.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(from.front());
    from.remove_prefix(1);
    count |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

}  // namespace

std::string encode_labels(const Entry& entry) {
  std::string out;
  if (entry.tags.empty() && entry.notes.empty()) return out;
  append_count(out, entry.tags.size());
  for (const TagStamp& tag : entry.tags) {
    append_count(out, tag.name.size());
    out += tag.name;
    for (int shift = 0; shift < 64; shift += 8) out += static_cast<char>(tag.epoch >> shift);
  }
  out += entry.notes;
  return out;
}

bool decode_labels(std::string_view labels, Labels& out) {
  out = {};
  if (labels.empty()) return true;
  std::uint64_t count = 0;
  if (!take_count(labels, count) || count > labels.size() / 9) return false;
  out.tags.reserve(count);
  for (; count > 0; --count) {
    std::uint64_t length = 0;
    if (!take_count(labels, length) || labels.size() < 8 || length > labels.size() - 8) return false;
    TagStamp tag{labels.substr(0, length), load_little<std::uint64_t>(labels.data() + length)};
    labels.remove_prefix(length + 8);
    out.tags.push_back(tag);
  }
  out.notes = labels;
  return true;
}

}  // namespace detail::database
}  // namespace v1
}  // namespace flux::cache
