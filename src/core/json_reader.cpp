// core/json_reader.cpp - strict JSON, pulled.
#include <flux/cache/detail/json_reader.hpp>

#include <cstring>

namespace flux::cache {
inline namespace v1 {
namespace detail {

namespace {

constexpr std::uint64_t kOnes = 0x0101010101010101U;
constexpr std::uint64_t kHighs = 0x8080808080808080U;

/// A high bit in each byte that is below `limit` (which is at most 0x80), as long as no byte has its own high bit set.
constexpr std::uint64_t bytes_below(std::uint64_t word, std::uint64_t limit) noexcept {
  return (word - kOnes * limit) & ~word & kHighs;
}

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

}  // namespace

const char* find_special(const char* at, const char* end) noexcept {
  while (end - at >= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof word);
    const std::uint64_t special = (word & kHighs) | bytes_below(word, 0x20) | bytes_below(word ^ kOnes * '"', 1) |
                                  bytes_below(word ^ kOnes * '\\', 1);
    if (special != 0) break;
    at += 8;
  }
  for (; at != end; ++at) {
    const auto c = static_cast<unsigned char>(*at);
    if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\') break;
  }
  return at;
}

std::size_t utf8_sequence(const char* at, const char* end) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(at[i]); };
  const auto size = static_cast<std::size_t>(end - at);
  const auto follows = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xbf) {
    return i < size && byte(i) >= low && byte(i) <= high;
  };
  if (size == 0) return 0;
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return follows(1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    const unsigned low = lead == 0xe0 ? 0xa0 : 0x80;
    const unsigned high = lead == 0xed ? 0x9f : 0xbf;
    return follows(1, low, high) && follows(2) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const unsigned low = lead == 0xf0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xf4 ? 0x8f : 0xbf;
    return follows(1, low, high) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

void append_utf8(std::string& to, std::uint32_t code) {
  const auto put = [&](std::uint32_t byte) { to.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6);
    put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3f));
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  }
}

bool JsonReader::fail(std::string_view reason) noexcept { return fail_at(at_, reason); }

bool JsonReader::fail_at(const char* where, std::string_view reason) noexcept {
  if (!failed_) {
    failed_ = true;
    reason_ = reason;
    token_ = where;
    at_ = end_;
  }
  return false;
}

JsonPlace JsonReader::place_of(std::size_t offset) const noexcept {
  JsonPlace place;
  for (const char* at = begin_; at != begin_ + offset; ++at) {
    if (*at == '\n') {
      ++place.line;
      place.column = 1;
    } else {
      ++place.column;
    }
  }
  return place;
}

JsonKind JsonReader::peek() noexcept {
  skip_blanks();
  if (failed_ || at_ == end_) return JsonKind::nothing;
  switch (*at_) {
    case 'n': return JsonKind::null;
    case 't':
    case 'f': return JsonKind::boolean;
    case '"': return JsonKind::text;
    case '[': return JsonKind::array;
    case '{': return JsonKind::object;
    default: return *at_ == '-' || is_digit(*at_) ? JsonKind::number : JsonKind::nothing;
  }
}

bool JsonReader::word(std::string_view word) noexcept {
  if (failed_) return false;
  skip_blanks();
  token_ = at_;
  if (left() < word.size() || std::memcmp(at_, word.data(), word.size()) != 0) return false;
  at_ += word.size();
  first_ = false;
  return true;
}

bool JsonReader::null() noexcept { return word("null") || fail("expected null"); }

bool JsonReader::boolean() noexcept {
  if (word("true")) return true;
  if (!word("false")) fail("expected true or false");
  return false;
}

std::string_view JsonReader::number() noexcept {
  if (failed_) return {};
  skip_blanks();
  const char* start = at_;
  const char* at = at_;
  token_ = start;
  const auto digits = [&] {
    const char* from = at;
    while (at != end_ && is_digit(*at)) ++at;
    return at != from;
  };
  if (at != end_ && *at == '-') ++at;
  const char* whole = at;
  if (!digits()) return fail("expected a number"), std::string_view();
  if (*whole == '0' && at - whole > 1) return fail("a number with a leading zero"), std::string_view();
  if (at != end_ && *at == '.') {
    ++at;
    if (!digits()) return fail("expected a digit after the point"), std::string_view();
  }
  if (at != end_ && (*at == 'e' || *at == 'E')) {
    ++at;
    if (at != end_ && (*at == '+' || *at == '-')) ++at;
    if (!digits()) return fail("expected a digit in the exponent"), std::string_view();
  }
  at_ = at;
  first_ = false;
  return {start, static_cast<std::size_t>(at - start)};
}

