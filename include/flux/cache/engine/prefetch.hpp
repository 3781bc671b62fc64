// flux/cache/engine/prefetch.hpp - drawing cache lines near before they are needed, to read or to write them.
//
// The difference matters where several cores write: a line that another core wrote last and that is drawn near to be
// read must be asked for a second time by the first store to it. Compilers turn the builtin "to write" into a plain
// read unless they may assume a processor of the last ten years; hence the instruction by its name. Processors without
// it take it as no operation. A hint: any address will do.
#pragma once

namespace flux::cache {
inline namespace v1 {
namespace engine {

[[gnu::always_inline]] inline void prefetch_read(const void* at) noexcept { __builtin_prefetch(at); }
[[gnu::always_inline]] inline void prefetch_write(const void* at) noexcept {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(at)));
#else
  __builtin_prefetch(at, 1);
#endif
}

}  // namespace engine
}  // namespace v1
}  // namespace flux::cache
