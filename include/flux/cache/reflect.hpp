// flux/cache/reflect.hpp - the fields of a struct and their names, at compile time.
//
// A plain aggregate joins as it stands: no private parts, no base classes, at most 64 fields, each with a default value
// and none a C array, a reference or an unnamed union. A class lists its fields once, inside its body, in any section:
//
//   class User {
//     FLUX_CACHE_FIELDS(User, id_, name_, roles_)
//     ...
//
// How: the number of fields is the largest number of "anything" that braces accept; the fields come from a structured
// binding; a name is what the compiler prints for a template argument that points at the field of a constant.
#pragma once
#include <flux/cache/detail/bindings.hpp>

#include <cstddef>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

namespace flux::cache {
inline namespace v1 {

/// The names of an object's fields, in order. The names live for ever.
struct FieldNames {
  const std::string_view* names = nullptr;
  std::size_t count = 0;
};

namespace detail {

constexpr bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
         static_cast<unsigned char>(c) >= 0x80;
}

constexpr std::string_view last_name_in(std::string_view text) {
  std::size_t end = text.size();
  while (end > 0 && !is_name_character(text[end - 1])) --end;
  std::size_t begin = end;
  while (begin > 0 && is_name_character(text[begin - 1])) --begin;
  return text.substr(begin, end - begin);
}

struct Spelling {
  const char* text;
  std::size_t size;
  constexpr operator std::string_view() const { return {text, size}; }
};

template <class T>
consteval Spelling spell_type() {
  return {__PRETTY_FUNCTION__, sizeof __PRETTY_FUNCTION__ - 1};
}

/// "... spell_type() [with T = int]" and "... spell_type() [T = int]" become "int".
template <class T>
constexpr std::string_view type_name_of() {
  constexpr std::string_view text = spell_type<T>();
  constexpr std::size_t begin = text.find("T = ") + 4;
  return text.substr(begin, text.size() - 1 - begin);
}

/// The type's own name, without namespaces, enclosing scopes and template arguments: equal on every compiler.
template <class T>
constexpr std::string_view plain_name_of() {
  std::string_view text = type_name_of<T>();
  std::size_t depth = 0, end = text.size();
  if (end > 0 && text[end - 1] == '>') {
    while (end > 0) {
      --end;
      if (text[end] == '>') ++depth;
      if (text[end] == '<' && --depth == 0) break;
    }
  }
  return last_name_in(text.substr(0, end));
}

/// Becomes whatever a field wants, except the struct itself.
template <class Whole>
struct Anything {
  template <class Field>
  requires(!std::is_same_v<Field, Whole>) operator Field() const noexcept { __builtin_unreachable(); }
};

template <class Whole>
struct AnyBase {
  template <class Base>
  requires(std::is_base_of_v<Base, Whole> && !std::is_same_v<Base, Whole>) operator Base() const noexcept {
    __builtin_unreachable();
  }
};

template <class T, std::size_t... I>
constexpr bool takes_fields(std::index_sequence<I...>) {
  return requires { T{(void(I), Anything<T>{})...}; };
}

inline constexpr std::size_t kNoFields = static_cast<std::size_t>(-1);

template <class T, std::size_t N, bool Found>
consteval std::size_t count_fields() {
  if constexpr (takes_fields<T>(std::make_index_sequence<N>{})) {
    if constexpr (N > kMaxFields) {
      return kNoFields;
    } else {
      return count_fields<T, N + 1, true>();
    }
  } else if constexpr (Found) {
    return N - 1;
  } else if constexpr (N < kMaxFields) {
    return count_fields<T, N + 1, false>();
  } else {
    return kNoFields;
  }
}

template <class T, std::size_t... Before, std::size_t... After>
constexpr bool takes_default(std::index_sequence<Before...>, std::index_sequence<After...>) {
  return requires { T{(void(Before), Anything<T>{})..., {}, (void(After), Anything<T>{})...}; };
}

/// A C array takes as many of the counted initialisers as it has elements; with braces it leaves too many for the rest.
template <class T, std::size_t... I>
consteval bool has_single_fields(std::index_sequence<I...>) {
  return (takes_default<T>(std::make_index_sequence<I>{}, std::make_index_sequence<sizeof...(I) - I - 1>{}) && ...);
}

template <class T>
consteval std::size_t count_plain_fields() {
  if constexpr (!requires { sizeof(T); }) {
    return kNoFields;
  } else if constexpr (!std::is_aggregate_v<T> || requires { T{AnyBase<T>{}}; }) {
    return kNoFields;
  } else {
    constexpr std::size_t count = count_fields<T, 0, false>();
    if constexpr (count != kNoFields) {
      return has_single_fields<T>(std::make_index_sequence<count>{}) ? count : kNoFields;
    } else {
      return kNoFields;
    }
  }
}

template <class T>
inline constexpr std::size_t kPlainFields = count_plain_fields<T>();

/// Room for a constant `T` that is never made: only the places of its fields are looked at.
template <class T>
union Nowhere {
  char none;
  T object;
  constexpr Nowhere() : none() {}
  constexpr ~Nowhere() {}
};
#if defined(__clang__)
template <class T>
inline Nowhere<T> kNowhere{};  // defined, since clang warns otherwise; never emitted
#else
template <class T>
extern const Nowhere<T> kNowhere;  // declared only, since g++ would emit it
#endif

template <class Field>
struct Place {
  const Field* field;
};

template <auto Where>
consteval Spelling spell_place() {
  return {__PRETTY_FUNCTION__, sizeof __PRETTY_FUNCTION__ - 1};
}

template <class... Fields>
struct Places;
template <>
struct Places<> {};
template <class First, class... Rest>
struct Places<First, Rest...> {
  Place<First> first;
  Places<Rest...> rest;
};

template <std::size_t I, class... Fields>
consteval auto place_at(const Places<Fields...>& places) {
  if constexpr (I == 0) {
    return places.first;
  } else {
    return place_at<I - 1>(places.rest);
  }
}

constexpr Places<> gather_places() { return {}; }
template <class First, class... Rest>
constexpr Places<std::remove_const_t<First>, std::remove_const_t<Rest>...> gather_places(First& first, Rest&... rest) {
  return {{std::addressof(first)}, gather_places(rest...)};
}

template <std::size_t N>
struct NameTable {
  std::string_view names[N == 0 ? 1 : N];
};

template <class T, std::size_t N>
consteval NameTable<N> aggregate_names() {
  constexpr auto places = bind_fields<N>(kNowhere<T>.object, [](auto&... fields) { return gather_places(fields...); });
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    return NameTable<N>{{last_name_in(std::string_view(spell_place<place_at<I>(places)>()))...}};
  }
  (std::make_index_sequence<N>{});
}

/// Reaches the lists that FLUX_CACHE_FIELDS leaves in a class.
struct FieldsAccess {
  template <class T>
  static auto owner(const T& object) -> decltype(object.flux_cache_owner());
  template <class T>
  static constexpr auto fields(T& object) {
    return object.flux_cache_fields();
  }
  template <class T>
  static constexpr std::string_view names() {
    return T::flux_cache_names();
  }
};

template <class T>
concept ListsFields = std::is_class_v<T> && requires(const T& object) {
  { FieldsAccess::owner(object) } -> std::same_as<const T*>;
};

template <std::size_t N>
consteval NameTable<N> split_names(std::string_view list) {
  NameTable<N> table{};
  for (std::size_t i = 0; i < N; ++i) {
    const std::size_t comma = list.find(',');
    table.names[i] = last_name_in(list.substr(0, comma));
    list = list.substr(comma == std::string_view::npos ? list.size() : comma + 1);
  }
  return table;
}

consteval std::size_t count_names(std::string_view list) {
  std::size_t count = 1;
  for (const char c : list) count += c == ',';
  return count;
}

template <class T>
concept PlainAggregate = std::is_class_v<T> && !ListsFields<T> && kPlainFields<T> != kNoFields;

template <class T>
consteval std::size_t field_count_of() {
  if constexpr (ListsFields<T>) {
    constexpr std::size_t count = count_names(FieldsAccess::names<T>());
    static_assert(count <= kMaxFields, "flux cache: FLUX_CACHE_FIELDS takes at most 64 fields; group some");
    return count;
  } else {
    return kPlainFields<T>;
  }
}

template <class T, std::size_t N>
inline constexpr NameTable<N> kNameTable = [] {
  if constexpr (ListsFields<T>) {
    return split_names<N>(FieldsAccess::names<T>());
  } else {
    return aggregate_names<T, N>();
  }
}();

}  // namespace detail