std::string_view JsonReader::text() {
  if (failed_) return {};
  skip_blanks();
  token_ = at_;
  if (at_ == end_ || *at_ != '"') return fail("expected a string"), std::string_view();
  const char* start = ++at_;
  first_ = false;
  for (;;) {
    at_ = find_special(at_, end_);
    if (at_ == end_) return fail_at(token_, "a string that does not end"), std::string_view();
    if (*at_ == '"') return {start, static_cast<std::size_t>(at_++ - start)};
    if (*at_ == '\\') return escaped_text(start);
    const std::size_t length = static_cast<unsigned char>(*at_) < 0x20 ? 0 : utf8_sequence(at_, end_);
    if (length == 0) {
      const bool control = static_cast<unsigned char>(*at_) < 0x20;
      return fail(control ? "a control byte in a string; escape it" : "invalid UTF-8 in a string"), std::string_view();
    }
    at_ += length;
  }
}

std::string_view JsonReader::escaped_text(const char* start) {
  scratch_.assign(start, at_);
  for (;;) {
    const char* plain = at_;
    at_ = find_special(at_, end_);
    scratch_.append(plain, at_);
    if (at_ == end_) return fail_at(token_, "a string that does not end"), std::string_view();
    if (*at_ == '"') {
      ++at_;
      return scratch_;
    }
    if (*at_ == '\\') {
      if (!escape()) return {};
      continue;
    }
    const std::size_t length = static_cast<unsigned char>(*at_) < 0x20 ? 0 : utf8_sequence(at_, end_);
    if (length == 0) {
      const bool control = static_cast<unsigned char>(*at_) < 0x20;
      return fail(control ? "a control byte in a string; escape it" : "invalid UTF-8 in a string"), std::string_view();
    }
    scratch_.append(at_, length);
    at_ += length;
  }
}

bool JsonReader::hex4(unsigned& out) noexcept {
  if (left() < 4) return false;
  out = 0;
  for (int i = 0; i < 4; ++i) {
    const char c = *at_;
    const int digit = is_digit(c)            ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return false;
    out = out << 4 | static_cast<unsigned>(digit);
    ++at_;
  }
  return true;
}

bool JsonReader::escape() {
  const char* backslash = at_++;
  if (at_ == end_) return fail_at(token_, "a string that does not end");
  constexpr std::string_view kLetters = "\"\\/bfnrt";
  constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
  const char letter = *at_++;
  if (const std::size_t i = kLetters.find(letter); i != std::string_view::npos) {
    scratch_.push_back(kMeanings[i]);
    return true;
  }
  unsigned code = 0;
  if (letter != 'u' || !hex4(code)) return fail_at(backslash, "an unknown escape in a string");
  if (code >= 0xd800 && code <= 0xdfff) {
    unsigned low = 0;
    const bool pair = code <= 0xdbff && left() >= 6 && at_[0] == '\\' && at_[1] == 'u';
    if (pair) at_ += 2;
    if (!pair || !hex4(low) || low < 0xdc00 || low > 0xdfff) return fail_at(backslash, "half a surrogate pair");
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  }
  append_utf8(scratch_, code);
  return true;
}

bool JsonReader::open(char bracket, std::string_view expected) noexcept {
  if (failed_) return false;
  skip_blanks();
  token_ = at_;
  if (at_ == end_ || *at_ != bracket) return fail(expected);
  if (room_ == 0) {
    too_deep_ = true;
    return fail("nested too deeply");
  }
  --room_;
  ++at_;
  first_ = true;
  return true;
}

bool JsonReader::next(char closing, std::string_view expected) noexcept {
  if (failed_) return false;
  skip_blanks();
  if (at_ == end_) return fail(expected);
  if (*at_ == closing) {
    token_ = at_++;
    ++room_;
    first_ = false;
    return false;
  }
  if (!first_) {
    if (*at_ != ',') return fail(expected);
    ++at_;
  }
  first_ = false;
  return true;
}

bool JsonReader::begin_array() noexcept { return open('[', "expected an array"); }
bool JsonReader::next_element() noexcept { return next(']', "expected ',' or ']'"); }
bool JsonReader::begin_object() noexcept { return open('{', "expected an object"); }

bool JsonReader::next_member(std::string_view& name) {
  if (!next('}', "expected ',' or '}'")) return false;
  skip_blanks();
  if (at_ == end_ || *at_ != '"') return fail("expected a member's name");
  name = text();
  if (failed_) return false;
  skip_blanks();
  if (at_ == end_ || *at_ != ':') return fail("expected ':'");
  ++at_;
  return true;
}

void JsonReader::skip() {
  std::string_view name;
  switch (peek()) {
    case JsonKind::null: null(); break;
    case JsonKind::boolean: boolean(); break;
    case JsonKind::number: number(); break;
    case JsonKind::text: text(); break;
    case JsonKind::array:
      begin_array();
      while (next_element()) skip();
      break;
    case JsonKind::object:
      begin_object();
      while (next_member(name)) skip();
      break;
    case JsonKind::nothing: fail("expected a value");
  }
}

bool JsonReader::finish() noexcept {
  skip_blanks();
  if (failed_) return false;
  return at_ == end_ || fail("expected the end of the document");
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
