// formats/json/json.cpp - values as JSON documents; the mapping is in docs/formats/json.md.
#include <flux/cache/detail/base64.hpp>
#include <flux/cache/detail/field_walk.hpp>
#include <flux/cache/detail/json_reader.hpp>
#include <flux/cache/detail/output.hpp>
#include <flux/cache/format.hpp>
#include <flux/cache/integer.hpp>
#include <flux/cache/serial.hpp>

#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>

namespace flux::cache {
inline namespace v1 {
namespace {

constexpr Abilities kJson{.positional = false, .any_key = false};
/// Before texts that are not UTF-8, and before those that begin like this themselves.
constexpr std::string_view kBase64Mark = "$base64:";

template <class Float>
struct Bits;
template <>
struct Bits<double> {
  using Word = std::uint64_t;
  static constexpr Word kNan = 0x7ff8000000000000U;
};
template <>
struct Bits<float> {
  using Word = std::uint32_t;
  static constexpr Word kNan = 0x7fc00000U;
};

class JsonWriter final : public Writer {
 public:
  JsonWriter(std::string& out, const EncodeOptions& options) : Writer(kJson, options.depth), out_(out) {}

  void present(bool yes) override {
    if (!yes) word("null");
  }
  void boolean(bool value) override { word(value ? "true" : "false"); }
  void integer(std::int64_t value) override { digits(value); }
  void natural(std::uint64_t value) override { digits(value); }
  void number(double value) override { real(value); }
  void number32(float value) override { real(value); }
  void text(std::string_view value) override {
    comma();
    string(value);
  }
  void bytes(const void* data, std::size_t size) override {
    std::string encoded;
    detail::append_base64(encoded, {static_cast<const char*>(data), size});
    comma();
    out_.put('"');
    out_.append(encoded);
    out_.put('"');
  }
  void numbers(NumberKind kind, const void* data, std::size_t count) override {
    if (!begin_array(count)) return;
    switch (kind) {
      case NumberKind::i8: each<std::int8_t>(data, count); break;
      case NumberKind::u8: each<std::uint8_t>(data, count); break;
      case NumberKind::i16: each<std::int16_t>(data, count); break;
      case NumberKind::u16: each<std::uint16_t>(data, count); break;
      case NumberKind::i32: each<std::int32_t>(data, count); break;
      case NumberKind::u32: each<std::uint32_t>(data, count); break;
      case NumberKind::i64: each<std::int64_t>(data, count); break;
      case NumberKind::u64: each<std::uint64_t>(data, count); break;
      case NumberKind::f32: each<float>(data, count); break;
      case NumberKind::f64: each<double>(data, count); break;
    }
    JsonWriter::end_array();
  }
  bool begin_array(std::size_t) override { return open('['); }
  void end_array() override { close(']'); }
  bool begin_map(std::size_t) override { return open('{'); }
  void key(std::string_view name) override {
    JsonWriter::text(name);
    colon();
  }
  void end_map() override { close('}'); }
  bool begin_object(FieldNames) override { return open('{'); }
  void field(std::string_view name) override {
    comma();
    out_.put('"');
    out_.append(name);
    out_.put('"');
    colon();
  }
  void end_object() override { close('}'); }

  void object(const detail::ObjectPlan& plan, const void* const* fields) override {
    detail::save_fields(*this, plan, fields);
  }

  void finish(bool ok) {
    if (ok) {
      out_.flush();
    } else {
      out_.undo();
    }
  }

 private:
  void comma() {
    if (needs_comma_) out_.put(',');
    needs_comma_ = true;
  }
  void colon() {
    out_.put(':');
    needs_comma_ = false;
  }
  bool open(char bracket) {
    if (!enter()) return false;
    comma();
    out_.put(bracket);
    needs_comma_ = false;
    return true;
  }
  void close(char bracket) {
    leave();
    out_.put(bracket);
    needs_comma_ = true;
  }
  void word(std::string_view word) {
    comma();
    out_.append(word);
  }
  template <class Number>
  void digits(Number value) {
    comma();
    char* at = out_.room(32);
    out_.set(std::to_chars(at, at + 32, value).ptr);
  }
  template <class Float>
  void real(Float value) {
    if (std::isfinite(value)) return digits(value);
    using Word = typename Bits<Float>::Word;
    const Word bits = std::bit_cast<Word>(value);
    if (std::isinf(value)) return word(value < 0 ? "\"-Infinity\"" : "\"Infinity\"");
    if (bits == Bits<Float>::kNan) return word("\"NaN\"");
    word("\"NaN:");
    char* at = out_.room(32);
    at = std::to_chars(at, at + 32, bits, 16).ptr;
    *at++ = '"';
    out_.set(at);
  }
  template <class Number>
  void each(const void* data, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      Number value;
      std::memcpy(&value, static_cast<const char*>(data) + i * sizeof value, sizeof value);
      if constexpr (std::is_floating_point_v<Number>) {
        real(value);
      } else {
        digits(value);
      }
    }
  }

  void string(std::string_view value) {
    const char* const end = value.data() + value.size();
    const char* at = detail::find_special(value.data(), end);
    out_.put('"');
    if (at != end || (!value.empty() && value.front() == '$')) {
      special_string(value, at);
    } else {
      out_.append(value);
    }
    out_.put('"');
  }

  [[gnu::noinline]] void special_string(std::string_view value, const char* first) {
    const char* const end = value.data() + value.size();
    bool utf8 = !value.starts_with(kBase64Mark);
    for (const char* at = first; at != end && utf8;) {
      const std::size_t length = detail::utf8_sequence(at, end);
      utf8 = length != 0;
      at += length;
    }
    if (!utf8) {
      std::string encoded(kBase64Mark);
      detail::append_base64(encoded, value);
      return out_.append(encoded);
    }
    const char* plain = value.data();
    for (const char* at = first; at != end; ++at) {
      const auto c = static_cast<unsigned char>(*at);
      if (c >= 0x20 && c != '"' && c != '\\') continue;
      out_.append(plain, static_cast<std::size_t>(at - plain));
      escape(c);
      plain = at + 1;
    }
    out_.append(plain, static_cast<std::size_t>(end - plain));
  }

  void escape(unsigned char c) {
    constexpr std::string_view kSpecial = "\"\\\b\f\n\r\t";
    constexpr std::string_view kLetters = "\"\\bfnrt";
    if (const std::size_t i = kSpecial.find(static_cast<char>(c)); i != std::string_view::npos) {
      out_.put('\\');
      out_.put(kLetters[i]);
      return;
    }
    constexpr std::string_view kHex = "0123456789abcdef";
    out_.append(std::string_view("\\u00"));
    out_.put(kHex[c >> 4]);
    out_.put(kHex[c & 15]);
  }

  bool needs_comma_ = false;
  detail::Output out_;
};

class JsonValueReader final : public Reader {
 public:
  JsonValueReader(std::string_view bytes, const Limits& limits)
      : Reader(kJson, limits.depth),
        json_(bytes, limits.depth < Limits::kDepthCeiling ? limits.depth : Limits::kDepthCeiling),
        length_(limits.length) {}

  Token peek() override {
    if (failed()) return Token::nothing;
    switch (json_.peek()) {
      case detail::JsonKind::null: return Token::null;
      case detail::JsonKind::boolean: return Token::boolean;
      case detail::JsonKind::number: return Token::number;
      case detail::JsonKind::text: return Token::text;
      case detail::JsonKind::array: return Token::array;
      case detail::JsonKind::object: return Token::map;
      case detail::JsonKind::nothing: break;
    }
    return Token::nothing;
  }
  bool present() override {
    if (json_.peek() != detail::JsonKind::null) return !failed();
    json_.null();
    check();
    return false;
  }
  bool boolean() override {
    if (!expect(detail::JsonKind::boolean)) return false;
    const bool value = json_.boolean();
    check();
    return value;
  }
  std::int64_t integer() override {
    const Integer number = whole();
    if (!number.fits_signed()) fail(Errc::wrong_type, "a number does not fit");
    return number.bits;
  }
  std::uint64_t natural() override {
    const Integer number = whole();
    if (!number.fits_unsigned()) fail(Errc::wrong_type, "a number does not fit");
    return static_cast<std::uint64_t>(number.bits);
  }
  double number() override { return real<double>(); }
  float number32() override { return real<float>(); }
  std::string_view text() override {
    if (!expect(detail::JsonKind::text)) return {};
    return unmarked(json_.text());
  }
  std::string_view bytes() override {
    if (!expect(detail::JsonKind::text)) return {};
    const std::string_view encoded = json_.text();
    if (!check()) return {};
    if (!detail::decode_base64(encoded, decoded_)) return fail(Errc::corrupt, "no base64"), std::string_view();
    return limited(decoded_);
  }
  bool begin_numbers(NumberKind, std::size_t&) override { return false; }
  void take_numbers(void*, std::size_t) override {}
  std::size_t begin_array() override {
    if (expect(detail::JsonKind::array)) {
      json_.begin_array();
      check();
    }
    return kOpenArray;
  }
  std::size_t begin_map() override {
    if (expect(detail::JsonKind::object)) {
      json_.begin_object();
      check();
    }
    return kOpenMap;
  }
  std::string_view key() override { return unmarked(name_); }
  bool begin_object(FieldNames) override {
    if (!expect(detail::JsonKind::object)) return false;
    json_.begin_object();
    return check();
  }
  std::size_t next_field(FieldNames fields, std::size_t expected) override {
    std::string_view name;
    while (json_.next_member(name)) {
      if (expected < fields.count && fields.names[expected] == name) return expected;
      for (std::size_t i = 0; i < fields.count; ++i) {
        if (fields.names[i] == name) return i;
      }
      json_.skip();
    }
    check();
    return fields.count;
  }
  void end_object() override {}
  void object(const detail::ObjectPlan& plan, void* const* fields) override {
    detail::load_fields(*this, plan, fields);
  }

  /// True where the document ends with the value.
  bool finish() {
    json_.finish();
    return check();
  }

 protected:
  bool more(bool map) override {
    const bool there = map ? json_.next_member(name_) : json_.next_element();
    check();
    return there;
  }
  std::size_t left() const noexcept override { return json_.left(); }

 private:
  /// Hands an error of the text on; true where there is none.
  bool check() {
    if (json_.failed()) fail(json_.is_too_deep() ? Errc::too_large : Errc::corrupt, json_.reason());
    return !failed();
  }
  /// True where a value of the kind stands next. Another one is another type; none at all is no JSON.
  bool expect(detail::JsonKind kind) {
    if (failed()) return false;
    const detail::JsonKind found = json_.peek();
    if (found == kind) return true;
    if (found == detail::JsonKind::nothing) {
      json_.skip();
      return check();
    }
    fail(Errc::wrong_type, "a value of another kind");
    return false;
  }
  Integer whole() {
    if (!expect(detail::JsonKind::number)) return {};
    const std::string_view token = json_.number();
    if (!check()) return {};
    if (const auto number = parse_integer(token)) return *number;
    fail(Errc::wrong_type, "not a whole number of 64 bits");
    return {};
  }
  template <class Float>
  Float real() {
    if (failed()) return 0;
    if (json_.peek() == detail::JsonKind::text) return special<Float>();
    if (!expect(detail::JsonKind::number)) return 0;
    const std::string_view token = json_.number();
    if (!check()) return 0;
    Float value = 0;
    if (std::from_chars(token.data(), token.data() + token.size(), value).ec != std::errc()) {
      fail(Errc::wrong_type, "a number does not fit");
    }
    return value;
  }
  /// Infinities and what is no number, which JSON has no numbers for.
  template <class Float>
  Float special() {
    using Word = typename Bits<Float>::Word;
    std::string_view word = json_.text();
    if (!check()) return 0;
    if (word == "Infinity") return std::numeric_limits<Float>::infinity();
    if (word == "-Infinity") return -std::numeric_limits<Float>::infinity();
    if (word == "NaN") return std::bit_cast<Float>(Bits<Float>::kNan);
    Word bits = 0;
    if (word.starts_with("NaN:")) {
      word.remove_prefix(4);
      const auto end = word.data() + word.size();
      const auto parsed = std::from_chars(word.data(), end, bits, 16);
      if (parsed.ec == std::errc() && parsed.ptr == end && std::isnan(std::bit_cast<Float>(bits))) {
        return std::bit_cast<Float>(bits);
      }
    }
    fail(Errc::wrong_type, "no number");
    return 0;
  }
  std::string_view limited(std::string_view text) {
    if (text.size() > length_) return fail(Errc::too_large, "longer than the limit"), std::string_view();
    return text;
  }
  std::string_view unmarked(std::string_view text) {
    if (!check()) return {};
    if (!text.starts_with(kBase64Mark)) return limited(text);
    if (!detail::decode_base64(text.substr(kBase64Mark.size()), decoded_)) {
      return fail(Errc::corrupt, "no base64"), std::string_view();
    }
    return limited(decoded_);
  }

  std::string_view name_;
  detail::JsonReader json_;
  std::size_t length_;
  std::string decoded_;
};

class JsonFormat final : public Format {
 public:
  std::string_view name() const noexcept override { return "json"; }
  Id id() const noexcept override { return 3; }
  bool self_describing() const noexcept override { return true; }
  Result<void> encode(const Type& type, const void* object, std::string& out,
                      const EncodeOptions& options) const override {
    JsonWriter writer(out, options);
    Result<void> saved = detail::run_save(type, object, writer);
    writer.finish(saved.ok());
    return saved;
  }
  Result<std::shared_ptr<void>> decode(const Type& type, std::string_view bytes, const Limits& limits) const override {
    JsonValueReader reader(bytes, limits);
    Result<std::shared_ptr<void>> loaded = detail::run_load(type, reader);
    if (loaded.ok() && !reader.finish()) return detail::walk_error(reader);
    return loaded;
  }
};

constinit const JsonFormat kJsonFormat{};

}  // namespace

namespace detail {

void register_format_json(FormatRegistry& into) { into.add(kJsonFormat); }

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
