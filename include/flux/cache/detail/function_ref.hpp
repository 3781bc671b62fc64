// flux/cache/detail/function_ref.hpp - a borrowed callable: two words, no allocation, valid for the call only.
#pragma once
#include <memory>
#include <type_traits>
#include <utility>

namespace flux::cache {
inline namespace v1 {
namespace detail {

template <class Signature>
class FunctionRef;

/// Refers to any callable that outlives the call it is passed to.
template <class R, class... Args>
class FunctionRef<R(Args...)> {
 public:
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, FunctionRef> && std::is_invocable_r_v<R, F&, Args...>)
      FunctionRef(F&& callable)
  noexcept
      : callable_(const_cast<void*>(static_cast<const void*>(std::addressof(callable)))),
        call_([](void* target, Args... args) -> R {
          return (*static_cast<std::remove_reference_t<F>*>(target))(std::forward<Args>(args)...);
        }) {}

  R operator()(Args... args) const { return call_(callable_, std::forward<Args>(args)...); }

 private:
  void* callable_;
  R (*call_)(void*, Args...);
};

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
