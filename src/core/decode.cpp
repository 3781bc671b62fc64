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

// A table by hash, twice as large as the batch, of half a hash and an index behind it: sorting a thousand keys that
// begin alike costs ten times as much, and so does comparing keys where their hashes tell them apart.
std::vector<std::string_view> collapse(std::span<const std::string_view> keys) {
  if (keys.size() < 2) return {keys.begin(), keys.end()};
  constexpr std::uint64_t kIndex = 0xffffffff;
  std::vector<std::uint64_t> table(std::bit_ceil(2 * keys.size()), 0);
  const std::size_t mask = table.size() - 1;
  std::vector<std::string_view> distinct;
  distinct.reserve(keys.size());
  for (const std::string_view key : keys) {
    const std::uint64_t hash = hash_key(key);
    std::size_t at = hash & mask;
    const auto is_key = [&](std::uint64_t seen) {
      return ((seen ^ hash) & ~kIndex) == 0 && distinct[(seen & kIndex) - 1] == key;
    };
    while (table[at] != 0 && !is_key(table[at])) at = (at + 1) & mask;
    if (table[at] != 0) continue;
    distinct.push_back(key);
    table[at] = (hash & ~kIndex) | distinct.size();
  }
  return distinct;
}

void raise_not_asked(std::string_view key) {
  throw std::out_of_range("flux::cache: the key \"" + std::string(key) + "\" was not asked for in this batch");
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
