// Any bytes as JSON text: read to the end or refused with a place within it.
#include <flux/cache/detail/json_reader.hpp>

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  flux::cache::detail::JsonReader json(std::string_view(reinterpret_cast<const char*>(data), size));
  json.skip();
  const bool whole = json.finish();
  if (whole == json.failed() || json.offset() > size) std::abort();
  if (!whole && json.reason().empty()) std::abort();
  return static_cast<int>(json.place().line * 0);
}
