// formats/msgpack/msgpack.cpp - values as MessagePack documents; the mapping is in docs/formats/msgpack.md.
//
// Written through msgpack-c's packer, but for floating point, which it turns into integers where it can (and -0.0 with
// them). Read by a pull parser of our own: msgpack-c reads into a tree first, and a tree is what hostile counts cost.
#include <flux/cache/detail/field_walk.hpp>
#include <flux/cache/detail/output.hpp>
#include <flux/cache/format.hpp>
#include <flux/cache/serial.hpp>

#include <cstring>

#ifndef MSGPACK_NO_BOOST
#define MSGPACK_NO_BOOST
#endif
#include <msgpack/pack.hpp>

namespace flux::cache {
inline namespace v1 {
namespace {

constexpr Abilities kMsgpack{.positional = false, .any_key = true};
/// The extension type of numbers in bulk: one byte of NumberKind, then the numbers in little endian.
constexpr std::int8_t kNumbers = 17;
constexpr bool kLittleEndian = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

template <class Word>
Word big_endian(Word word) noexcept {
  if constexpr (!kLittleEndian || sizeof(Word) == 1) {
    return word;
  } else if constexpr (sizeof(Word) == 2) {
    return __builtin_bswap16(word);
  } else if constexpr (sizeof(Word) == 4) {
    return __builtin_bswap32(word);
  } else {
    return __builtin_bswap64(word);
  }
}

/// Between this machine's order and little endian.
void copy_little(char* to, const char* from, std::size_t count, std::size_t width) noexcept {
  if (count == 0) return;
  if (kLittleEndian || width == 1) {
    std::memcpy(to, from, count * width);
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t b = 0; b < width; ++b) to[i * width + b] = from[i * width + width - 1 - b];
  }
}

/// What msgpack-c's packer writes to.
class Sink {
 public:
  explicit Sink(std::string& out) : out_(out) {}
  void write(const char* data, std::size_t size) { out_.append(data, size); }
  detail::Output& output() noexcept { return out_; }

 private:
  detail::Output out_;
};

class MsgpackWriter final : public Writer {
 public:
  MsgpackWriter(std::string& out, const EncodeOptions& options)
      : Writer(kMsgpack, options.depth), plain_(options.plain), sink_(out), packer_(sink_) {}

  void present(bool yes) override {
    if (!yes) packer_.pack_nil();
  }
  void boolean(bool value) override { value ? packer_.pack_true() : packer_.pack_false(); }
  void integer(std::int64_t value) override { packer_.pack_int64(value); }
  void natural(std::uint64_t value) override { packer_.pack_uint64(value); }
  void number(double value) override { real<std::uint64_t>('\xcb', &value); }
  void number32(float value) override { real<std::uint32_t>('\xca', &value); }
  void text(std::string_view value) override {
    if (!fits(value.size())) return;
    packer_.pack_str(static_cast<std::uint32_t>(value.size()));
    sink_.output().append(value);
  }
  void bytes(const void* data, std::size_t size) override {
    if (!fits(size)) return;
    packer_.pack_bin(static_cast<std::uint32_t>(size));
    sink_.output().append(data, size);
  }
  void numbers(NumberKind kind, const void* data, std::size_t count) override {
    if (plain_) return plain_numbers(kind, static_cast<const char*>(data), count);
    const std::size_t width = size_of(kind);
    if (count > (UINT32_MAX - 1) / width) return fail(Errc::too_large, "too long for msgpack");
    packer_.pack_ext(1 + count * width, kNumbers);
    sink_.output().put(static_cast<char>(kind));
    if constexpr (kLittleEndian) {
      sink_.output().append(data, count * width);
    } else {
      for (std::size_t i = 0; i < count; ++i) {
        copy_little(sink_.output().room(width), static_cast<const char*>(data) + i * width, 1, width);
        sink_.output().advance(width);
      }
    }
  }
  bool begin_array(std::size_t count) override {
    if (!fits(count) || !enter()) return false;
    packer_.pack_array(static_cast<std::uint32_t>(count));
    return true;
  }
  void end_array() override { leave(); }
  bool begin_map(std::size_t count) override {
    if (!fits(count) || !enter()) return false;
    packer_.pack_map(static_cast<std::uint32_t>(count));
    return true;
  }
  void key(std::string_view name) override { MsgpackWriter::text(name); }
  void end_map() override { leave(); }
  bool begin_object(FieldNames fields) override { return MsgpackWriter::begin_map(fields.count); }
  void field(std::string_view name) override { MsgpackWriter::text(name); }
  void end_object() override { leave(); }

  void object(const detail::ObjectPlan& plan, const void* const* fields) override {
    detail::save_fields(*this, plan, fields);
  }

  void finish(bool ok) {
    if (ok) {
      sink_.output().flush();
    } else {
      sink_.output().undo();
    }
  }

 private:
  bool fits(std::size_t count) {
    if (count > UINT32_MAX) fail(Errc::too_large, "too long for msgpack");
    return count <= UINT32_MAX;
  }
  template <class Word>
  void real(char tag, const void* value) {
    Word word;
    std::memcpy(&word, value, sizeof word);
    word = big_endian(word);
    char* at = sink_.output().room(1 + sizeof word);
    *at = tag;
    std::memcpy(at + 1, &word, sizeof word);
    sink_.output().advance(1 + sizeof word);
  }
  template <class Number, class Pack>
  void each(const char* data, std::size_t count, Pack&& pack) {
    for (std::size_t i = 0; i < count; ++i) {
      Number value;
      std::memcpy(&value, data + i * sizeof value, sizeof value);
      pack(value);
    }
  }
  void plain_numbers(NumberKind kind, const char* data, std::size_t count) {
    const auto pack_signed = [&](std::int64_t value) { packer_.pack_int64(value); };
    const auto pack_natural = [&](std::uint64_t value) { packer_.pack_uint64(value); };
    if (!MsgpackWriter::begin_array(count)) return;
    switch (kind) {
      case NumberKind::i8: each<std::int8_t>(data, count, pack_signed); break;
      case NumberKind::u8: each<std::uint8_t>(data, count, pack_natural); break;
      case NumberKind::i16: each<std::int16_t>(data, count, pack_signed); break;
      case NumberKind::u16: each<std::uint16_t>(data, count, pack_natural); break;
      case NumberKind::i32: each<std::int32_t>(data, count, pack_signed); break;
      case NumberKind::u32: each<std::uint32_t>(data, count, pack_natural); break;
      case NumberKind::i64: each<std::int64_t>(data, count, pack_signed); break;
      case NumberKind::u64: each<std::uint64_t>(data, count, pack_natural); break;
      case NumberKind::f32: each<float>(data, count, [&](float value) { MsgpackWriter::number32(value); }); break;
      case NumberKind::f64: each<double>(data, count, [&](double value) { MsgpackWriter::number(value); }); break;
    }
    leave();
  }

  bool plain_;
  Sink sink_;
  msgpack::packer<Sink> packer_;
};

class MsgpackReader final : public Reader {
 public:
  MsgpackReader(std::string_view bytes, const Limits& limits)
      : Reader(kMsgpack, limits.depth), at_(bytes.data()), end_(bytes.data() + bytes.size()), length_(limits.length) {}

  Token peek() override {
    if (failed() || at_ == end_) return Token::nothing;
    const unsigned tag = static_cast<unsigned char>(*at_);
    if (tag <= 0x7f || (tag >= 0xcc && tag <= 0xcf)) return Token::natural;
    if (tag >= 0xe0 || (tag >= 0xd0 && tag <= 0xd3)) return Token::integer;
    if (tag <= 0x8f || tag == 0xde || tag == 0xdf) return Token::map;
    if (tag <= 0x9f || tag == 0xdc || tag == 0xdd) return Token::array;
    if (tag <= 0xbf || (tag >= 0xd9 && tag <= 0xdb)) return Token::text;
    if (tag == 0xc0) return Token::null;
    if (tag == 0xc2 || tag == 0xc3) return Token::boolean;
    if (tag >= 0xc4 && tag <= 0xc6) return Token::bytes;
    if (tag == 0xca || tag == 0xcb) return Token::number;
    return Token::nothing;
  }
  bool present() override {
    if (peek() != Token::null) return !failed();
    ++at_;
    return false;
  }
  bool boolean() override {
    if (peek() != Token::boolean) return other_kind(), false;
    return static_cast<unsigned char>(*at_++) == 0xc3;
  }
  std::int64_t integer() override {
    bool above = false;
    const std::uint64_t bits = whole(above);
    if (above) fail(Errc::wrong_type, "a number does not fit");
    return static_cast<std::int64_t>(bits);
  }
  std::uint64_t natural() override {
    bool above = false;
    const std::uint64_t bits = whole(above);
    if (!above && static_cast<std::int64_t>(bits) < 0) fail(Errc::wrong_type, "a number does not fit");
    return bits;
  }
  double number() override {
    switch (peek()) {
      case Token::natural: return static_cast<double>(MsgpackReader::natural());
      case Token::integer: return static_cast<double>(MsgpackReader::integer());
      case Token::number: break;
      default: return other_kind(), 0;
    }
    if (tag() == 0xca) return static_cast<double>(float_of<float, std::uint32_t>());
    return float_of<double, std::uint64_t>();
  }
  float number32() override {
    if (!failed() && at_ != end_ && static_cast<unsigned char>(*at_) == 0xca) {
      ++at_;
      return float_of<float, std::uint32_t>();
    }
    return static_cast<float>(MsgpackReader::number());
  }
  std::string_view text() override {
    if (peek() != Token::text) return other_kind(), std::string_view();
    const unsigned found = tag();
    return take(found <= 0xbf ? found & 0x1f : length(1U << (found - 0xd9)));
  }
  std::string_view bytes() override {
    if (peek() == Token::text) return MsgpackReader::text();
    if (peek() != Token::bytes) return other_kind(), std::string_view();
    return take(length(1U << (tag() - 0xc4)));
  }
  bool begin_numbers(NumberKind kind, std::size_t& count) override {
    if (failed() || at_ == end_) return false;
    const unsigned found = static_cast<unsigned char>(*at_);
    const bool fixed = found >= 0xd4 && found <= 0xd8;
    if (!fixed && (found < 0xc7 || found > 0xc9)) return false;
    ++at_;
    count = 0;
    std::size_t size = fixed ? std::size_t{1} << (found - 0xd4) : length(1U << (found - 0xc7));
    const std::size_t width = size_of(kind);
    if (failed() || left() < 1 || size > left() - 1 || static_cast<std::int8_t>(*at_) != kNumbers || size == 0 ||
        at_[1] != static_cast<char>(kind) || (size - 1) % width != 0) {
      fail(Errc::corrupt, "no numbers of this kind");
      return true;
    }
    at_ += 2;
    width_ = width;
    count = (size - 1) / width;
    if (count > length_) {
      count = 0;
      fail(Errc::too_large, "longer than the limit");
    }
    return true;
  }
  void take_numbers(void* to, std::size_t count) override {
    if (failed()) return;
    copy_little(static_cast<char*>(to), at_, count, width_);
    at_ += count * width_;
  }
  std::size_t begin_array() override {
    if (peek() != Token::array) return other_kind(), 0;
    const unsigned found = tag();
    return enter_with(found <= 0x9f ? found & 0x0f : length(2U << (found - 0xdc)), 1);
  }
  std::size_t begin_map() override {
    if (peek() != Token::map) return other_kind(), 0;
    const unsigned found = tag();
    return enter_with(found <= 0x8f ? found & 0x0f : length(2U << (found - 0xde)), 2);
  }
  std::string_view key() override { return MsgpackReader::text(); }
  bool begin_object(FieldNames) override {
    const std::size_t count = MsgpackReader::begin_map();
    if (failed()) return false;
    if (depth_ == kLevels) return fail(Errc::too_large, "nested too deeply"), false;
    fields_left_[depth_++] = static_cast<std::uint32_t>(count);
    return true;
  }
  std::size_t next_field(FieldNames fields, std::size_t expected) override {
    while (!failed()) {
      std::uint32_t& left = fields_left_[depth_ - 1];
      if (left == 0) {
        --depth_;
        leave();
        break;
      }
      --left;
      const std::string_view name = MsgpackReader::text();
      if (failed()) break;
      if (expected < fields.count && fields.names[expected] == name) return expected;
      for (std::size_t i = 0; i < fields.count; ++i) {
        if (fields.names[i] == name) return i;
      }
      skip();
    }
    return fields.count;
  }
  void end_object() override {}
  void object(const detail::ObjectPlan& plan, void* const* fields) override {
    detail::load_fields(*this, plan, fields);
  }

  bool at_end() const noexcept { return at_ == end_; }

 protected:
  bool more(bool) override { return false; }
  std::size_t left() const noexcept override { return static_cast<std::size_t>(end_ - at_); }

 private:
  static constexpr std::size_t kLevels = Limits::kDepthCeiling;

  unsigned tag() noexcept { return static_cast<unsigned char>(*at_++); }
  void other_kind() {
    if (at_ == end_) return fail(Errc::corrupt, "the bytes end too early");
    fail(Errc::wrong_type, "a value of another kind");
  }
  template <class Word>
  Word fixed() {
    if (failed() || left() < sizeof(Word)) return fail(Errc::corrupt, "the bytes end too early"), Word{0};
    Word word;
    std::memcpy(&word, at_, sizeof word);
    at_ += sizeof word;
    return big_endian(word);
  }
  std::size_t length(unsigned width) {
    return width == 1 ? fixed<std::uint8_t>() : width == 2 ? fixed<std::uint16_t>() : fixed<std::uint32_t>();
  }
  template <class Float, class Word>
  Float float_of() {
    const Word word = fixed<Word>();
    Float value;
    std::memcpy(&value, &word, sizeof value);
    return value;
  }
  std::uint64_t whole(bool& above) {
    const Token kind = peek();
    if (kind != Token::natural && kind != Token::integer) return other_kind(), 0;
    const unsigned found = tag();
    if (found <= 0x7f) return found;
    if (found >= 0xe0) return static_cast<std::uint64_t>(static_cast<std::int8_t>(found));
    switch (found) {
      case 0xcc: return fixed<std::uint8_t>();
      case 0xcd: return fixed<std::uint16_t>();
      case 0xce: return fixed<std::uint32_t>();
      case 0xcf: {
        const auto bits = fixed<std::uint64_t>();
        above = bits >> 63 != 0;
        return bits;
      }
      case 0xd0: return static_cast<std::uint64_t>(static_cast<std::int8_t>(fixed<std::uint8_t>()));
      case 0xd1: return static_cast<std::uint64_t>(static_cast<std::int16_t>(fixed<std::uint16_t>()));
      case 0xd2: return static_cast<std::uint64_t>(static_cast<std::int32_t>(fixed<std::uint32_t>()));
      default: return fixed<std::uint64_t>();
    }
  }
  std::string_view take(std::size_t size) {
    if (failed() || size > left()) return fail(Errc::corrupt, "the bytes end too early"), std::string_view();
    if (size > length_) return fail(Errc::too_large, "longer than the limit"), std::string_view();
    const std::string_view taken(at_, size);
    at_ += size;
    return taken;
  }
  std::size_t enter_with(std::size_t count, std::size_t least) {
    if (count > left() / least) return fail(Errc::corrupt, "a count beyond the bytes at hand"), 0;
    if (count > length_) return fail(Errc::too_large, "longer than the limit"), 0;
    return enter() ? count : 0;
  }
  void skip_bytes(std::size_t size) {
    if (failed() || size > left()) return fail(Errc::corrupt, "the bytes end too early");
    at_ += size;
  }
  /// Passes over one value.
  void skip() {
    std::size_t left = 0;
    switch (peek()) {
      case Token::null:
      case Token::boolean: ++at_; return;
      case Token::natural:
      case Token::integer: {
        bool above = false;
        whole(above);
        return;
      }
      case Token::number: MsgpackReader::number(); return;
      case Token::text:
      case Token::bytes: MsgpackReader::bytes(); return;
      case Token::array:
        left = MsgpackReader::begin_array();
        while (next(left)) skip();
        return;
      case Token::map:
        left = MsgpackReader::begin_map();
        while (next(left)) {
          skip();
          skip();
        }
        return;
      case Token::nothing: break;
    }
    if (failed() || at_ == end_) return fail(Errc::corrupt, "the bytes end too early");
    const unsigned found = tag();
    if (found >= 0xd4 && found <= 0xd8) return skip_bytes(1 + (std::size_t{1} << (found - 0xd4)));
    if (found >= 0xc7 && found <= 0xc9) return skip_bytes(1 + length(1U << (found - 0xc7)));
    fail(Errc::corrupt, "a byte that msgpack never uses");
  }

  const char* at_;
  const char* end_;
  std::size_t length_;
  std::size_t width_ = 1;
  std::size_t depth_ = 0;
  std::uint32_t fields_left_[kLevels];  // of the objects that are open, innermost last
};

class MsgpackFormat final : public Format {
 public:
  std::string_view name() const noexcept override { return "msgpack"; }
  Id id() const noexcept override { return 2; }
  bool self_describing() const noexcept override { return true; }
  Result<void> encode(const Type& type, const void* object, std::string& out,
                      const EncodeOptions& options) const override {
    MsgpackWriter writer(out, options);
    Result<void> saved = detail::run_save(type, object, writer);
    writer.finish(saved.ok());
    return saved;
  }
  Result<std::shared_ptr<void>> decode(const Type& type, std::string_view bytes, const Limits& limits) const override {
    MsgpackReader reader(bytes, limits);
    Result<std::shared_ptr<void>> loaded = detail::run_load(type, reader);
    if (loaded.ok() && !reader.at_end()) return Error{.code = Errc::corrupt, .message = "bytes after the value"};
    return loaded;
  }
};

constinit const MsgpackFormat kMsgpackFormat{};

}  // namespace

namespace detail {

void register_format_msgpack(FormatRegistry& into) { into.add(kMsgpackFormat); }

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
