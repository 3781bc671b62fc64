// flux/cache/detail/field_walk.hpp - walks a struct's table of fields; instantiated once per Writer and Reader.
#pragma once
#include <flux/cache/detail/field_plan.hpp>
#include <flux/cache/error.hpp>

#include <cstring>
#include <limits>
#include <string>

namespace flux::cache {
inline namespace v1 {
namespace detail {

template <class T>
T field_value(const void* field) noexcept {
  T value;
  std::memcpy(&value, field, sizeof value);
  return value;
}

/// `Out` is a final class, so that its functions are called, and inlined, directly.
template <class Out>
void save_fields(Out& out, const ObjectPlan& plan, const void* const* at) {
  if (!out.begin_object(plan.names)) return;
  for (std::size_t i = 0; i < plan.names.count; ++i) {
    const void* const field = at[i];
    out.field(plan.names.names[i]);
    switch (plan.fields[i].kind) {
      case FieldKind::boolean: out.boolean(field_value<bool>(field)); break;
      case FieldKind::i8: out.integer(field_value<std::int8_t>(field)); break;
      case FieldKind::i16: out.integer(field_value<std::int16_t>(field)); break;
      case FieldKind::i32: out.integer(field_value<std::int32_t>(field)); break;
      case FieldKind::i64: out.integer(field_value<std::int64_t>(field)); break;
      case FieldKind::u8: out.natural(field_value<std::uint8_t>(field)); break;
      case FieldKind::u16: out.natural(field_value<std::uint16_t>(field)); break;
      case FieldKind::u32: out.natural(field_value<std::uint32_t>(field)); break;
      case FieldKind::u64: out.natural(field_value<std::uint64_t>(field)); break;
      case FieldKind::f32: out.number32(field_value<float>(field)); break;
      case FieldKind::f64: out.number(field_value<double>(field)); break;
      case FieldKind::text: out.text(*static_cast<const std::string*>(field)); break;
      case FieldKind::other: plan.fields[i].save(field, out);
    }
  }
  out.end_object();
}

template <class T, class In, class Wide>
void store_narrow(In& in, Wide number, void* field) {
  const T value = static_cast<T>(number);
  if (value != number) in.fail(Errc::wrong_type, "a number does not fit");
  std::memcpy(field, &value, sizeof value);
}

template <class In>
[[gnu::always_inline]] inline void load_field(In& in, const FieldPlan& plan, void* field) {
  switch (plan.kind) {
    case FieldKind::boolean: *static_cast<bool*>(field) = in.boolean(); return;
    case FieldKind::i8: return store_narrow<std::int8_t>(in, in.integer(), field);
    case FieldKind::i16: return store_narrow<std::int16_t>(in, in.integer(), field);
    case FieldKind::i32: return store_narrow<std::int32_t>(in, in.integer(), field);
    case FieldKind::i64: return store_narrow<std::int64_t>(in, in.integer(), field);
    case FieldKind::u8: return store_narrow<std::uint8_t>(in, in.natural(), field);
    case FieldKind::u16: return store_narrow<std::uint16_t>(in, in.natural(), field);
    case FieldKind::u32: return store_narrow<std::uint32_t>(in, in.natural(), field);
    case FieldKind::u64: return store_narrow<std::uint64_t>(in, in.natural(), field);
    case FieldKind::f32: *static_cast<float*>(field) = in.number32(); return;
    case FieldKind::f64: *static_cast<double*>(field) = in.number(); return;
    case FieldKind::text: {
      const std::string_view text = in.text();
      static_cast<std::string*>(field)->assign(text.data(), text.size());
      return;
    }
    case FieldKind::other: plan.load(in, field);
  }
}

template <class In>
void load_fields(In& in, const ObjectPlan& plan, void* const* at) {
  const std::size_t count = plan.names.count;
  if (!in.begin_object(plan.names)) return;
  if (in.abilities().positional) {
    for (std::size_t i = 0; i < count; ++i) load_field(in, plan.fields[i], at[i]);
    in.end_object();
    return;
  }
  std::uint64_t seen = 0;
  std::size_t expected = 0;
  for (;;) {
    const std::size_t field = in.next_field(plan.names, expected);
    if (in.failed()) return;
    if (field == count) break;
    if ((seen >> field & 1) != 0) return in.fail(Errc::corrupt, "a field stands there twice");
    seen |= std::uint64_t{1} << field;
    load_field(in, plan.fields[field], at[field]);
    expected = field + 1;
  }
  for (std::size_t i = 0; i < count; ++i) {
    if ((seen >> i & 1) == 0 && !plan.fields[i].optional) return in.fail(Errc::schema, "a field is missing");
  }
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
