#include <flux/cache/events.hpp>

#include <array>

namespace flux::cache {
inline namespace v1 {

std::string_view to_string(EventKind kind) noexcept {
  constexpr std::array<std::string_view, 13> names{"hit",         "stale_hit", "fail_safe", "miss", "put",
                                                   "put_failed",  "forget",    "flush",     "load", "load_failed",
                                                   "store_error", "outage",    "recovered"};
  return names[static_cast<std::size_t>(kind)];
}

std::string_view to_string(MissCause cause) noexcept {
  constexpr std::array<std::string_view, 7> names{"none",   "absent",  "tags",       "wrong_type",
                                                  "schema", "corrupt", "store_error"};
  return names[static_cast<std::size_t>(cause)];
}

}  // namespace v1
}  // namespace flux::cache
