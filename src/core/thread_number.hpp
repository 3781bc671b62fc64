// A small number for each living thread, given back when it ends.
#pragma once

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// Numbers 0 to kThreadNumbers - 2 are one thread's alone; the rest share the last.
inline constexpr int kThreadNumbers = 64;

/// Negative: not taken yet. Trivially destroyed, so it may be read in the last destructors of a thread.
[[gnu::tls_model("initial-exec")]] extern constinit thread_local int number_of_this_thread;
int take_thread_number() noexcept;

inline int thread_number() noexcept {
  const int number = number_of_this_thread;
  return number >= 0 ? number : take_thread_number();
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
