// flux/cache/serial.hpp - how values become bytes: Writer and Reader, and the one codec a foreign type may bring.
//
// A type describes itself once, as a walk over a Writer or a Reader; every format (native, msgpack, json) implements
// the two. What is known already, and how: docs/guide/values.md. For another type, specialise `Codec`:
//
//   template <> struct flux::cache::Codec<Money> {
//     static void save(const Money& money, Writer& out) { out.integer(money.cents()); }
//     static void load(Reader& in, Money& money) { money = Money::of_cents(in.integer()); }
//   };
//
// Neither side throws: the first `fail` is kept, from then on a Writer writes nothing of use and a Reader answers zeros
// and empty containers, so that a walk ends by itself. Not thread-safe; one object is one document.
#pragma once
#include <flux/cache/detail/export.hpp>
#include <flux/cache/error.hpp>
#include <flux/cache/reflect.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace flux::cache {
inline namespace v1 {

/// What bytes may ask for before anything is allocated for them.
struct Limits {
  static constexpr std::size_t kDepthCeiling = 512;
  std::size_t depth = 64;                ///< containers and objects within each other; 1..512, more counts as 512
  std::size_t length = 64 * 1024 * 1024; ///< bytes of one text, elements of one container
  std::size_t total = 64 * 1024 * 1024;  ///< bytes of one value after decompression
};

/// What stands next in a document that tells its own structure.
enum class Kind : std::uint8_t { null, boolean, integer, natural, number, text, bytes, array, map, nothing };

/// The numbers that travel in bulk: a vector of them is written and read in one go.
enum class NumberKind : std::uint8_t { i8 = 1, u8, i16, u16, i32, u32, i64, u64, f32, f64 };

/// Bytes that one number of the kind takes: 1, 2, 4 or 8.
constexpr std::size_t size_of(NumberKind kind) noexcept {
  constexpr std::uint8_t kSizes[] = {0, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8};
  return kSizes[static_cast<std::size_t>(kind)];
}

/// What a format can do; fixed for each.
struct Abilities {
  bool positional = false;       ///< fields go by order, guarded by the fingerprint; documents do not tell their structure
  bool any_key = false;          ///< maps may have keys of any kind; otherwise they are text, and other maps are pairs
};

/// A container whose end tells its size; see `Reader::next`.
inline constexpr std::size_t kOpen = static_cast<std::size_t>(-1);

namespace detail {

/// What Writer and Reader share: the first failure, and how deep the walk is.
class Walk {
 public:
  bool failed() const noexcept { return failed_; }
  Errc code() const noexcept { return code_; }
  /// Why it failed, in words; a literal or otherwise everlasting text.
  std::string_view reason() const noexcept { return reason_; }
  const Abilities& abilities() const noexcept { return abilities_; }

  /// Keeps the first failure. `reason` must live for ever.
  [[gnu::cold]] void fail(Errc code, std::string_view reason) noexcept {
    if (failed_) return;
    failed_ = true;
    code_ = code;
    reason_ = reason;
  }

 protected:
  explicit Walk(Abilities abilities, std::size_t depth_limit) noexcept
      : abilities_(abilities),
        room_(static_cast<std::uint32_t>(depth_limit < Limits::kDepthCeiling ? depth_limit : Limits::kDepthCeiling)) {}
  ~Walk() = default;
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;

  bool enter() noexcept {
    if (room_ == 0) fail(Errc::too_large, "nested too deeply");
    if (failed_) return false;
    --room_;
    return true;
  }
  void leave() noexcept { ++room_; }

 private:
  bool failed_ = false;
  Abilities abilities_;
  Errc code_ = Errc::corrupt;
  std::uint32_t room_;
  std::string_view reason_;
};

}  // namespace detail

/// Takes a value apart into a document. Formats implement it; codecs call it.
///
/// Each `begin_` that answers true is closed by its `end_` after exactly the announced number of elements. One that
/// answers false has failed (too deep): write nothing more of that container, not even its end.
class FLUX_CACHE_TYPE Writer : public detail::Walk {
 public:
  virtual ~Writer();

  /// Before each value that may be absent: an optional, a pointer. False stands for the whole value.
  virtual void present(bool yes) = 0;
  virtual void boolean(bool value) = 0;
  virtual void integer(std::int64_t value) = 0;
  virtual void natural(std::uint64_t value) = 0;
  virtual void number(double value) = 0;    ///< bit for bit: NaN with its payload, infinities, -0.0
  virtual void number32(float value) = 0;   ///< likewise
  virtual void text(std::string_view value) = 0;                    ///< any bytes; UTF-8 reads best elsewhere
  virtual void bytes(const void* data, std::size_t size) = 0;       ///< binary
  /// `count` numbers that lie one after another in this machine's order.
  virtual void numbers(NumberKind kind, const void* data, std::size_t count) = 0;

  virtual bool begin_array(std::size_t count) = 0;
  virtual void end_array() = 0;
  /// Keys by `key` (or, where `abilities().any_key`, by anything), each followed by its value.
  virtual bool begin_map(std::size_t count) = 0;
  virtual void key(std::string_view name) = 0;
  virtual void end_map() = 0;
  /// Each field by its name, in the order of its type, followed by its value.
  virtual bool begin_object(FieldNames fields) = 0;
  virtual void field(std::string_view name) = 0;
  virtual void end_object() = 0;

 protected:
  using Walk::Walk;
};

/// Puts a value together from a document. Formats implement it; codecs call it.
///
/// Texts and bytes are views that live until the next call. Nothing is allocated beyond what the bytes at hand justify.
class FLUX_CACHE_TYPE Reader : public detail::Walk {
 public:
  virtual ~Reader();

  /// What stands next; `Kind::nothing` at the end, after a failure, and where `abilities().positional`.
  virtual Kind peek() = 0;
  /// False: the value is absent, and that was all of it.
  virtual bool present() = 0;
  virtual bool boolean() = 0;
  virtual std::int64_t integer() = 0;
  virtual std::uint64_t natural() = 0;
  virtual double number() = 0;
  virtual float number32() = 0;
  virtual std::string_view text() = 0;
  virtual std::string_view bytes() = 0;
  /// True: the next value is `count` numbers in bulk, to be taken by `take_numbers`. False: read it as an array.
  virtual bool begin_numbers(NumberKind kind, std::size_t& count) = 0;
  /// Copies `count` numbers of what `begin_numbers` announced, in this machine's order.
  virtual void take_numbers(void* to, std::size_t count) = 0;

  /// The number of elements, or `kOpen`; go through them with `next`.
  virtual std::size_t begin_array() = 0;
  virtual std::size_t begin_map() = 0;
  virtual std::string_view key() = 0;

  /// True while another element of the container stands there: `for (auto left = in.begin_array(); in.next(left);)`.
  /// Closes the container when it answers false.
  bool next(std::size_t& left) {
    if (failed()) return false;
    if (left == kOpen) return more();
    if (left == 0) return leave(), false;
    --left;
    return true;
  }

  /// False: no object stands there (and the walk has failed).
  virtual bool begin_object(FieldNames fields) = 0;
  /// The field whose value stands next, or `fields.count` at the end, which closes the object. `expected` is the one
  /// that is most likely. Fields that are not in `fields` are passed over. Not called where `abilities().positional`.
  virtual std::size_t next_field(FieldNames fields, std::size_t expected) = 0;
  /// Closes an object that was read by position.
  virtual void end_object() = 0;

  /// How many elements to reserve for a container that announced `count`, when each takes `size` bytes.
  std::size_t reservable(std::size_t count, std::size_t size) const noexcept {
    const std::size_t justified = 64 + left() / (size == 0 ? 1 : size);
    return count < justified ? count : justified;
  }

 protected:
  using Walk::Walk;
  /// For `next` of an open container: true, or closes it.
  virtual bool more() = 0;
  /// Bytes not read yet.
  virtual std::size_t left() const noexcept = 0;
};

/// How a foreign type is written and read; specialise it. `load` may instead be `static T load(Reader&)`. Optional:
/// `static std::size_t weigh(const T&)` (all its bytes, itself included), `static constexpr std::string_view name`
/// (goes into the fingerprint; change it when what `save` writes changes).
template <class T>
struct Codec;

}  // namespace v1
}  // namespace flux::cache
