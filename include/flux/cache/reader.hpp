// flux/cache/reader.hpp - puts values together from a document; formats implement it, codecs call it.
#pragma once
#include <flux/cache/detail/export.hpp>
#include <flux/cache/detail/field_plan.hpp>
#include <flux/cache/detail/walk.hpp>
#include <flux/cache/reflect.hpp>

namespace flux::cache {
inline namespace v1 {

/// Puts a value together from a document. Formats implement it; codecs call it.
///
/// Texts and bytes are views that live until the next call. Nothing is allocated beyond what the bytes at hand justify.
class FLUX_CACHE_TYPE Reader : public detail::Walk {
 public:
  virtual ~Reader();

  /// What stands next; `Token::nothing` at the end, after a failure, and where `abilities().positional`.
  virtual Token peek() = 0;
  /// False: the value is absent, and that was all of it.
  virtual bool present() = 0;
  virtual bool boolean() = 0;
  virtual std::int64_t integer() = 0;
  virtual std::uint64_t natural() = 0;
  virtual double number() = 0;
  virtual float number32() = 0;
  virtual std::string_view text() = 0;
  virtual std::string_view bytes() = 0;
  /// True: the next value is `count` numbers in bulk, to be taken by `take_numbers`. False: read it as an array.
  virtual bool begin_numbers(NumberKind kind, std::size_t& count) = 0;
  /// Copies `count` numbers of what `begin_numbers` announced, in this machine's order.
  virtual void take_numbers(void* to, std::size_t count) = 0;

  /// The number of elements, or `kOpenArray`, `kOpenMap`; go through them with `next`.
  virtual std::size_t begin_array() = 0;
  virtual std::size_t begin_map() = 0;
  virtual std::string_view key() = 0;

  /// True while another element of the container stands there: `for (auto left = in.begin_array(); in.next(left);)`.
  /// Closes the container when it answers false.
  bool next(std::size_t& left) {
    if (failed()) return false;
    if (left >= kOpenMap) return more(left == kOpenMap);
    if (left == 0) return leave(), false;
    --left;
    return true;
  }

  /// False: no object stands there (and the walk has failed).
  virtual bool begin_object(FieldNames fields) = 0;
  /// The field whose value stands next, or `fields.count` at the end, which closes the object. `expected` is the one
  /// that is most likely. Fields that are not in `fields` are passed over. Not called where `abilities().positional`.
  virtual std::size_t next_field(FieldNames fields, std::size_t expected) = 0;
  /// Closes an object that was read by position.
  virtual void end_object() = 0;

  /// A whole object, into the addresses of its fields; as `Writer::object`.
  virtual void object(const detail::ObjectPlan& plan, void* const* fields);

  /// How many elements to reserve for a container that announced `count`, when each takes `size` bytes.
  std::size_t reservable(std::size_t count, std::size_t size) const noexcept {
    if (count >= kOpenMap) return 0;
    const std::size_t justified = 64 + left() / (size == 0 ? 1 : size);
    return count < justified ? count : justified;
  }

 protected:
  using Walk::Walk;
  /// For `next` of an open container: true, or closes it.
  virtual bool more(bool map) = 0;
  /// Bytes not read yet.
  virtual std::size_t left() const noexcept = 0;
};

}  // namespace v1
}  // namespace flux::cache
