// flux/cache/integer.hpp - whole numbers as decimal text: how they travel, so that a server can count them.
#pragma once
#include <flux/cache/detail/export.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace flux::cache {
inline namespace v1 {

/// A whole number between -2^63 and 2^64 - 1: its bits, and whether they stand above the signed range.
struct Integer {
  std::int64_t bits = 0;
  bool above = false;  ///< true: the number is `uint64_t(bits)`, which is 2^63 or more

  constexpr bool fits_signed() const noexcept { return !above; }
  constexpr bool fits_unsigned() const noexcept { return above || bits >= 0; }
  friend bool operator==(const Integer&, const Integer&) = default;
};

/// The text as a whole number, if all of it is one: an optional '-', then digits without a leading zero ("0" itself
/// excepted; "-0" is none). No plus, no spaces, no fraction, nothing beyond 64 bits. About 5 ns.
FLUX_CACHE_API std::optional<Integer> parse_integer(std::string_view text) noexcept;

/// Bytes that `format_integer` may need.
inline constexpr std::size_t kIntegerRoom = 20;

/// Writes the number as decimal text to `to`, which has kIntegerRoom bytes; the text is what was written.
FLUX_CACHE_API std::string_view format_integer(Integer number, char* to) noexcept;

/// Likewise, as a string (which needs no heap up to 15 digits).
FLUX_CACHE_API std::string format_integer(Integer number);

}  // namespace v1
}  // namespace flux::cache
