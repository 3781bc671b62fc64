#include "record.hpp"

#include <flux/cache/detail/stable_hash.hpp>

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

namespace {

constexpr char kMagic = '\xf1';
constexpr char kFormat = 1;

template <class Word>
void put(std::string& out, Word word) {
  char bytes[sizeof word];
  for (std::size_t i = 0; i < sizeof word; ++i)
    bytes[i] = static_cast<char>(static_cast<std::uint64_t>(word) >> (8 * i));
  out.append(bytes, sizeof word);
}

template <class Word>
Word take(std::string_view bytes, std::size_t at) noexcept {
  return static_cast<Word>(load_little<std::make_unsigned_t<Word>>(bytes.data() + at));
}

bool is_number(Kind kind) noexcept { return kind == Kind::integer || kind == Kind::unsigned_integer; }

}  // namespace

void encode(const Head& head, const Entry& entry, std::string& out) {
  std::size_t meta = entry.notes.size();
  for (const TagStamp& tag : entry.tags) meta += 10 + tag.name.size();
  out.reserve(out.size() + kHeadBytes + meta + 8);
  out += kMagic;
  out += kFormat;
  out += static_cast<char>(entry.value.kind);
  out += '\0';
  put(out, static_cast<std::uint32_t>(meta));
  put(out, head.version);
  put(out, head.generation);
  put(out, head.fresh_until);
  put(out, head.keep_until);
  put(out, static_cast<std::uint16_t>(entry.tags.size()));
  put(out, std::uint16_t{0});
  put(out, head.check);
  for (const TagStamp& tag : entry.tags) {
    put(out, tag.epoch);
    put(out, static_cast<std::uint16_t>(tag.name.size()));
    out += tag.name;
  }
  out += entry.notes;
  if (is_number(entry.value.kind)) put(out, entry.value.number);
}

bool decode_head(std::string_view bytes, Head& head) {
  if (bytes.size() < kHeadBytes || bytes[0] != kMagic || bytes[1] != kFormat) return false;
  if (static_cast<unsigned char>(bytes[2]) > static_cast<unsigned char>(Kind::bytes)) return false;
  head.kind = static_cast<Kind>(bytes[2]);
  head.meta_bytes = take<std::uint32_t>(bytes, 4);
  head.version = take<std::uint64_t>(bytes, kVersionAt);
  head.generation = take<std::uint64_t>(bytes, kGenerationAt);
  head.fresh_until = take<std::int64_t>(bytes, kFreshAt);
  head.keep_until = take<std::int64_t>(bytes, 32);
  head.tag_count = take<std::uint16_t>(bytes, 40);
  head.check = take<std::uint32_t>(bytes, 44);
  return head.version != 0 && head.kind != Kind::object;
}

Decoded decode(std::string_view bytes, std::uint32_t check, Record& out) {
  Head& head = out.head;
  if (!decode_head(bytes, head)) return Decoded::broken;
  if (head.check != check) return Decoded::of_another_key;
  bytes.remove_prefix(kHeadBytes);
  if (head.meta_bytes > bytes.size()) return Decoded::broken;
  std::string_view meta = bytes.substr(0, head.meta_bytes);
  out.text = bytes.substr(head.meta_bytes);
  out.tags.clear();
  for (int left = head.tag_count; left > 0; --left) {
    if (meta.size() < 10) return Decoded::broken;
    const auto length = take<std::uint16_t>(meta, 8);
    if (meta.size() - 10 < length) return Decoded::broken;
    out.tags.push_back({meta.substr(10, length), take<std::uint64_t>(meta, 0)});
    meta.remove_prefix(10U + length);
  }
  out.notes = meta;
  out.number = 0;
  if (is_number(head.kind)) {
    if (out.text.size() != 8) return Decoded::broken;
    out.number = take<std::int64_t>(out.text, 0);
    out.text = {};
  }
  return head.kind != Kind::none || out.text.empty() ? Decoded::whole : Decoded::broken;
}

std::string bytes_of(std::uint64_t number) {
  std::string out;
  put(out, number);
  return out;
}

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
