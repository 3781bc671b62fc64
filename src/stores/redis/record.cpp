#include "record.hpp"

#include <flux/cache/detail/stable_hash.hpp>

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

namespace {

constexpr char kMagic = '\xf1';
constexpr char kFormat = 1;

template <class Word>
char* put(char* to, Word word) noexcept {
  for (std::size_t i = 0; i < sizeof word; ++i) to[i] = static_cast<char>(static_cast<std::uint64_t>(word) >> (8 * i));
  return to + sizeof word;
}
template <class Word>
void put(std::string& out, Word word) {
  char bytes[sizeof word];
  put(bytes, word);
  out.append(bytes, sizeof word);
}

template <class Word>
Word take(std::string_view bytes, std::size_t at) noexcept {
  return static_cast<Word>(load_little<std::make_unsigned_t<Word>>(bytes.data() + at));
}

bool is_number(Kind kind) noexcept { return kind == Kind::integer || kind == Kind::unsigned_integer; }

}  // namespace

char* encode_short(const Head& head, const ValueView& value, std::size_t meta, char* to) noexcept {
  *to++ = kMagic;
  *to++ = kFormat;
  *to++ = static_cast<char>(value.kind);
  *to++ = '\0';
  to = put(to, static_cast<std::uint32_t>(meta));
  to = put(put(to, head.version), head.generation);
  to = put(put(to, head.fresh_until), head.keep_until);
  to = put(put(to, head.tag_count), std::uint16_t{0});
  to = put(to, head.check);
  return is_number(value.kind) ? put(to, value.number) : to;
}

void encode(const Head& head, const Entry& entry, std::string& out) {
  std::size_t meta = entry.notes.size();
  for (const TagStamp& tag : entry.tags) meta += 10 + tag.name.size();
  Head whole = head;
  whole.tag_count = static_cast<std::uint16_t>(entry.tags.size());
  char room[short_bytes(Kind::integer)];
  const std::string_view fixed(room, static_cast<std::size_t>(encode_short(whole, entry.value, meta, room) - room));
  out.reserve(out.size() + fixed.size() + meta);
  out.append(fixed.substr(0, kHeadBytes));
  for (const TagStamp& tag : entry.tags) {
    put(out, tag.epoch);
    put(out, static_cast<std::uint16_t>(tag.name.size()));
    out += tag.name;
  }
  out.append(entry.notes).append(fixed.substr(kHeadBytes));
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
