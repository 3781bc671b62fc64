// flux/cache/events.hpp - what a listener hears.
#pragma once
#include <flux/cache/clock.hpp>
#include <flux/cache/error.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
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
  outage,       ///< the first of those after the store answered last: once for each outage, and, of a store that comes
                ///< and goes, sixteen at once and then one a second
  recovered,    ///< the first answer after an outage that was told
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

/// How to listen.
struct ListenOptions {
  bool background = false;          ///< hear through the executor, one event at a time and in order, not in the call
  std::size_t max_queued = 10'000;  ///< events that may wait there; those beyond are dropped, and counted
};

/// Hears as long as it lives; moves, does not copy. A default one hears nothing. Once its destructor has returned, the
/// listener is not called again; what waits in the background is not heard any more.
class [[nodiscard]] Listening {
 public:
  Listening() = default;
  explicit Listening(std::shared_ptr<void> registration,
                     std::shared_ptr<const std::atomic<std::uint64_t>> dropped = nullptr)
      : registration_(std::move(registration)), dropped_(std::move(dropped)) {}
  Listening(Listening&&) noexcept = default;
  Listening& operator=(Listening&&) noexcept = default;

  /// Events that a background listener did not hear, because it was too slow or the executor took no more.
  std::uint64_t dropped() const noexcept { return dropped_ ? dropped_->load(std::memory_order_relaxed) : 0; }

 private:
  std::shared_ptr<void> registration_;
  std::shared_ptr<const std::atomic<std::uint64_t>> dropped_;
};

}  // namespace v1
}  // namespace flux::cache
