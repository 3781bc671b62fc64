// core/frame.cpp - frames made and read; the layout is in docs/formats/frame.md.
#include <flux/cache/detail/stable_hash.hpp>
#include <flux/cache/frame.hpp>
#include <flux/cache/type_of.hpp>

#include <cstring>

#include "core/integer_walk.hpp"
#include "core/text_frame.hpp"

namespace flux::cache {
inline namespace v1 {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kChecksumAt = 16;
constexpr std::size_t kLengthSize = 8;
/// Kept only where at least one part in this many is saved.
constexpr std::size_t kWorthwhile = 8;

void store64(char* to, std::uint64_t word) noexcept {
  for (int i = 0; i < 8; ++i) to[i] = static_cast<char>(word >> 8 * i);
}

std::uint64_t load64(const char* from) noexcept { return detail::load_little<std::uint64_t>(from); }

std::uint64_t checksum(std::string_view frame) noexcept {
  const std::uint64_t head = detail::stable_hash64(frame.substr(0, kChecksumAt));
  return detail::stable_hash64(frame.substr(kFrameHeader), head);
}

Error error(Errc code, std::string_view message) { return {.code = code, .message = std::string(message)}; }

Error mismatch(std::string_view stored, const Type& wanted) {
  return error(Errc::wrong_type,
               std::string(stored) + " is stored, " + std::string(detail::name_of(wanted)) + " was wanted");
}

Error other_type(std::uint64_t found, std::string_view stored, const Type& wanted) {
  if (detail::is_other_state(found, wanted.fingerprint)) {
    return error(Errc::schema, std::string(wanted.name) + " has changed since the value was written");
  }
  return mismatch(stored, wanted);
}

/// A frame tells the way its value went, and no type's name.
std::string_view stored_in(const FrameInfo& info) noexcept {
  if (info.lane == Lane::text) return "text";
  if (info.lane == Lane::bytes) return "a piece of bytes";
  if (info.fingerprint == type_of<bool>().fingerprint) return "bool";
  if (info.fingerprint == type_of<double>().fingerprint) return "double";
  if (info.fingerprint == type_of<float>().fingerprint) return "float";
  return "an object of another type";
}

/// Fills in the header of a frame that stands whole: `kFrameHeader` bytes and the payload.
void seal(char* head, std::size_t size, Format::Id format, Compressor::Id compressor, Lane lane,
          std::uint64_t fingerprint) noexcept {
  head[0] = static_cast<char>(kFrameMagic);
  head[1] = static_cast<char>(kVersion);
  head[2] = static_cast<char>(format);
  head[3] = static_cast<char>(compressor);
  head[4] = static_cast<char>(lane);
  head[5] = head[6] = head[7] = 0;
  store64(head + 8, fingerprint);
  store64(head + kChecksumAt, checksum({head, size}));
}
void seal(std::string& frame, Format::Id format, Compressor::Id compressor, Lane lane, std::uint64_t fingerprint) {
  seal(frame.data(), frame.size(), format, compressor, lane, fingerprint);
}

bool may_shorten(const FrameOptions& options, std::size_t raw) noexcept {
  return options.compressor != nullptr && raw >= options.compress_from && raw >= kWorthwhile;
}

/// Puts a shorter, compressed payload in the place of the one in `frame`; answers the compressor, 0 where it stays.
Result<Compressor::Id> shorten(const FrameOptions& options, std::string& frame) {
  const std::size_t raw = frame.size() - kFrameHeader;
  if (!may_shorten(options, raw)) return Compressor::Id{0};
  const std::size_t most = raw - raw / kWorthwhile;
  if (most <= kLengthSize) return Compressor::Id{0};
  std::string shorter(kFrameHeader + kLengthSize, '\0');
  auto done = options.compressor->compress(std::string_view(frame).substr(kFrameHeader), options.level,
                                           most - kLengthSize, shorter);
  if (!done.ok()) return Result<Compressor::Id>(done.take_error());
  if (!*done) return Compressor::Id{0};
  store64(shorter.data() + kFrameHeader, raw);
  frame = std::move(shorter);
  return options.compressor->id();
}

Result<std::string> frame_content(const FrameOptions& options, Lane lane, std::uint64_t fingerprint,
                                  std::string_view content) {
  if (content.size() > options.limits.total) return error(Errc::too_large, "the value is over the limit");
  std::string frame;
  frame.reserve(kFrameHeader + content.size());
  frame.append(kFrameHeader, '\0').append(content);
  auto compressor = shorten(options, frame);
  if (!compressor.ok()) return Result<std::string>(compressor.take_error());
  seal(frame, 0, *compressor, lane, fingerprint);
  return frame;
}

Result<std::string> plain_document(const FrameOptions& options, const Format& format, const Type& type,
                                   const void* object) {
  if (!format.self_describing()) {
    return error(Errc::unsupported, std::string(format.name()) + " documents need their frame; use json or msgpack");
  }
  std::string document;
  auto done = format.encode(type, object, document, {.plain = true, .depth = options.limits.depth});
  if (!done.ok()) return Result<std::string>(done.take_error());
  if (document.size() > options.limits.total) return error(Errc::too_large, "the value is over the limit");
  return document;
}

/// A frame whose checksum holds, taken apart.
struct Opened {
  FrameInfo info;
  std::string_view payload;  ///< as it stands, still compressed
};

Result<Opened> open_frame(std::string_view bytes) {
  if (!is_frame(bytes)) return error(Errc::corrupt, "no frame");
  if (bytes.size() < kFrameHeader) return error(Errc::corrupt, "a frame that ends within its header");
  Opened opened;
  FrameInfo& info = opened.info;
  info.version = static_cast<std::uint8_t>(bytes[1]);
  if (info.version > kVersion) return error(Errc::schema, "a frame of a newer version");
  if (load64(bytes.data() + kChecksumAt) != checksum(bytes)) return error(Errc::corrupt, "the checksum does not hold");
  info.format = static_cast<Format::Id>(bytes[2]);
  info.compressor = static_cast<Compressor::Id>(bytes[3]);
  const auto lane = static_cast<std::uint8_t>(bytes[4]);
  if (info.version == 0 || lane > static_cast<std::uint8_t>(Lane::bytes) || bytes[5] != 0 || bytes[6] != 0 ||
      bytes[7] != 0) {
    return error(Errc::corrupt, "a frame with an unknown header");
  }
  info.lane = static_cast<Lane>(lane);
  info.fingerprint = load64(bytes.data() + 8);
  opened.payload = bytes.substr(kFrameHeader);
  info.raw_length = opened.payload.size();
  if (info.compressor != 0) {
    if (opened.payload.size() < kLengthSize) return error(Errc::corrupt, "a compressed frame without its length");
    info.raw_length = load64(opened.payload.data());
    opened.payload.remove_prefix(kLengthSize);
  }
  return opened;
}

/// Memory that is not filled before it is written, so that a claimed length costs nothing until it is true.
class Raw {
 public:
  explicit Raw(std::size_t size) : data_(new (std::nothrow) char[size == 0 ? 1 : size]), size_(size) {}
  char* data() noexcept { return data_.get(); }
  std::string_view view() const noexcept { return {data_.get(), size_}; }

 private:
  std::unique_ptr<char[]> data_;
  std::size_t size_;
};

/// Calls `use` with the frame's payload, decompressed.
template <class T, class Use>
Result<T> with_payload(const Opened& opened, const Limits& limits, Use&& use) {
  const FrameInfo& info = opened.info;
  if (info.raw_length > limits.total) return error(Errc::too_large, "the value is over the limit");
  if (info.compressor == 0) return use(opened.payload);
  const Compressor* compressor = compressors().find(info.compressor);
  if (compressor == nullptr) {
    return error(Errc::unsupported, "no compressor number " + std::to_string(info.compressor) + " in this program");
  }
  Raw raw(static_cast<std::size_t>(info.raw_length));
  if (raw.data() == nullptr) return error(Errc::too_large, "out of memory while decompressing");
  auto done = compressor->decompress(opened.payload, raw.data(), raw.view().size());
  if (!done.ok()) return Result<T>(done.take_error());
  return use(raw.view());
}

using Loaded = Result<std::shared_ptr<void>>;

Loaded load_payload(const FrameInfo& info, std::string_view payload, const Type& type, const Limits& limits) {
  if (info.lane == Lane::text && (type.lane == Lane::integer || type.lane == Lane::natural)) {
    const auto number = parse_integer(payload);
    if (!number) return mismatch("text", type);
    return integer_object(*number, type);
  }
  if (info.fingerprint != type.fingerprint) return other_type(info.fingerprint, stored_in(info), type);
  if (info.lane != Lane::object) {
    if (type.lane != info.lane || info.format != 0) return error(Errc::corrupt, "a frame at odds with itself");
    return type.adopt(payload);
  }
  const Format* format = info.format == 1 ? &native_format() : formats().find(info.format);
  if (format == nullptr) {
    return error(Errc::unsupported, "no format number " + std::to_string(info.format) + " in this program");
  }
  return format->decode(type, payload, limits);
}

}  // namespace

Result<std::string> encode_frame(const FrameOptions& options, const Type& type, const void* object) {
  const Format& format = options.format != nullptr ? *options.format : native_format();
  if (type.save == nullptr) return detail::not_serializable(type);
  if (!options.frame) return plain_document(options, format, type, object);
  if (type.view != nullptr) return frame_content(options, type.lane, type.fingerprint, type.view(object));
  std::string frame;
  frame.reserve(256);
  frame.append(kFrameHeader, '\0');
  auto done = format.encode(type, object, frame, {.plain = false, .depth = options.limits.depth});
  if (!done.ok()) return Result<std::string>(done.take_error());
  if (frame.size() - kFrameHeader > options.limits.total) return error(Errc::too_large, "the value is over the limit");
  auto compressor = shorten(options, frame);
  if (!compressor.ok()) return Result<std::string>(compressor.take_error());
  seal(frame, format.id(), *compressor, Lane::object, type.fingerprint);
  return frame;
}

Result<std::string> encode_text_frame(const FrameOptions& options, std::string_view text) {
  const Type& type = type_of<std::string>();
  if (options.frame) return frame_content(options, Lane::text, type.fingerprint, text);
  const std::string owned(text);
  return encode_frame(options, type, &owned);
}

std::size_t detail::text_frame_size(const FrameOptions& options, std::string_view text) noexcept {
  const bool stays = options.frame && text.size() <= options.limits.total && !may_shorten(options, text.size());
  return stays ? kFrameHeader + text.size() : 0;
}

void detail::write_text_frame(std::string_view text, char* to) noexcept {
  if (!text.empty()) std::memcpy(to + kFrameHeader, text.data(), text.size());
  seal(to, kFrameHeader + text.size(), 0, 0, Lane::text, type_of<std::string>().fingerprint);
}

Loaded decode_frame(std::string_view bytes, const Type& type, const Limits& limits, const Format* plain) {
  if (type.load == nullptr) return detail::not_serializable(type);
  if (!is_frame(bytes) && plain != nullptr) {
    if (bytes.size() > limits.total) return error(Errc::too_large, "the document is over the limit");
    return plain->decode(type, bytes, limits);
  }
  auto opened = open_frame(bytes);
  if (!opened.ok()) return Loaded(opened.take_error());
  return with_payload<std::shared_ptr<void>>(
      *opened, limits, [&](std::string_view payload) { return load_payload(opened->info, payload, type, limits); });
}

Result<void> detail::with_text_frame_for(const Type& wanted, std::string_view bytes, const Limits& limits,
                                         const Format* plain, FunctionRef<void(std::string_view text)> deliver) {
  const Type& type = type_of<std::string>();
  if (!is_frame(bytes) && plain != nullptr) {
    Loaded loaded = decode_frame(bytes, type, limits, plain);
    if (!loaded.ok()) return Result<void>(loaded.take_error());
    deliver(*static_cast<const std::string*>(loaded->get()));
    return {};
  }
  auto opened = open_frame(bytes);
  if (!opened.ok()) return Result<void>(opened.take_error());
  const FrameInfo& info = opened->info;
  if (info.fingerprint != type.fingerprint) return other_type(info.fingerprint, stored_in(info), wanted);
  if (info.lane != Lane::text) return error(Errc::corrupt, "a frame at odds with itself");
  return with_payload<void>(*opened, limits, [&](std::string_view payload) -> Result<void> {
    deliver(payload);
    return {};
  });
}

Result<void> with_text_frame(std::string_view bytes, const Limits& limits, const Format* plain,
                             detail::FunctionRef<void(std::string_view text)> deliver) {
  return detail::with_text_frame_for(type_of<std::string>(), bytes, limits, plain, deliver);
}

Result<std::string> decode_text_frame(std::string_view bytes, const Limits& limits, const Format* plain) {
  std::string text;
  auto done = with_text_frame(bytes, limits, plain, [&](std::string_view whole) { text = whole; });
  if (!done.ok()) return Result<std::string>(done.take_error());
  return text;
}

Result<FrameInfo> inspect_frame(std::string_view bytes) {
  auto opened = open_frame(bytes);
  if (!opened.ok()) return Result<FrameInfo>(opened.take_error());
  return opened->info;
}

Result<std::string> encode_value(const FrameOptions& options, const Type& type, const void* object) {
  if (type.lane != Lane::integer && type.lane != Lane::natural) return encode_frame(options, type, object);
  auto number = object_integer(object, type);
  if (!number.ok()) return Result<std::string>(number.take_error());
  return format_integer(*number);
}

Loaded decode_value(std::string_view bytes, const Type& type, const Limits& limits, const Format* plain) {
  if (!is_frame(bytes)) {
    if (const auto number = parse_integer(bytes)) {
      Loaded whole = integer_object(*number, type);
      if (whole.ok() || plain == nullptr) return whole;
    }
  }
  return decode_frame(bytes, type, limits, plain);
}

Loaded integer_object(Integer number, const Type& type) {
  if (type.load == nullptr || (type.lane != Lane::integer && type.lane != Lane::natural)) {
    return mismatch("a whole number", type);
  }
  detail::IntegerReader reader(number);
  return detail::run_load(type, reader);
}

Result<Integer> object_integer(const void* object, const Type& type) {
  if (type.lane == Lane::text) {
    if (const auto number = parse_integer(type.view(object))) return *number;
    return error(Errc::wrong_type, "the text is no whole number");
  }
  if (type.save == nullptr || (type.lane != Lane::integer && type.lane != Lane::natural)) {
    return error(Errc::wrong_type, std::string(type.name) + " is no whole number");
  }
  detail::IntegerWriter writer;
  type.save(object, writer);
  return writer.number();
}

Result<Object> convert_object(const Object& object, const Type& from, const Type& to) {
  if (same_type(from, to)) return object;
  if (to.lane == Lane::integer || to.lane == Lane::natural) {
    auto number = object_integer(object.get(), from);
    if (!number.ok()) return Result<Object>(number.take_error());
    Loaded made = integer_object(*number, to);
    if (!made.ok()) return Result<Object>(made.take_error());
    return Object(std::move(*made));
  }
  return other_type(from.fingerprint, from.name, to);
}

}  // namespace v1
}  // namespace flux::cache
