// compressors/zstd/zstd.cpp - Zstandard (RFC 8878) over libzstd, with one pair of contexts per thread.
#include <zstd.h>
#include <flux/cache/compressor.hpp>
#include <flux/cache/detail/per_thread.hpp>

#include <memory>

namespace flux::cache {
inline namespace v1 {
namespace {

/// On JSON of 800 B to 80 KB, level 3 takes as long or longer and saves nothing more.
constexpr int kDefaultLevel = 1;

struct Contexts {
  struct Free {
    void operator()(ZSTD_CCtx* context) const noexcept { ZSTD_freeCCtx(context); }
    void operator()(ZSTD_DCtx* context) const noexcept { ZSTD_freeDCtx(context); }
  };
  std::unique_ptr<ZSTD_CCtx, Free> compress{ZSTD_createCCtx()};
  std::unique_ptr<ZSTD_DCtx, Free> decompress{ZSTD_createDCtx()};
};

Error error(Errc code, const char* what) { return {.code = code, .message = std::string("zstd: ") + what}; }

class ZstdCompressor final : public Compressor {
 public:
  std::string_view name() const noexcept override { return "zstd"; }
  Id id() const noexcept override { return 1; }

  Result<bool> compress(std::string_view bytes, int level, std::size_t most, std::string& out) const override {
    const std::size_t start = out.size();
    out.resize(start + most);
    const std::size_t size = detail::with_thread_own<Contexts>([&](Contexts& own) {
      return own.compress == nullptr ? static_cast<std::size_t>(-1)
                                     : ZSTD_compressCCtx(own.compress.get(), out.data() + start, most, bytes.data(),
                                                         bytes.size(), level == 0 ? kDefaultLevel : level);
    });
    // Any failure (too little room is the usual one) leaves the value as it is, which is always right.
    const bool kept = ZSTD_isError(size) == 0;
    out.resize(start + (kept ? size : 0));
    return kept;
  }

  Result<void> decompress(std::string_view bytes, char* to, std::size_t size) const override {
    const std::size_t written = detail::with_thread_own<Contexts>([&](Contexts& own) {
      return own.decompress == nullptr
                 ? static_cast<std::size_t>(-1)
                 : ZSTD_decompressDCtx(own.decompress.get(), to, size, bytes.data(), bytes.size());
    });
    if (ZSTD_isError(written) != 0) return error(Errc::corrupt, ZSTD_getErrorName(written));
    if (written != size) return error(Errc::corrupt, "another length than announced");
    return {};
  }
};

constinit const ZstdCompressor kZstd{};

}  // namespace

namespace detail {

void register_compressor_zstd(CompressorRegistry& into) { into.add(kZstd); }

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
