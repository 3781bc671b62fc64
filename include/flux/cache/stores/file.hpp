// flux/cache/stores/file.hpp - one file for each entry: shared by all processes of a machine, kept across restarts.
//
// A read is three system calls and takes no lock; an overwrite happens inside the file, beside the old value, and
// becomes visible by one small write. docs/stores/file.md has the options, the faults and the figures,
// docs/formats/file_record.md the bytes, docs/design/file_store.md the reasons.
#pragma once
#include <flux/cache/breaker_options.hpp>
#include <flux/cache/options.hpp>
#include <flux/cache/store.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace flux::cache {
inline namespace v1 {

class Fields;

/// Where the files are, and on what terms.
struct FileConfig {
  std::string path{};           ///< the directory, made where it is missing; empty: `default_file_path()`
  std::string prefix{};         ///< stands before each key, behind the global prefix; each has a folder of its own
  std::string serializer{};     ///< native (alias pickle), msgpack, json; empty: what `serialize` says
  std::string compression{};    ///< none, zstd, gzip, default; empty: what `serialize` says
  std::optional<Ttl> ttl{};     ///< the lifetime of what is put without one; none: for ever
  std::string on_error{};       ///< soft (reads miss, writes answer false) or throw; empty: soft
  bool frame = true;            ///< false: values are the plain document, readable for other languages
  std::uint64_t max_value = 0;  ///< bytes; larger values are refused; 0: 1 GiB, which is also the most
  std::optional<BreakerOptions> circuit_breaker{};  ///< stop asking it while it is down; none: never
  bool prohibit_flush = false;                      ///< `flush` is refused
  Duration timeout{0};  ///< how long a write waits for another one to the same key; 0: a second
  /// Also use a directory that belongs to somebody else, that others may write to, or that is a symbolic link. Whoever
  /// can write there can forge entries; each store that opens one says so on the standard error stream.
  bool allow_unsafe_directory = false;
  const Clock* clock = nullptr;  ///< whose time it goes by; null: the machine's

  /// `Errc::bad_config`, naming the field and what it got. Looks at the disk only to recognise `/` and the home
  /// directory, which are never taken for a cache.
  FLUX_CACHE_API Result<void> validate() const;
};

FLUX_CACHE_API void describe(Fields& fields, FileConfig& config);

/// A store of files. Touches no disk before its first use; what keeps it from opening is the error of each call.
/// Thread-safe, process-safe, and usable after `fork` on both sides.
FLUX_CACHE_API StorePtr make_file(const FileConfig& config);

/// Where entries go without a `path`: `$XDG_CACHE_HOME/flux/<program>`, else `~/.cache/flux/<program>`; empty where
/// the user has no home.
FLUX_CACHE_API std::string default_file_path();

}  // namespace v1
}  // namespace flux::cache
