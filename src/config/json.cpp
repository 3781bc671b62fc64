// Strict JSON into a tree of settings, each limit checked before it is reached.
#include <flux/cache/detail/json_reader.hpp>
#include <flux/cache/error.hpp>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <numeric>

#include "config/settings_access.hpp"
#include "config/utf8.hpp"

namespace flux::cache {
inline namespace v1 {

namespace {

using detail::JsonKind;
using detail::JsonPlace;
using detail::SettingsAccess;

[[noreturn]] void refuse(JsonPlace where, std::string_view what) {
  throw ConfigError(Error{Errc::bad_config, "line " + std::to_string(where.line) + ", column " +
                                                std::to_string(where.column) + ": " + std::string(what)});
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text), reader_(text, kMaxSettingsDepth) {}

  Settings document() {
    Settings root = value();
    if (!reader_.finish()) fail();
    return root;
  }

 private:
  [[noreturn]] void fail() const {
    std::string what(reader_.reason());
    if (reader_.is_too_deep()) what = "lists and maps nested deeper than " + std::to_string(kMaxSettingsDepth);
    const bool in_number = what.find("digit") != what.npos || what.find("number") != what.npos;
    if (what.starts_with("expected") && !in_number) what += ", found " + next();
    refuse(reader_.place(), what);
  }
  [[noreturn]] void fail(std::string_view what) const { refuse(reader_.place(), what); }

  /// What stands where the reader stopped.
  std::string next() const {
    if (reader_.offset() >= text_.size()) return "the end of the text";
    const auto byte = static_cast<unsigned char>(text_[reader_.offset()]);
    char name[8] = {'\'', static_cast<char>(byte), '\''};
    if (byte <= 0x20 || byte > 0x7e) std::snprintf(name, sizeof name, "0x%02x", byte);
    return name;
  }

  Settings value() {
    const JsonKind kind = reader_.peek();
    if (++nodes_ > kMaxSettingsNodes) fail("more than " + std::to_string(kMaxSettingsNodes) + " values");
    switch (kind) {
      case JsonKind::null: reader_.null(); return placed({});
      case JsonKind::boolean: {
        const bool held = reader_.boolean();
        return placed(held);
      }
      case JsonKind::number: return number();
      case JsonKind::text: {
        std::string held(reader_.text());
        return placed(std::move(held));
      }
      case JsonKind::array: return list();
      case JsonKind::object: return map();
      case JsonKind::nothing: reader_.skip(); fail();
    }
    fail();
  }

  /// Marks a node with the place of the token that was just read. Tokens come in order, so lines are counted once.
  Settings placed(Settings node) {
    if (reader_.failed()) fail();
    for (const std::size_t offset = reader_.offset(); counted_ < offset; ++counted_) {
      if (text_[counted_] != '\n') continue;
      ++line_;
      line_begin_ = counted_ + 1;
    }
    SettingsAccess::place(node, line_, static_cast<std::uint32_t>(counted_ - line_begin_) + 1);
    return node;
  }

  Settings number() {
    const std::string_view digits = reader_.number();
    if (reader_.failed()) fail();
    const char* const end = digits.data() + digits.size();
    if (digits.find_first_of(".eE") == digits.npos) {
      std::int64_t integer = 0;
      if (std::from_chars(digits.data(), end, integer).ec != std::errc{}) fail("an integer beyond 64 bits");
      return placed(integer);
    }
    double real = 0;
    if (std::from_chars(digits.data(), end, real).ec != std::errc{}) fail("a number beyond the range of a double");
    return placed(real);
  }

  Settings list() {
    reader_.begin_array();
    Settings node = placed(Settings::list());
    while (reader_.next_element()) node.push(value());
    if (reader_.failed()) fail();
    return node;
  }

  Settings map() {
    reader_.begin_object();
    Settings node = placed(Settings::map());
    std::vector<std::size_t> offsets;
    for (std::string_view name; reader_.next_member(name);) {
      offsets.push_back(reader_.offset());
      std::string key(name);
      Settings held = value();
      SettingsAccess::append(node, std::move(key), std::move(held));
    }
    if (reader_.failed()) fail();
    refuse_repeats(node, offsets);
    return node;
  }

  void refuse_repeats(const Settings& node, const std::vector<std::size_t>& offsets) const {
    std::vector<std::size_t> order(node.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      const int compared = node.name(a).compare(node.name(b));
      return compared != 0 ? compared < 0 : a < b;
    });
    const auto repeat = std::adjacent_find(order.begin(), order.end(),
                                           [&](std::size_t a, std::size_t b) { return node.name(a) == node.name(b); });
    if (repeat != order.end())
      refuse(reader_.place_of(offsets[repeat[1]]),
             "the key " + detail::shown(node.name(*repeat)) + " stands here twice");
  }

  std::string_view text_;
  detail::JsonReader reader_;
  std::size_t nodes_ = 0;
  std::size_t counted_ = 0;
  std::size_t line_begin_ = 0;
  std::uint32_t line_ = 1;
};

}  // namespace

Settings Settings::parse(std::string_view json) {
  if (json.size() > kMaxSettingsBytes) refuse({}, "the text is over 16 MiB");
  if (json.starts_with("\xef\xbb\xbf")) refuse({}, "the text begins with a byte order mark; save it without one");
  return Parser(json).document();
}

}  // namespace v1
}  // namespace flux::cache