/// True for what has fields: plain aggregates, and classes with FLUX_CACHE_FIELDS.
template <class T>
concept HasFields = detail::ListsFields<T> || detail::PlainAggregate<T>;

/// How many fields `T` has.
template <HasFields T>
inline constexpr std::size_t field_count = detail::field_count_of<T>();

/// Their names, in order.
template <HasFields T>
constexpr FieldNames field_names() noexcept {
  return {detail::kNameTable<T, field_count<T>>.names, field_count<T>};
}

/// Calls `visit(field, field, ...)` with all fields of `object` in order, and returns what it returns.
template <class T, class Visit>
requires HasFields<std::remove_const_t<T>>
constexpr decltype(auto) visit_fields(T& object, Visit&& visit) {
  using Plain = std::remove_const_t<T>;
  if constexpr (detail::ListsFields<Plain>) {
    return detail::FieldsAccess::fields(object)(visit);
  } else {
    return detail::bind_fields<field_count<Plain>>(object, visit);
  }
}

}  // namespace v1
}  // namespace flux::cache

/// Inside a class, in any section: makes the class cacheable with these fields, under these names, in this order.
#define FLUX_CACHE_FIELDS(Class, ...)                                             \
  friend struct ::flux::cache::detail::FieldsAccess;                              \
  const Class* flux_cache_owner() const;                                          \
  static constexpr const char* flux_cache_names() { return #__VA_ARGS__; }        \
  constexpr auto flux_cache_fields() {                                            \
    return [this](auto&& visit) -> decltype(auto) { return visit(__VA_ARGS__); }; \
  }                                                                               \
  constexpr auto flux_cache_fields() const {                                      \
    return [this](auto&& visit) -> decltype(auto) { return visit(__VA_ARGS__); }; \
  }
