#include "flights.hpp"

#include <flux/cache/load.hpp>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// What a thread has to do with loads: the flight it waits for. It lives as
/// long as its thread, and every pointer to it is gone before.
struct ThreadOfLoads {
  Flight* waits_for = nullptr;  // under the graph's mutex, as its neighbours in that flight's list
  ThreadOfLoads* before = nullptr;
  ThreadOfLoads* after = nullptr;
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

  /// Enters the list of those who wait for the flight. Under the graph's mutex.
  void enter(Flight& flight) noexcept {
    waits_for = &flight;
    before = nullptr;
    after = flight.waiting_;
    if (after != nullptr) after->before = this;
    flight.waiting_ = this;
  }
  void leave() noexcept {
    (before != nullptr ? before->after : waits_for->waiting_) = after;
    if (after != nullptr) after->before = before;
    waits_for = nullptr;
  }
  /// All at once, by who lands it, so that nobody has to when he wakes.
  static void dismiss(Flight& flight) noexcept {
    if (flight.born_ != fork_depth()) flight.waiting_ = nullptr;  // those who waited stayed in the parent
    for (ThreadOfLoads* one = flight.waiting_; one != nullptr; one = one->after) one->waits_for = nullptr;
    flight.waiting_ = nullptr;
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
ForkMutex& graph_mutex() {
  static auto* const one = new ForkMutex;
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

void Flight::claimed_by(Claimant* who) noexcept {
  if (born_ != fork_depth()) return;  // a child: whoever may be renewing is not here
  const std::scoped_lock guard(claim_mutex_);
  claimant_ = who;
  since_ = std::chrono::steady_clock::now();
}

void Flight::renew(std::chrono::steady_clock::duration age) noexcept {
  const std::scoped_lock guard(claim_mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (claimant_ == nullptr || now - since_ < age) return;
  claimant_->renew();
  since_ = now;
}

void Flight::land(Landing landing) {
  landing_ = std::move(landing);
  {
    const std::scoped_lock graph(graph_mutex());
    ThreadOfLoads::dismiss(*this);
    state_.fetch_or(kLanded, std::memory_order_acq_rel);
  }
  wake_all();
}

void Flight::wake_all() noexcept { ::syscall(SYS_futex, &state_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0); }

/// Until the state is no longer what was seen, or a while; false: `until` has come.
bool Flight::sleep(std::uint32_t seen, std::chrono::steady_clock::time_point until) noexcept {
  if (until == std::chrono::steady_clock::time_point::max()) {
    ::syscall(SYS_futex, &state_, FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
    return true;
  }
  if (std::chrono::steady_clock::now() >= until) return false;
  const auto moment = until.time_since_epoch();  // the steady clock is CLOCK_MONOTONIC, by which this wait goes
  const auto whole = std::chrono::floor<std::chrono::seconds>(moment);
  const timespec at{whole.count(), std::chrono::nanoseconds(moment - whole).count()};
  ::syscall(SYS_futex, &state_, FUTEX_WAIT_BITSET_PRIVATE, seen, &at, nullptr, FUTEX_BITSET_MATCH_ANY);
  return true;
}

const Landing* Flight::wait_until(std::chrono::steady_clock::time_point until, const std::stop_token& stop) {
  if (landed()) return &landing_;
  auto& me = ThreadOfLoads::mine();
  {
    const std::scoped_lock graph(graph_mutex());
    if (landed()) return &landing_;
    if (ThreadOfLoads::comes_back(*this, me))
      throw RecursiveLoad(Error{Errc::unsupported, "a loader waits for its own load", {}, "remember", key_});
    me.enter(*this);
  }
  {
    const std::stop_callback alarm(stop, [this]() noexcept {
      state_.fetch_add(kAlarm, std::memory_order_release);
      wake_all();
    });
    for (;;) {
      const std::uint32_t seen = state_.load(std::memory_order_acquire);
      if ((seen & kLanded) != 0) return &landing_;
      if (stop.stop_requested() || !sleep(seen, until)) break;
    }
  }
  const std::scoped_lock graph(graph_mutex());
  if (landed()) return &landing_;  // and has dismissed us
  me.leave();
  return nullptr;
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
  if (depth_ != fork_depth()) flights_.clear(), depth_ = fork_depth();  // their loaders run in the parent
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

std::vector<std::shared_ptr<Flight>> Flights::in_progress() const {
  std::vector<std::shared_ptr<Flight>> all;
  const std::scoped_lock guard(mutex_);
  if (depth_ == fork_depth())
    for (const auto& [key, flight] : flights_) all.push_back(flight);
  return all;
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
