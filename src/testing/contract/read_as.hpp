// The type that the suite reads text as: behind a border, text comes back only where it is named.
#pragma once
#include <flux/cache/serial.hpp>

#include <string>

namespace flux::cache {
inline namespace v1 {
namespace testing {
namespace detail {

inline const Type* read_as() { return &type_of<std::string>(); }

}  // namespace detail
}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
