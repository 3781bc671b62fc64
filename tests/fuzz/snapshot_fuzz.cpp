// Any file as a snapshot: loaded as a whole, or refused.
#include <flux/cache/detail/stable_hash.hpp>
#include <flux/cache/snapshot.hpp>
#include <flux/cache/stores/memory.hpp>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>

#include "support/scratch_directory.hpp"

namespace cache = flux::cache;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const cache::testing::ScratchDirectory directory(cache::testing::memory_backed_directory());
  static const std::string path = directory / "snapshot";
  // With a checksum that fits: behind it stands what is to be tried.
  std::string bytes("FXS1\x01\0\0\0", 8);
  bytes.append(reinterpret_cast<const char*>(data), size);
  const std::uint64_t sum = cache::detail::stable_hash64(bytes);
  for (int byte = 0; byte < 8; ++byte) bytes += static_cast<char>(sum >> (8 * byte) & 0xff);
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  const cache::StorePtr store = cache::make_memory({.max_size = 1'000});
  const auto loaded = cache::load_snapshot(*store, path);
  if (!loaded.ok() && loaded.error().message.empty()) std::abort();
  return 0;
}
