// Any bytes from a backplane: a message that says again what it was read from, or none.
#include <flux/cache/detail/stable_hash.hpp>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "stores/tiered/message.hpp"

using flux::cache::tiered::Message;

namespace {

void check(std::string_view bytes) {
  const auto message = Message::decode(bytes);
  if (!message) return;
  const std::string again = message->encode();
  const auto same = Message::decode(again);
  if (!same || again.size() != bytes.size() || same->names != message->names || same->wall != message->wall)
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check(bytes);
  // Once more with a checksum that fits, so that what stands behind it is read too.
  std::string signed_bytes(bytes);
  const std::uint64_t sum = flux::cache::detail::stable_hash64(signed_bytes);
  for (int byte = 0; byte < 8; ++byte) signed_bytes += static_cast<char>(sum >> (8 * byte) & 0xff);
  check(signed_bytes);
  return 0;
}
