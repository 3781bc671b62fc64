// compressors/gzip/gzip.cpp - gzip (RFC 1952) over zlib, with one pair of streams per thread.
#include <flux/cache/compressor.hpp>
#include <flux/cache/detail/per_thread.hpp>

#define ZLIB_CONST
#include <zlib.h>

#include <algorithm>
#include <climits>

namespace flux::cache {
inline namespace v1 {
namespace {

constexpr int kDefaultLevel = 6;
constexpr int kGzipWindow = 15 + 16;  // the largest window, with gzip's header and checksum
constexpr int kMemory = 8;

/// A stream for each direction, made at first use and reset for each value.
class Streams {
 public:
  Streams() = default;
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;
  ~Streams() {
    if (level_ != 0) deflateEnd(&deflate_);
    if (inflates_) inflateEnd(&inflate_);
  }

  z_stream* deflating(int level) {
    if (level_ == level) return deflateReset(&deflate_) == Z_OK ? &deflate_ : nullptr;
    if (level_ != 0) deflateEnd(&deflate_);
    level_ = 0;
    deflate_ = {};
    if (deflateInit2(&deflate_, level, Z_DEFLATED, kGzipWindow, kMemory, Z_DEFAULT_STRATEGY) != Z_OK) return nullptr;
    level_ = level;
    return &deflate_;
  }
  z_stream* inflating() {
    if (inflates_) return inflateReset(&inflate_) == Z_OK ? &inflate_ : nullptr;
    inflates_ = inflateInit2(&inflate_, kGzipWindow) == Z_OK;
    return inflates_ ? &inflate_ : nullptr;
  }

 private:
  z_stream deflate_{};
  z_stream inflate_{};
  int level_ = 0;
  bool inflates_ = false;
};

Error error(Errc code, const char* what) { return {.code = code, .message = std::string("gzip: ") + what}; }

/// Runs `step` (deflate or inflate) until it ends, over lengths that zlib's 32 bits do not hold; the bytes written.
template <class Step>
bool run(z_stream& stream, std::string_view bytes, char* to, std::size_t room, std::size_t& written, Step&& step) {
  written = 0;
  std::size_t read = 0;
  for (;;) {
    const auto in = static_cast<uInt>(std::min<std::size_t>(bytes.size() - read, UINT_MAX));
    const auto out = static_cast<uInt>(std::min<std::size_t>(room - written, UINT_MAX));
    stream.next_in = reinterpret_cast<const Bytef*>(bytes.data() + read);
    stream.avail_in = in;
    stream.next_out = reinterpret_cast<Bytef*>(to + written);
    stream.avail_out = out;
    const int state = step(&stream, read + in == bytes.size() ? Z_FINISH : Z_NO_FLUSH);
    read += in - stream.avail_in;
    written += out - stream.avail_out;
    if (state == Z_STREAM_END) return read == bytes.size();
    const bool moved = stream.avail_in != in || stream.avail_out != out;
    if ((state != Z_OK && state != Z_BUF_ERROR) || !moved || written == room) return false;
  }
}

class GzipCompressor final : public Compressor {
 public:
  std::string_view name() const noexcept override { return "gzip"; }
  Id id() const noexcept override { return 2; }

  Result<bool> compress(std::string_view bytes, int level, std::size_t most, std::string& out) const override {
    const std::size_t start = out.size();
    out.resize(start + most);
    std::size_t written = 0;
    const bool kept = detail::with_thread_own<Streams>([&](Streams& own) {
      z_stream* stream = own.deflating(level == 0 ? kDefaultLevel : std::clamp(level, 1, 9));
      return stream != nullptr && run(*stream, bytes, out.data() + start, most, written, deflate);
    });
    out.resize(start + (kept ? written : 0));
    return kept;
  }

  Result<void> decompress(std::string_view bytes, char* to, std::size_t size) const override {
    std::size_t written = 0;
    const bool whole = detail::with_thread_own<Streams>([&](Streams& own) {
      z_stream* stream = own.inflating();
      return stream != nullptr && run(*stream, bytes, to, size, written, inflate);
    });
    if (!whole || written != size) return error(Errc::corrupt, "damaged, or of another length than announced");
    return {};
  }
};

constinit const GzipCompressor kGzip{};

}  // namespace

namespace detail {

void register_compressor_gzip(CompressorRegistry& into) { into.add(kGzip); }

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
