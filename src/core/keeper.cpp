#include "keeper.hpp"

#include <algorithm>

#include "flights.hpp"
#include "timer.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail {

namespace {

void come_back(const std::shared_ptr<Core>& core);

void renew_all(const std::weak_ptr<Core>& home) {
  const auto core = home.lock();
  if (!core) return;
  Flights& flights = core->flights();
  for (const auto& flight : flights.in_progress()) flight->renew(core->options().load_lease / 6);
  if (flights.size() == 0) {
    flights.leave_keeping();
    // Who has begun since then found somebody who keeps.
    if (flights.size() == 0 || !flights.wants_keeper()) return;
  }
  come_back(core);
}

void come_back(const std::shared_ptr<Core>& core) {
  const Duration pause = std::max<Duration>(core->options().load_lease / 3, std::chrono::milliseconds(1));
  run_later(pause, [home = std::weak_ptr<Core>(core)] { renew_all(home); });
}

}  // namespace

void keep_claims(const std::shared_ptr<Core>& core) {
  if (core->flights().wants_keeper()) [[unlikely]]
    come_back(core);
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
