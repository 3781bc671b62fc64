// flux/cache/events.hpp - what a listener hears.
#pragma once
#include <flux/cache/clock.hpp>
#include <flux/cache/error.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace flux::cache {
inline namespace v1 {

enum class EventKind : std::uint8_t {
  hit,
  stale_hit,  ///< served past its lifetime, by `.stale`
  fail_safe,  ///< served past its lifetime because the loader failed
  miss,
  put,
  put_failed,
  forget,       ///< something was removed
  flush,        ///< the tags, where it was some; no key
  load,         ///< a loader has run
  load_failed,  ///< a loader threw
  store_error,  ///< the store could not answer
  recovered,    ///< the first answer after an outage
};

/// Why a read found nothing.
enum class MissCause : std::uint8_t { none, absent, tags, wrong_type, schema, corrupt, store_error };

/// The name as written above, such as "put_failed".
FLUX_CACHE_API std::string_view to_string(EventKind kind) noexcept;
FLUX_CACHE_API std::string_view to_string(MissCause cause) noexcept;

/// One happening. The views are valid inside the call of the listener.
struct Event {
  EventKind kind = EventKind::hit;
  std::string_view store{};                ///< the store's configured name
  std::string_view key{};                  ///< empty for a flush
  const std::vector<std::string>* tags{};  ///< the tags of the call; null where it named none
  MissCause cause = MissCause::none;       ///< for a miss
  const Error* error = nullptr;            ///< for what failed
};

using Listener = std::function<void(const Event&)>;

/// Hears as long as it lives; moves, does not copy. A default one hears nothing.
class [[nodiscard]] Listening {
 public:
  Listening() = default;
  explicit Listening(std::shared_ptr<void> registration) : registration_(std::move(registration)) {}

 private:
  std::shared_ptr<void> registration_;
};

}  // namespace v1
}  // namespace flux::cache
