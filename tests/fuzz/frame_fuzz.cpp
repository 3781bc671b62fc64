// Any bytes as what a store gave back: a value or an error. The checksum of the input is set right first, since nothing
// else would ever get past it.
#include <flux/cache/detail/stable_hash.hpp>
#include <flux/cache/frame.hpp>

#include "fuzz/document.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace flux::cache;
  std::string bytes(reinterpret_cast<const char*>(data), size);
  const Limits limits{.total = 1 << 20};
  const auto read_all = [&] {
    (void)inspect_frame(bytes);
    (void)decode_text_frame(bytes, limits);
    (void)decode_value(bytes, type_of<int>(), limits);
    (void)decode_value(bytes, type_of<fuzz::Document>(), limits);
    (void)decode_value(bytes, type_of<std::vector<std::byte>>(), limits, formats().find("json"));
  };
  read_all();
  if (size < kFrameHeader) return 0;
  const std::uint64_t head = detail::stable_hash64(std::string_view(bytes).substr(0, 16));
  const std::uint64_t sum = detail::stable_hash64(std::string_view(bytes).substr(kFrameHeader), head);
  for (int i = 0; i < 8; ++i) bytes[static_cast<std::size_t>(16 + i)] = static_cast<char>(sum >> 8 * i);
  read_all();
  return 0;
}
