// flux/cache/fields.hpp - how a config struct tells its fields: one list for each struct, for both directions.
//
// A struct joins the configuration by one function in its own name space:
//
//   struct MineConfig { std::string prefix{}; int depth = 3; Duration pause{}; };
//
//   void describe(flux::cache::Fields& fields, MineConfig& config) {
//     fields.driver("mine");
//     fields.integer("depth", config.depth, 1, 10);
//     fields.duration("pause", config.pause);
//     fields.common(config);  // prefix, ttl and whatever else every store may be told
//   }
//
// From it follow the strict reading of JSON (every mistake named by its JSON pointer, unknown keys with a suggestion)
// and `StoreConfig(MineConfig{...})`. A null in JSON is as if the key were not there.
#pragma once
#include <flux/cache/breaker_options.hpp>
#include <flux/cache/detail/function_ref.hpp>
#include <flux/cache/error.hpp>
#include <flux/cache/options.hpp>
#include <flux/cache/settings.hpp>

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace flux::cache {
inline namespace v1 {

namespace detail {
struct Reading;
}  // namespace detail

/// Walks over the fields of a struct: reads them out of settings, or writes them down. Made by the configuration.
///
/// Reading leaves a field as it stands where its key is missing, null or wrong; mistakes are collected, not thrown.
class FLUX_CACHE_API Fields {
 public:
  using Words = std::initializer_list<std::string_view>;
  static constexpr std::int64_t kMaxInteger = std::numeric_limits<std::int64_t>::max();
  static constexpr Duration kMaxDuration = Duration::max();

  Fields(const Fields&) = delete;
  Fields& operator=(const Fields&) = delete;

  /// The name of the driver that the struct belongs to.
  void driver(std::string_view name);

  /// Any text without control characters.
  void text(std::string_view name, std::string& value);
  /// Likewise, and its value is never shown: not in a message, not in a dump.
  void secret(std::string_view name, std::string& value);
  /// A path of the file system: not empty where it is given, no NUL.
  void path(std::string_view name, std::string& value);
  /// Printable, no space, at most 128 bytes.
  void prefix(std::string_view name, std::string& value);
  /// A host's name or address, or a unix socket's path.
  void host(std::string_view name, std::string& value);
  /// A URL of one of the schemes. What it holds is never shown.
  void url(std::string_view name, std::string& value, Words schemes);
  /// The name of an SQL table: letters, digits and underscores, with at most one schema and its dot; 1 to 128 bytes.
  void table(std::string_view name, std::string& value);
  /// One of the words.
  void word(std::string_view name, std::string& value, Words words) {
    read_word(name, value, {words.begin(), words.end()});
  }
  /// One of the words, each for a value of an enumeration.
  template <class Enum>
  void choice(std::string_view name, Enum& value, std::initializer_list<std::pair<std::string_view, Enum>> choices) {
    std::vector<std::string_view> words;
    std::string chosen;
    for (const auto& [word, meaning] : choices) {
      words.push_back(word);
      if (meaning == value) chosen = word;
    }
    read_word(name, chosen, words);
    for (const auto& [word, meaning] : choices)
      if (word == chosen) value = meaning;
  }
  /// A serializer's name: native (or pickle), msgpack, json, or one that was added.
  void serializer(std::string_view name, std::string& value);
  /// A compressor's name: none, zstd, gzip, or one that was added; "default" is what `serialize` says. True and false
  /// are accepted for "default" and "none".
  void compression(std::string_view name, std::string& value);
  /// The name of a configured store.
  void store(std::string_view name, std::string& value);
  /// The names of configured stores, at least one, none of them twice.
  void stores(std::string_view name, std::vector<std::string>& value);
  /// The name of a configured connection whose driver is one of `drivers`.
  void connection(std::string_view name, std::string& value, Words drivers);

  void flag(std::string_view name, bool& value);
  /// An integer from `least` to `most`.
  template <std::integral Integer>
  void integer(std::string_view name, Integer& value, std::int64_t least = 0, std::int64_t most = kMaxInteger) {
    auto wide = static_cast<std::int64_t>(value);
    read_integer(name, wide, least, most);
    value = static_cast<Integer>(wide);
  }
  /// A list of such integers.
  template <std::integral Integer>
  void integers(std::string_view name, std::vector<Integer>& value, std::int64_t least, std::int64_t most) {
    std::vector<std::int64_t> wide(value.begin(), value.end());
    read_integers(name, wide, least, most);
    value.clear();
    for (const std::int64_t number : wide) value.push_back(static_cast<Integer>(number));
  }
  void real(std::string_view name, double& value, double least, double most);
  /// A number of bytes, or text with its unit: "64MiB" (powers of 1024), "64MB", "64k" (powers of 1000).
  template <std::unsigned_integral Size>
  void size(std::string_view name, Size& value, std::uint64_t least = 0,
            std::uint64_t most = std::numeric_limits<std::int64_t>::max()) {
    std::uint64_t wide = value;
    read_size(name, wide, least, most);
    value = static_cast<Size>(wide);
  }
  /// A number of seconds (fractions allowed), or text with its unit: us, ms, s, m, h, d, w.
  template <class Rep, class Period>
  void duration(std::string_view name, std::chrono::duration<Rep, Period>& value, Duration least = Duration(0),
                Duration most = kMaxDuration) {
    auto wide = std::chrono::duration_cast<Duration>(value);
    read_duration(name, wide, least, most);
    value = std::chrono::duration_cast<std::chrono::duration<Rep, Period>>(wide);
  }
  /// A lifetime above zero, written like a duration; null or "forever": none.
  void lifetime(std::string_view name, std::optional<Ttl>& value);
  /// A list of lifetimes.
  void lifetimes(std::string_view name, std::vector<std::optional<Ttl>>& value);

  /// A map with fields of its own.
  template <class Struct>
  void group(std::string_view name, Struct& value) {
    read_group(name, [&](Fields& fields) { describe(fields, value); });
  }
  /// A map that may be missing altogether.
  template <class Struct>
  void group(std::string_view name, std::optional<Struct>& value) {
    if (is_writing() && !value) return;
    read_group(name, [&](Fields& fields) {
      if (!value) value.emplace();
      describe(fields, *value);
    });
  }
  /// A list of such maps; in C++ a vector of structs.
  template <class Struct>
  void each(std::string_view name, std::vector<Struct>& value) {
    read_each(
        name, value.size(), [&](std::size_t count) { value.assign(count, Struct{}); },
        [&](std::size_t index, Fields& fields) { describe(fields, value[index]); });
  }

  /// What every store may be told: prefix, serializer, compression, ttl, on_error, frame, circuit_breaker, max_value,
  /// prohibit_flush, hash_keys and timeout. Those that the struct has are read into it; the library acts on all of
  /// them.
  template <class Config>
  void common(Config& config) {
    Common rest;
    prefix("prefix", either(config, rest.prefix, [](auto& c) -> decltype((c.prefix)) { return c.prefix; }));
    serializer("serializer",
               either(config, rest.serializer, [](auto& c) -> decltype((c.serializer)) { return c.serializer; }));
    compression("compression",
                either(config, rest.compression, [](auto& c) -> decltype((c.compression)) { return c.compression; }));
    flag("frame", either(config, rest.frame, [](auto& c) -> decltype((c.frame)) { return c.frame; }));
    lifetime("ttl", either(config, rest.ttl, [](auto& c) -> decltype((c.ttl)) { return c.ttl; }));
    group("circuit_breaker", either(config, rest.circuit_breaker,
                                    [](auto& c) -> decltype((c.circuit_breaker)) { return c.circuit_breaker; }));
    rules(config);
  }
  /// The part of them that a composite has too: on_error, max_value, prohibit_flush, hash_keys and timeout.
  template <class Config>
  void rules(Config& config) {
    Common rest;
    word("on_error", either(config, rest.on_error, [](auto& c) -> decltype((c.on_error)) { return c.on_error; }),
         {"soft", "throw"});
    size("max_value", either(config, rest.max_value, [](auto& c) -> decltype((c.max_value)) { return c.max_value; }));
    flag("prohibit_flush",
         either(config, rest.prohibit_flush, [](auto& c) -> decltype((c.prohibit_flush)) { return c.prohibit_flush; }));
    flag("hash_keys", either(config, rest.hash_keys, [](auto& c) -> decltype((c.hash_keys)) { return c.hash_keys; }));
    duration("timeout", either(config, rest.timeout, [](auto& c) -> decltype((c.timeout)) { return c.timeout; }));
  }

  /// Reports a mistake of one's own about a field, such as two that exclude each other. Ignored while writing.
  void mistake(std::string_view name, std::string message);
  /// Likewise from a struct's own `validate`: the error's key, or what stands before a colon, is the field.
  void mistake(const Error& error);

 private:
  friend struct detail::Reading;

  struct Common {
    std::string prefix, serializer, compression, on_error;
    std::optional<Ttl> ttl;
    std::optional<BreakerOptions> circuit_breaker;
    bool frame = true, prohibit_flush = false, hash_keys = false;
    std::uint64_t max_value = 0;
    Duration timeout{};
  };

  Fields(detail::Reading& reading, const Settings& from, std::string pointer);
  explicit Fields(Settings& to) : to_(&to) {}
  bool is_writing() const noexcept { return to_ != nullptr; }

  /// The member where the struct has it, the stand-in otherwise.
  template <class Config, class Field, class Member>
  static auto& either(Config& config, Field& stand_in, Member member) {
    if constexpr (std::invocable<Member, Config&>)
      return member(config);
    else
      return stand_in;
  }
  void read_word(std::string_view name, std::string& value, const std::vector<std::string_view>& words);
  void read_integer(std::string_view name, std::int64_t& value, std::int64_t least, std::int64_t most);
  void read_integers(std::string_view name, std::vector<std::int64_t>& value, std::int64_t least, std::int64_t most);
  void read_size(std::string_view name, std::uint64_t& value, std::uint64_t least, std::uint64_t most);
  void read_duration(std::string_view name, Duration& value, Duration least, Duration most);
  void read_group(std::string_view name, detail::FunctionRef<void(Fields&)> describe);
  void read_each(std::string_view name, std::size_t count, detail::FunctionRef<void(std::size_t)> resize,
                 detail::FunctionRef<void(std::size_t, Fields&)> describe);

  /// The settings of a key, to be read; null: writing, missing, or null.
  const Settings* take(std::string_view name);
  /// The text of a key, checked to be one; null likewise.
  const std::string* take_text(std::string_view name, std::string_view wanted);
  void write_text(std::string_view name, const std::string& value);
  static std::optional<std::int64_t> integer_from(const Settings& found);
  bool known_store(std::string_view pointer, const Settings& found);
  void wrong(std::string_view name, const Settings& found, std::string_view wanted);
  std::string pointer_to(std::string_view name) const;
  void finish();

  detail::Reading* reading_ = nullptr;  // null: writing
  const Settings* from_ = nullptr;
  Settings* to_ = nullptr;
  std::string pointer_;
  std::vector<std::string> known_;
};

namespace detail {

/// The settings of a struct: what differs between `given` and `plain`, and the driver's name.
FLUX_CACHE_API Settings settings_of(FunctionRef<void(Fields&)> plain, FunctionRef<void(Fields&)> given);
/// Reads a struct strictly. Throws ConfigError with all mistakes.
FLUX_CACHE_API void read_fields(const Settings& settings, std::string_view pointer,
                                FunctionRef<void(Fields&)> describe);

}  // namespace detail

/// A struct with a `describe`.
template <class T>
concept Described = requires(Fields& fields, T& value) {
  describe(fields, value);
};

/// The struct as settings: only what differs from a struct as it is born.
template <Described Struct>
Settings to_settings(Struct config) {
  Struct plain{};
  return detail::settings_of([&](Fields& fields) { describe(fields, plain); },
                             [&](Fields& fields) { describe(fields, config); });
}

/// The struct read out of settings. Throws ConfigError with every mistake, each by its JSON pointer below `pointer`.
template <Described Struct>
Struct from_settings(const Settings& settings, std::string_view pointer = {}) {
  Struct config{};
  detail::read_fields(settings, pointer, [&](Fields& fields) { describe(fields, config); });
  return config;
}

}  // namespace v1
}  // namespace flux::cache
