#include "decode.hpp"

#include <flux/cache/many.hpp>

#include <algorithm>

namespace flux::cache {
inline namespace v1 {
namespace detail {

Result<void> decode_view(const ValueView& value, const Type& as, const Limits& limits,
                         FunctionRef<void(const ValueView&)> deliver) {
  if (value.kind != Kind::bytes) return deliver(value), Result<void>();
  const bool whole = as.lane == Lane::integer || as.lane == Lane::natural;
  if (whole && value.format != nullptr) {
    if (const auto number = parse_integer(value.text)) {
      deliver({.kind = number->above ? Kind::unsigned_integer : Kind::integer, .number = number->bits});
      return {};
    }
  }
  if (whole || as.lane == Lane::text) {
    auto text = decode_text_frame(value.text, limits, value.format);
    if (!text.ok()) return Result<void>(text.take_error());
    deliver({.kind = Kind::text, .text = *text});
    return {};
  }
  auto decoded = decode_frame(value.text, as, limits, value.format);
  if (!decoded.ok()) return Result<void>(decoded.take_error());
  const Object object = *std::move(decoded);
  deliver({.kind = Kind::object, .type = &as, .object = &object});
  return {};
}

Value opened(const Value& value, const Type& as) {
  Value live;
  (void)decode_view(value.view(), as, {}, [&](const ValueView& view) { live = Value(view); });
  return live;
}

bool text_as_integer(std::string_view text, ValueView& out) noexcept {
  const auto number = parse_integer(text);
  if (!number) return false;
  out = {.kind = number->above ? Kind::unsigned_integer : Kind::integer, .number = number->bits};
  return true;
}

std::vector<std::string_view> collapse(std::span<const std::string_view> keys) {
  std::vector<std::string_view> sorted(keys.begin(), keys.end());
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end()) return {keys.begin(), keys.end()};
  std::vector<std::string_view> distinct;
  std::vector<bool> seen(keys.size());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  for (const std::string_view key : keys) {
    const auto place = static_cast<std::size_t>(std::lower_bound(sorted.begin(), sorted.end(), key) - sorted.begin());
    if (!seen[place]) seen[place] = true, distinct.push_back(key);
  }
  return distinct;
}

void raise_not_asked(std::string_view key) {
  throw std::out_of_range("flux::cache: the key \"" + std::string(key) + "\" was not asked for in this batch");
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
