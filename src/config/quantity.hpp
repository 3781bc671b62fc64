// config/quantity.hpp - durations and sizes as people write them.
#pragma once
#include <flux/cache/clock.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// "200ms", "1.5h", "-1s": one number and its unit out of us, ms, s, m, h, d, w. Nothing where it is not that, or
/// beyond 290,000 years.
std::optional<Duration> parse_duration(std::string_view text);
/// Seconds, rounded to microseconds.
std::optional<Duration> duration_of_seconds(double seconds);
/// In the largest unit that leaves no fraction: "90s", "2h". `parse_duration` gives the same back.
std::string format_duration(Duration length);

/// "64MiB", "1.5G", "512": bytes, rounded down. K, M, G, T count in thousands, with an i in 1024s; a B may follow. At
/// most 2^63 - 1.
std::optional<std::uint64_t> parse_size(std::string_view text);
std::string format_size(std::uint64_t bytes);

/// The whole text as a number, or nothing.
std::optional<std::int64_t> parse_integer(std::string_view text);
std::optional<double> parse_real(std::string_view text);

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
