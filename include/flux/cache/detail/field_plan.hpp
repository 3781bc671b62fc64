// flux/cache/detail/field_plan.hpp - how each field of a struct is written and read, as a table.
//
// Structs are walked by the formats themselves, each once and compiled, over such tables: a struct costs its users'
// files no code but a list of addresses, and its numbers and strings cost no virtual call.
#pragma once
#include <flux/cache/reflect.hpp>

#include <cstdint>

namespace flux::cache {
inline namespace v1 {

class Writer;
class Reader;

namespace detail {

enum class FieldKind : std::uint8_t { other, boolean, i8, i16, i32, i64, u8, u16, u32, u64, f32, f64, text };

struct FieldPlan {
  FieldKind kind = FieldKind::other;
  bool optional = false;                                   ///< may be missing where fields go by name
  void (*save)(const void* field, Writer& out) = nullptr;  ///< where the kind is other
  void (*load)(Reader& in, void* field) = nullptr;         ///< likewise
};

/// All of a struct's fields.
struct ObjectPlan {
  FieldNames names;
  const FieldPlan* fields = nullptr;
};

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
