// The same work for several parts, side by side.
#pragma once
#include <flux/cache/detail/function_ref.hpp>

#include <cstddef>

namespace flux::cache {
inline namespace v1 {
namespace composite {

/// Runs `work(0)` to `work(count - 1)`, on the executor's threads and on this one, and returns when all are done. What
/// no other thread has begun by then, this one does itself; so a busy executor makes it slower, and never stuck.
void fan_out(std::size_t count, detail::FunctionRef<void(std::size_t)> work);

/// Likewise where it pays: parts in memory are asked one after the other.
inline void fan_out(std::size_t count, bool worth_it, detail::FunctionRef<void(std::size_t)> work) {
  if (worth_it && count > 1) return fan_out(count, work);
  for (std::size_t i = 0; i < count; ++i) work(i);
}

}  // namespace composite
}  // namespace v1
}  // namespace flux::cache
