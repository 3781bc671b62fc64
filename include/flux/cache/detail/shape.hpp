// flux/cache/detail/shape.hpp - what kind of value a C++ type is, told by its shape.
//
// Containers, variants and tuples are recognised by what they offer, not by their name, so that nobody pays for a
// standard header he does not use, and so that a container of one's own with the standard's shape is known as well.
#pragma once
#include <flux/cache/codec.hpp>
#include <flux/cache/reflect.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace flux::cache {
inline namespace v1 {
namespace detail {

enum class Shape : std::uint8_t {
  unknown,  // lives in memory only
  foreign,  // has a Codec
  boolean,
  integer,
  natural,
  number,
  number32,
  enumeration,
  text,
  bytes,  // a growing container of std::byte or unsigned char
  optional,
  pointer,  // unique_ptr, shared_ptr
  duration,
  time_point,
  tuple,  // pair and tuple
  variant,
  map,
  set,
  sequence,
  array,   // std::array
  object,  // has fields
};

template <class T>
concept HasCodec = requires {
  sizeof(Codec<T>);
};

template <class T>
concept TextLike = requires(T& text, const T& constant, const char* data, std::size_t size) {
  typename T::traits_type;
  requires std::is_same_v<typename T::value_type, char>;
  text.assign(data, size);
  { constant.data() } -> std::convertible_to<const char*>;
  { constant.size() } -> std::convertible_to<std::size_t>;
};

template <class T>
concept RangeLike = requires(const T& range) {
  typename T::value_type;
  range.begin() != range.end();
  { range.size() } -> std::convertible_to<std::size_t>;
  requires !std::is_same_v<typename T::value_type, T>;
};

template <class T>
concept ContiguousLike = RangeLike<T> && requires(T& range) {
  { range.data() } -> std::same_as<typename T::value_type*>;
};

template <class T>
inline constexpr bool kByteLike = std::is_same_v<T, std::byte> || std::is_same_v<T, unsigned char>;

template <class T>
concept BytesLike = ContiguousLike<T> && kByteLike<typename T::value_type> &&
    requires(T& bytes, const typename T::value_type* data) {
  bytes.assign(data, data);
};

template <class T>
concept HasTupleSize = requires {
  std::tuple_size<T>::value;
};

template <class T>
concept ArrayLike = ContiguousLike<T> && HasTupleSize<T>;

template <class T>
concept SetLike = RangeLike<T> && requires(T& set, typename T::key_type&& key) {
  requires std::is_same_v<typename T::key_type, typename T::value_type>;
  set.insert(set.end(), std::move(key));
};

template <class T>
concept MapLike = RangeLike<T> && requires(T& map, typename T::key_type&& key, typename T::mapped_type&& mapped) {
  map.emplace_hint(map.end(), std::move(key), std::move(mapped));
};

template <class T>
concept SequenceLike = RangeLike<T> && !HasTupleSize<T> && !SetLike<T> && !MapLike<T> &&
                       requires(T & sequence, typename T::value_type&& item) {
  sequence.push_back(std::move(item));
  sequence.clear();
};

template <class T>
concept VariantLike = requires(const T& variant) {
  { variant.index() } -> std::convertible_to<std::size_t>;
  { variant.valueless_by_exception() } -> std::convertible_to<bool>;
};

template <class T>
inline constexpr Shape kTemplateShape = Shape::unknown;
template <class T>
inline constexpr Shape kTemplateShape<std::optional<T>> = Shape::optional;
template <class T>
requires(!std::is_array_v<T>) inline constexpr Shape kTemplateShape<std::unique_ptr<T>> = Shape::pointer;
template <class T>
requires(!std::is_array_v<T>) inline constexpr Shape kTemplateShape<std::shared_ptr<T>> = Shape::pointer;
template <class Rep, class Period>
inline constexpr Shape kTemplateShape<std::chrono::duration<Rep, Period>> = Shape::duration;
template <class Clock, class Length>
inline constexpr Shape kTemplateShape<std::chrono::time_point<Clock, Length>> = Shape::time_point;
template <class First, class Second>
inline constexpr Shape kTemplateShape<std::pair<First, Second>> = Shape::tuple;

template <class T>
consteval Shape shape_of() {
  if constexpr (HasCodec<T>) {
    return Shape::foreign;
  } else if constexpr (std::is_same_v<T, bool>) {
    return Shape::boolean;
  } else if constexpr (std::is_integral_v<T>) {
    return sizeof(T) > 8 ? Shape::unknown : std::is_signed_v<T> ? Shape::integer : Shape::natural;
  } else if constexpr (std::is_same_v<T, double>) {
    return Shape::number;
  } else if constexpr (std::is_same_v<T, float>) {
    return Shape::number32;
  } else if constexpr (std::is_enum_v<T>) {
    return Shape::enumeration;
  } else if constexpr (!std::is_class_v<T>) {
    return Shape::unknown;
  } else if constexpr (kTemplateShape<T> != Shape::unknown) {
    return kTemplateShape<T>;
  } else if constexpr (ListsFields<T>) {
    return Shape::object;
  } else if constexpr (TextLike<T>) {
    return Shape::text;
  } else if constexpr (BytesLike<T>) {
    return Shape::bytes;
  } else if constexpr (ArrayLike<T>) {
    return Shape::array;
  } else if constexpr (MapLike<T>) {
    return Shape::map;
  } else if constexpr (SetLike<T>) {
    return Shape::set;
  } else if constexpr (SequenceLike<T>) {
    return Shape::sequence;
  } else if constexpr (VariantLike<T>) {
    return Shape::variant;
  } else if constexpr (HasTupleSize<T>) {
    return Shape::tuple;
  } else if constexpr (PlainAggregate<T>) {
    return Shape::object;
  } else {
    return Shape::unknown;
  }
}

template <class T>
inline constexpr Shape kShape = shape_of<T>();

/// Values whose absence is written as null; one within another is therefore wrapped into an array.
template <class T>
inline constexpr bool kNullable = kShape<T> == Shape::optional || kShape<T> == Shape::pointer;

/// Has a Codec that reads a new object instead of filling one.
template <class T>
concept CodecMakes = HasCodec<T> && requires(Reader& in) {
  { Codec<T>::load(in) } -> std::same_as<T>;
};

/// Arithmetic types that travel in bulk, and which kind they are.
template <class T>
inline constexpr bool kBulk = (kShape<T> == Shape::integer || kShape<T> == Shape::natural ||
                               kShape<T> == Shape::number || kShape<T> == Shape::number32);

template <class T>
consteval NumberKind number_kind() {
  if constexpr (kShape<T> == Shape::number) {
    return NumberKind::f64;
  } else if constexpr (kShape<T> == Shape::number32) {
    return NumberKind::f32;
  } else {
    constexpr int step = sizeof(T) == 1 ? 1 : sizeof(T) == 2 ? 3 : sizeof(T) == 4 ? 5 : 7;
    return static_cast<NumberKind>(step + (kShape<T> == Shape::natural ? 1 : 0));
  }
}

/// The alternatives of a variant, the elements of a tuple.
template <class... T>
struct Types {
  static constexpr std::size_t count = sizeof...(T);
};
/// The types of the fields of a struct, references and const taken off.
template <class T>
using field_types = std::remove_pointer_t<decltype(visit_fields(std::declval<T&>(), [](auto&... fields) {
  return static_cast<Types<std::remove_reference_t<decltype(fields)>...>*>(nullptr);
}))>;

template <class T>
struct ArgumentsOf;
template <template <class...> class Template, class... T>
struct ArgumentsOf<Template<T...>> {
  using types = Types<T...>;
};
template <class T>
using arguments_of = typename ArgumentsOf<T>::types;

/// What an optional or a pointer holds.
template <class T>
struct Inner;
template <class T>
struct Inner<std::optional<T>> {
  using type = T;
};
template <class T>
struct Inner<std::unique_ptr<T>> {
  using type = std::remove_const_t<T>;
};
template <class T>
struct Inner<std::shared_ptr<T>> {
  using type = std::remove_const_t<T>;
};
template <class T>
using inner_of = typename Inner<T>::type;

/// Calls `f` with each index below N as a constant.
template <std::size_t N, class F>
constexpr void for_each_index(F&& f) {
  [&]<std::size_t... I>(std::index_sequence<I...>) { (f(std::integral_constant<std::size_t, I>{}), ...); }
  (std::make_index_sequence<N>{});
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
