#include "decode.hpp"

#include <flux/cache/detail/hash.hpp>
#include <flux/cache/many.hpp>

#include <bit>

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
    return with_text_frame(value.text, limits, value.format,
                           [&](std::string_view text) { deliver({.kind = Kind::text, .text = text}); });
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

// A table of indices by hash, twice as large as the batch: sorting a thousand keys that begin alike costs ten times as
// much.
std::vector<std::string_view> collapse(std::span<const std::string_view> keys) {
  if (keys.size() < 2) return {keys.begin(), keys.end()};
  std::vector<std::uint32_t> table(std::bit_ceil(2 * keys.size()), 0);
  const std::size_t mask = table.size() - 1;
  std::vector<std::string_view> distinct;
  distinct.reserve(keys.size());
  for (const std::string_view key : keys) {
    std::size_t at = hash_key(key) & mask;
    while (table[at] != 0 && distinct[table[at] - 1] != key) at = (at + 1) & mask;
    if (table[at] != 0) continue;
    distinct.push_back(key);
    table[at] = static_cast<std::uint32_t>(distinct.size());
  }
  return distinct;
}

void raise_not_asked(std::string_view key) {
  throw std::out_of_range("flux::cache: the key \"" + std::string(key) + "\" was not asked for in this batch");
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
