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

void WireKey::append(std::string_view part) noexcept {
  std::memcpy(bytes_ + size_, part.data(), part.size());
  size_ = static_cast<std::uint8_t>(size_ + part.size());
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
}

WireKey KeyCodec::start(char letter) const noexcept {
  WireKey key;
  key.append(prefix_length_);
  key.append({&letter, 1});
  key.append(prefix_);
  return key;
}

std::size_t KeyCodec::longest(const Key& key) const noexcept {
  return prefix_length_.size() + 1 + prefix_.size() + std::max(key.text().size(), kDigestBytes);
}

bool KeyCodec::is_of(Space space, std::string_view wire) const noexcept {
  const std::size_t at = prefix_length_.size();
  if (!wire.starts_with(prefix_length_) || wire.size() <= at + 1 + prefix_.size()) return false;
  const char letter = letter_of(space);
  return (wire[at] == letter || wire[at] == letter - 'a' + 'A') && wire.substr(at + 1).starts_with(prefix_);
}

WireKey KeyCodec::encode(const Key& key) const noexcept {
  const char letter = letter_of(key.space());
  const std::string_view text = key.text();
  if (prefix_length_.size() + 1 + prefix_.size() + text.size() <= kLongestWireKey && is_safe_key(text)) {
    WireKey wire = start(letter);
    wire.append(text);
    return wire;
  }
  WireKey wire = start(static_cast<char>(letter - 'a' + 'A'));
  char digest[kDigestBytes];
  write_digest(text, seed_, digest);
  wire.append({digest, kDigestBytes});
  wire.digest_ = true;
  return wire;
}

}  // namespace detail::memcached
}  // namespace v1
}  // namespace flux::cache
