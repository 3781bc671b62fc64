#include "wire_key.hpp"

#include <flux/cache/detail/stable_hash.hpp>

#include <algorithm>
#include <cstring>

namespace flux::cache {
inline namespace v1 {
namespace detail::memcached {

namespace {

constexpr std::size_t kDigestBytes = 32;
constexpr std::size_t kLongestPrefix = 160;
constexpr std::uint64_t kSeed = 0x6d656d6361636865;

constexpr char letter_of(Space space) noexcept {
  switch (space) {
    case Space::values: return 'v';
    case Space::tags: return 't';
    case Space::locks: return 'l';
    case Space::limits: return 'm';
  }
  return 'v';
}

constexpr std::size_t index_of(Space space) noexcept { return static_cast<std::size_t>(space); }

void write_digest(std::string_view text, std::uint64_t seed, char (&to)[kDigestBytes]) noexcept {
  constexpr char kDigits[] = "0123456789abcdef";
  const Hash128 hash = stable_hash128(text, seed);
  for (std::size_t i = 0; i < 16; ++i) {
    to[i] = kDigits[(hash.high >> (60 - 4 * i)) & 15];
    to[16 + i] = kDigits[(hash.low >> (60 - 4 * i)) & 15];
  }
}

}  // namespace

// Eight bytes at a time ("Bit Twiddling Hacks", Sean Anderson: is there a zero byte, or one below n, in a word). A
// short rest is filled up with what is safe.
bool is_safe_key(std::string_view text) noexcept {
  constexpr std::uint64_t kOnes = 0x0101010101010101, kHigh = 0x8080808080808080;
  const auto is_safe = [](std::uint64_t word) {
    const std::uint64_t rubout = word ^ (0x7f * kOnes);
    return ((((word - 0x21 * kOnes) & ~word) | ((rubout - kOnes) & ~rubout)) & kHigh) == 0;
  };
  std::uint64_t word = 0;
  for (; text.size() >= sizeof word; text.remove_prefix(sizeof word)) {
    std::memcpy(&word, text.data(), sizeof word);
    if (!is_safe(word)) return false;
  }
  word = 'a' * kOnes;
  if (!text.empty()) std::memcpy(&word, text.data(), text.size());
  return is_safe(word);
}

KeyCodec::KeyCodec(std::string_view prefix)
    : prefix_length_(std::to_string(prefix.size())), prefix_(prefix), seed_(stable_hash64(prefix, kSeed)) {
  if (prefix.size() > kLongestPrefix || !is_safe_key(prefix)) {
    char digest[kDigestBytes];
    write_digest(prefix, kSeed, digest);
    prefix_length_ = "~";
    prefix_.assign(digest, kDigestBytes);
  }
  generation_ = start('g');
  for (const Space space : {Space::values, Space::tags, Space::locks, Space::limits}) {
    const char letter = letter_of(space);
    starts_[index_of(space)] = start(letter);
    digest_starts_[index_of(space)] = start(static_cast<char>(letter - 'a' + 'A'));
  }
}

std::size_t KeyCodec::longest(const Key& key) const noexcept {
  return prefix_length_.size() + 1 + prefix_.size() + std::clamp(key.text().size(), kDigestBytes, kLongestWireKey);
}

bool KeyCodec::is_of(Space space, std::string_view wire) const noexcept {
  const std::size_t at = prefix_length_.size();
  if (!wire.starts_with(prefix_length_) || wire.size() <= at + 1 + prefix_.size()) return false;
  const char letter = letter_of(space);
  return (wire[at] == letter || wire[at] == letter - 'a' + 'A') && wire.substr(at + 1).starts_with(prefix_);
}

std::string_view KeyCodec::encode(const Key& key, char* to, bool& is_digest) const noexcept {
  const std::string_view text = key.text();
  const std::string& start = starts_[index_of(key.space())];
  is_digest = start.size() + text.size() > kLongestWireKey || !is_safe_key(text);
  if (!is_digest) {
    std::memcpy(to, start.data(), start.size());
    std::memcpy(to + start.size(), text.data(), text.size());
    return {to, start.size() + text.size()};
  }
  const std::string& upper = digest_starts_[index_of(key.space())];
  char digest[kDigestBytes];
  write_digest(text, seed_, digest);
  std::memcpy(to, upper.data(), upper.size());
  std::memcpy(to + upper.size(), digest, kDigestBytes);
  return {to, upper.size() + kDigestBytes};
}

WireKey KeyCodec::encode(const Key& key) const noexcept {
  WireKey wire;
  wire.size_ = static_cast<std::uint8_t>(encode(key, wire.bytes_, wire.digest_).size());
  return wire;
}

}  // namespace detail::memcached
}  // namespace v1
}  // namespace flux::cache
