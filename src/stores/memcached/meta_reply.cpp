#include "meta_reply.hpp"

#include <charconv>
#include <cstring>

namespace flux::cache {
inline namespace v1 {
namespace detail::memcached {

namespace {

constexpr std::size_t kLongestLine = 2048;

/// Takes the next word off a line. Empty at the end.
std::string_view take_word(std::string_view& line) noexcept {
  const std::size_t start = line.find_first_not_of(' ');
  if (start == line.npos) return line = {};
  line.remove_prefix(start);
  const std::size_t size = line.find(' ');
  const std::string_view word = line.substr(0, size);
  line.remove_prefix(word.size());
  return word;
}

template <class Number>
bool read_number(std::string_view text, Number& number) noexcept {
  const char* const end = text.data() + text.size();
  const auto [stop, fault] = std::from_chars(text.data(), end, number);
  return fault == std::errc{} && stop == end;
}

/// Flags that we asked for; those that a later server adds are passed over.
bool read_flags(std::string_view line, MetaReply& reply) noexcept {
  for (std::string_view word = take_word(line); !word.empty(); word = take_word(line)) {
    const std::string_view rest = word.substr(1);
    if (word[0] == 'c' && !read_number(rest, reply.cas)) return false;
    if (word[0] == 'O') {
      reply.has_opaque = read_number(rest, reply.opaque);
      if (!reply.has_opaque) return false;
    }
  }
  return true;
}

bool code_of(std::string_view word, MetaCode& code) noexcept {
  struct Row {
    char text[3];
    MetaCode code;
  };
  static constexpr Row kRows[] = {{"VA", MetaCode::value},      {"HD", MetaCode::done},   {"EN", MetaCode::miss},
                                  {"NS", MetaCode::not_stored}, {"EX", MetaCode::exists}, {"NF", MetaCode::not_found},
                                  {"MN", MetaCode::barrier}};
  if (word.size() != 2) return false;
  for (const Row& row : kRows) {
    if (row.text[0] == word[0] && row.text[1] == word[1]) return code = row.code, true;
  }
  return false;
}

/// Digits off the front, nine at the most: false where there is none.
bool take_digits(std::string_view& from, std::uint32_t& number) noexcept {
  std::size_t size = 0;
  number = 0;
  for (; size < from.size() && size < 9; ++size) {
    const unsigned digit = static_cast<unsigned char>(from[size]) - unsigned{'0'};
    if (digit > 9) break;
    number = 10 * number + digit;
  }
  from.remove_prefix(size);
  return size != 0;
}

/// What nearly all replies of a batch are: a value that has come whole, with our number and nothing else. False: it is
/// for others to say what it is.
bool scan_usual_value(std::string_view from, std::size_t longest_value, MetaReply& reply, std::size_t& used) noexcept {
  std::string_view left = from;
  std::uint32_t size = 0;
  if (!left.starts_with("VA ")) return false;
  left.remove_prefix(3);
  if (!take_digits(left, size) || size > longest_value || !left.starts_with(" O")) return false;
  left.remove_prefix(2);
  if (!take_digits(left, reply.opaque) || !left.starts_with("\r\n")) return false;
  left.remove_prefix(2);
  if (left.size() < std::size_t{size} + 2 || left[size] != '\r' || left[size + 1] != '\n') return false;
  reply.code = MetaCode::value;
  reply.has_opaque = true;
  reply.value = left.substr(0, size);
  used = from.size() - left.size() + size + 2;
  return true;
}

/// Ten digits at the most, and a space or the line's end behind them.
bool take_flags(std::string_view& from) noexcept {
  std::size_t size = 0;
  while (size < from.size() && size < 10 && from[size] >= '0' && from[size] <= '9') ++size;
  from.remove_prefix(size);
  return size != 0;
}

}  // namespace

Scan scan_gathered(std::string_view from, std::string_view likely, std::size_t longest_value, MetaReply& reply,
                   std::size_t& used) noexcept {
  constexpr std::string_view kValue = "VALUE ", kEnd = "END\r\n";
  reply = {};
  if (!from.starts_with(kValue)) {
    if (!from.starts_with(kEnd)) return scan_reply(from, longest_value, reply, used);
    reply.code = MetaCode::end;
    used = kEnd.size();
    return Scan::whole;
  }
  std::string_view left = from.substr(kValue.size());
  if (left.size() > likely.size() && left[likely.size()] == ' ' && left.starts_with(likely)) {
    reply.key = left.substr(0, likely.size());
    reply.is_likely = true;
  } else {
    const std::string_view window = left.substr(0, kLongestLine);
    const std::size_t end = window.find('\n');
    used = from.size() + 1;
    if (end == window.npos) return window.size() == kLongestLine ? Scan::broken : Scan::more;
    reply.key = window.substr(0, window.find(' '));
    if (reply.key.size() > end) return Scan::broken;
  }
  left.remove_prefix(reply.key.size() + 1);
  std::uint32_t size = 0;
  bool is_good = take_flags(left) && left.starts_with(' ');
  if (is_good) left.remove_prefix(1);
  is_good = is_good && take_digits(left, size);
  if (is_good && left.starts_with(' ')) {
    left.remove_prefix(1);
    const auto [stop, fault] = std::from_chars(left.data(), left.data() + left.size(), reply.cas);
    is_good = fault == std::errc{};
    left.remove_prefix(static_cast<std::size_t>(stop - left.data()));
  }
  if (!is_good || !left.starts_with("\r\n")) {
    // Cut off in the middle of its line, or nonsense.
    used = from.size() + 1;
    const std::string_view window = from.substr(0, kLongestLine);
    return window.find('\n') == window.npos && window.size() < kLongestLine ? Scan::more : Scan::broken;
  }
  if (size > longest_value) return Scan::broken;
  left.remove_prefix(2);
  used = from.size() - left.size() + size + 2;
  if (left.size() < std::size_t{size} + 2) return Scan::more;
  if (left[size] != '\r' || left[size + 1] != '\n') return Scan::broken;
  reply.code = MetaCode::value;
  reply.value = left.substr(0, size);
  return Scan::whole;
}

Scan scan_reply(std::string_view from, std::size_t longest_value, MetaReply& reply, std::size_t& used) noexcept {
  reply = {};
  if (scan_usual_value(from, longest_value, reply, used)) return Scan::whole;
  reply = {};
  used = from.size() + 1;
  const std::string_view window = from.substr(0, kLongestLine);
  const std::size_t end = window.find('\n');
  if (end == window.npos) return window.size() == kLongestLine ? Scan::broken : Scan::more;
  if (end == 0 || from[end - 1] != '\r') return Scan::broken;
  std::string_view line = from.substr(0, end - 1);
  used = end + 1;
  const std::string_view first = take_word(line);
  if (!code_of(first, reply.code)) {
    if (first == "SERVER_ERROR") {
      reply.code = MetaCode::server_error;
    } else if (first == "CLIENT_ERROR" || first == "ERROR") {
      reply.code = MetaCode::client_error;
    } else {
      return Scan::broken;
    }
    reply.value = line.empty() ? first : line.substr(1);
    return Scan::whole;
  }
  if (reply.code != MetaCode::value) return read_flags(line, reply) ? Scan::whole : Scan::broken;
  std::size_t size = 0;
  if (!read_number(take_word(line), size) || size > longest_value || !read_flags(line, reply)) return Scan::broken;
  const std::size_t whole = used + size + 2;
  if (from.size() < whole) {
    used = whole;
    return Scan::more;
  }
  if (from[whole - 2] != '\r' || from[whole - 1] != '\n') return Scan::broken;
  reply.value = from.substr(used, size);
  used = whole;
  return Scan::whole;
}

}  // namespace detail::memcached
}  // namespace v1
}  // namespace flux::cache
