// core/serial.cpp - the compiled part of serial.hpp and type_of.hpp.
#include <flux/cache/serial.hpp>
#include <flux/cache/type_of.hpp>

namespace flux::cache {
inline namespace v1 {

Writer::~Writer() = default;
Reader::~Reader() = default;

namespace detail {

Error walk_error(const Walk& walk) { return {.code = walk.code(), .message = std::string(walk.reason())}; }

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
