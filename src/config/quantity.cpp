#include "config/quantity.hpp"

#include <charconv>
#include <cmath>
#include <limits>

namespace flux::cache {
inline namespace v1 {
namespace detail {

namespace {

struct Unit {
  std::string_view name;
  std::int64_t size;
};

constexpr std::int64_t kSecond = 1'000'000;
/// From small to large; of two names the first one is written.
constexpr Unit kDurations[] = {{"us", 1},
                               {"ms", 1'000},
                               {"s", kSecond},
                               {"m", 60 * kSecond},
                               {"min", 60 * kSecond},
                               {"h", 3'600 * kSecond},
                               {"d", 86'400 * kSecond},
                               {"w", 7 * 86'400 * kSecond}};

/// Beyond it the steady line ends.
constexpr double kLongestMicroseconds = 9.2e18;

bool is_number_start(char c) { return (c >= '0' && c <= '9') || c == '-' || c == '.'; }

/// Takes apart "12.5 MiB" into "12.5" and "MiB".
std::pair<std::string_view, std::string_view> split(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size() && is_number_start(text[end])) ++end;
  std::string_view unit = text.substr(end);
  if (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  return {text.substr(0, end), unit};
}

/// `number` times `size`: exact for integers, rounded for fractions. Nothing where it is no number or too large.
template <class Round>
std::optional<std::int64_t> multiply(std::string_view number, std::int64_t size, Round round) {
  if (const auto whole = parse_integer(number)) {
    std::int64_t product = 0;
    if (__builtin_mul_overflow(*whole, size, &product)) return std::nullopt;
    return product;
  }
  const auto real = parse_real(number);
  if (!real || number.back() == '.') return std::nullopt;
  const double product = round(*real * static_cast<double>(size));
  if (!(std::fabs(product) < kLongestMicroseconds)) return std::nullopt;
  return static_cast<std::int64_t>(product);
}

bool equal_letters(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if ((a[i] | 0x20) != (b[i] | 0x20)) return false;
  return true;
}

constexpr std::int64_t kKilo = 1'000, kKibi = 1'024;
constexpr Unit kSizes[] = {{"", 1},
                           {"B", 1},
                           {"k", kKilo},
                           {"kB", kKilo},
                           {"Ki", kKibi},
                           {"KiB", kKibi},
                           {"M", kKilo* kKilo},
                           {"MB", kKilo* kKilo},
                           {"Mi", kKibi* kKibi},
                           {"MiB", kKibi* kKibi},
                           {"G", kKilo* kKilo* kKilo},
                           {"GB", kKilo* kKilo* kKilo},
                           {"Gi", kKibi* kKibi* kKibi},
                           {"GiB", kKibi* kKibi* kKibi},
                           {"T", kKilo* kKilo* kKilo* kKilo},
                           {"TB", kKilo* kKilo* kKilo* kKilo},
                           {"Ti", kKibi* kKibi* kKibi* kKibi},
                           {"TiB", kKibi* kKibi* kKibi* kKibi}};

}  // namespace

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, fault] = std::from_chars(text.data(), end, value);
  if (fault != std::errc{} || stop != end) return std::nullopt;
  return value;
}

std::optional<double> parse_real(std::string_view text) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, fault] = std::from_chars(text.data(), end, value);
  if (fault != std::errc{} || stop != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<Duration> parse_duration(std::string_view text) {
  const auto [number, unit] = split(text);
  for (const Unit& known : kDurations) {
    if (known.name != unit) continue;
    const auto microseconds = multiply(number, known.size, [](double value) { return std::round(value); });
    if (!microseconds) return std::nullopt;
    return Duration(*microseconds);
  }
  return std::nullopt;
}

std::optional<Duration> duration_of_seconds(double seconds) {
  const double microseconds = std::round(seconds * static_cast<double>(kSecond));
  if (!(std::fabs(microseconds) < kLongestMicroseconds)) return std::nullopt;
  return Duration(static_cast<std::int64_t>(microseconds));
}

std::string format_duration(Duration length) {
  const std::int64_t count = length.count();
  if (count == 0) return "0s";
  const Unit* best = &kDurations[0];
  for (const Unit& unit : kDurations)
    if (count % unit.size == 0 && unit.size != best->size && unit.name != "w") best = &unit;
  return std::to_string(count / best->size).append(best->name);
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  const auto [number, unit] = split(text);
  for (const Unit& known : kSizes) {
    if (!equal_letters(known.name, unit)) continue;
    const auto bytes = multiply(number, known.size, [](double value) { return std::floor(value); });
    if (!bytes || *bytes < 0) return std::nullopt;
    return static_cast<std::uint64_t>(*bytes);
  }
  return std::nullopt;
}

std::string format_size(std::uint64_t bytes) {
  const Unit* best = &kSizes[1];
  for (const Unit& unit : kSizes)
    if (unit.name.size() == 3 && bytes != 0 && bytes % static_cast<std::uint64_t>(unit.size) == 0) best = &unit;
  return std::to_string(bytes / static_cast<std::uint64_t>(best->size)).append(" ").append(best->name);
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
