// flux/cache/stores/memory.hpp - entries in this process, bounded by number and by weight.
#pragma once
#include <flux/cache/options.hpp>
#include <flux/cache/store.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace flux::cache {
inline namespace v1 {

class Fields;

/// Why an entry left a memory store.
enum class RemovalCause : std::uint8_t {
  replaced,   ///< overwritten
  expired,    ///< its time was up, whether a sweep found it or room was needed
  size,       ///< room was needed
  forgotten,  ///< somebody asked
  flushed,    ///< all were asked to go
};

/// How a memory store is bounded. At least one of the two bounds must be above 0.
struct MemoryConfig {
  std::uint64_t max_size = 1'000'000;  ///< entries; 0: as many as `max_bytes` holds
  std::uint64_t max_bytes = 0;         ///< bytes of all entries as they are weighed, keys included; 0: no bound
  std::string policy = "adaptive";     ///< who makes room: adaptive, lru or fifo
  std::string prefix{};                ///< stands before each key, behind the global prefix
  std::string serializer{};            ///< native (alias pickle), msgpack, json; empty: what `serialize` says
  std::string compression{};           ///< none, zstd, gzip, default; empty: what `serialize` says
  std::optional<Ttl> ttl{};            ///< the lifetime of what is put without one; none: for ever
  std::string on_error{};              ///< soft (reads miss, writes answer false) or throw; empty: soft
  bool frame = true;                   ///< false: values are the plain document, readable for other languages
  std::uint64_t max_value = 0;         ///< bytes; larger values are refused; 0: what the store can
  bool prohibit_flush = false;         ///< `flush` is refused
  Duration timeout{0};                 ///< for one call in all; 0: the driver's own
  const Clock* clock = nullptr;        ///< whose time it goes by; null: the machine's
  /// Hears each removal once, in the thread that caused it and outside of all locks. What it throws is swallowed.
  std::function<void(std::string_view key, RemovalCause cause)> on_removal{};
};

FLUX_CACHE_API void describe(Fields& fields, MemoryConfig& config);

/// A store of live objects in this process. With a serializer or a compressor named, the manager lets it keep bytes;
/// made by hand it keeps objects.
FLUX_CACHE_API StorePtr make_memory(const MemoryConfig& config = {});

}  // namespace v1
}  // namespace flux::cache
