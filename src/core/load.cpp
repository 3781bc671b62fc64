// remember and its kin: read, share a flight, or lead one.
#include <flux/cache/executor.hpp>

#include <chrono>
#include <cmath>

#include "counting.hpp"
#include "job.hpp"
#include "labels.hpp"
#include "random.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail {

namespace {

using Steady = std::chrono::steady_clock;
constexpr auto kForEver = Steady::time_point::max();

Steady::time_point in(const std::optional<Duration>& length) {
  if (!length || *length > std::chrono::hours(24 * 365)) return kForEver;
  return Steady::now() + std::max(*length, Duration::zero());
}

/// What the call asks for beside a lifetime, with the fields it does not use out of the way.
struct Wishes {
  explicit Wishes(const Options* options) {
    if (options == nullptr) return;
    serve_stale = options->stale.value_or(Duration::zero()) > Duration::zero();
    fail_safe = options->fail_safe.value_or(Duration::zero()) > Duration::zero();
    soft = options->soft_timeout;
    hard = options->hard_timeout;
    stop = options->stop;
    eager = options->eager > 0 && options->eager < 1 ? options->eager : 0;
    beta = options->beta;
  }
  bool leaves_the_caller() const noexcept { return soft || hard || stop.stop_possible(); }

  bool serve_stale = false;
  bool fail_safe = false;
  std::optional<Duration> soft{};
  std::optional<Duration> hard{};
  std::stop_token stop{};
  double eager = 0;
  double beta = 0;
};

/// XFetch (Vattani, Chierichetti, Lowenstein: "Optimal probabilistic cache stampede prevention", VLDB 2015): early by
/// cost x beta x an exponential random number.
bool due_early(double beta, std::int64_t cost, Duration left) {
  if (!(beta > 0)) return false;
  if (std::isinf(beta)) return true;
  const double uniform = static_cast<double>(random_bits() >> 11) * 0x1.0p-53 + 0x1.0p-54;
  return static_cast<double>(cost) * beta * -std::log(uniform) >= static_cast<double>(left.count());
}

/// One call of remember on its way through the slow path.
class Call {
 public:
  Call(Core& core, const LoadRequest& request) : core_(core), request_(request), wishes_(request.life.options) {}

  LoadStatus go(bool even_if_fresh);
  LoadStatus look_and_load(bool even_if_fresh);
  /// A refresh behind a fresh value; starts none where one is on its way.
  void refresh_behind(Snapshot seen);

 private:
  std::optional<LoadStatus> wait_for_claim(const std::shared_ptr<Job>& job, bool even_if_fresh);
  LoadStatus lead(const std::shared_ptr<Job>& job);
  /// Nothing: look again.
  std::optional<LoadStatus> ride(Flight& flight, const Snapshot& seen);
  std::optional<LoadStatus> wait(Flight& flight, const Snapshot& seen);
  std::optional<LoadStatus> arrived(const Landing& landing, const Snapshot& seen);
  LoadStatus serve(const Snapshot& seen, EventKind kind);
  LoadStatus alone();
  [[noreturn]] void raise_cancelled() const;
  std::optional<LoadStatus> already_there(const Snapshot& seen, bool even_if_fresh);
  bool send_behind(const std::shared_ptr<Job>& job);
  bool within_stale(const Snapshot& seen) const;

