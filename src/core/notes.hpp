// The small facts that travel with an entry for the sake of loads. Empty for everything that was simply put.
//
// Layout, little endian: one byte of version (1), one of flags, then the fields whose flag is set, in this order:
//   token (8), throttle_until as wall time in microseconds (8), cost in microseconds (8), life in microseconds (8).
// A stored note of an unknown version reads as empty.
#pragma once
#include <flux/cache/clock.hpp>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace flux::cache {
inline namespace v1 {
namespace detail {

struct Notes {
  bool placeholder = false;         ///< no value yet: a loader is at work, and the entry's `keep_until` is its lease
  bool negative = false;            ///< no value: the loader's answer was that there is nothing
  std::uint64_t token = 0;          ///< which load the placeholder belongs to
  std::int64_t throttle_until = 0;  ///< wall time before which a failed load is not tried again
  std::int64_t cost = 0;            ///< how long the load took, in microseconds
  std::int64_t life = 0;            ///< the lifetime that the loader set for an eager entry, in microseconds

  std::string encode() const {
    std::string out{'\1',
                    static_cast<char>((placeholder ? 1 : 0) | (negative ? 2 : 0) | (token != 0 ? 4 : 0) |
                                      (throttle_until != 0 ? 8 : 0) | (cost != 0 ? 16 : 0) | (life != 0 ? 32 : 0))};
    for (const std::int64_t field : {static_cast<std::int64_t>(token), throttle_until, cost, life})
      if (field != 0) out.append(reinterpret_cast<const char*>(&field), sizeof field);
    return out;
  }

  static Notes decode(std::string_view bytes) {
    Notes notes;
    if (bytes.size() < 2 || bytes[0] != '\1') return notes;
    const auto flags = static_cast<unsigned char>(bytes[1]);
    std::size_t at = 2;
    const auto field = [&](unsigned flag) {
      std::int64_t value = 0;
      if ((flags & flag) != 0 && at + sizeof value <= bytes.size()) {
        std::memcpy(&value, bytes.data() + at, sizeof value);
        at += sizeof value;
      }
      return value;
    };
    notes.placeholder = (flags & 1) != 0;
    notes.negative = (flags & 2) != 0;
    notes.token = static_cast<std::uint64_t>(field(4));
    notes.throttle_until = field(8);
    notes.cost = field(16);
    notes.life = field(32);
    return notes;
  }
};

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
