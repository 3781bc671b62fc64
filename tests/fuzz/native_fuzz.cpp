// Any bytes as a native document of a type with everything in it: a value or an error.
#include "fuzz/document.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return flux::cache::fuzz::read_document("native", data, size);
}
