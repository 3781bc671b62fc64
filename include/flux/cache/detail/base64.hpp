// flux/cache/detail/base64.hpp - base64 (RFC 4648, section 4: with padding).
#pragma once
#include <flux/cache/detail/export.hpp>

#include <string>
#include <string_view>

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// Appends `bytes` as base64.
FLUX_CACHE_API void append_base64(std::string& to, std::string_view bytes);
/// Replaces `to` by the bytes. False where the text is no base64 in its one canonical form; `to` is then of no use.
FLUX_CACHE_API bool decode_base64(std::string_view text, std::string& to);

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
