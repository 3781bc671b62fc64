// config/secrets.hpp - what must never be shown.
#pragma once
#include <flux/cache/settings.hpp>

#include <string>
#include <string_view>

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// Whether a key of that name holds a secret: password, passphrase, secret, token, credential, auth, api_key...
bool names_secret(std::string_view name);
/// The text with user info and secret parameters of a URL, and passwords of a connection string, as "***".
std::string without_secrets(std::string_view text);
/// The JSON pointer of the first secret in a tree, or "".
std::string find_secret(const Settings& tree);

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
