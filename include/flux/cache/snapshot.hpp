// flux/cache/snapshot.hpp - a store's entries in a file, so that a restart is not cold.
//
// The file is written beside the old one and put in its place when it is whole and on the disk: a process that is
// killed in the middle leaves the old one. It is checked as a whole before anything is loaded: a snapshot that was cut
// off or damaged loads nothing, never something wrong. Values are written as frames, so that a type that changed since
// is a miss; types that live in memory only are left out.
//
//   "FXS1" | version (4) | wall time (8) | entries (8)
//   for each: length (4) | kind (1) | key (4 + n) | fresh until (8) | keep until (8) | tags (2), each (2 + n)
//             | notes (2 + n) | value
//   checksum (8): `stable_hash64` over all before it
//
// Little endian; deadlines are wall time in microseconds, the highest number for none.
#pragma once
#include <flux/cache/store.hpp>

#include <cstdint>
#include <string>

namespace flux::cache {
inline namespace v1 {

struct SnapshotOptions {
  const Clock* clock = nullptr;          ///< null: the machine's
  std::uint64_t max_bytes = 4ULL << 30;  ///< larger ones are neither written nor read
};

struct SnapshotReport {
  std::size_t entries = 0;   ///< written or loaded
  std::size_t left_out = 0;  ///< of types that live in memory only, or expired since
};

/// Writes what is fresh among the values. Others may read and write meanwhile; what changes may be in it or not.
/// Errors: unsupported (the store cannot list its entries), too_large, unavailable (the disk). Takes the memory of the
/// snapshot.
FLUX_CACHE_API Result<SnapshotReport> save_snapshot(Store& store, const std::string& path,
                                                    const SnapshotOptions& options = {});

/// Puts what the snapshot holds where nothing fresh lives. Lifetimes go on as if the time between had passed here. Tags
/// are those of before, with today's epochs: what was flushed elsewhere meanwhile comes back, so load only into a store
/// of this process's own. Errors: unavailable (there is no such file), corrupt (not whole), schema (another version).
FLUX_CACHE_API Result<SnapshotReport> load_snapshot(Store& store, const std::string& path,
                                                    const SnapshotOptions& options = {});

}  // namespace v1
}  // namespace flux::cache
