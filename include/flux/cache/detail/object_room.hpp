// flux/cache/detail/object_room.hpp - a shared object and its count in one block, without a template for each type.
//
// What std::make_shared does, but the count is compiled once: in every file that caches a struct, std::make_shared
// costs as much time to compile as all else that a `put` of it needs.
#pragma once
#include <flux/cache/detail/export.hpp>

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// Room for one object. Given back where `close` was not reached.
class FLUX_CACHE_API ObjectRoom {
 public:
  ObjectRoom(std::size_t size, std::size_t alignment);
  ObjectRoom(const ObjectRoom&) = delete;
  ObjectRoom& operator=(const ObjectRoom&) = delete;
  ~ObjectRoom();

  void* place() const noexcept { return place_; }
  /// Owns the object that was built at `place()`; `destroy` ends it, null where that takes nothing.
  std::shared_ptr<void> close(void (*destroy)(void*)) noexcept;

 private:
  void* block_;
  std::size_t alignment_;
  void* place_;
};

/// An object that finds its own owner (std::enable_shared_from_this) wants std::make_shared.
template <class T>
inline constexpr bool finds_owner = requires(T& object) {
  object.weak_from_this();
};

template <class T>
void destroy_object(void* object) {
  static_cast<T*>(object)->~T();
}

/// A new object; `made` is where it lies, to be filled in.
template <class T, class... From>
std::shared_ptr<void> make_object(T*& made, From&&... from) {
  if constexpr (finds_owner<T>) {
    auto object = std::make_shared<T>(std::forward<From>(from)...);
    made = object.get();
    return object;
  } else {
    ObjectRoom room(sizeof(T), alignof(T));
    made = ::new (room.place()) T(std::forward<From>(from)...);
    if constexpr (std::is_trivially_destructible_v<T>)
      return room.close(nullptr);
    else
      return room.close(destroy_object<T>);
  }
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
