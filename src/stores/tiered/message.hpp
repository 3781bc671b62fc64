// What tiers tell each other over a backplane.
//
//   "FXB1" | origin (8) | cache (8) | wall time in microseconds (8) | kind (1) | any (1) | names (2)
//   for each name: length (4), bytes, and wall time (8) where it is a key | checksum (8)
//
// Little endian. The checksum is `stable_hash64` over all before it, so that a stranger's bytes are nobody's message.
#pragma once
#include <flux/cache/detail/stable_hash.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace tiered {

struct Message {
  /// `hello`: who sends it may have missed what others told late.
  enum class Kind : std::uint8_t { keys = 1, flush = 2, flush_tags = 3, hello = 4 };

  std::uint64_t origin = 0;  ///< who sent it
  std::uint64_t cache = 0;   ///< which cache it is about: a hash of its name
  std::int64_t wall = 0;     ///< when the flush was made
  Kind kind = Kind::keys;
  bool any = false;
  std::vector<std::string_view> names{};  ///< keys, or tags
  std::vector<std::int64_t> walls{};      ///< when each of the keys was changed

  std::string encode() const;
  /// Nothing where the bytes are no message. The names point into the bytes.
  static std::optional<Message> decode(std::string_view bytes);
};

/// Names in one message at the most, and about how many bytes: carriers do not take any length.
inline constexpr std::size_t kMostNames = 1'000;
inline constexpr std::size_t kMostBytes = 256 * 1024;

}  // namespace tiered
}  // namespace v1
}  // namespace flux::cache
