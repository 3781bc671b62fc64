// flux/cache/convert.hpp - C++ values in and out of the cache: the last templates before the compiled half.
#pragma once
#include <flux/cache/serial.hpp>
#include <flux/cache/value.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace flux::cache {
inline namespace v1 {
namespace detail {

template <class T>
inline constexpr bool is_text = std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view> ||
                                std::is_same_v<T, const char*> || std::is_same_v<T, char*>;
template <class T>
inline constexpr bool is_integer = (std::is_integral_v<T> && !std::is_same_v<T, bool>) || std::is_enum_v<T>;

template <class T>
struct Shared : std::false_type {};
template <class T>
struct Shared<std::shared_ptr<T>> : std::true_type {
  using Target = std::remove_const_t<T>;
};

/// The type under which a `T` is kept and read: text is std::string, a shared pointer is what it points to.
template <class T>
struct Stored {
  using type = T;
};
template <class T>
requires is_text<T>
struct Stored<T> {
  using type = std::string;
};
template <class T>
struct Stored<std::shared_ptr<T>> {
  using type = std::remove_const_t<T>;
};
template <class T>
using stored_t = typename Stored<std::decay_t<T>>::type;

/// Holds what the view of a value to be written points to. Text is lent, not copied: valid as long as the argument.
class Lent {
 public:
  template <class V>
  static Lent of(V&& value) {
    using T = std::decay_t<V>;
    Lent lent;
    if constexpr (is_text<T>) {
      lent.view_ = {.kind = Kind::text, .text = std::string_view(value)};
    } else if constexpr (is_integer<T>) {
      using Wide = std::conditional_t<std::is_enum_v<T>, std::int64_t, T>;
      const auto number = static_cast<Wide>(value);
      const bool above = std::is_unsigned_v<Wide> && static_cast<std::int64_t>(number) < 0;
      lent.view_ = {.kind = above ? Kind::unsigned_integer : Kind::integer,
                    .number = static_cast<std::int64_t>(number)};
    } else if constexpr (Shared<T>::value) {
      lent.object_ = std::forward<V>(value);
      lent.view_ = {.kind = lent.object_ ? Kind::object : Kind::none, .type = &type_of<stored_t<T>>()};
    } else {
      T* made = nullptr;
      lent.object_ = make_object<T>(made, std::forward<V>(value));
      lent.view_ = {.kind = Kind::object, .type = &type_of<T>()};
    }
    return lent;
  }

  ValueView view() const noexcept {
    ValueView view = view_;
    if (object_) view.object = &object_;
    return view;
  }

 private:
  ValueView view_;
  Object object_;
};

/// An integer of any width as `T`; false where it does not fit.
template <class T>
bool narrow(const ValueView& value, T& out) noexcept {
  if constexpr (std::is_enum_v<T>) {
    std::underlying_type_t<T> number{};
    if (!narrow(value, number)) return false;
    out = static_cast<T>(number);
    return true;
  } else {
    if (value.kind == Kind::unsigned_integer) {
      const auto number = static_cast<std::uint64_t>(value.number);
      out = static_cast<T>(number);
      return std::is_unsigned_v<T> && static_cast<std::uint64_t>(out) == number;
    }
    out = static_cast<T>(value.number);
    return static_cast<std::int64_t>(out) == value.number && (std::is_signed_v<T> || value.number >= 0);
  }
}

/// The text as an integer, kind and number; false where it is none as a whole, or beyond 64 bits.
FLUX_CACHE_API bool text_as_integer(std::string_view text, ValueView& out) noexcept;

/// Decodes what was read without a type; live values pass as they are. Kind::none where it does not check out.
FLUX_CACHE_API Value opened(const Value& value, const Type& as);

/// The value as a `T`: an integer of any width that fits, text that is an integer, or the very type. False: another.
template <class T>
[[gnu::always_inline]] inline bool take(const ValueView& value, std::optional<T>& out) {
  if constexpr (is_integer<T>) {
    ValueView number = value;
    if (value.kind == Kind::text) {
      if (!text_as_integer(value.text, number)) return false;
    } else if (value.kind != Kind::integer && value.kind != Kind::unsigned_integer) {
      return false;
    }
    T narrowed{};
    if (!narrow(number, narrowed)) return false;
    out = narrowed;
    return true;
  } else {
    if constexpr (std::is_same_v<T, std::string>) {
      if (value.kind == Kind::text) return out.emplace(value.text), true;
    }
    if (value.kind != Kind::object || !same_type(*value.type, type_of<T>())) return false;
    static_assert(
        std::is_copy_constructible_v<T>,
        "flux::cache: this type cannot be copied out of the cache; read it with get_shared<T>() or with<T>()");
    out.emplace(*static_cast<const T*>(value.object->get()));
    return true;
  }
}

/// Likewise, sharing the object where the store holds one.
template <class T>
bool share(const ValueView& value, std::shared_ptr<const T>& out) {
  if constexpr (!is_integer<T>) {
    if (value.kind == Kind::object && same_type(*value.type, type_of<T>())) {
      // In place: a temporary's two halves, read back as one word, would cost more than the count.
      std::destroy_at(&out);
      std::construct_at(&out, *value.object, static_cast<const T*>(value.object->get()));
      return true;
    }
  }
  if constexpr (is_integer<T> || std::is_same_v<T, std::string>) {
    std::optional<T> taken;
    if (!take<T>(value, taken)) return false;
    out = std::make_shared<const T>(*std::move(taken));
    return true;
  } else {
    return false;
  }
}

/// Likewise, borrowed for the call of `look`: text as a std::string_view, objects in place, integers by value.
template <class T, class F>
bool lend(const ValueView& value, F& look) {
  if constexpr (std::is_same_v<T, std::string>) {
    if (value.kind == Kind::text) return look(value.text), true;
  }
  if constexpr (is_integer<T>) {
    std::optional<T> taken;
    return take<T>(value, taken) && (look(*taken), true);
  } else {
    if (value.kind != Kind::object || !same_type(*value.type, type_of<T>())) return false;
    return look(*static_cast<const T*>(value.object->get())), true;
  }
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
