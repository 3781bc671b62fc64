// flux/cache/writer.hpp - takes values apart into a document; formats implement it, codecs call it.
#pragma once
#include <flux/cache/detail/export.hpp>
#include <flux/cache/detail/field_plan.hpp>
#include <flux/cache/detail/walk.hpp>
#include <flux/cache/reflect.hpp>

namespace flux::cache {
inline namespace v1 {

/// Takes a value apart into a document. Formats implement it; codecs call it.
///
/// Each `begin_` that answers true is closed by its `end_` after exactly the announced number of elements. One that
/// answers false has failed (too deep): write nothing more of that container, not even its end.
class FLUX_CACHE_TYPE Writer : public detail::Walk {
 public:
  virtual ~Writer();

  /// Before each value that may be absent: an optional, a pointer. False stands for the whole value.
  virtual void present(bool yes) = 0;
  virtual void boolean(bool value) = 0;
  virtual void integer(std::int64_t value) = 0;
  virtual void natural(std::uint64_t value) = 0;
  virtual void number(double value) = 0;                       ///< bit for bit: NaN with its payload, infinities, -0.0
  virtual void number32(float value) = 0;                      ///< likewise
  virtual void text(std::string_view value) = 0;               ///< any bytes; UTF-8 reads best elsewhere
  virtual void bytes(const void* data, std::size_t size) = 0;  ///< binary
  /// `count` numbers that lie one after another in this machine's order.
  virtual void numbers(NumberKind kind, const void* data, std::size_t count) = 0;

  virtual bool begin_array(std::size_t count) = 0;
  virtual void end_array() = 0;
  /// Keys by `key` (or, where `abilities().any_key`, by anything), each followed by its value.
  virtual bool begin_map(std::size_t count) = 0;
  virtual void key(std::string_view name) = 0;
  virtual void end_map() = 0;
  /// Each field by its name, in the order of its type, followed by its value.
  virtual bool begin_object(FieldNames fields) = 0;
  virtual void field(std::string_view name) = 0;
  virtual void end_object() = 0;

  /// A whole object, from the addresses of its fields. The formats here override it by the same walk over their own
  /// functions, without virtual calls.
  virtual void object(const detail::ObjectPlan& plan, const void* const* fields);

 protected:
  using Walk::Walk;
};

}  // namespace v1
}  // namespace flux::cache
