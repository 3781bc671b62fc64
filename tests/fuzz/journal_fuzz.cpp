// Any file as a journal: what checks out is pending, in order; a file of another kind is refused.
#include <flux/cache/error.hpp>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>

#include "patterns/journal.hpp"
#include "support/scratch_directory.hpp"

namespace cache = flux::cache;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const cache::testing::ScratchDirectory directory(cache::testing::memory_backed_directory());
  static const std::string path = directory / "journal";
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      << std::string("FXJ1\x01\0\0\0", 8) << std::string(reinterpret_cast<const char*>(data), size);
  std::vector<cache::detail::Journal::Record> pending, again;
  { cache::detail::Journal journal(path, pending); }
  { cache::detail::Journal journal(path, again); }
  if (pending.size() != again.size()) std::abort();
  for (std::size_t i = 0; i < pending.size(); ++i) {
    if (pending[i].sequence != again[i].sequence || pending[i].value != again[i].value) std::abort();
    if (i > 0 && pending[i].sequence <= pending[i - 1].sequence) std::abort();
  }
  return 0;
}
