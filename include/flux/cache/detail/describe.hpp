// flux/cache/detail/describe.hpp - the fingerprint of a type, and whether it can be written at all.
//
// 64 bits: the upper 24 say which type it is (for a struct its own name), the lower 40 how it is built (names, types
// and order of the fields, down to the leaves). Both equal: the bytes may be read. Only the lower differ: a struct that
// changed since. Computed at compile time from spellings that are the same on every compiler; docs/formats/frame.md.
#pragma once
#include <flux/cache/detail/shape.hpp>
#include <flux/cache/detail/stable_hash.hpp>

namespace flux::cache {
inline namespace v1 {
namespace detail {

inline constexpr std::uint64_t kFingerprintStart = 0xcbf29ce484222325U;
inline constexpr unsigned kBuildBits = 40;

struct Description {
  std::uint64_t identity = 0;
  std::uint64_t build = 0;
  bool writable = false;
};

constexpr Description describe_leaf(std::string_view word) {
  const std::uint64_t hash = fingerprint_mix(fingerprint_text(kFingerprintStart, word));
  return {hash, hash, true};
}

constexpr Description describe_number(char kind, std::size_t size) {
  const char word[2] = {kind, static_cast<char>('0' + size)};
  return describe_leaf({word, 2});
}

/// `whole` with a part within it.
constexpr Description describe_part(Description whole, const Description& part) {
  return {fingerprint_join(whole.identity, part.identity), fingerprint_join(whole.build, part.build),
          whole.writable && part.writable};
}

template <class T, class... Above>
consteval Description describe();

template <class... Above, class... Part>
consteval Description describe_parts(Description whole, Types<Part...>) {
  ((whole = describe_part(whole, describe<Part, Above...>())), ...);
  return whole;
}

template <class T, class... Above>
consteval Description describe_object() {
  constexpr FieldNames names = field_names<T>();
  Description whole = describe_leaf("{");
  whole.identity = fingerprint_mix(fingerprint_text(whole.identity, plain_name_of<T>()));
  whole.build = fingerprint_join(whole.build, whole.identity);
  constexpr auto add = []<class... Field>(Description self, const Types<Field...>*) {
    std::size_t i = 0;
    (void)i;
    const auto one = [&](const Description& part) {
      self.build = fingerprint_join(fingerprint_text(self.build, field_names<T>().names[i++]), part.build);
      self.writable = self.writable && part.writable;
    };
    (void)one;
    (one(describe<Field, Above...>()), ...);
    return self;
  };
  (void)names;
  return add(whole, static_cast<const field_types<T>*>(nullptr));
}

template <class T, class... Above>
consteval std::uint64_t depth_of() {
  std::uint64_t depth = 0, found = 0;
  ((++depth, found = found == 0 && std::is_same_v<T, Above> ? depth : found), ...);
  return found;
}

template <class T>
consteval std::string_view codec_name() {
  if constexpr (requires { std::string_view(Codec<T>::name); }) {
    return Codec<T>::name;
  } else {
    return plain_name_of<T>();
  }
}

template <class T>
consteval bool is_loadable() {
  return CodecMakes<T> || std::is_default_constructible_v<T>;
}

template <class T, class... Above>
consteval Description describe() {
  constexpr Shape shape = kShape<T>;
  if constexpr (constexpr std::uint64_t depth = depth_of<T, Above...>(); depth != 0) {
    Description again = describe_leaf("^");
    again.build = fingerprint_join(again.build, depth);
    again.identity = again.build;
    return again;
  } else if constexpr (shape == Shape::unknown || std::is_const_v<T>) {
    return {};
  } else if constexpr (shape == Shape::foreign) {
    Description whole = describe_leaf("codec");
    whole.identity = whole.build = fingerprint_mix(fingerprint_text(whole.build, codec_name<T>()));
    return whole;
  } else if constexpr (shape == Shape::boolean) {
    return describe_leaf("b");
  } else if constexpr (shape == Shape::integer) {
    return describe_number('i', sizeof(T));
  } else if constexpr (shape == Shape::natural) {
    return describe_number('u', sizeof(T));
  } else if constexpr (shape == Shape::number) {
    return describe_leaf("f8");
  } else if constexpr (shape == Shape::number32) {
    return describe_leaf("f4");
  } else if constexpr (shape == Shape::enumeration) {
    Description whole = describe_leaf("enum");
    whole.identity = whole.build = fingerprint_mix(fingerprint_text(whole.build, plain_name_of<T>()));
    return describe_part(whole, describe<std::underlying_type_t<T>>());
  } else if constexpr (shape == Shape::text) {
    return describe_leaf("text");
  } else if constexpr (shape == Shape::bytes) {
    return describe_leaf("bytes");
  } else if constexpr (shape == Shape::duration || shape == Shape::time_point) {
    using Length = typename decltype([] {
      if constexpr (shape == Shape::duration) {
        return std::type_identity<T>{};
      } else {
        return std::type_identity<typename T::duration>{};
      }
    }())::type;
    Description whole = describe_leaf(shape == Shape::duration ? "duration" : "moment");
    whole = describe_part(whole, describe<typename Length::rep>());
    whole.build = fingerprint_join(whole.build, static_cast<std::uint64_t>(Length::period::num));
    whole.build = fingerprint_join(whole.build, static_cast<std::uint64_t>(Length::period::den));
    return whole;
  } else if constexpr (shape == Shape::optional || shape == Shape::pointer) {
    using Held = inner_of<T>;
    Description whole = describe_part(describe_leaf("?"), describe<Held, Above..., T>());
    constexpr bool sliced = std::is_polymorphic_v<Held> && !std::is_final_v<Held> && shape == Shape::pointer;
    whole.writable = whole.writable && !sliced && std::is_move_constructible_v<Held> && is_loadable<Held>();
    return whole;
  } else if constexpr (shape == Shape::tuple) {
    return describe_parts<Above..., T>(describe_leaf("("), arguments_of<T>{});
  } else if constexpr (shape == Shape::variant) {
    return describe_parts<Above..., T>(describe_leaf("|"), arguments_of<T>{});
  } else if constexpr (shape == Shape::map) {
    return describe_parts<Above..., T>(describe_leaf("map"), Types<typename T::key_type, typename T::mapped_type>{});
  } else if constexpr (shape == Shape::array) {
    Description whole = describe_part(describe_leaf("array"), describe<typename T::value_type, Above..., T>());
    whole.build = fingerprint_join(whole.build, std::tuple_size<T>::value);
    return whole;
  } else if constexpr (shape == Shape::set || shape == Shape::sequence) {
    return describe_part(describe_leaf(shape == Shape::set ? "set" : "list"),
                         describe<typename T::value_type, Above..., T>());
  } else {
    static_assert(shape == Shape::object);
    Description whole = describe_object<T, Above..., T>();
    whole.writable = whole.writable && is_loadable<T>();
    return whole;
  }
}

/// True where the type, down to its last part, can be written and read.
template <class T>
inline constexpr bool kWritable = describe<T>().writable&& std::is_move_constructible_v<T>&& is_loadable<T>();

template <class T>
consteval std::uint64_t fingerprint_of() {
  constexpr Description whole = describe<T>();
  constexpr std::uint64_t print = (fingerprint_mix(whole.identity) >> kBuildBits << kBuildBits) |
                                  (fingerprint_mix(whole.build) >> (64 - kBuildBits));
  return print == 0 ? 1 : print;
}

/// True where two fingerprints belong to the same type in two states: it changed since.
constexpr bool is_other_state(std::uint64_t a, std::uint64_t b) noexcept {
  return a != b && (a >> kBuildBits) == (b >> kBuildBits);
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
