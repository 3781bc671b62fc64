// flux/cache/format.hpp - the formats of values: native, msgpack, json, and one's own.
//
// A format is a Writer and a Reader behind a name and a number. The number stands in every frame, so that what was
// written under one configuration is read under another; it is never given to another format.
#pragma once
#include <flux/cache/limits.hpp>
#include <flux/cache/result.hpp>
#include <flux/cache/type.hpp>

#include <array>
#include <atomic>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

namespace flux::cache {
inline namespace v1 {

/// How an object is written.
struct EncodeOptions {
  /// For other programs: no extensions of ours. (msgpack: numbers as arrays instead of in bulk.)
  bool plain = false;
  std::size_t depth = 64;  ///< as `Limits::depth`
};

/// Thread-safe and stateless; lives for ever.
class FLUX_CACHE_TYPE Format {
 public:
  /// 1..127 are ours, 128..255 free for others; 0 is no format: content as it is.
  using Id = std::uint8_t;

  virtual ~Format();
  virtual std::string_view name() const noexcept = 0;
  virtual Id id() const noexcept = 0;
  /// True where a document can be read without a frame around it: it tells its structure itself.
  virtual bool self_describing() const noexcept = 0;
  /// Appends the object's bytes to `out`. Errc::not_serializable where the type has no `save` or refuses, too_large
  /// where it is nested too deeply; `out` is then as it was.
  virtual Result<void> encode(const Type& type, const void* object, std::string& out,
                              const EncodeOptions& options) const = 0;
  /// An object of exactly these bytes: Errc::corrupt, schema, wrong_type, too_large, not_serializable.
  virtual Result<std::shared_ptr<void>> decode(const Type& type, std::string_view bytes,
                                               const Limits& limits) const = 0;
};

/// Formats by name and by number. Lookups are lock-free; additions may race with them and with each other.
class FormatRegistry {
 public:
  FormatRegistry() = default;
  FLUX_CACHE_API ~FormatRegistry();
  FormatRegistry(const FormatRegistry&) = delete;
  FormatRegistry& operator=(const FormatRegistry&) = delete;

  /// Adds a format, under its name, its number and the aliases. False where one of them is taken by another format, or
  /// a name is empty. `format` must live for ever.
  FLUX_CACHE_API bool add(const Format& format, std::initializer_list<std::string_view> aliases = {});
  /// Null where there is none.
  FLUX_CACHE_API const Format* find(std::string_view name) const noexcept;
  const Format* find(Format::Id id) const noexcept { return by_id_[id].load(std::memory_order_acquire); }

 private:
  struct Named;
  std::array<std::atomic<const Format*>, 256> by_id_{};
  std::atomic<const Named*> names_{nullptr};
};

/// The process's formats: all that this library was built with.
FLUX_CACHE_API FormatRegistry& formats();

/// The default format: always there. Its documents need a frame.
FLUX_CACHE_API const Format& native_format() noexcept;

namespace detail {

/// Runs `type.save`: exceptions and failures of the walk become errors.
FLUX_CACHE_API Result<void> run_save(const Type& type, const void* object, Writer& out);
/// Runs `type.load` likewise.
FLUX_CACHE_API Result<std::shared_ptr<void>> run_load(const Type& type, Reader& in);
/// Errc::not_serializable, naming the type.
FLUX_CACHE_API Error not_serializable(const Type& type);

/// Adds the formats that this library was built with; the build generates it.
void register_formats(FormatRegistry& into);
void register_format_native(FormatRegistry& into);

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
