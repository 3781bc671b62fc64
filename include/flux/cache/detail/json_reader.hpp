// flux/cache/detail/json_reader.hpp - strict JSON (RFC 8259), pulled token by token, with positions.
//
// No comments, no trailing commas, no leading zeros, valid UTF-8 only, no lone surrogates. Shared by the configuration,
// which wants line and column, and by the json format, which wants speed: the text is read once, nothing is built, and
// a string without escapes is a view of the input. The first error is kept; from then on every call answers its empty
// value. Not thread-safe.
#pragma once
#include <flux/cache/detail/export.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace flux::cache {
inline namespace v1 {
namespace detail {

enum class JsonKind : std::uint8_t { null, boolean, number, text, array, object, nothing };

/// A place in a text for a person: both count from 1, columns in bytes.
struct JsonPlace {
  std::size_t line = 1;
  std::size_t column = 1;
};

class JsonReader {
 public:
  /// The text must outlive the reader. `depth`: arrays and objects within each other.
  explicit JsonReader(std::string_view text, std::size_t depth = 64) noexcept
      : begin_(text.data()), at_(text.data()), end_(text.data() + text.size()), room_(depth) {}
  JsonReader(const JsonReader&) = delete;
  JsonReader& operator=(const JsonReader&) = delete;

  /// What stands next; `nothing` at the end and after an error.
  FLUX_CACHE_API JsonKind peek() noexcept;

  FLUX_CACHE_API bool null() noexcept;
  FLUX_CACHE_API bool boolean() noexcept;
  /// The number as it is written; the grammar was checked, its range was not.
  FLUX_CACHE_API std::string_view number() noexcept;
  /// The string without quotes and escapes: valid until the next call.
  FLUX_CACHE_API std::string_view text();

  FLUX_CACHE_API bool begin_array() noexcept;
  /// True where another element stands next; false has taken the closing bracket.
  FLUX_CACHE_API bool next_element() noexcept;
  FLUX_CACHE_API bool begin_object() noexcept;
  /// True where another member's value stands next, and then its name: valid until the next call.
  FLUX_CACHE_API bool next_member(std::string_view& name);
  /// Passes over one value of any kind, checking it.
  FLUX_CACHE_API void skip();
  /// True where nothing but blanks is left; otherwise that is the error.
  FLUX_CACHE_API bool finish() noexcept;

  bool failed() const noexcept { return failed_; }
  /// What is wrong, for a person: "expected ',' or ']'".
  std::string_view reason() const noexcept { return reason_; }
  bool is_too_deep() const noexcept { return too_deep_; }
  /// Where the last token began, or where the error is: bytes from the beginning.
  std::size_t offset() const noexcept { return static_cast<std::size_t>(token_ - begin_); }
  /// The same for a person; counts lines, so only for messages.
  JsonPlace place() const noexcept { return place_of(offset()); }
  FLUX_CACHE_API JsonPlace place_of(std::size_t offset) const noexcept;
  std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - at_); }

 private:
  void skip_blanks() noexcept {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }
  bool fail(std::string_view reason) noexcept;
  bool fail_at(const char* where, std::string_view reason) noexcept;
  bool word(std::string_view word) noexcept;
  bool open(char bracket, std::string_view expected) noexcept;
  bool next(char closing, std::string_view expected) noexcept;
  std::string_view escaped_text(const char* start);
  bool escape();
  bool hex4(unsigned& out) noexcept;

  const char* begin_;
  const char* at_;
  const char* end_;
  const char* token_ = begin_;
  std::size_t room_;
  bool first_ = false;
  bool failed_ = false;
  bool too_deep_ = false;
  std::string_view reason_;
  std::string scratch_;
};

/// The length of the UTF-8 sequence that begins at `at` (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF);
/// 0 where there is none.
FLUX_CACHE_API std::size_t utf8_sequence(const char* at, const char* end) noexcept;

/// Appends a code point as UTF-8.
FLUX_CACHE_API void append_utf8(std::string& to, std::uint32_t code);

/// The first byte from `at` on that is not plain in a JSON string: a quote, a backslash, a control byte, or above
/// ASCII.
FLUX_CACHE_API const char* find_special(const char* at, const char* end) noexcept;

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
