// flux/cache/detail/weigh.hpp - the bytes an object takes, on the heap and by itself.
#pragma once
#include <flux/cache/detail/shape.hpp>

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// What glibc's malloc takes for a request: 8 bytes of its own, steps of 16, at least 32.
constexpr std::size_t heap_block(std::size_t size) noexcept {
  if (size == 0) return 0;
  const std::size_t block = (size + 8 + 15) / 16 * 16;
  return block < 32 ? 32 : block;
}

/// Bytes of a node besides its value: three pointers and a colour for ordered containers, a link and a hash for others.
inline constexpr std::size_t kNodeOverhead = 32;

/// A fixed share of a shared_ptr's control block.
inline constexpr std::size_t kControlBlock = 16;

template <class T>
std::size_t heap_of(const T& value);

/// True where no object of the type ever owns heap memory.
template <class T>
consteval bool is_flat() {
  return std::is_trivially_copyable_v<T>;
}

template <class T>
std::size_t heap_of_items(const T& range) {
  std::size_t sum = 0;
  if constexpr (!is_flat<typename T::value_type>()) {
    for (const auto& item : range) sum += heap_of<typename T::value_type>(item);
  }
  return sum;
}

/// Heap bytes that `value` owns, itself not included.
template <class T>
std::size_t heap_of(const T& value) {
  constexpr Shape shape = kShape<T>;
  if constexpr (shape == Shape::foreign) {
    if constexpr (requires { Codec<T>::weigh(value); }) {
      const std::size_t all = Codec<T>::weigh(value);
      return all > sizeof(T) ? all - sizeof(T) : 0;
    } else {
      return 0;
    }
  } else if constexpr (is_flat<T>()) {
    return 0;
  } else if constexpr (shape == Shape::text) {
    const void* data = value.data();
    const void* self = std::addressof(value);
    const bool inside = data >= self && data < static_cast<const char*>(self) + sizeof(T);
    return inside ? 0 : heap_block(value.capacity() + 1);
  } else if constexpr (shape == Shape::bytes) {
    return heap_block(value.capacity());
  } else if constexpr (shape == Shape::optional) {
    return value ? heap_of(*value) : 0;
  } else if constexpr (shape == Shape::pointer) {
    if (!value) return 0;
    using Held = inner_of<T>;
    if constexpr (std::is_void_v<Held>) {
      return kControlBlock;
    } else {
      return heap_block(sizeof(Held) + (std::is_copy_constructible_v<T> ? kControlBlock : 0)) + heap_of<Held>(*value);
    }
  } else if constexpr (shape == Shape::array) {
    return heap_of_items(value);
  } else if constexpr (shape == Shape::sequence) {
    using Item = typename T::value_type;
    if constexpr (requires { value.capacity(); }) {
      if constexpr (std::is_same_v<Item, bool>) return heap_block(value.capacity() / 8);
      return heap_block(value.capacity() * sizeof(Item)) + heap_of_items(value);
    } else if constexpr (requires { value[0]; }) {
      return heap_block((value.size() + 1) * sizeof(Item)) + heap_of_items(value);
    } else {
      return value.size() * heap_block(2 * sizeof(void*) + sizeof(Item)) + heap_of_items(value);
    }
  } else if constexpr (shape == Shape::map || shape == Shape::set) {
    using Item = typename T::value_type;
    std::size_t sum = value.size() * heap_block(kNodeOverhead + sizeof(Item));
    if constexpr (requires { value.bucket_count(); }) sum += heap_block(value.bucket_count() * sizeof(void*));
    return sum + heap_of_items(value);
  } else if constexpr (shape == Shape::tuple) {
    using std::get;
    std::size_t sum = 0;
    for_each_index<std::tuple_size<T>::value>([&](auto i) { sum += heap_of(get<i.value>(value)); });
    return sum;
  } else if constexpr (shape == Shape::variant) {
    std::size_t sum = 0;
    for_each_index<arguments_of<T>::count>([&](auto i) {
      if (value.index() == i.value) sum = heap_of(*get_if<i.value>(&value));
    });
    return sum;
  } else if constexpr (shape == Shape::object) {
    return visit_fields(value, [](const auto&... fields) { return (std::size_t{0} + ... + heap_of(fields)); });
  } else {
    return 0;
  }
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
