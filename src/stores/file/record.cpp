#include "record.hpp"

#include <flux/cache/detail/stable_hash.hpp>

#include <algorithm>
#include <bit>
#include <cstring>

namespace flux::cache {
inline namespace v1 {
namespace detail::file_store {

namespace {

constexpr std::uint32_t kMagic = 0x45435846;  // "FXCE"
constexpr std::uint16_t kFormat = 1;

// Written to disk, so they never change, whatever becomes of Kind.
constexpr struct {
  Kind kind;
  std::uint8_t code;
} kKinds[] = {{Kind::none, 0}, {Kind::integer, 1}, {Kind::unsigned_integer, 2}, {Kind::text, 3}, {Kind::bytes, 4}};

template <class Number>
Number little(Number number) noexcept {
  if constexpr (std::endian::native == std::endian::little || sizeof number == 1) return number;
  if constexpr (sizeof number == 2) return static_cast<Number>(__builtin_bswap16(static_cast<std::uint16_t>(number)));
  if constexpr (sizeof number == 4) return static_cast<Number>(__builtin_bswap32(static_cast<std::uint32_t>(number)));
  if constexpr (sizeof number == 8) return static_cast<Number>(__builtin_bswap64(static_cast<std::uint64_t>(number)));
}

template <class Number>
void store(char* to, Number number) noexcept {
  number = little(number);
  std::memcpy(to, &number, sizeof number);
}

template <class Number>
Number load(const char* from) noexcept {
  Number number;
  std::memcpy(&number, from, sizeof number);
  return little(number);
}

}  // namespace

void encode_head(const Head& head, char (&to)[kHeadBytes]) noexcept {
  std::uint8_t code = 0;
  for (const auto& row : kKinds) {
    if (row.kind == head.kind) code = row.code;
  }
  store(to, kMagic);
  store(to + 4, kFormat);
  store(to + 6, static_cast<std::uint16_t>(kHeadBytes));
  store(to + 8, head.version);
  store(to + 16, head.fresh_until);
  store(to + 24, head.keep_until);
  store(to + 32, head.number);
  store(to + 40, code);
  store(to + 41, std::uint8_t{0});
  store(to + 42, head.tag_count);
  store(to + 44, head.key_bytes);
  store(to + 48, head.offset);
  store(to + 56, head.text_bytes);
  store(to + 64, head.tag_bytes);
  store(to + 68, head.note_bytes);
  store(to + 72, head.meta_sum);
  store(to + 80, head.text_sum);
  store(to + 88, head.key_sum);
  store(to + 96, checksum({to, 96}));
}

HeadState decode_head(const char* from, std::size_t size, Head& head) noexcept {
  const std::size_t seen = std::min(size, kHeadBytes);
  if (std::all_of(from, from + seen, [](char c) { return c == 0; })) return HeadState::empty;
  if (size < kHeadBytes || load<std::uint32_t>(from) != kMagic || load<std::uint16_t>(from + 4) != kFormat ||
      load<std::uint16_t>(from + 6) != kHeadBytes || load<std::uint64_t>(from + 96) != checksum({from, 96}))
    return HeadState::broken;
  const auto code = load<std::uint8_t>(from + 40);
  const auto* const row = std::find_if(std::begin(kKinds), std::end(kKinds), [&](auto& r) { return r.code == code; });
  if (row == std::end(kKinds)) return HeadState::broken;
  head.kind = row->kind;
  head.version = load<std::uint64_t>(from + 8);
  head.fresh_until = load<std::int64_t>(from + 16);
  head.keep_until = load<std::int64_t>(from + 24);
  head.number = load<std::int64_t>(from + 32);
  head.tag_count = load<std::uint16_t>(from + 42);
  head.key_bytes = load<std::uint32_t>(from + 44);
  head.offset = load<std::uint64_t>(from + 48);
  head.text_bytes = load<std::uint64_t>(from + 56);
  head.tag_bytes = load<std::uint32_t>(from + 64);
  head.note_bytes = load<std::uint32_t>(from + 68);
  head.meta_sum = load<std::uint64_t>(from + 72);
  head.text_sum = load<std::uint64_t>(from + 80);
  head.key_sum = load<std::uint64_t>(from + 88);
  // Whoever forges a head with a good sum must still not make us add up to nonsense or allocate without bound.
  constexpr std::uint64_t kLargest = std::uint64_t{1} << 40;
  const bool is_sane = head.version != 0 && head.key_bytes != 0 && head.key_bytes <= kLongestKey &&
                       head.offset >= head.key_end() && head.offset < kLargest && head.text_bytes < kLargest;
  return is_sane ? HeadState::good : HeadState::broken;
}

std::uint64_t checksum(std::string_view bytes) noexcept { return stable_hash64(bytes); }

void encode_tags(std::span<const TagStamp> tags, std::string& to) {
  for (const TagStamp& tag : tags) {
    char fixed[12];
    store(fixed, tag.epoch);
    store(fixed + 8, static_cast<std::uint32_t>(tag.name.size()));
    to.append(fixed, sizeof fixed).append(tag.name);
  }
}

bool decode_tags(std::string_view from, std::size_t count, std::vector<TagStamp>& tags) {
  if (from.size() / 12 < count) return false;
  tags.reserve(count);
  for (; count > 0; --count) {
    if (from.size() < 12) return false;
    const auto epoch = load<std::uint64_t>(from.data());
    const auto size = load<std::uint32_t>(from.data() + 8);
    if (from.size() - 12 < size) return false;
    tags.push_back({from.substr(12, size), epoch});
    from.remove_prefix(std::size_t{12} + size);
  }
  return from.empty();
}

}  // namespace detail::file_store
}  // namespace v1
}  // namespace flux::cache
