// The strict reading, both ways: bools, numbers, sizes, durations and lifetimes.
#include <flux/cache/fields.hpp>

#include <algorithm>

#include "config/quantity.hpp"
#include "config/reading.hpp"

namespace flux::cache {
inline namespace v1 {

using detail::described;
using detail::is_variable;

namespace {

std::string range_of(std::string_view what, std::int64_t least, std::int64_t most) {
  std::string wanted(what);
  if (most == Fields::kMaxInteger) return wanted.append(" of at least ").append(std::to_string(least));
  return wanted.append(" from ").append(std::to_string(least)).append(" to ").append(std::to_string(most));
}

std::optional<Duration> duration_from(const Settings& found) {
  if (found.kind() == Settings::Kind::integer || found.kind() == Settings::Kind::real)
    return detail::duration_of_seconds(found.real());
  if (!found.is_text()) return std::nullopt;
  if (is_variable(found))
    if (const auto seconds = detail::parse_real(found.text())) return detail::duration_of_seconds(*seconds);
  return detail::parse_duration(found.text());
}

constexpr std::string_view kDurationForm =
    "a duration: seconds, or text with its unit such as \"200ms\", \"5m\", \"2d\"";
constexpr std::string_view kLifetimeForm =
    "a lifetime above zero: seconds, or text such as \"90s\", \"5m\", \"forever\"";
constexpr std::string_view kSizeForm = "a size: bytes, or text with its unit such as \"64MiB\", \"10kB\"";

/// Nothing where it is no lifetime; the inner optional is empty for null.
std::optional<std::optional<Ttl>> lifetime_from(const Settings& found) {
  using Found = std::optional<std::optional<Ttl>>;
  if (found.is_null()) return Found(std::in_place);
  if (found.is_text() && found.text() == "forever") return Found(Ttl::forever());
  const auto length = duration_from(found);
  if (!length || *length <= Duration(0)) return std::nullopt;
  return Found(Ttl(*length));
}

Settings settings_from(const std::optional<Ttl>& value) {
  if (!value) return {};
  return value->is_forever() ? std::string("forever") : detail::format_duration(value->length());
}

}  // namespace

void Fields::flag(std::string_view name, bool& value) {
  if (to_ != nullptr) return void(to_->set(name, value));
  const Settings* const found = take(name);
  if (found == nullptr) return;
  if (found->kind() == Settings::Kind::boolean) return void(value = found->boolean());
  if (is_variable(*found)) {
    if (found->text() == "true" || found->text() == "1") return void(value = true);
    if (found->text() == "false" || found->text() == "0") return void(value = false);
  }
  wrong(name, *found, "true or false");
}

void Fields::read_integer(std::string_view name, std::int64_t& value, std::int64_t least, std::int64_t most) {
  if (to_ != nullptr) return void(to_->set(name, value));
  const Settings* const found = take(name);
  if (found == nullptr) return;
  if (const auto number = integer_from(*found); number && *number >= least && *number <= most)
    value = *number;
  else
    wrong(name, *found, range_of("an integer", least, most));
}

std::optional<std::int64_t> Fields::integer_from(const Settings& found) {
  if (found.kind() == Settings::Kind::integer) return found.integer();
  return is_variable(found) ? detail::parse_integer(found.text()) : std::nullopt;
}

void Fields::read_integers(std::string_view name, std::vector<std::int64_t>& value, std::int64_t least,
                           std::int64_t most) {
  if (to_ != nullptr) {
    Settings& list = to_->set(name, Settings::list());
    for (const std::int64_t number : value) list.push(number);
    return;
  }
  const Settings* const found = take(name);
  if (found == nullptr) return;
  if (!found->is_list()) return wrong(name, *found, "a list of integers");
  value.clear();
  for (std::size_t i = 0; i < found->size() && !reading_->problems.full(); ++i) {
    const auto number = integer_from((*found)[i]);
    if (number && *number >= least && *number <= most)
      value.push_back(*number);
    else
      reading_->problems.add(pointer_to(name) + "/" + std::to_string(i), &(*found)[i],
                             "expected " + range_of("an integer", least, most) + ", found " + described((*found)[i]));
  }
}

void Fields::real(std::string_view name, double& value, double least, double most) {
  if (to_ != nullptr) return void(to_->set(name, value));
  const Settings* const found = take(name);
  if (found == nullptr) return;
  std::optional<double> number;
  if (found->kind() == Settings::Kind::integer || found->kind() == Settings::Kind::real)
    number = found->real();
  else if (is_variable(*found))
    number = detail::parse_real(found->text());
  if (number && *number >= least && *number <= most)
    value = *number;
  else
    wrong(name, *found, "a number from " + Settings(least).to_json() + " to " + Settings(most).to_json());
}

void Fields::read_size(std::string_view name, std::uint64_t& value, std::uint64_t least, std::uint64_t most) {
  if (to_ != nullptr)
    return void(to_->set(name, static_cast<std::int64_t>(std::min<std::uint64_t>(value, kMaxInteger))));
  const Settings* const found = take(name);
  if (found == nullptr) return;
  std::optional<std::uint64_t> bytes;
  if (found->kind() == Settings::Kind::integer && found->integer() >= 0)
    bytes = static_cast<std::uint64_t>(found->integer());
  else if (found->is_text() && (is_variable(*found) || !detail::parse_integer(found->text())))
    bytes = detail::parse_size(found->text());
  if (!bytes) return wrong(name, *found, kSizeForm);
  if (*bytes >= least && *bytes <= most) return void(value = *bytes);
  mistake(name, *bytes < least ? "at least " + detail::format_size(least) + " is needed"
                               : "at most " + detail::format_size(most) + " is possible");
}

void Fields::read_duration(std::string_view name, Duration& value, Duration least, Duration most) {
  if (to_ != nullptr) return void(to_->set(name, detail::format_duration(value)));
  const Settings* const found = take(name);
  if (found == nullptr) return;
  const auto length = duration_from(*found);
  if (!length) return wrong(name, *found, kDurationForm);
  if (*length >= least && *length <= most) return void(value = *length);
  mistake(name, *length < least ? "at least " + detail::format_duration(least) + " is needed"
                                : "at most " + detail::format_duration(most) + " is possible");
}

void Fields::lifetime(std::string_view name, std::optional<Ttl>& value) {
  if (to_ != nullptr) return void(to_->set(name, settings_from(value)));
  const Settings* const found = take(name);
  if (found == nullptr) return;
  if (const auto length = lifetime_from(*found))
    value = *length;
  else
    wrong(name, *found, kLifetimeForm);
}

void Fields::lifetimes(std::string_view name, std::vector<std::optional<Ttl>>& value) {
  if (to_ != nullptr) {
    Settings& list = to_->set(name, Settings::list());
    for (const auto& length : value) list.push(settings_from(length));
    return;
  }
  const Settings* const found = take(name);
  if (found == nullptr) return;
  if (!found->is_list()) return wrong(name, *found, "a list of lifetimes");
  value.clear();
  for (std::size_t i = 0; i < found->size() && !reading_->problems.full(); ++i) {
    if (const auto length = lifetime_from((*found)[i]))
      value.push_back(*length);
    else
      reading_->problems.add(pointer_to(name) + "/" + std::to_string(i), &(*found)[i],
                             "expected " + std::string(kLifetimeForm) + ", found " + described((*found)[i]));
  }
}

}  // namespace v1
}  // namespace flux::cache
