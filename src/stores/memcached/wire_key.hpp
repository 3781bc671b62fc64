// Keys as the servers see them: at most 250 bytes, no space and no control byte, whatever the caller's key is.
//
//   4vapp:user_7        the prefix's length, a letter for the space, the prefix, the key: as they stand
//   4Vapp:0f3a...       upper case: 128 bits of hash instead of a key that is too long or not safe; the record keeps it
//
// The length in front keeps prefixes that continue each other apart, the letter the spaces, its case keys and digests.
#pragma once
#include <flux/cache/key.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace flux::cache {
inline namespace v1 {
namespace detail::memcached {

/// The protocol's limit.
inline constexpr std::size_t kLongestWireKey = 250;

/// True where every byte may stand in a protocol line: no space, no control byte. Bytes from 0x80 up may.
bool is_safe_key(std::string_view text) noexcept;

/// A key on its way to a server. Owns its bytes.
class WireKey {
 public:
  std::string_view text() const noexcept { return {bytes_, size_}; }
  operator std::string_view() const noexcept { return text(); }
  /// A hash stands for the key: the record keeps the key itself, to be compared.
  bool is_digest() const noexcept { return digest_; }

 private:
  friend class KeyCodec;

  char bytes_[kLongestWireKey];
  std::uint8_t size_ = 0;
  bool digest_ = false;
};

/// Turns the keys of one store into wire keys. Distinct keys, spaces and prefixes give distinct wire keys, up to 128
/// bits of hash where one is needed.
class KeyCodec {
  static constexpr std::size_t kSpaces = 4;

 public:
  explicit KeyCodec(std::string_view prefix);

  WireKey encode(const Key& key) const noexcept;
  /// The same into room for `longest(key)` bytes; `is_digest` is set.
  std::string_view encode(const Key& key, char* to, bool& is_digest) const noexcept;
  /// How long the wire key is at most.
  std::size_t longest(const Key& key) const noexcept;
  /// True for the wire keys of this prefix in that space.
  bool is_of(Space space, std::string_view wire) const noexcept;
  /// The key in a wire key of this prefix that is no digest.
  std::string_view key_in(std::string_view wire) const noexcept {
    return wire.substr(prefix_length_.size() + 1 + prefix_.size());
  }
  /// The key of this prefix's generation record, the same on every server.
  const std::string& generation() const noexcept { return generation_; }

 private:
  std::string start(char letter) const { return prefix_length_ + letter + prefix_; }

  std::string prefix_length_;
  std::string prefix_;  // or 128 bits of it, where it is too long or not safe
  std::uint64_t seed_;
  std::array<std::string, kSpaces> starts_;  // of keys and of digests, for each space
  std::array<std::string, kSpaces> digest_starts_;
  std::string generation_;
};

}  // namespace detail::memcached
}  // namespace v1
}  // namespace flux::cache
