// What a node of a cluster answers when a slot is somewhere else.
#pragma once
#include <flux/cache/error.hpp>

#include <optional>
#include <string>
#include <string_view>

#include "slots.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

struct Redirect {
  bool is_ask = false;  ///< for this once, and after ASKING; else for good
  Slot slot = 0;
  std::string host{};  ///< empty: that of who said so
  std::uint16_t port = 0;
};

/// Does a server's error send us on?
bool is_redirect(std::string_view text) noexcept;
/// Where to, if it does.
std::optional<Redirect> redirect_of(const Error& error);

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
