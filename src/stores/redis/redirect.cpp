#include "redirect.hpp"

#include <charconv>

#include "connection.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

bool is_redirect(std::string_view text) noexcept { return text.starts_with("MOVED ") || text.starts_with("ASK "); }

// "MOVED 3999 127.0.0.1:6381", "ASK 3999 ::1:6381", "MOVED 3999 :6381".
std::optional<Redirect> redirect_of(const Error& error) {
  const std::string_view message = error.message;
  if (!message.starts_with(kServerSays)) return std::nullopt;
  std::string_view text = message.substr(kServerSays.size());
  if (!is_redirect(text)) return std::nullopt;
  Redirect out;
  out.is_ask = text.starts_with("ASK ");
  text.remove_prefix(text.find(' ') + 1);
  const std::size_t space = text.find(' ');
  const std::size_t colon = text.rfind(':');
  if (space == text.npos || colon == text.npos || colon < space) return std::nullopt;
  const auto parse = [](std::string_view digits, std::uint16_t& number) {
    const char* const end = digits.data() + digits.size();
    const auto [rest, fault] = std::from_chars(digits.data(), end, number);
    return fault == std::errc() && rest == end;
  };
  if (!parse(text.substr(0, space), out.slot) || out.slot >= kSlots) return std::nullopt;
  if (!parse(text.substr(colon + 1), out.port) || out.port == 0) return std::nullopt;
  out.host = text.substr(space + 1, colon - space - 1);
  return out;
}

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
