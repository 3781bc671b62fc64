#include "decode.hpp"

#include <flux/cache/many.hpp>

#include "text_frame.hpp"

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
    return with_text_frame_for(as, value.text, limits, value.format,
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

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
