// core/serial.cpp - the compiled part of serial.hpp and type_of.hpp.
#include <flux/cache/detail/field_walk.hpp>
#include <flux/cache/serial.hpp>
#include <flux/cache/type_of.hpp>

namespace flux::cache {
inline namespace v1 {

Writer::~Writer() = default;
Reader::~Reader() = default;

void Writer::object(const detail::ObjectPlan& plan, const void* const* fields) {
  detail::save_fields(*this, plan, fields);
}
void Reader::object(const detail::ObjectPlan& plan, void* const* fields) { detail::load_fields(*this, plan, fields); }

namespace detail {

Error walk_error(const Walk& walk) { return {.code = walk.code(), .message = std::string(walk.reason())}; }

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
