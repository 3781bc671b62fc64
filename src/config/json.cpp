// Strict JSON (RFC 8259) into Settings: one pass, nothing guessed, every limit checked before it is reached.
#include <flux/cache/error.hpp>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <numeric>

#include "config/settings_access.hpp"
#include <flux/cache/detail/json_reader.hpp>

#include "config/utf8.hpp"

namespace flux::cache {
inline namespace v1 {

namespace {

class Parser {
 public:
  explicit Parser(std::string_view text) : at_(text.data()), end_(text.data() + text.size()), line_begin_(at_) {}

  Settings document() {
    if (static_cast<std::size_t>(end_ - at_) > kMaxSettingsBytes) fail("the text is over 16 MiB");
    skip_space();
    Settings root = value(0);
    skip_space();
    if (at_ != end_) fail("nothing may follow the end of the document");
    return root;
  }

 private:
  struct Place {
    std::uint32_t line, column;
  };

  Place place() const { return {line_, static_cast<std::uint32_t>(at_ - line_begin_) + 1}; }

  [[noreturn]] static void fail_at(Place where, const std::string& what) {
    throw ConfigError(Error{Errc::bad_config, "line " + std::to_string(where.line) + ", column " +
                                                  std::to_string(where.column) + ": " + what});
  }
  [[noreturn]] void fail(const std::string& what) const { fail_at(place(), what); }

  [[noreturn]] void unexpected(const char* wanted) const {
    if (at_ == end_) fail("the text ends where " + std::string(wanted) + " should stand");
    const auto byte = static_cast<unsigned char>(*at_);
    char name[8] = {'\'', static_cast<char>(byte), '\''};
    if (byte < 0x20 || byte > 0x7e) std::snprintf(name, sizeof name, "0x%02x", byte);
    fail("found " + std::string(name) + " where " + wanted + " should stand");
  }

  void skip_space() {
    for (; at_ != end_; ++at_) {
      if (*at_ == '\n') {
        ++line_;
        line_begin_ = at_ + 1;
      } else if (*at_ != ' ' && *at_ != '\t' && *at_ != '\r') {
        return;
      }
    }
  }

  bool accept(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }

  Settings value(std::size_t depth) {
    if (++nodes_ > kMaxSettingsNodes) fail("more than " + std::to_string(kMaxSettingsNodes) + " values");
    const Place where = place();
    Settings node = bare_value(depth);
    detail::SettingsAccess::place(node, where.line, where.column);
    return node;
  }

  Settings bare_value(std::size_t depth) {
    if (at_ == end_) unexpected("a value");
    switch (*at_) {
      case '{': return map(depth);
      case '[': return list(depth);
      case '"': return text();
      case 't': return word("true", true);
      case 'f': return word("false", false);
      case 'n': return word("null", Settings());
      default: return number();
    }
  }

  Settings word(std::string_view spelling, Settings meaning) {
    if (std::string_view(at_, static_cast<std::size_t>(end_ - at_)).substr(0, spelling.size()) != spelling)
      unexpected("a value");
    at_ += spelling.size();
    return meaning;
  }

  void descend(std::size_t depth) const {
    if (depth >= kMaxSettingsDepth) fail("lists and maps nested deeper than " + std::to_string(kMaxSettingsDepth));
  }

  Settings list(std::size_t depth) {
    descend(depth);
    ++at_;
    Settings node = Settings::list();
    skip_space();
    if (accept(']')) return node;
    while (true) {
      node.push(value(depth + 1));
      skip_space();
      if (accept(']')) return node;
      if (!accept(',')) unexpected("',' or ']'");
      skip_space();
    }
  }

  Settings map(std::size_t depth) {
    descend(depth);
    ++at_;
    Settings node = Settings::map();
    std::vector<Place> places;
    skip_space();
    if (accept('}')) return node;
    while (true) {
      places.push_back(place());
      if (at_ == end_ || *at_ != '"') unexpected("a key in quotes");
      std::string name = text();
      skip_space();
      if (!accept(':')) unexpected("':'");
      skip_space();
      Settings held = value(depth + 1);
      detail::SettingsAccess::append(node, std::move(name), std::move(held));
      skip_space();
      if (accept('}')) break;
      if (!accept(',')) unexpected("',' or '}'");
      skip_space();
    }
    refuse_repeats(node, places);
    return node;
  }

  static void refuse_repeats(const Settings& node, const std::vector<Place>& places) {
    std::vector<std::size_t> order(node.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      const int compared = node.name(a).compare(node.name(b));
      return compared != 0 ? compared < 0 : a < b;
    });
    const auto repeat = std::adjacent_find(order.begin(), order.end(),
                                           [&](std::size_t a, std::size_t b) { return node.name(a) == node.name(b); });
    if (repeat != order.end())
      fail_at(places[repeat[1]], "the key " + detail::shown(node.name(*repeat)) + " stands here twice");
  }

  std::string text() {
    ++at_;
    std::string held;
    while (true) {
      const char* const begin = at_;
      while (at_ != end_ && *at_ != '"' && *at_ != '\\' && static_cast<unsigned char>(*at_) >= 0x20 &&
             static_cast<unsigned char>(*at_) < 0x80)
        ++at_;
      held.append(begin, at_);
      if (at_ == end_) fail("the text ends inside quotes");
      if (*at_ == '"') return ++at_, held;
      if (*at_ == '\\') {
        escape(held);
      } else if (static_cast<unsigned char>(*at_) < 0x20) {
        fail("a control character inside quotes; write it as \\n, \\t or \\u00XX");
      } else {
        const std::size_t length = detail::utf8_length(at_, end_);
        if (length == 0) fail("bytes that are not UTF-8");
        held.append(at_, length);
        at_ += length;
      }
    }
  }

  void escape(std::string& held) {
    const Place where = place();
    ++at_;
    if (at_ == end_) fail("the text ends inside quotes");
    switch (*at_++) {
      case '"': held += '"'; return;
      case '\\': held += '\\'; return;
      case '/': held += '/'; return;
      case 'b': held += '\b'; return;
      case 'f': held += '\f'; return;
      case 'n': held += '\n'; return;
      case 'r': held += '\r'; return;
      case 't': held += '\t'; return;
      case 'u': break;
      default: fail_at(where, "an escape that JSON does not know");
    }
    std::uint32_t code = hex4(where);
    if (code >= 0xdc00 && code < 0xe000) fail_at(where, "half of a surrogate pair");
    if (code >= 0xd800 && code < 0xdc00) {
      if (end_ - at_ < 2 || at_[0] != '\\' || at_[1] != 'u') fail_at(where, "half of a surrogate pair");
      at_ += 2;
      const std::uint32_t low = hex4(where);
      if (low < 0xdc00 || low >= 0xe000) fail_at(where, "half of a surrogate pair");
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    detail::append_utf8(held, code);
  }

  std::uint32_t hex4(Place where) {
    std::uint32_t code = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = at_ == end_ ? '\0' : *at_;
      std::uint32_t digit = 0;
      if (c >= '0' && c <= '9')
        digit = static_cast<std::uint32_t>(c - '0');
      else if (c >= 'a' && c <= 'f')
        digit = static_cast<std::uint32_t>(c - 'a') + 10;
      else if (c >= 'A' && c <= 'F')
        digit = static_cast<std::uint32_t>(c - 'A') + 10;
      else
        fail_at(where, "\\u wants four hexadecimal digits");
      code = code * 16 + digit;
    }
    return code;
  }

  bool digits() {
    const char* const begin = at_;
    while (at_ != end_ && *at_ >= '0' && *at_ <= '9') ++at_;
    return at_ != begin;
  }

  Settings number() {
    const Place where = place();
    const char* const begin = at_;
    accept('-');
    const bool leading_zero = at_ != end_ && *at_ == '0';
    const char* const first = at_;
    if (!digits()) unexpected(begin == at_ ? "a value" : "a digit");
    if (leading_zero && at_ - first > 1) fail_at(where, "a number with a leading zero");
    bool whole = true;
    if (accept('.')) {
      whole = false;
      if (!digits()) unexpected("a digit");
    }
    if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
      whole = false;
      ++at_;
      if (!accept('+')) accept('-');
      if (!digits()) unexpected("a digit");
    }
    if (whole) {
      std::int64_t integer = 0;
      if (std::from_chars(begin, at_, integer).ec != std::errc{}) fail_at(where, "an integer beyond 64 bits");
      return integer;
    }
    double real = 0;
    if (std::from_chars(begin, at_, real).ec != std::errc{}) fail_at(where, "a number beyond the range of a double");
    return real;
  }

  const char* at_;
  const char* end_;
  const char* line_begin_;
  std::uint32_t line_ = 1;
  std::size_t nodes_ = 0;
};

}  // namespace

Settings Settings::parse(std::string_view json) { return Parser(json).document(); }

}  // namespace v1
}  // namespace flux::cache
