// Memory stores that fail on demand, and what tests of composites say with them.
#pragma once
#include <flux/cache/layers/chaos.hpp>
#include <flux/cache/layers/deadline.hpp>
#include <flux/cache/layers/recovering.hpp>
#include <flux/cache/repository.hpp>
#include <flux/cache/testing/crowd.hpp>
#include <flux/cache/testing/fake_clock.hpp>
#include <flux/cache/testing/recorder.hpp>
#include <flux/cache/testing/store_probe.hpp>

#include <atomic>
#include <thread>

#include "parts.hpp"

namespace flux::cache::testing {

using namespace std::chrono_literals;

/// Memory stores that fail on demand, with a way past their faults.
struct Fleet {
  explicit Fleet(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      memories.push_back(make_memory({.clock = &clock}));
      chaos.push_back(make_chaos(memories.back()));
    }
  }
  std::vector<StorePtr> stores() const { return {chaos.begin(), chaos.end()}; }
  StoreProbe part(std::size_t i) const { return StoreProbe(memories[i]); }
  void down(std::size_t i) { chaos[i]->set({.fail_rate = 1}); }
  void up(std::size_t i) { chaos[i]->set({}); }
  Repository over(StorePtr store) const { return Repository(std::move(store), {.clock = &clock}, "composite"); }

  FakeClock clock;
  std::vector<StorePtr> memories;
  std::vector<std::shared_ptr<Chaos>> chaos;
};

inline constexpr Duration kSoon = 1ms;

inline DistributedOptions soon(const Clock& clock) { return {.recovery_delay = kSoon, .clock = &clock}; }

inline Entry value(std::string_view text, const Expiry& expiry = {}) {
  return {.value = {.kind = Kind::text, .text = text}, .expiry = expiry};
}

inline TieredOptions tiers(const Clock& clock, std::shared_ptr<Backplane> backplane = nullptr) {
  return {.backplane = std::move(backplane), .recovery_delay = kSoon, .clock = &clock};
}

}  // namespace flux::cache::testing
