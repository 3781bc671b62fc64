// The slots of a cluster, and groups of keys that share one.
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/, "Key distribution model", "Hash tags".
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

using Slot = std::uint16_t;
constexpr std::size_t kSlots = 16'384;

/// CRC16 as the cluster has it (XMODEM).
std::uint16_t crc16(std::string_view text) noexcept;
/// The slot of a whole key: what stands between its first "{" and the next "}" counts alone, unless it is nothing.
Slot slot_of(std::string_view key) noexcept;

/// 256 groups of keys, evenly over all slots, each in one slot. So there are few enough of them to have each something
/// of its own, and enough for dozens of nodes.
constexpr std::size_t kGroups = 256;
struct Group {
  char mark[8]{};  ///< "{1a}": what makes a key one of the slot
  std::uint8_t mark_size = 0;
  Slot slot = 0;

  std::string_view text() const noexcept { return {mark, mark_size}; }
};
const Group& group(std::size_t number);
/// The group that a key belongs to: that of its slot, so keys that a hash tag holds together stay together.
inline std::size_t group_of(std::string_view key) noexcept { return slot_of(key) / (kSlots / kGroups); }

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