  Core& core_;
  const LoadRequest& request_;
  const Wishes wishes_;
};

/// `.stale` serves for its own length past the life, which may be shorter than what the entry is kept for.
bool Call::within_stale(const Snapshot& seen) const {
  return wishes_.serve_stale && seen.has_stale() &&
         core_.clock().now() < after(seen.entry.view().expiry.fresh_until, *request_.life.options->stale);
}

LoadStatus Call::serve(const Snapshot& seen, EventKind kind) {
  if (!request_.take(seen.entry.view().value)) return alone();
  core_.count(Count::stale_hit);
  core_.emit(kind, request_.key, request_.tags);
  return LoadStatus::stale;
}

/// A load of one's own, shared with nobody and stored nowhere: where what others loaded is of another type.
LoadStatus Call::alone() {
  const auto ignore = [](std::string_view) {};
  LoadSaid said{.name_tag = ignore};
  core_.count(Count::load);
  const Value answer = request_.load(said);
  if (answer.kind() != Kind::none) request_.take(answer.view());
  return LoadStatus::miss;
}

std::optional<LoadStatus> Call::arrived(const Landing& landing, const Snapshot& seen) {
  if (landing.look_again) return std::nullopt;
  if (landing.failure) {
    if (wishes_.fail_safe && seen.has_stale()) return serve(seen, EventKind::fail_safe);
    std::rethrow_exception(landing.failure);
  }
  if (landing.value.kind() == Kind::none) return request_.may_be_empty ? LoadStatus::miss : alone();
  return request_.take(landing.value.view()) ? LoadStatus::miss : alone();
}

std::optional<LoadStatus> Call::wait(Flight& flight, const Snapshot& seen) {
  const bool has_stale = seen.has_stale() && (wishes_.fail_safe || wishes_.serve_stale);
  const auto soft = has_stale ? in(wishes_.soft) : kForEver;
  const auto hard = in(wishes_.hard);
  if (const Landing* landing = flight.wait_until(std::min(soft, hard), wishes_.stop)) return arrived(*landing, seen);
  if (wishes_.stop.stop_requested()) {
    flight.give_up();
    raise_cancelled();
  }
  if (soft <= hard) return serve(seen, EventKind::stale_hit);
  if (has_stale) return serve(seen, EventKind::stale_hit);
  throw LoadTimeout(Error{Errc::timeout, "the loader was not done within the hard timeout", core_.name(), "remember",
                          core_.shown(request_.key)});
}

void Call::raise_cancelled() const {
  throw LoadCancelled(Error{Errc::timeout, "the caller no longer waits for the loader", core_.name(), "remember",
                            std::string(request_.key)});
}

std::optional<LoadStatus> Call::ride(Flight& flight, const Snapshot& seen) {
  if (within_stale(seen) && !flight.landed()) return serve(seen, EventKind::stale_hit);
  flight.board();
  return wait(flight, seen);
}

/// Answers from what is kept, where no load is needed.
std::optional<LoadStatus> Call::already_there(const Snapshot& seen, bool even_if_fresh) {
  if (!even_if_fresh && seen.fresh && seen.usable && request_.take(seen.entry.view().value)) return LoadStatus::hit;
  if (seen.is_negative() && request_.may_be_empty) return LoadStatus::negative;
  if (wishes_.fail_safe && seen.has_stale() && !seen.fresh &&
      seen.notes.throttle_until > core_.clock().wall().time_since_epoch().count())
    return serve(seen, EventKind::fail_safe);
  return std::nullopt;
}

LoadStatus Call::go(bool even_if_fresh) {
  try {
    return look_and_load(even_if_fresh);
  } catch (const RecursiveLoad& circle) {  // from a flight, which knows nothing of what may be shown
    if (!core_.options().hash_keys) throw;
    Error why = circle.error();
    why.key = core_.shown(request_.key);
    throw RecursiveLoad(std::move(why));
  }
}

LoadStatus Call::look_and_load(bool even_if_fresh) {
  const std::uint64_t moment = next_moment();
  for (;;) {
    Snapshot seen = Job::look(core_, request_.tags, request_.key, request_.as);
    if (const auto status = already_there(seen, even_if_fresh)) return *status;
    if (wishes_.stop.stop_requested()) raise_cancelled();
    bool leads = false;
    const auto flight = core_.flights().join_or_lead(request_.key, moment, seen.ticket(), leads);
    if (!leads) {
      if (const auto status = ride(*flight, seen)) return *status;
      continue;
    }
    const auto job = std::make_shared<Job>(core_.shared_from_this(), request_, flight, std::move(seen));
    bool claimed = false;
    try {
      const auto status = wait_for_claim(job, even_if_fresh);
      if (status) return *status;
      claimed = true;
    } catch (const LoadTimeout&) {  // this caller's own impatience: those aboard go on waiting
      job->settle({.look_again = true});
      throw;
    } catch (const LoadCancelled&) {
      job->settle({.look_again = true});
      throw;
    } catch (...) {
      job->settle({.failure = std::current_exception()});
      throw;
    }
    if (claimed) return lead(job);
  }
}

/// Claims the load, waiting behind another process that has it: nothing once it is ours, a status where what that
/// process stored will do. Those aboard wait along, so that one thread of this process asks the store.
std::optional<LoadStatus> Call::wait_for_claim(const std::shared_ptr<Job>& job, bool even_if_fresh) {
  const auto hard = in(wishes_.hard);
  Duration pause = std::chrono::milliseconds(1);
  for (;;) {
    const auto claim = job->claim();
    if (claim == Job::Claim::won) return std::nullopt;
    if (claim == Job::Claim::elsewhere) {
      if (even_if_fresh && job->snapshot().fresh && request_.take(job->snapshot().entry.view().value))
        return job->settle({.look_again = true}), LoadStatus::hit;
      if (within_stale(job->snapshot())) {
        const LoadStatus status = serve(job->snapshot(), EventKind::stale_hit);
        return job->settle({.look_again = true}), status;
      }
      if (Steady::now() >= hard)
        throw LoadTimeout(Error{Errc::timeout, "another process was not done within the hard timeout", core_.name(),
                                "remember", core_.shown(request_.key)});
      const auto spread = static_cast<std::uint64_t>(pause.count());
      const Duration length = pause / 2 + Duration(static_cast<Duration::rep>(random_below(spread)));
      // Nobody lands our own flight meanwhile: a sleep that the caller may be called away from.
      job->flight()->wait_until(Steady::now() + length, wishes_.stop);
      if (wishes_.stop.stop_requested()) raise_cancelled();
      pause = std::min<Duration>(pause * 2, std::chrono::milliseconds(50));
    }
    job->see(Job::look(core_, request_.tags, request_.key, request_.as));
    if (already_there(job->snapshot(), even_if_fresh)) {
      // Nobody may board on what was read before: the flight is taken off the board, and the store read once more.
      core_.flights().remove(job->flight());
      job->see(Job::look(core_, request_.tags, request_.key, request_.as));
      if (const auto status = already_there(job->snapshot(), even_if_fresh))
        return job->settle({.look_again = true}), status;
    }
  }
}

bool Call::send_behind(const std::shared_ptr<Job>& job) {
  OwnedLoader loader = request_.own();
  return loader && executor()->submit([job, loader = std::move(loader)] { job->run(loader); });
}

LoadStatus Call::lead(const std::shared_ptr<Job>& job) {
  const Snapshot& seen = job->snapshot();
  if (within_stale(seen) && !seen.fresh) {
    if (send_behind(job)) return serve(seen, EventKind::stale_hit);
  } else if (wishes_.leaves_the_caller() && send_behind(job)) {
    if (const auto status = wait(*job->flight(), seen)) return *status;
    raise_cancelled();
  }
  Flight& flight = *job->flight();
  const std::stop_callback parting(wishes_.stop, [&flight]() noexcept { flight.give_up(); });
  job->run(request_.load);
  if (const auto status = arrived(*flight.landing_now(), seen)) return *status;
  raise_cancelled();
}

void Call::refresh_behind(Snapshot seen) {
  std::shared_ptr<Job> job;
  try {
    bool leads = false;
    const auto flight = core_.flights().join_or_lead(request_.key, next_moment(), seen.ticket(), leads);
    if (!leads) return;
    job = std::make_shared<Job>(core_.shared_from_this(), request_, flight, std::move(seen));
    if (job->claim() == Job::Claim::won && send_behind(job)) return;
  } catch (...) {  // the fresh value was served; a refresh that cannot start is no error of the caller's
  }
  if (job) job->settle({.look_again = true});
}

}  // namespace

