// flux/cache/type_of.hpp - the table of a C++ type: `type_of<T>()`.
#pragma once
#include <flux/cache/detail/codecs.hpp>
#include <flux/cache/detail/describe.hpp>
#include <flux/cache/detail/object_room.hpp>
#include <flux/cache/detail/weigh.hpp>
#include <flux/cache/type.hpp>

namespace flux::cache {
inline namespace v1 {
namespace detail {

template <class T>
std::size_t weigh_object(const void* object) {
  return sizeof(T) + heap_of(*static_cast<const T*>(object));
}

/// The failure of a walk as an error; out of line, since it is rare.
FLUX_CACHE_API Error walk_error(const Walk& walk);

template <class T>
Result<std::shared_ptr<void>> load_erased(Reader& in) {
  T* object = nullptr;
  std::shared_ptr<void> owner;
  if constexpr (CodecMakes<T>) {
    owner = make_object<T>(object, Codec<T>::load(in));
  } else {
    owner = make_object<T>(object);
    load_value(in, *object);
  }
  if (in.failed()) return walk_error(in);
  return owner;
}

template <class T>
consteval Lane lane_of() {
  constexpr Shape shape = kShape<T>;
  if constexpr (shape == Shape::enumeration) return lane_of<std::underlying_type_t<T>>();
  if (shape == Shape::integer) return Lane::integer;
  if (shape == Shape::natural) return Lane::natural;
  if (shape == Shape::text) return Lane::text;
  if (shape == Shape::bytes) return Lane::bytes;
  return Lane::object;
}

template <class T>
std::string_view view_content(const void* object) {
  const T& value = *static_cast<const T*>(object);
  return {reinterpret_cast<const char*>(value.data()), value.size()};
}

template <class T>
std::shared_ptr<void> adopt_content(std::string_view content) {
  T* object = nullptr;
  auto owner = make_object<T>(object);
  const auto* data = reinterpret_cast<const typename T::value_type*>(content.data());
  object->assign(data, data + content.size());
  return owner;
}

template <class T>
consteval Type make_type() {
  Type type;
  type.name = type_name_of<T>();
  type.weigh = weigh_object<T>;
  type.lane = lane_of<T>();
  if constexpr (kWritable<T>) {
    type.fingerprint = fingerprint_of<T>();
    type.save = save_erased<T>;
    type.load = load_erased<T>;
  }
  if constexpr (lane_of<T>() == Lane::text || lane_of<T>() == Lane::bytes) {
    type.view = view_content<T>;
    type.adopt = adopt_content<T>;
  }
  return type;
}

template <class T>
inline constexpr Type kType = make_type<T>();

/// Things that look at a value but do not own it: a cached one would outlive what it looks at.
template <class T>
inline constexpr bool kIsView = requires(const T& view) {
  view.data();
  view.size();
}
&&std::is_trivially_copyable_v<T>&& std::is_class_v<T>&& requires(T& view) { view = T(view.data(), view.size()); };

template <class T>
consteval bool check_cacheable() {
  static_assert(!std::is_reference_v<T>, "flux cache: a reference cannot be cached; cache the object itself");
  static_assert(!std::is_pointer_v<T> && !std::is_member_pointer_v<T> && !std::is_null_pointer_v<T>,
                "flux cache: a pointer cannot be cached, nobody would own what it points to; cache the object itself");
  static_assert(!std::is_void_v<T> && !std::is_function_v<T>, "flux cache: only objects can be cached");
  static_assert(!std::is_array_v<T>, "flux cache: a C array cannot be cached; use std::array or std::vector");
  static_assert(!std::is_const_v<T> && !std::is_volatile_v<T>,
                "flux cache: name the type without const and volatile; what is cached never changes anyway");
  if constexpr (std::is_object_v<T> && !std::is_array_v<T>) {
    static_assert(
        std::is_move_constructible_v<T>,
        "flux cache: this type can be neither copied nor moved into the cache; cache a std::shared_ptr to it");
    static_assert(std::is_destructible_v<T>, "flux cache: this type cannot be destroyed, so it cannot be cached");
    static_assert(!kIsView<T>,
                  "flux cache: a view does not own what it shows; cache a std::string or a std::vector instead");
  }
  return true;
}

}  // namespace detail

/// The table of `T`: constant, the same object in the whole program, never destroyed. A type that cannot be written (it
/// holds a mutex, a function, a pointer) has no `save` and `load` and lives in memory only; what cannot be cached at
/// all does not compile.
template <class T>
constexpr const Type& type_of() noexcept {
  static_assert(detail::check_cacheable<T>());
  return detail::kType<T>;
}

}  // namespace v1
}  // namespace flux::cache
