// flux/cache/compressor.hpp - makes long values short: zstd, gzip, and one's own.
//
// When it is worth it is decided in the frame: from `FrameOptions::compress_from` bytes on, and kept only where an
// eighth is saved. How much may come out again is decided there too, before and while it does.
#pragma once
#include <flux/cache/detail/export.hpp>
#include <flux/cache/result.hpp>

#include <array>
#include <atomic>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace flux::cache {
inline namespace v1 {

/// Thread-safe; lives for ever. Keeps what it needs for its work per thread.
class FLUX_CACHE_TYPE Compressor {
 public:
  /// 1..127 are ours, 128..255 free for others; 0 is none.
  using Id = std::uint8_t;

  virtual ~Compressor();
  virtual std::string_view name() const noexcept = 0;
  virtual Id id() const noexcept = 0;
  /// Appends the compressed bytes to `out`, as long as they are at most `most`; false: they would be more, and `out` is
  /// as it was. `level` is the algorithm's own; 0 is its default.
  virtual Result<bool> compress(std::string_view bytes, int level, std::size_t most, std::string& out) const = 0;
  /// Fills exactly `size` bytes at `to`; Errc::corrupt where the bytes do not hold exactly that many. Never writes
  /// more.
  virtual Result<void> decompress(std::string_view bytes, char* to, std::size_t size) const = 0;

  /// This compressor with a dictionary, from now on known to `decompress` as well, in the whole process. The same bytes
  /// answer the same compressor. Errc::unsupported where it knows no dictionaries, Errc::bad_config where these bytes
  /// are none, or another one has its number.
  virtual Result<const Compressor*> with_dictionary(std::string_view bytes) const;
  /// A dictionary of at most `most` bytes from samples of what is to be compressed: some hundred, a hundred times the
  /// dictionary's size together. Errc::unsupported where it knows none, Errc::bad_config where the samples do not do.
  virtual Result<std::string> train(std::span<const std::string_view> samples, std::size_t most = 16 * 1024) const;
};

/// Compressors by name and by number. Lookups are lock-free.
class CompressorRegistry {
 public:
  /// Adds a compressor under its name and number. False where one of them is taken by another, or is empty or 0.
  /// `compressor` must live for ever.
  FLUX_CACHE_API bool add(const Compressor& compressor);
  /// Null where there is none.
  FLUX_CACHE_API const Compressor* find(std::string_view name) const noexcept;
  const Compressor* find(Compressor::Id id) const noexcept { return by_id_[id].load(std::memory_order_acquire); }

 private:
  std::array<std::atomic<const Compressor*>, 256> by_id_{};
};

/// The process's compressors: all that this library was built with.
FLUX_CACHE_API CompressorRegistry& compressors();

namespace detail {

/// Adds the compressors that this library was built with; the build generates it.
void register_compressors(CompressorRegistry& into);

}  // namespace detail

}  // namespace v1
}  // namespace flux::cache
