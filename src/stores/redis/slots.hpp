// The 16,384 slots of a cluster: which one a key has, and a word for each that has it.
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/, "Key distribution model", "Hash tags".
#pragma once
#include <cstdint>
#include <string_view>

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

using Slot = std::uint16_t;
constexpr std::size_t kSlots = 16'384;

/// CRC16 as the cluster has it (XMODEM), going on from that of what stands before.
std::uint16_t crc16(std::string_view text, std::uint16_t crc = 0) noexcept;

/// The slot of the key `root` + `text`. `before` is crc16(root), and the root has no brace: what stands between the
/// first "{" of the text and the next "}" counts alone, unless it is nothing.
Slot slot_of(std::uint16_t before, std::string_view text) noexcept;

/// A short word, without a brace, whose slot this is.
std::string_view word_of_slot(Slot slot);

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
