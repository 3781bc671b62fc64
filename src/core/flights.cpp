#include "flights.hpp"

#include <flux/cache/load.hpp>

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// What a thread has to do with loads: the flight it waits for. It lives as
/// long as its thread, and every pointer to it is gone before.
struct ThreadOfLoads {
  Flight* waits_for = nullptr;          // under the graph's mutex
  const Piloting* innermost = nullptr;  // this thread's own affair

  static ThreadOfLoads& mine() {
    static thread_local ThreadOfLoads one;
    return one;
  }
  static ThreadOfLoads*& pilot(Flight& flight) { return flight.pilot_; }
  bool pilots(const void* home, std::string_view key) const {
    for (const Piloting* at = innermost; at != nullptr; at = at->outer_)
      if (at->flight_.home_ == home && at->flight_.key_ == key) return true;
    return false;
  }

  /// Would waiting for `flight` never end? Follows pilot and wait from one to the next. Under the graph's mutex.
  static bool comes_back(Flight& flight, const ThreadOfLoads& me) {
    for (Flight* at = &flight; at != nullptr;) {
      const ThreadOfLoads* const pilot = at->pilot_;
      if (pilot == nullptr) return false;
      if (pilot == &me) return true;
      at = pilot->waits_for;
    }
    return false;
  }
};

namespace {

/// Guards who pilots what and who waits for whom, process-wide: taken on misses alone, for a few instructions.
std::mutex& graph_mutex() {
  static auto* const one = new std::mutex;
  return *one;
}

}  // namespace

std::uint64_t next_moment() noexcept {
  static constinit std::atomic<std::uint64_t> moments{0};
  return moments.fetch_add(1, std::memory_order_acq_rel) + 1;
}

void Flight::begin(std::uint64_t ticket) noexcept {
  ticket_.store(ticket, std::memory_order_relaxed);
  began_.store(next_moment(), std::memory_order_release);
}

bool Flight::may_join(std::uint64_t moment, std::uint64_t ticket) const noexcept {
  const std::uint64_t began = began_.load(std::memory_order_acquire);
  if (began == 0 || began > moment) return true;
  const std::uint64_t mine = ticket_.load(std::memory_order_relaxed);
  return mine == 0 || mine == ticket;
}

void Flight::land(Landing landing) {
  {
    const std::scoped_lock guard(mutex_);
    landing_ = std::move(landing);
    done_ = true;
  }
  landed_.notify_all();
}

bool Flight::landed() const { return landing_now() != nullptr; }

const Landing* Flight::landing_now() const {
  const std::scoped_lock guard(mutex_);
  return done_ ? &landing_ : nullptr;
}

const Landing* Flight::wait_until(std::chrono::steady_clock::time_point until) {
  auto& me = ThreadOfLoads::mine();
  {
    const std::scoped_lock graph(graph_mutex());
    if (ThreadOfLoads::comes_back(*this, me))
      throw RecursiveLoad(Error{Errc::unsupported, "a loader waits for its own load", {}, "remember", key_});
    me.waits_for = this;
  }
  const bool done = [&] {
    std::unique_lock lock(mutex_);
    if (until == std::chrono::steady_clock::time_point::max()) return landed_.wait(lock, [&] { return done_; }), true;
    return landed_.wait_until(lock, until, [&] { return done_; });
  }();
  {
    const std::scoped_lock graph(graph_mutex());
    me.waits_for = nullptr;
  }
  return done ? &landing_ : nullptr;
}

Piloting::Piloting(Flight& flight) : flight_(flight), outer_(ThreadOfLoads::mine().innermost) {
  ThreadOfLoads::mine().innermost = this;
  const std::scoped_lock graph(graph_mutex());
  ThreadOfLoads::pilot(flight_) = &ThreadOfLoads::mine();
}

Piloting::~Piloting() {
  ThreadOfLoads::mine().innermost = outer_;
  const std::scoped_lock graph(graph_mutex());
  ThreadOfLoads::pilot(flight_) = nullptr;
}

std::shared_ptr<Flight> Flights::join_or_lead(std::string_view key, std::uint64_t moment, std::uint64_t ticket,
                                              bool& leads) {
  if (ThreadOfLoads::mine().pilots(this, key))
    throw RecursiveLoad(Error{Errc::unsupported, "a loader asks for its own key", {}, "remember", std::string(key)});
  const std::scoped_lock guard(mutex_);
  const auto at = flights_.find(key);
  if (at != flights_.end()) {
    if (at->second->may_join(moment, ticket)) return leads = false, at->second;
    flights_.erase(at);  // it flies on for those aboard
  }
  auto flight = std::make_shared<Flight>(std::string(key), this);
  flights_.emplace(flight->key(), flight);
  leads = true;
  return flight;
}

void Flights::remove(const std::shared_ptr<Flight>& flight) {
  const std::scoped_lock guard(mutex_);
  const auto at = flights_.find(flight->key());
  if (at != flights_.end() && at->second == flight) flights_.erase(at);
}

std::size_t Flights::size() const {
  const std::scoped_lock guard(mutex_);
  return flights_.size();
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
