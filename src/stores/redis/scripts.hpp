// The few scripts that run inside the server, by fixed text.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

/// Each takes the key or keys and, for values, the key of the generation behind them; then the arguments that
/// scripts.cpp tells.
enum class Script {
  put,
  forget,
  has,
  pull,
  touch,
  increment,
  epochs,
  exchange,
  reclaim,
  // The same where a value may be a plain document.
  plain_put,
  plain_forget,
  plain_has,
  plain_pull,
  plain_touch,
  plain_increment
};

const std::string& script_text(Script script);
/// What the scripts call a plain document's version, which it does not carry: its content decides. Never 0.
std::uint64_t document_version(std::string_view document);
/// The SHA-1 of the text, which is what EVALSHA names it by.
const std::string& script_name(Script script);

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
