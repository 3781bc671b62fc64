// flux/cache/options.hpp - how long an entry lives, and what else a call may ask for.
#pragma once
#include <flux/cache/clock.hpp>

#include <optional>
#include <ratio>
#include <stop_token>
#include <string>
#include <type_traits>
#include <vector>

namespace flux::cache {
inline namespace v1 {

/// A lifetime: any std::chrono duration, or for ever. Rounded up to whole microseconds; what is longer than 290,000
/// years is for ever. Zero and negative lifetimes are allowed and mean: gone at once.
class Ttl {
 public:
  template <class Rep, class Period>
  constexpr Ttl(std::chrono::duration<Rep, Period> length) noexcept : length_(saturate(length)) {}
  /// No deadline.
  static constexpr Ttl forever() noexcept { return Ttl(Duration::max()); }

  constexpr bool is_forever() const noexcept { return length_ == Duration::max(); }
  constexpr Duration length() const noexcept { return length_; }
  /// The deadline of an entry written at `moment`.
  constexpr Instant from(Instant moment) const noexcept { return after(moment, length_); }

 private:
  template <class Rep, class Period>
  static constexpr Duration saturate(std::chrono::duration<Rep, Period> length) noexcept {
    using Seconds = std::chrono::duration<long double>;
    constexpr long double limit = 9.2e12L;  // seconds that fit into 63 bits of microseconds
    const long double seconds = std::chrono::duration_cast<Seconds>(length).count();
    if (!(seconds < limit)) return Duration::max();
    if (seconds < -limit) return Duration::min();
    if constexpr (std::ratio_less_v<Period, Duration::period> || std::is_floating_point_v<Rep>) {
      const auto down = std::chrono::duration_cast<Duration>(length);
      return down < length ? down + Duration(1) : down;
    } else {
      return std::chrono::duration_cast<Duration>(length);
    }
  }

  Duration length_;
};

/// Labels on an entry. Order and repetition say nothing.
using Tags = std::vector<std::string>;

/// A number of days, hours, minutes...: whole or with a fraction; zero is not the same as unsaid.
class Amount {
 public:
  constexpr Amount() noexcept = default;
  template <class Number>
  requires std::is_arithmetic_v<Number>
  constexpr Amount(Number count) noexcept : count_(static_cast<long double>(count)), said_(true) {}

  constexpr bool is_said() const noexcept { return said_; }
  constexpr long double count() const noexcept { return count_; }

 private:
  long double count_ = 0;
  bool said_ = false;
};

/// What a call may ask for beside key and value, written like keywords: `{.hours = 1, .tags = {"users"}}`.
/// The units add up; `ttl` is added to them. `until` overrules both. None of them: the store's default lifetime.
struct Options {
  Amount days{};
  Amount hours{};
  Amount minutes{};
  Amount seconds{};
  Amount milliseconds{};
  std::optional<Ttl> ttl{};                                      ///< a std::chrono lifetime
  std::optional<std::chrono::system_clock::time_point> until{};  ///< an absolute date; a past one means: gone at once
  Tags tags{};                                                   ///< labels to flush the entry by
  std::optional<Duration> jitter{};        ///< shortens the life by a random length up to this, never below zero
  std::optional<Duration> stale{};         ///< kept so much longer, and served while one caller loads anew
  std::optional<Duration> fail_safe{};     ///< kept so much longer, and served where the loader fails
  std::optional<Duration> throttle{};      ///< after a failure covered by `fail_safe`, no new try for so long; 30 s
  std::optional<Duration> soft_timeout{};  ///< with a stale value at hand, nobody waits longer for the loader
  std::optional<Duration> hard_timeout{};  ///< nobody waits longer for the loader at all
  std::stop_token stop{};                  ///< ends this caller's wait for a loader, with LoadCancelled
  std::optional<Duration> negative{};      ///< an empty answer of the loader is remembered so long
  double eager = 0;                        ///< a read past this part of the life (0 to 1) starts one refresh
  double beta = 0;                         ///< probabilistic early recomputation; 0 never, 1 the paper's choice
  bool skip_read = false;                  ///< `remember` runs its loader although a value is there
  bool skip_store = false;                 ///< `remember` stores nothing

  /// The lifetime asked for, or nothing where the call leaves it to the store.
  std::optional<Ttl> lifetime() const noexcept {
    const bool named =
        days.is_said() || hours.is_said() || minutes.is_said() || seconds.is_said() || milliseconds.is_said();
    if (!named || (ttl && ttl->is_forever())) return ttl;
    long double sum = days.count() * 86'400'000'000.0L + hours.count() * 3'600'000'000.0L +
                      minutes.count() * 60'000'000.0L + seconds.count() * 1'000'000.0L +
                      milliseconds.count() * 1'000.0L;
    if (ttl) sum += static_cast<long double>(ttl->length().count());
    return Ttl(std::chrono::duration<long double, std::micro>(sum));
  }
};

/// The two lives of `flexible`: fresh until the first has passed, served stale until the second has.
struct Fresh {
  Ttl fresh;
  Ttl stale;
};

}  // namespace v1
}  // namespace flux::cache
