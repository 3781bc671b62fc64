// flux/cache/value.hpp - one value of any type, borrowed or owned, on either side of the border.
//
// Above the border values are live: integers, text, and immutable objects. Below it they are integers and bytes. One
// pair of types serves both sides, so that one contract does.
#pragma once
#include <flux/cache/type.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace flux::cache {
inline namespace v1 {

class Format;

/// What a value is made of.
enum class Kind : std::uint8_t {
  none,              ///< no value: a placeholder
  integer,           ///< a signed 64-bit integer
  unsigned_integer,  ///< an integer above the signed range
  text,              ///< a std::string: any bytes
  object,            ///< a live object of `type`; never below the border
  bytes,             ///< an encoded object, framed or plain; never above the border, but where no type was named
};

/// A value, borrowed: valid as long as what it was taken from.
struct ValueView {
  Kind kind = Kind::none;
  std::int64_t number = 0;         ///< the integer's bits
  std::string_view text{};         ///< text and bytes
  const Type* type = nullptr;      ///< the object's
  const Object* object = nullptr;  ///< the owner to share; never null where kind is object
  const Format* format = nullptr;  ///< bytes: the format of a plain document; null: a frame, which names its own
};

/// A value, owned.
class Value {
 public:
  Value() = default;
  /// Copies text and bytes, shares objects.
  explicit Value(const ValueView& view)
      : kind_(view.kind), number_(view.number), text_(view.text), type_(view.type), format_(view.format) {
    if (view.object != nullptr) object_ = *view.object;
  }

  Kind kind() const noexcept { return kind_; }
  ValueView view() const noexcept { return {kind_, number_, text_, type_, object_ ? &object_ : nullptr, format_}; }

 private:
  Kind kind_ = Kind::none;
  std::int64_t number_ = 0;
  std::string text_;
  const Type* type_ = nullptr;
  Object object_;
  const Format* format_ = nullptr;
};

}  // namespace v1
}  // namespace flux::cache