LoadStatus Core::load(const LoadRequest& request) {
  if (request.key.size() - 1 >= options_.max_key_bytes) [[unlikely]]
    raise(*check(request.key, "remember"));
  const Options* const options = request.life.options;
  if (options != nullptr && options->skip_read) return Call(*this, request).go(true);
  const bool early = options != nullptr && (options->beta > 0 || (options->eager > 0 && options->eager < 1));
  bool fits = false;
  bool tagged = true;
  Instant fresh_until = kNever;
  Notes notes;
  auto there = [&]() -> Result<bool> {
    const Key key(request.key);
    if (!early) {
      const auto tags =
          request.tags != nullptr ? std::span<const std::string>(*request.tags) : std::span<const std::string>();
      auto got = store_->get_value(key, {request.as, tags, request.take});
      if (!got.ok()) return Result<bool>(got.take_error());
      fits = *got == Got::value;
      tagged = *got != Got::other_tags;
      return *got != Got::nothing;
    }
    return store_->get(key, {.as = &request.as}, [&](const Entry& entry) {
      if (request.tags != nullptr && !(tagged = carries(entry, *request.tags))) return;
      fits = request.take(entry.value);
      if (early) fresh_until = entry.expiry.fresh_until, notes = Notes::decode(entry.notes);
    });
  }();
  const bool hit = there.ok() && *there && fits && tagged;
  if (hit && outage_.load(std::memory_order_relaxed) == Outage::none) [[likely]] {
    count_hit(request.key, request.tags);
  } else {
    const auto answer = found(std::move(there), fits, tagged, request.tags, request.key, "remember", &request.as);
    if (!answer.ok() && options_.on_error == OnError::raise) escalate(answer.error());
  }
  if (hit) [[likely]] {
    if (!early || fresh_until == kNever) return LoadStatus::hit;
    const Duration left = fresh_until - clock_->now();
    if (due_early(options->beta, notes.cost, left)) return Call(*this, request).go(true);
    auto life = request.life.ttl ? request.life.ttl : options_.ttl;
    if (notes.life != 0) life = Duration(notes.life);
    if (options->eager > 0 && options->eager < 1 && life && !life->is_forever() &&
        static_cast<double>(left.count()) < (1 - options->eager) * static_cast<double>(life->length().count())) {
      Call(*this, request).refresh_behind(Job::look(*this, request.tags, request.key, request.as));
    }
    return LoadStatus::hit;
  }
  return Call(*this, request).go(false);
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
