// flux/cache/key.hpp - a key, hashed once at the top and carried down.
#pragma once
#include <flux/cache/detail/hash.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace flux::cache {
inline namespace v1 {

/// The name spaces of a store. The same text in two of them is two entries; `flush` empties `values` alone.
enum class Space : std::uint8_t { values, tags, locks, limits };

/// The longest key unless the configuration says otherwise, in bytes.
inline constexpr std::size_t kMaxKeyBytes = 64 * 1024;

/// Any non-empty byte string, borrowed for the length of a call, with its hash of this process.
class Key {
 public:
  explicit Key(std::string_view text, Space space = Space::values) noexcept
      : text_(text), hash_(detail::hash_key(text) + static_cast<std::uint64_t>(space) * detail::kMixC), space_(space) {}

  std::string_view text() const noexcept { return text_; }
  /// 64 bits, keyed per process: for shards and tables, never stored or sent.
  std::uint64_t hash() const noexcept { return hash_; }
  Space space() const noexcept { return space_; }

  friend bool operator==(const Key& a, const Key& b) noexcept {
    return a.hash_ == b.hash_ && a.space_ == b.space_ && a.text_ == b.text_;
  }

 private:
  std::string_view text_;
  std::uint64_t hash_;
  Space space_;
};

}  // namespace v1
}  // namespace flux::cache
