// flux/cache/frame.hpp - a value's bytes with a header that names version, format, compressor and type, and a checksum.
//
// What every store that keeps bytes is given; byte by byte in docs/formats/frame.md. Since each frame names how it was
// made, a changed configuration reads what an older one wrote. Whole numbers are not framed: they travel as decimal
// text, so that a server can count them; `encode_value` and `decode_value` know both. All functions are thread-safe.
#pragma once
#include <flux/cache/compressor.hpp>
#include <flux/cache/detail/function_ref.hpp>
#include <flux/cache/format.hpp>
#include <flux/cache/integer.hpp>
#include <flux/cache/limits.hpp>
#include <flux/cache/type.hpp>

namespace flux::cache {
inline namespace v1 {

/// How values are written.
struct FrameOptions {
  const Format* format = nullptr;          ///< null: native
  const Compressor* compressor = nullptr;  ///< null: none
  int level = 0;                           ///< the compressor's own; 0: its default
  std::size_t compress_from = 512;         ///< bytes; shorter ones are not compressed
  /// False: the payload alone, a plain document for other programs: never compressed, no extensions of ours. Only with
  /// a format that tells its structure (json, msgpack), else Errc::unsupported.
  bool frame = true;
  std::size_t max_bytes = 0;  ///< of the whole frame; a longer one is Errc::too_large; 0: what the store takes
  Limits limits{};            ///< a value beyond them is refused, since it could not be read back
};

/// Of what a frame says of itself. `fingerprint` is that of the type written.
struct FrameInfo {
  std::uint8_t version = 0;
  Format::Id format = 0;          ///< 0: text or bytes as they are
  Compressor::Id compressor = 0;  ///< 0: none
  Lane lane = Lane::object;       ///< object, text or bytes
  std::uint64_t fingerprint = 0;
  std::uint64_t raw_length = 0;  ///< of the payload, decompressed
};

/// The first byte of each frame: no digit, no start of JSON or UTF-8, and the one byte that msgpack never uses.
inline constexpr unsigned char kFrameMagic = 0xc1;
/// Bytes before an uncompressed payload; 8 more before a compressed one.
inline constexpr std::size_t kFrameHeader = 24;

/// True where the bytes say that they are a frame. Does not check them.
constexpr bool is_frame(std::string_view bytes) noexcept {
  return !bytes.empty() && static_cast<unsigned char>(bytes.front()) == kFrameMagic;
}

/// The object's frame. Errors: not_serializable, too_large, unsupported. About 60 ns besides the format's own work.
FLUX_CACHE_API Result<std::string> encode_frame(const FrameOptions& options, const Type& type, const void* object);

/// The frame of a text, as of a std::string; no walk, one copy.
FLUX_CACHE_API Result<std::string> encode_text_frame(const FrameOptions& options, std::string_view text);

/// The object in a frame, or in a plain document of the format `plain`. Errors: corrupt (does not check out), schema
/// (the type changed since, or a newer version wrote it), wrong_type (another type), too_large, unsupported (a format
/// or compressor that this program lacks), not_serializable (the wanted type cannot be read). A whole number is also
/// read from text that is one.
FLUX_CACHE_API Result<std::shared_ptr<void>> decode_frame(std::string_view bytes, const Type& type,
                                                          const Limits& limits = {}, const Format* plain = nullptr);

/// The text in a frame, or in a plain document; errors likewise.
FLUX_CACHE_API Result<std::string> decode_text_frame(std::string_view bytes, const Limits& limits = {},
                                                     const Format* plain = nullptr);

/// The same, handed over where it lies: no copy, unless it is compressed. The text is valid inside the call alone.
FLUX_CACHE_API Result<void> with_text_frame(std::string_view bytes, const Limits& limits, const Format* plain,
                                            detail::FunctionRef<void(std::string_view text)> deliver);

/// What the frame says of itself; its checksum holds. Errors: corrupt, schema (a newer version).
FLUX_CACHE_API Result<FrameInfo> inspect_frame(std::string_view bytes);

/// As `encode_frame`, but whole numbers become decimal text.
FLUX_CACHE_API Result<std::string> encode_value(const FrameOptions& options, const Type& type, const void* object);

/// As `decode_frame`, but decimal text is a whole number: the wanted type reads it if it is one and wide enough,
/// otherwise Errc::wrong_type.
FLUX_CACHE_API Result<std::shared_ptr<void>> decode_value(std::string_view bytes, const Type& type,
                                                          const Limits& limits = {}, const Format* plain = nullptr);

/// The rule for reading one type as another, for live objects: the same type passes; a whole number of any width passes
/// where it fits; text passes as a whole number if all of it is one; everything else is Errc::wrong_type (schema where
/// it is the same type in another state).
FLUX_CACHE_API Result<Object> convert_object(const Object& object, const Type& from, const Type& to);

/// A whole number as an object of the type, if it is one and wide enough; otherwise Errc::wrong_type.
FLUX_CACHE_API Result<std::shared_ptr<void>> integer_object(Integer number, const Type& type);

/// The whole number that an object is, or that its text is; Errc::wrong_type where it is neither.
FLUX_CACHE_API Result<Integer> object_integer(const void* object, const Type& type);

}  // namespace v1
}  // namespace flux::cache
