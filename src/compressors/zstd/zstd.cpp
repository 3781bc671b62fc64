// compressors/zstd/zstd.cpp - Zstandard (RFC 8878) over libzstd, with one pair of contexts per thread, and
// dictionaries, whose number stands in the payload's own header.
#include <zdict.h>
#include <zstd.h>
#include <flux/cache/compressor.hpp>
#include <flux/cache/detail/per_thread.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace {

/// On JSON of 800 B to 80 KB, level 3 takes as long or longer and saves nothing more.
constexpr int kDefaultLevel = 1;
constexpr std::size_t kLeastDictionary = 256;  // the library's own limit
constexpr std::size_t kMostDictionaries = 64;

struct Contexts {
  struct Free {
    void operator()(ZSTD_CCtx* context) const noexcept { ZSTD_freeCCtx(context); }
    void operator()(ZSTD_DCtx* context) const noexcept { ZSTD_freeDCtx(context); }
  };
  std::unique_ptr<ZSTD_CCtx, Free> compress{ZSTD_createCCtx()};
  std::unique_ptr<ZSTD_DCtx, Free> decompress{ZSTD_createDCtx()};
};

Error error(Errc code, const std::string& what) { return {.code = code, .message = "zstd: " + what}; }

/// A dictionary, digested once for both ways. Lives for ever.
struct Dictionary {
  unsigned number;
  std::string bytes;
  ZSTD_CDict* compress;  // at the default level
  ZSTD_DDict* decompress;
};

/// All of the process. Each is added once and never changes, so readers need no lock.
class Dictionaries {
 public:
  const Dictionary* find(unsigned number) const noexcept {
    const std::size_t count = count_.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < count; ++i)
      if (all_[i]->number == number) return all_[i];
    return nullptr;
  }
  Result<const Dictionary*> add(std::string_view bytes) {
    const unsigned number = ZDICT_getDictID(bytes.data(), bytes.size());
    if (number == 0) return error(Errc::bad_config, "this is no dictionary with a number");
    const std::scoped_lock lock(mutex_);
    if (const Dictionary* known = find(number)) {
      if (known->bytes == bytes) return known;
      return error(Errc::bad_config, "another dictionary has the number " + std::to_string(number) + " already");
    }
    const std::size_t count = count_.load(std::memory_order_relaxed);
    if (count == kMostDictionaries) return error(Errc::bad_config, "there are 64 dictionaries already");
    auto made = std::make_unique<Dictionary>(Dictionary{number, std::string(bytes), nullptr, nullptr});
    made->compress = ZSTD_createCDict(bytes.data(), bytes.size(), kDefaultLevel);
    made->decompress = ZSTD_createDDict(bytes.data(), bytes.size());
    if (made->compress == nullptr || made->decompress == nullptr) {
      ZSTD_freeCDict(made->compress);
      ZSTD_freeDDict(made->decompress);
      return error(Errc::bad_config, "the dictionary is damaged");
    }
    all_[count] = made.release();
    count_.store(count + 1, std::memory_order_release);
    return all_[count];
  }

 private:
  std::mutex mutex_;
  std::atomic<std::size_t> count_{0};
  std::array<const Dictionary*, kMostDictionaries> all_{};
};

Dictionaries& dictionaries() {
  static auto& all = *new Dictionaries;
  return all;
}

class ZstdCompressor final : public Compressor {
 public:
  constexpr explicit ZstdCompressor(const Dictionary* dictionary = nullptr) : dictionary_(dictionary) {}

  std::string_view name() const noexcept override { return "zstd"; }
  Id id() const noexcept override { return 1; }

  Result<bool> compress(std::string_view bytes, int level, std::size_t most, std::string& out) const override {
    const std::size_t start = out.size();
    out.resize(start + most);
    const std::size_t size = detail::with_thread_own<Contexts>([&](Contexts& own) {
      ZSTD_CCtx* const context = own.compress.get();
      if (context == nullptr) return static_cast<std::size_t>(-1);
      char* const to = out.data() + start;
      const int chosen = level == 0 ? kDefaultLevel : level;
      if (dictionary_ == nullptr) return ZSTD_compressCCtx(context, to, most, bytes.data(), bytes.size(), chosen);
      if (chosen == kDefaultLevel)
        return ZSTD_compress_usingCDict(context, to, most, bytes.data(), bytes.size(), dictionary_->compress);
      return ZSTD_compress_usingDict(context, to, most, bytes.data(), bytes.size(), dictionary_->bytes.data(),
                                     dictionary_->bytes.size(), chosen);
    });
    // Any failure (too little room is the usual one) leaves the value as it is, which is always right.
    const bool kept = ZSTD_isError(size) == 0;
    out.resize(start + (kept ? size : 0));
    return kept;
  }

  // Whichever dictionary it was that the payload names: what was written under an earlier one is still read.
  Result<void> decompress(std::string_view bytes, char* to, std::size_t size) const override {
    const unsigned number = ZSTD_getDictID_fromFrame(bytes.data(), bytes.size());
    const Dictionary* const dictionary = number == 0 ? nullptr : dictionaries().find(number);
    if (number != 0 && dictionary == nullptr)
      return error(Errc::schema, "the dictionary number " + std::to_string(number) + " is not in this program");
    const std::size_t written = detail::with_thread_own<Contexts>([&](Contexts& own) {
      ZSTD_DCtx* const context = own.decompress.get();
      if (context == nullptr) return static_cast<std::size_t>(-1);
      return dictionary == nullptr
                 ? ZSTD_decompressDCtx(context, to, size, bytes.data(), bytes.size())
                 : ZSTD_decompress_usingDDict(context, to, size, bytes.data(), bytes.size(), dictionary->decompress);
    });
    if (ZSTD_isError(written) != 0) return error(Errc::corrupt, ZSTD_getErrorName(written));
    if (written != size) return error(Errc::corrupt, "another length than announced");
    return {};
  }

  Result<const Compressor*> with_dictionary(std::string_view bytes) const override {
    auto dictionary = dictionaries().add(bytes);
    if (!dictionary.ok()) return Result<const Compressor*>(dictionary.take_error());
    static std::mutex mutex;
    static auto& made = *new std::vector<std::unique_ptr<const ZstdCompressor>>;
    const std::scoped_lock lock(mutex);
    for (const auto& each : made)
      if (each->dictionary_ == *dictionary) return static_cast<const Compressor*>(each.get());
    made.push_back(std::make_unique<const ZstdCompressor>(*dictionary));
    return static_cast<const Compressor*>(made.back().get());
  }

  Result<std::string> train(std::span<const std::string_view> samples, std::size_t most) const override {
    if (most < kLeastDictionary) return error(Errc::bad_config, "a dictionary has at least 256 bytes");
    std::string together;
    std::vector<std::size_t> sizes;
    for (const std::string_view sample : samples) {
      together += sample;
      sizes.push_back(sample.size());
    }
    std::string dictionary(most, '\0');
    const std::size_t size = ZDICT_trainFromBuffer(dictionary.data(), most, together.data(), sizes.data(),
                                                   static_cast<unsigned>(sizes.size()));
    if (ZDICT_isError(size) != 0)
      return error(Errc::bad_config, std::string("training: ") + ZDICT_getErrorName(size) +
                                         "; more samples, or a smaller dictionary, may do");
    dictionary.resize(size);
    return dictionary;
  }

 private:
  const Dictionary* dictionary_;
};

constinit const ZstdCompressor kZstd{};

}  // namespace

namespace detail {

void register_compressor_zstd(CompressorRegistry& into) { into.add(kZstd); }

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
