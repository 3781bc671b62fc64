// flux/cache/stores/file.hpp - entries in files of a directory, shared by the processes of a machine.
#pragma once
#include <flux/cache/options.hpp>
#include <flux/cache/store.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace flux::cache {
inline namespace v1 {

class Fields;

/// Where the files are.
struct FileConfig {
  std::string path{};            ///< the directory; empty: a folder of the user's own cache directory
  std::string prefix{};          ///< stands before each key, behind the global prefix
  std::string serializer{};      ///< native (alias pickle), msgpack, json; empty: what `serialize` says
  std::string compression{};     ///< none, zstd, gzip, default; empty: what `serialize` says
  std::optional<Ttl> ttl{};      ///< the lifetime of what is put without one; none: for ever
  std::string on_error{};        ///< soft (reads miss, writes answer false) or throw; empty: soft
  const Clock* clock = nullptr;  ///< whose time it goes by; null: the machine's
};

FLUX_CACHE_API void describe(Fields& fields, FileConfig& config);

/// Opens the directory at first use.
FLUX_CACHE_API StorePtr make_file(const FileConfig& config);

}  // namespace v1
}  // namespace flux::cache
