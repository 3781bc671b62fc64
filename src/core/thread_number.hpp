// A small number for each living thread, given back when it ends.
#pragma once

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// Numbers 0 to kThreadNumbers - 2 are one thread's alone; the rest share the last.
inline constexpr int kThreadNumbers = 64;
int thread_number() noexcept;

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
