// flux/cache/testing/crowd.hpp - the same work on many threads, or in many processes, begun at one moment.
#pragma once
#include <flux/cache/detail/export.hpp>
#include <flux/cache/detail/function_ref.hpp>

#include <type_traits>

namespace flux::cache {
inline namespace v1 {
namespace testing {

namespace detail {
FLUX_CACHE_API long run_threads(int count, cache::detail::FunctionRef<long(int)> work);
FLUX_CACHE_API long run_processes(int count, cache::detail::FunctionRef<long(int)> work);

template <class Work>
long answer(Work& work, int index) {
  const auto call = [&]() -> decltype(auto) {
    if constexpr (std::is_invocable_v<Work&, int>)
      return work(index);
    else
      return work();
  };
  if constexpr (std::is_void_v<decltype(call())>)
    return call(), 0;
  else
    return static_cast<long>(call());
}
}  // namespace detail

/// Runs `work`, with or without its index, on `count` threads that begin together; answers the sum of what they answer.
template <class Work>
long run_on_threads(int count, Work&& work) {
  return detail::run_threads(count, [&](int index) { return detail::answer(work, index); });
}

/// Likewise in `count` children of this process, by fork(2). A child that dies, throws or has not ended after two
/// minutes makes the answer -1. What a child does to its memory the parent does not see; a failed assertion there is
/// lost, so let the answer tell.
template <class Work>
long run_in_processes(int count, Work&& work) {
  return detail::run_processes(count, [&](int index) { return detail::answer(work, index); });
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
