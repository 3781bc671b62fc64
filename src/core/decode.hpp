// Encoded values on their way up, for the border and for what was read without a type.
#pragma once
#include <flux/cache/detail/function_ref.hpp>
#include <flux/cache/frame.hpp>
#include <flux/cache/value.hpp>

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// Hands `deliver` the live value that the bytes hold, read as `as`; values that are live already pass as they are.
Result<void> decode_view(const ValueView& value, const Type& as, const Limits& limits,
                         FunctionRef<void(const ValueView&)> deliver);

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
