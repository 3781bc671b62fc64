// config/utf8.hpp - text, as a configuration may hold it and as a message may show it.
#pragma once
#include <string>
#include <string_view>

namespace flux::cache {
inline namespace v1 {
namespace detail {

bool is_utf8(std::string_view text) noexcept;

/// In quotes, with everything escaped that could do harm in a log; cut after 64 bytes.
std::string shown(std::string_view text);

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
