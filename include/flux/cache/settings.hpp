// flux/cache/settings.hpp - a configuration as it was read: a small tree of named values.
//
// Settings are plain values: copied as a whole, compared as a whole, safe to read from many threads. Most programs
// never meet them; they are what a driver of one's own is handed (see drivers.hpp).
#pragma once
#include <flux/cache/detail/export.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace flux::cache {
inline namespace v1 {

namespace detail {
struct SettingsAccess;
}  // namespace detail

/// What a configuration's text may be at most. Beyond: ConfigError, before anything is allocated for it.
inline constexpr std::size_t kMaxSettingsBytes = 16 * 1024 * 1024;  ///< of JSON, before and after interpolation
inline constexpr std::size_t kMaxSettingsDepth = 64;                ///< lists and maps inside one another
inline constexpr std::size_t kMaxSettingsNodes = 200'000;           ///< values in all

/// A value of a configuration: null, a bool, a number, text, a list, or a map that keeps its order.
class FLUX_CACHE_API Settings {
 public:
  enum class Kind : std::uint8_t { null, boolean, integer, real, text, list, map };

  /// Where a text came from. What is a variable's as a whole may be read as the number or the bool that it spells.
  enum class Origin : std::uint8_t {
    written,      ///< as it stands, or put together from pieces
    fallback,     ///< all of it is the fallback of `${NAME:fallback}`
    environment,  ///< all of it is the value of `${NAME}`
  };

  /// Null.
  Settings() noexcept = default;
  template <std::same_as<bool> Bool>
  Settings(Bool value) noexcept : kind_(Kind::boolean), number_(value) {}
  template <std::integral Integer>
  requires(!std::same_as<Integer, bool>) Settings(Integer value)
  noexcept : kind_(Kind::integer), number_(static_cast<std::int64_t>(value)) {}
  Settings(double value) noexcept : kind_(Kind::real), real_(value) {}
  Settings(std::string value);
  Settings(std::string_view value) : Settings(std::string(value)) {}
  Settings(const char* value) : Settings(std::string(value)) {}
  Settings(const Settings&);
  Settings(Settings&&) noexcept;
  Settings& operator=(const Settings&);
  Settings& operator=(Settings&&) noexcept;
  ~Settings();

  /// An empty list, an empty map.
  static Settings list();
  static Settings map();

  /// Reads strict JSON (RFC 8259): UTF-8, no comments, no trailing commas, no key twice in a map; integers within 64
  /// bits. Throws ConfigError "line L, column C: ..."; columns count bytes from 1.
  static Settings parse(std::string_view json);

  Kind kind() const noexcept { return kind_; }
  bool is_null() const noexcept { return kind_ == Kind::null; }
  bool is_map() const noexcept { return kind_ == Kind::map; }
  bool is_list() const noexcept { return kind_ == Kind::list; }
  bool is_text() const noexcept { return kind_ == Kind::text; }

  /// The value, where the kind fits; otherwise false, 0 or "".
  bool boolean() const noexcept { return kind_ == Kind::boolean && number_ != 0; }
  std::int64_t integer() const noexcept { return kind_ == Kind::integer ? number_ : 0; }
  /// Integers as well.
  double real() const noexcept {
    return kind_ == Kind::real ? real_ : kind_ == Kind::integer ? static_cast<double>(number_) : 0;
  }
  const std::string& text() const noexcept { return text_; }
  Origin origin() const noexcept { return origin_; }

  /// How many values a list or a map holds; 0 for anything else.
  std::size_t size() const noexcept { return items_.size(); }
  /// The value at a place of a list or a map; `index < size()`.
  const Settings& operator[](std::size_t index) const noexcept { return items_[index]; }
  /// The name at a place of a map.
  const std::string& name(std::size_t index) const noexcept { return names_[index]; }
  /// The value of that name, or null where there is none.
  const Settings* find(std::string_view name) const noexcept;
  /// The value at a JSON pointer (RFC 6901) such as "/stores/a/path", or null. "" is the whole.
  const Settings* at(std::string_view pointer) const;

  /// Sets a name's value in a map; a null becomes a map first. In place, or at the end where the name is new.
  Settings& set(std::string_view name, Settings value);
  /// Adds to the end of a list; a null becomes a list first.
  Settings& push(Settings value);

  /// Line and column in the text it was read from, from 1; 0 where it was not read from text.
  std::uint32_t line() const noexcept { return line_; }
  std::uint32_t column() const noexcept { return column_; }

  /// JSON text; with `indent` over several lines. Secrets are written as they are: see `redacted`.
  std::string to_json(bool indent = true) const;
  /// A copy in which each secret is "***": what a name such as "password" or "token" holds, and user info in URLs.
  Settings redacted() const;

  /// Equal kinds and values; maps in any order; positions do not matter.
  friend FLUX_CACHE_API bool operator==(const Settings& a, const Settings& b) noexcept;

 private:
  friend struct detail::SettingsAccess;

  Kind kind_ = Kind::null;
  Origin origin_ = Origin::written;
  std::uint32_t line_ = 0;
  std::uint32_t column_ = 0;
  union {
    std::int64_t number_ = 0;
    double real_;
  };
  std::string text_;
  std::vector<Settings> items_;
  std::vector<std::string> names_;  // of a map: as many as items_
};

}  // namespace v1
}  // namespace flux::cache
