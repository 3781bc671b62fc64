// flux/cache/detail/per_thread.hpp - one object per thread, also while threads and the program end.
#pragma once
#include <memory>
#include <utility>

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// Hands the thread's own `T`, made at first use, to `use`. Where the thread's objects are gone already (static
/// destruction), a temporary one. Not re-entrant for the same `T`.
template <class T, class Use>
decltype(auto) with_thread_own(Use&& use) {
  enum class State : unsigned char { none, there, gone };
  static thread_local constinit State state = State::none;
  struct Own {
    T object;
    Own() { state = State::there; }
    ~Own() { state = State::gone; }
  };
  if (state == State::gone) {
    T temporary;
    return std::forward<Use>(use)(temporary);
  }
  static thread_local Own own;
  return std::forward<Use>(use)(own.object);
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
