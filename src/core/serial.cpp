// core/serial.cpp - the compiled part of serial.hpp and type_of.hpp.
#include <flux/cache/serial.hpp>
#include <flux/cache/type_of.hpp>

namespace flux::cache {
inline namespace v1 {

Writer::~Writer() = default;
Reader::~Reader() = default;

namespace detail {

Error walk_error(const Walk& walk) { return {.code = walk.code(), .message = std::string(walk.reason())}; }

void load_fields(Reader& in, FieldNames names, std::uint64_t optional, void* object, LoadField load) {
  if (!in.begin_object(names)) return;
  if (in.abilities().positional) {
    for (std::size_t field = 0; field < names.count; ++field) load(in, object, field);
    in.end_object();
    return;
  }
  std::uint64_t seen = 0;
  std::size_t expected = 0;
  for (;;) {
    const std::size_t field = in.next_field(names, expected);
    if (in.failed()) return;
    if (field == names.count) break;
    if ((seen >> field & 1) != 0) return in.fail(Errc::corrupt, "a field stands there twice");
    seen |= std::uint64_t{1} << field;
    load(in, object, field);
    expected = field + 1;
  }
  const std::uint64_t all = names.count == 0 ? 0 : ~std::uint64_t{0} >> (64 - names.count);
  if ((seen | optional) != all) in.fail(Errc::schema, "a field is missing");
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
