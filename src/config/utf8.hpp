// config/utf8.hpp - UTF-8, strictly (RFC 3629), and text as a message may show it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// The bytes of the character at `at`, 1 to 4; 0 where it is malformed, overlong, a surrogate or beyond U+10FFFF.
std::size_t utf8_length(const char* at, const char* end) noexcept;
bool is_utf8(std::string_view text) noexcept;

/// In quotes, with everything escaped that could do harm in a log; cut after 64 bytes.
std::string shown(std::string_view text);

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
