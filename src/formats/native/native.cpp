// formats/native/native.cpp - the default format: little endian, varints, fields by position. docs/formats/native.md.
#include <flux/cache/detail/field_walk.hpp>
#include <flux/cache/detail/output.hpp>
#include <flux/cache/format.hpp>
#include <flux/cache/serial.hpp>

#include <cstring>

namespace flux::cache {
inline namespace v1 {
namespace {

constexpr bool kLittleEndian = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
constexpr Abilities kNative{.positional = true, .any_key = true};

template <class Word>
Word swapped(Word word) noexcept {
  if constexpr (kLittleEndian || sizeof(Word) == 1) {
    return word;
  } else {
    Word out = 0;
    for (std::size_t i = 0; i < sizeof(Word); ++i) out = static_cast<Word>(out << 8 | (word >> 8 * i & 0xff));
    return out;
  }
}

/// Between this machine's order and little endian, for a whole block.
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

class NativeWriter final : public Writer {
 public:
  NativeWriter(std::string& out, const EncodeOptions& options) : Writer(kNative, options.depth), out_(out) {}

  void present(bool yes) override { out_.put(yes ? 1 : 0); }
  void boolean(bool value) override { out_.put(value ? 1 : 0); }
  void integer(std::int64_t value) override {
    varint((static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63));
  }
  void natural(std::uint64_t value) override { varint(value); }
  void number(double value) override {
    std::uint64_t word;
    std::memcpy(&word, &value, sizeof word);
    fixed(word);
  }
  void number32(float value) override {
    std::uint32_t word;
    std::memcpy(&word, &value, sizeof word);
    fixed(word);
  }
  void text(std::string_view value) override { run(value.data(), value.size()); }
  void bytes(const void* data, std::size_t size) override { run(data, size); }
  void numbers(NumberKind kind, const void* data, std::size_t count) override {
    varint(count);
    const std::size_t width = size_of(kind);
    if constexpr (kLittleEndian) {
      out_.append(data, count * width);
    } else {
      for (std::size_t i = 0; i < count; ++i) {
        copy_little(out_.room(width), static_cast<const char*>(data) + i * width, 1, width);
        out_.advance(width);
      }
    }
  }
  bool begin_array(std::size_t count) override { return begin(count); }
  void end_array() override { leave(); }
  bool begin_map(std::size_t count) override { return begin(count); }
  void key(std::string_view name) override { run(name.data(), name.size()); }
  void end_map() override { leave(); }
  bool begin_object(FieldNames fields) override {
    if (!enter()) return false;
    if (fields.count == 0) out_.put(0);  // everything takes a byte at least, so that a count can be held against them
    return true;
  }
  void field(std::string_view) override {}
  void end_object() override { leave(); }

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
  bool begin(std::size_t count) {
    if (!enter()) return false;
    varint(count);
    return true;
  }
  void run(const void* data, std::size_t size) {
    if (size < 0x80) {
      char* at = out_.room(1 + size);
      *at = static_cast<char>(size);
      detail::copy_short(at + 1, static_cast<const char*>(data), size);
      out_.advance(1 + size);
    } else {
      varint(size);
      out_.append(data, size);
    }
  }
  template <class Word>
  void fixed(Word word) {
    word = swapped(word);
    std::memcpy(out_.room(sizeof word), &word, sizeof word);
    out_.advance(sizeof word);
  }
  void varint(std::uint64_t value) {
    char* at = out_.room(10);
    while (value >= 0x80) {
      *at++ = static_cast<char>(value | 0x80);
      value >>= 7;
    }
    *at++ = static_cast<char>(value);
    out_.set(at);
  }

  detail::Output out_;
};

class NativeReader final : public Reader {
 public:
  NativeReader(std::string_view bytes, const Limits& limits)
      : Reader(kNative, limits.depth), at_(bytes.data()), end_(bytes.data() + bytes.size()), length_(limits.length) {}

  Token peek() override { return Token::nothing; }
  bool present() override { return flag(); }
  bool boolean() override { return flag(); }
  std::int64_t integer() override {
    const std::uint64_t word = varint();
    return static_cast<std::int64_t>((word >> 1) ^ (~(word & 1) + 1));
  }
  std::uint64_t natural() override { return varint(); }
  double number() override {
    const std::uint64_t word = fixed<std::uint64_t>();
    double value;
    std::memcpy(&value, &word, sizeof value);
    return value;
  }
  float number32() override {
    const std::uint32_t word = fixed<std::uint32_t>();
    float value;
    std::memcpy(&value, &word, sizeof value);
    return value;
  }
  std::string_view text() override { return take(size(1)); }
  std::string_view bytes() override { return take(size(1)); }
  bool begin_numbers(NumberKind kind, std::size_t& count) override {
    width_ = size_of(kind);
    count = size(width_);
    return true;
  }
  void take_numbers(void* to, std::size_t count) override {
    if (failed()) return;
    if (count > left() / width_) return fail(Errc::corrupt, "the bytes end too early");
    copy_little(static_cast<char*>(to), at_, count, width_);
    at_ += count * width_;
  }
  std::size_t begin_array() override { return begin(1); }
  std::size_t begin_map() override { return begin(2); }
  std::string_view key() override { return take(size(1)); }
  bool begin_object(FieldNames fields) override {
    if (!enter()) return false;
    if (fields.count == 0 && (at_ == end_ || *at_++ != 0)) fail(Errc::corrupt, "an object without its byte");
    return !failed();
  }
  std::size_t next_field(FieldNames fields, std::size_t) override {
    fail(Errc::corrupt, "native objects go by position");
    return fields.count;
  }
  void end_object() override { leave(); }
  void object(const detail::ObjectPlan& plan, void* const* fields) override {
    detail::load_fields(*this, plan, fields);
  }

  bool at_end() const noexcept { return at_ == end_; }

 protected:
  bool more(bool) override { return false; }
  std::size_t left() const noexcept override { return static_cast<std::size_t>(end_ - at_); }

 private:
  bool flag() {
    if (at_ == end_ || static_cast<unsigned char>(*at_) > 1) return fail(Errc::corrupt, "neither yes nor no"), false;
    return !failed() && *at_++ == 1;
  }
  std::size_t begin(std::size_t least) {
    if (!enter()) return 0;
    return size(least);
  }
  /// A count of things that take `width` bytes each at least.
  std::size_t size(std::size_t width) {
    const std::uint64_t count = varint();
    if (count > left() / width) return fail(Errc::corrupt, "a count beyond the bytes at hand"), 0;
    if (count > length_) return fail(Errc::too_large, "longer than the limit"), 0;
    return static_cast<std::size_t>(count);
  }
  std::string_view take(std::size_t size) {
    if (failed()) return {};
    const std::string_view taken(at_, size);
    at_ += size;
    return taken;
  }
  template <class Word>
  Word fixed() {
    if (failed() || left() < sizeof(Word)) return fail(Errc::corrupt, "the bytes end too early"), Word{0};
    Word word;
    std::memcpy(&word, at_, sizeof word);
    at_ += sizeof word;
    return swapped(word);
  }
  std::uint64_t varint() {
    if (at_ != end_ && static_cast<signed char>(*at_) >= 0 && !failed()) return static_cast<unsigned char>(*at_++);
    return long_varint();
  }
  [[gnu::noinline]] std::uint64_t long_varint() {
    if (failed()) return 0;
    std::uint64_t value = 0;
    const char* at = at_;
    const char* const end = left() < 10 ? end_ : at_ + 10;
    for (unsigned shift = 0; at != end; shift += 7) {
      const std::uint64_t byte = static_cast<unsigned char>(*at++);
      value |= (byte & 0x7f) << shift;
      if (byte >= 0x80) continue;
      // One way to write a number, so that equal values are equal bytes; and no bits beyond the 64th.
      if ((byte == 0 && shift != 0) || (shift == 63 && byte > 1)) break;
      at_ = at;
      return value;
    }
    fail(Errc::corrupt, "a number that does not end");
    return 0;
  }

  const char* at_;
  const char* end_;
  std::size_t length_;
  std::size_t width_ = 1;
};

class NativeFormat final : public Format {
 public:
  std::string_view name() const noexcept override { return "native"; }
  Id id() const noexcept override { return 1; }
  bool self_describing() const noexcept override { return false; }
  Result<void> encode(const Type& type, const void* object, std::string& out,
                      const EncodeOptions& options) const override {
    NativeWriter writer(out, options);
    Result<void> saved = detail::run_save(type, object, writer);
    writer.finish(saved.ok());
    return saved;
  }
  Result<std::shared_ptr<void>> decode(const Type& type, std::string_view bytes, const Limits& limits) const override {
    NativeReader reader(bytes, limits);
    Result<std::shared_ptr<void>> loaded = detail::run_load(type, reader);
    if (loaded.ok() && !reader.at_end()) return Error{.code = Errc::corrupt, .message = "bytes after the value"};
    return loaded;
  }
};

constinit const NativeFormat kNativeFormat{};

}  // namespace

const Format& native_format() noexcept { return kNativeFormat; }

namespace detail {

void register_format_native(FormatRegistry& into) { into.add(kNativeFormat, {"pickle"}); }

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
