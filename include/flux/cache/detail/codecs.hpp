// flux/cache/detail/codecs.hpp - each kind of value written and read, once for every format.
#pragma once
#include <flux/cache/detail/shape.hpp>

#include <limits>

namespace flux::cache {
inline namespace v1 {
namespace detail {

template <class T>
void save_value(const T& value, Writer& out);
template <class T>
void load_value(Reader& in, T& value);

/// A new object read from the document.
template <class T>
T load_new(Reader& in) {
  if constexpr (CodecMakes<T>) {
    return Codec<T>::load(in);
  } else {
    T value{};
    load_value(in, value);
    return value;
  }
}

template <class T>
void save_numbers(const T* data, std::size_t count, Writer& out) {
  out.numbers(number_kind<T>(), data, count);
}

/// A value within an optional or behind a pointer. What may itself be null is wrapped, so that the two stay apart.
template <class T>
void save_inner(const T& value, Writer& out) {
  if constexpr (kNullable<T>) {
    if (!out.begin_array(1)) return;
    save_value(value, out);
    out.end_array();
  } else {
    save_value(value, out);
  }
}

template <class T>
T load_inner(Reader& in) {
  if constexpr (kNullable<T>) {
    std::size_t left = in.begin_array();
    if (!in.next(left)) return in.fail(Errc::corrupt, "a wrapped value is missing"), T{};
    T value = load_new<T>(in);
    if (in.next(left)) in.fail(Errc::corrupt, "more than one wrapped value");
    return value;
  } else {
    return load_new<T>(in);
  }
}

template <class T>
void save_map(const T& map, Writer& out) {
  using Key = typename T::key_type;
  if constexpr (kShape<Key> == Shape::text) {
    if (!out.begin_map(map.size())) return;
    for (const auto& [key, mapped] : map) {
      out.key({key.data(), key.size()});
      save_value(mapped, out);
    }
    out.end_map();
  } else if (out.abilities().any_key) {
    if (!out.begin_map(map.size())) return;
    for (const auto& [key, mapped] : map) {
      save_value(key, out);
      save_value(mapped, out);
    }
    out.end_map();
  } else {
    if (!out.begin_array(map.size())) return;
    for (const auto& [key, mapped] : map) {
      if (!out.begin_array(2)) return;
      save_value(key, out);
      save_value(mapped, out);
      out.end_array();
    }
    out.end_array();
  }
}

template <class T>
void load_map(Reader& in, T& map) {
  using Key = typename T::key_type;
  using Mapped = typename T::mapped_type;
  map.clear();
  const auto put = [&](Key&& key) {
    Mapped mapped = load_new<Mapped>(in);
    if (!in.failed()) map.emplace_hint(map.end(), std::move(key), std::move(mapped));
  };
  const auto reserve = [&](std::size_t count) {
    if constexpr (requires { map.reserve(count); }) {
      map.reserve(in.reservable(count, sizeof(Key) + sizeof(Mapped)));
    }
  };
  if constexpr (kShape<Key> == Shape::text) {
    std::size_t left = in.begin_map();
    reserve(left);
    while (in.next(left)) {
      const std::string_view key = in.key();
      put(Key(key.data(), key.size()));
    }
  } else if (in.abilities().any_key) {
    std::size_t left = in.begin_map();
    reserve(left);
    while (in.next(left)) put(load_new<Key>(in));
  } else {
    std::size_t left = in.begin_array();
    reserve(left);
    while (in.next(left)) {
      std::size_t pair = in.begin_array();
      if (!in.next(pair)) return in.fail(Errc::corrupt, "a map's entry is no pair");
      Key key = load_new<Key>(in);
      if (!in.next(pair)) return in.fail(Errc::corrupt, "a map's entry is no pair");
      put(std::move(key));
      if (in.next(pair)) return in.fail(Errc::corrupt, "a map's entry is no pair");
    }
  }
}

template <class T>
void save_range(const T& range, Writer& out) {
  using Item = typename T::value_type;
  if constexpr (ContiguousLike<T> && kBulk<Item>) {
    save_numbers(range.data(), range.size(), out);
  } else {
    if (!out.begin_array(range.size())) return;
    for (const auto& item : range) save_value<Item>(item, out);
    out.end_array();
  }
}

template <class T>
void load_sequence(Reader& in, T& sequence) {
  using Item = typename T::value_type;
  sequence.clear();
  if constexpr (ContiguousLike<T> && kBulk<Item>) {
    std::size_t count = 0;
    if (in.begin_numbers(number_kind<Item>(), count)) {
      sequence.resize(count);
      in.take_numbers(sequence.data(), count);
      return;
    }
  }
  std::size_t left = in.begin_array();
  if constexpr (requires { sequence.reserve(left); }) {
    sequence.reserve(in.reservable(left, sizeof(Item)));
  }
  while (in.next(left)) {
    if constexpr (!CodecMakes<Item> && requires {
                    { sequence.emplace_back() } -> std::same_as<Item&>;
                  }) {
      load_value(in, sequence.emplace_back());
    } else {
      sequence.push_back(load_new<Item>(in));
    }
  }
}

template <class T>
void load_array(Reader& in, T& array) {
  using Item = typename T::value_type;
  if constexpr (kBulk<Item>) {
    std::size_t count = 0;
    if (in.begin_numbers(number_kind<Item>(), count)) {
      if (count != array.size()) return in.fail(Errc::corrupt, "an array of another length");
      return in.take_numbers(array.data(), count);
    }
  }
  std::size_t left = in.begin_array();
  for (Item& item : array) {
    if (!in.next(left)) return in.fail(Errc::corrupt, "an array of another length");
    load_value(in, item);
  }
  if (in.next(left)) in.fail(Errc::corrupt, "an array of another length");
}

template <class T>
void load_set(Reader& in, T& set) {
  using Item = typename T::value_type;
  set.clear();
  std::size_t left = in.begin_array();
  if constexpr (requires { set.reserve(left); }) {
    set.reserve(in.reservable(left, sizeof(Item)));
  }
  while (in.next(left)) {
    Item item = load_new<Item>(in);
    if (!in.failed()) set.insert(set.end(), std::move(item));
  }
}

/// Elements by ADL `get<I>`: std::pair, std::tuple and their kin.
template <class T>
void save_tuple(const T& tuple, Writer& out) {
  using std::get;
  constexpr std::size_t count = std::tuple_size<T>::value;
  if (!out.begin_array(count)) return;
  for_each_index<count>([&](auto i) { save_value(get<i.value>(tuple), out); });
  out.end_array();
}

template <class T>
void load_tuple(Reader& in, T& tuple) {
  using std::get;
  constexpr std::size_t count = std::tuple_size<T>::value;
  std::size_t left = in.begin_array();
  for_each_index<count>([&](auto i) {
    if (!in.next(left)) return in.fail(Errc::corrupt, "a tuple of another length");
    load_value(in, get<i.value>(tuple));
  });
  if (in.next(left)) in.fail(Errc::corrupt, "a tuple of another length");
}

/// [index, value]; by index, since two alternatives may look alike.
template <class T>
void save_variant(const T& variant, Writer& out) {
  if (variant.valueless_by_exception()) return out.fail(Errc::not_serializable, "a variant without a value");
  if (!out.begin_array(2)) return;
  out.natural(variant.index());
  for_each_index<arguments_of<T>::count>([&](auto i) {
    if (variant.index() == i.value) save_value(*get_if<i.value>(&variant), out);
  });
  out.end_array();
}

template <class T>
void load_variant(Reader& in, T& variant) {
  std::size_t left = in.begin_array();
  if (!in.next(left)) return in.fail(Errc::corrupt, "a variant without its index");
  const std::uint64_t index = in.natural();
  if (index >= arguments_of<T>::count) return in.fail(Errc::corrupt, "a variant's index is out of range");
  if (!in.next(left)) return in.fail(Errc::corrupt, "a variant without its value");
  for_each_index<arguments_of<T>::count>([&](auto i) {
    using Alternative = std::remove_cvref_t<decltype(*get_if<i.value>(&variant))>;
    if (index == i.value) variant.template emplace<i.value>(load_new<Alternative>(in));
  });
  if (in.next(left)) in.fail(Errc::corrupt, "more than a variant");
}

template <class T>
void save_erased(const void* value, Writer& out) {
  save_value(*static_cast<const T*>(value), out);
}

template <class T>
void load_into(Reader& in, void* value) {
  load_value(in, *static_cast<T*>(value));
}

template <class T>
consteval FieldKind field_kind() {
  constexpr Shape shape = kShape<T>;
  if constexpr (shape == Shape::enumeration) {
    return field_kind<std::underlying_type_t<T>>();
  } else if constexpr (shape == Shape::boolean) {
    return FieldKind::boolean;
  } else if constexpr (shape == Shape::integer) {
    return sizeof(T) == 1   ? FieldKind::i8
           : sizeof(T) == 2 ? FieldKind::i16
           : sizeof(T) == 4 ? FieldKind::i32
                            : FieldKind::i64;
  } else if constexpr (shape == Shape::natural) {
    return sizeof(T) == 1   ? FieldKind::u8
           : sizeof(T) == 2 ? FieldKind::u16
           : sizeof(T) == 4 ? FieldKind::u32
                            : FieldKind::u64;
  } else if constexpr (shape == Shape::number) {
    return FieldKind::f64;
  } else if constexpr (shape == Shape::number32) {
    return FieldKind::f32;
  } else if constexpr (std::is_same_v<T, std::string>) {
    return FieldKind::text;
  } else {
    return FieldKind::other;
  }
}

template <class T>
consteval FieldPlan plan_field() {
  if constexpr (field_kind<T>() != FieldKind::other) {
    return {field_kind<T>(), false, nullptr, nullptr};
  } else {
    return {FieldKind::other, kNullable<T>, save_erased<T>, load_into<T>};
  }
}

template <std::size_t N>
struct FieldPlans {
  FieldPlan fields[N == 0 ? 1 : N];
};

template <class... Field>
consteval FieldPlans<sizeof...(Field)> plan_fields(const Types<Field...>*) {
  return {{plan_field<Field>()...}};
}

template <class T>
inline constexpr auto kFieldPlans = plan_fields(static_cast<const field_types<T>*>(nullptr));
template <class T>
inline constexpr ObjectPlan kObjectPlan{field_names<T>(), kFieldPlans<T>.fields};

template <class T>
void save_object(const T& object, Writer& out) {
  visit_fields(object, [&](const auto&... fields) {
    const void* const at[] = {std::addressof(fields)..., nullptr};
    out.object(kObjectPlan<T>, at);
  });
}

template <class T>
void load_object(Reader& in, T& object) {
  visit_fields(object, [&](auto&... fields) {
    void* const at[] = {std::addressof(fields)..., nullptr};
    in.object(kObjectPlan<T>, at);
  });
}

template <class T>
void save_value(const T& value, Writer& out) {
  constexpr Shape shape = kShape<T>;
  if constexpr (shape == Shape::foreign) {
    Codec<T>::save(value, out);
  } else if constexpr (shape == Shape::boolean) {
    out.boolean(value);
  } else if constexpr (shape == Shape::integer) {
    out.integer(static_cast<std::int64_t>(value));
  } else if constexpr (shape == Shape::natural) {
    out.natural(static_cast<std::uint64_t>(value));
  } else if constexpr (shape == Shape::number) {
    out.number(value);
  } else if constexpr (shape == Shape::number32) {
    out.number32(value);
  } else if constexpr (shape == Shape::enumeration) {
    save_value(static_cast<std::underlying_type_t<T>>(value), out);
  } else if constexpr (shape == Shape::text) {
    out.text({value.data(), value.size()});
  } else if constexpr (shape == Shape::bytes) {
    out.bytes(value.data(), value.size());
  } else if constexpr (shape == Shape::optional || shape == Shape::pointer) {
    out.present(static_cast<bool>(value));
    if (value) save_inner<inner_of<T>>(*value, out);
  } else if constexpr (shape == Shape::duration) {
    save_value(value.count(), out);
  } else if constexpr (shape == Shape::time_point) {
    save_value(value.time_since_epoch().count(), out);
  } else if constexpr (shape == Shape::tuple) {
    save_tuple(value, out);
  } else if constexpr (shape == Shape::variant) {
    save_variant(value, out);
  } else if constexpr (shape == Shape::map) {
    save_map(value, out);
  } else if constexpr (shape == Shape::set || shape == Shape::sequence || shape == Shape::array) {
    save_range(value, out);
  } else {
    static_assert(shape == Shape::object, "flux cache: this type cannot be written");
    save_object(value, out);
  }
}

template <class T>
void load_value(Reader& in, T& value) {
  constexpr Shape shape = kShape<T>;
  if constexpr (CodecMakes<T>) {
    value = Codec<T>::load(in);
  } else if constexpr (shape == Shape::foreign) {
    Codec<T>::load(in, value);
  } else if constexpr (shape == Shape::boolean) {
    value = in.boolean();
  } else if constexpr (shape == Shape::integer) {
    const std::int64_t number = in.integer();
    if (number < std::numeric_limits<T>::min() || number > std::numeric_limits<T>::max()) {
      in.fail(Errc::wrong_type, "a number does not fit");
    }
    value = static_cast<T>(number);
  } else if constexpr (shape == Shape::natural) {
    const std::uint64_t number = in.natural();
    if (number > std::numeric_limits<T>::max()) in.fail(Errc::wrong_type, "a number does not fit");
    value = static_cast<T>(number);
  } else if constexpr (shape == Shape::number) {
    value = in.number();
  } else if constexpr (shape == Shape::number32) {
    value = in.number32();
  } else if constexpr (shape == Shape::enumeration) {
    value = static_cast<T>(load_new<std::underlying_type_t<T>>(in));
  } else if constexpr (shape == Shape::text) {
    const std::string_view text = in.text();
    value.assign(text.data(), text.size());
  } else if constexpr (shape == Shape::bytes) {
    const std::string_view bytes = in.bytes();
    const auto* data = reinterpret_cast<const typename T::value_type*>(bytes.data());
    value.assign(data, data + bytes.size());
  } else if constexpr (shape == Shape::optional) {
    value.reset();
    if (!in.present()) return;
    if constexpr (kNullable<inner_of<T>> || CodecMakes<inner_of<T>>) {
      value.emplace(load_inner<inner_of<T>>(in));
    } else {
      load_value(in, value.emplace());
    }
  } else if constexpr (shape == Shape::pointer) {
    value.reset();
    if (in.present()) value = T(new inner_of<T>(load_inner<inner_of<T>>(in)));
  } else if constexpr (shape == Shape::duration) {
    value = T(load_new<typename T::rep>(in));
  } else if constexpr (shape == Shape::time_point) {
    value = T(typename T::duration(load_new<typename T::rep>(in)));
  } else if constexpr (shape == Shape::tuple) {
    load_tuple(in, value);
  } else if constexpr (shape == Shape::variant) {
    load_variant(in, value);
  } else if constexpr (shape == Shape::map) {
    load_map(in, value);
  } else if constexpr (shape == Shape::set) {
    load_set(in, value);
  } else if constexpr (shape == Shape::sequence) {
    load_sequence(in, value);
  } else if constexpr (shape == Shape::array) {
    load_array(in, value);
  } else {
    static_assert(shape == Shape::object, "flux cache: this type cannot be read");
    load_object(in, value);
  }
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
