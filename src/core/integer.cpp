// core/integer.cpp - decimal text and back.
#include <flux/cache/integer.hpp>

#include <charconv>
#include <limits>

namespace flux::cache {
inline namespace v1 {

std::optional<Integer> parse_integer(std::string_view text) noexcept {
  const bool negative = !text.empty() && text.front() == '-';
  const std::string_view digits = negative ? text.substr(1) : text;
  if (digits.empty() || digits.size() > 20) return std::nullopt;
  if (digits.front() == '0' && (negative || digits.size() > 1)) return std::nullopt;
  std::uint64_t sum = 0;
  for (const char c : digits) {
    const unsigned digit = static_cast<unsigned char>(c) - unsigned{'0'};
    if (digit > 9) return std::nullopt;
    if (__builtin_mul_overflow(sum, 10U, &sum) || __builtin_add_overflow(sum, digit, &sum)) return std::nullopt;
  }
  constexpr std::uint64_t kLowest = std::uint64_t{1} << 63;
  if (!negative) return Integer{static_cast<std::int64_t>(sum), sum >= kLowest};
  if (sum > kLowest) return std::nullopt;
  return Integer{static_cast<std::int64_t>(~sum + 1), false};
}

std::string_view format_integer(Integer number, char* to) noexcept {
  const auto end = number.above ? std::to_chars(to, to + kIntegerRoom, static_cast<std::uint64_t>(number.bits)).ptr
                                : std::to_chars(to, to + kIntegerRoom, number.bits).ptr;
  return {to, static_cast<std::size_t>(end - to)};
}

std::string format_integer(Integer number) {
  char room[kIntegerRoom];
  return std::string(format_integer(number, room));
}

}  // namespace v1
}  // namespace flux::cache
