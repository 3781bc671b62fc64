#include "job.hpp"

#include <algorithm>

#include "keeper.hpp"
#include "labels.hpp"
#include "random.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail {

namespace {

constexpr Duration kThrottle = std::chrono::seconds(30);

/// So often a store may refuse a placeholder where it shows nothing. Then it keeps nothing, as the null store, and the
/// value is handed on without.
constexpr int kPatience = 4;

/// Apart from the names that a program gives its locks.
std::string lock_of(const std::string& key) { return "\x01load:" + key; }

/// Roughly what `take` would answer: a kept value that cannot be converted after all is found out by the reader.
bool fits(const ValueView& value, const Type& as) {
  switch (value.kind) {
    case Kind::none: return false;
    case Kind::object: return same_type(*value.type, as);
    case Kind::bytes: return false;
    default: return true;
  }
}

}  // namespace

Job::Job(std::shared_ptr<Core> core, const LoadRequest& request, std::shared_ptr<Flight> flight, Snapshot snapshot)
    : core_(std::move(core)),
      flight_(std::move(flight)),
      key_(flight_->key()),
      as_(request.as),
      ttl_(request.life.ttl),
      snapshot_(std::move(snapshot)) {
  if (request.life.options != nullptr) options_ = *request.life.options;
  if (request.tags != nullptr) tags_ = *request.tags;
}

Snapshot Job::look(Core& core, const Tags* tags, std::string_view key, const Type& as) {
  Snapshot shot;
  const auto see = [&](const Entry& entry) {
    shot.kept = true;
    shot.fresh = entry.expiry.is_fresh(core.clock().now());
    shot.usable = fits(entry.value, as) && (tags == nullptr || carries(entry, *tags));
    shot.entry = EntryCopy(entry);
    shot.notes = Notes::decode(entry.notes);
  };
  const Key hashed(key);
  auto there = core.store()->get(hashed, {.as = &as, .stale = true}, see);
  if (!there.ok() && (there.error().code == Errc::schema || there.error().code == Errc::wrong_type)) {
    // Not readable as this type: only its version matters, to write over it.
    there = core.store()->get(hashed, {.as = nullptr, .stale = true}, see);
    shot.usable = false;
  } else if (!there.ok() && there.error().code == Errc::corrupt) {
    return shot;  // removed by the store
  }
  shot.readable = there.ok();
  return shot;
}

std::vector<TagStamp> Job::views(const std::vector<Stamp>& stamps) {
  std::vector<TagStamp> views;
  for (const Stamp& stamp : stamps) views.push_back({stamp.name, stamp.epoch});
  return views;
}

void Job::stamp(std::string_view tag) {
  if (auto wrong = core_->check(Tags{std::string(tag)})) raise(*wrong);
  if (std::any_of(stamps_.begin(), stamps_.end(), [&](const Stamp& seen) { return seen.name == tag; })) return;
  if (stamps_.size() >= core_->options().max_tags)
    raise(Error{Errc::bad_tag, "the loader names more than " + std::to_string(core_->options().max_tags) + " tags",
                core_->name(), "remember", core_->shown(key_)});
  auto epochs = core_->store()->epochs({&tag, 1});
  // Without an epoch the answer cannot be protected, so it is not stored.
  if (!epochs.ok()) claimed_ = false;
  stamps_.push_back({std::string(tag), epochs.ok() ? epochs->front() : 0});
}

Job::Claim Job::claim() {
  if (!snapshot_.readable) {
    flight_->begin(0);
    return Claim::won;  // the value is still handed on
  }
  const Key key(key_);
  Store& store = *core_->store();
  const Instant now = core_->clock().now();
  const Instant lease = after(now, core_->options().load_lease);
  claimed_ = true;
  stamps_.clear();
  for (const std::string& tag : options_.tags) stamp(tag);
  if (tags_)
    for (const std::string& tag : *tags_) stamp(tag);
  if (!claimed_) {
    flight_->begin(0);
    return Claim::won;
  }

  if (snapshot_.kept && snapshot_.notes.placeholder) return Claim::elsewhere;
  if (!snapshot_.kept) {
    token_ = random_bits();
    const std::string notes = Notes{.placeholder = true, .token = token_}.encode();
    const auto labels = stamps();
    auto written = store.put(key, {.expiry = {Instant{}, lease}, .tags = labels, .notes = notes}, {When::unchanged, 0});
    if (written.ok() && !*written && ++refused_ < kPatience) return Claim::changed;
    claimed_ = written.ok() && *written;
    placed_ = stamps_;
    return claimed(claimed_ ? token_ : 0);
  }
  token_ = 0;
  if (store.traits().shared) {
    const std::string lock = lock_of(key_);
    const std::string owner = "load " + std::to_string(random_bits());
    auto taken = store.put(Key(lock, Space::locks),
                           {.value = {.kind = Kind::text, .text = owner}, .expiry = Expiry::at(lease)}, {When::absent});
    if (taken.ok() && !*taken) return Claim::elsewhere;
    if (taken.ok()) lock_owner_ = owner;
    // Who held it before may have refreshed the entry since we looked.
    if (taken.ok() && !stands()) return unlock(), Claim::changed;
  }
  return claimed(snapshot_.entry.view().version);
}

Job::Claim Job::claimed(std::uint64_t ticket) {
  flight_->begin(ticket);
  if (token_ != 0 ? claimed_ : !lock_owner_.empty()) {
    flight_->claimed_by(this);
    keep_claims(core_);
  }
  return Claim::won;
}

/// What is gone by now stays so: both are written over what was ours a moment ago, and nothing else.
void Job::renew() noexcept try {
  const Instant lease = after(core_->clock().now(), core_->options().load_lease);
  if (token_ != 0) {
    const auto version = version_of_placeholder();
    if (!version.ok() || *version == 0) return;
    const std::string notes = Notes{.placeholder = true, .token = token_}.encode();
    const auto labels = views(placed_);
    (void)core_->store()->put(Key(key_), {.expiry = {Instant{}, lease}, .tags = labels, .notes = notes},
                              {When::unchanged, *version});
  } else if (const std::uint64_t version = version_of_lock(); version != 0) {
    const std::string lock = lock_of(key_);
    (void)core_->store()->put(Key(lock, Space::locks),
                              {.value = {.kind = Kind::text, .text = lock_owner_}, .expiry = Expiry::at(lease)},
                              {When::unchanged, version});
  }
} catch (...) {  // the next turn tries again, and the lease goes on for as long
}

Result<std::uint64_t> Job::version_of_placeholder() const {
  std::uint64_t version = 0;
  auto there = core_->store()->get(Key(key_), {.as = &as_, .stale = true}, [&](const Entry& entry) {
    if (Notes::decode(entry.notes).token == token_) version = entry.version;
  });
  return there.ok() ? Result<std::uint64_t>(version) : Result<std::uint64_t>(there.take_error());
}

std::uint64_t Job::version_of_lock() const {
  const std::string lock = lock_of(key_);
  std::uint64_t version = 0;
  (void)core_->store()->get(Key(lock, Space::locks), {.as = &type_of<std::string>()}, [&](const Entry& entry) {
    if (entry.value.text == lock_owner_) version = entry.version;
  });
  return version;
}

void Job::unlock() {
  if (lock_owner_.empty()) return;
  // Who was slower than the lease must not free his successor's.
  const std::uint64_t version = version_of_lock();
  lock_owner_.clear();
  const std::string lock = lock_of(key_);
  if (version != 0) (void)core_->store()->forget(Key(lock, Space::locks), {version});
}

bool Job::not_written(std::unique_ptr<Error> error) {
  const bool is_away = is_transient(error->code);
  const auto why = core_->failed(std::move(error), "remember", key_);
  core_->count(Count::put_failure);
  core_->emit(EventKind::put_failed, key_, nullptr, MissCause::none, why.get());
  // Or the next caller would wait for a value that never comes. A store that is away would only cost this one its time.
  if (!is_away) release();
  return false;
}

bool Job::write(const ValueView& value, const Expiry& expiry, const Notes& notes) {
  const Key key(key_);
  std::uint64_t version = snapshot_.entry.view().version;
  if (token_ != 0) {
    auto placeholder = version_of_placeholder();
    if (!placeholder.ok()) return not_written(placeholder.take_error());
    version = *placeholder;
    if (version == 0) return false;
  }
  const auto labels = stamps();
  const bool said = notes.negative || notes.cost != 0 || notes.life != 0 || notes.throttle_until != 0;
  const std::string encoded = said ? notes.encode() : std::string();
  auto written = core_->store()->put(key, {.value = value, .expiry = expiry, .tags = labels, .notes = encoded},
                                     {When::unchanged, version});
  if (!written.ok()) return not_written(written.take_error());
  if (!*written) return false;
  core_->count(Count::put);
  core_->emit(EventKind::put, key_, tags_ ? &*tags_ : nullptr);
  return true;
}

/// Does the store still show our ticket?
bool Job::stands() const {
  bool ours = false;
  auto there = core_->store()->get(Key(key_), {.as = nullptr, .stale = true}, [&](const Entry& entry) {
    ours = token_ != 0 ? Notes::decode(entry.notes).token == token_ : entry.version == snapshot_.entry.view().version;
  });
  return there.ok() && ours;
}

Result<bool> Job::add(std::string_view other, const ValueView& value, const Expiry& expiry) {
  if (!claimed_) return false;
  const Key key(other);
  Store& store = *core_->store();
  const Instant now = core_->clock().now();
  std::uint64_t version = 0;
  bool taken = false;
  const auto look = [&](const Entry& entry) {
    version = entry.version;
    taken = entry.expiry.is_fresh(now) || Notes::decode(entry.notes).placeholder;
  };
  auto there = store.get(key, {.as = nullptr, .stale = true}, look);
  if (!there.ok() || taken) return there.ok() ? Result<bool>(false) : std::move(there);
  const auto labels = stamps();
  if (version == 0) {
    const std::uint64_t token = random_bits();
    const std::string notes = Notes{.placeholder = true, .token = token}.encode();
    const Entry placeholder{
        .expiry = {Instant{}, after(now, core_->options().load_lease)}, .tags = labels, .notes = notes};
    auto placed = store.put(key, placeholder, {When::unchanged, 0});
    if (!placed.ok() || !*placed) return placed;
    there = store.get(key, {.as = nullptr, .stale = true}, [&](const Entry& entry) {
      if (Notes::decode(entry.notes).token == token) version = entry.version;
    });
    if (!there.ok() || version == 0) return there.ok() ? Result<bool>(false) : std::move(there);
  }
  Result<bool> written = false;
  if (stands()) {
    written = store.put(key, {.value = value, .expiry = expiry, .tags = labels}, {When::unchanged, version});
    if (written.ok()) return written;
  }
  (void)store.forget(key, {version});
  return written;
}

void Job::release() {
  if (!claimed_) return;
  if (token_ != 0)
    if (const auto version = version_of_placeholder(); version.ok() && *version != 0)
      (void)core_->store()->forget(Key(key_), {*version});
  claimed_ = false;
}

void Job::throttle() {
  if (!claimed_ || token_ != 0) return;
  const Entry old = snapshot_.entry.view();
  const auto until = core_->clock().wall() + options_.throttle.value_or(kThrottle);
  const std::string notes = Notes{.throttle_until = until.time_since_epoch().count()}.encode();
  Entry again = old;
  again.notes = notes;
  (void)core_->store()->put(Key(key_), again, {When::unchanged, old.version});
}

bool Job::succeeded(const Value& answer, LoadSaid& said, Duration took) {
  if (!claimed_) return false;
  const Lifetime life{said.ttl ? said.ttl : ttl_, &options_};
  if (said.skip_store || options_.skip_store) return release(), false;
  if (answer.kind() == Kind::none) {
    if (!options_.negative || *options_.negative <= Duration::zero()) {
      if (token_ == 0) (void)core_->store()->forget(Key(key_), {snapshot_.entry.view().version});
      return release(), false;
    }
    return write({}, {Instant{}, after(core_->clock().now(), *options_.negative)}, {.negative = true});
  }
  Options without_until = options_;
  if (said.ttl) without_until.until.reset();
  const auto expiry = core_->expiry_of({life.ttl, &without_until});
  if (!expiry) return release(), false;
  const Notes notes{.cost = options_.beta > 0 ? std::max<Duration::rep>(took.count(), 1) : 0,
                    .life = options_.eager > 0 && said.ttl ? said.ttl->length().count() : 0};
  return write(answer.view(), *expiry, notes);
}

void Job::run(LoaderRef load) {
  Landing landing;
  const auto name_tag = [this](std::string_view tag) { stamp(tag); };
  LoadSaid said{.name_tag = name_tag, .stop = &flight_->asked_to_stop()};
  Value stale;
  if (snapshot_.has_stale()) {
    stale = Value(snapshot_.entry.view().value);
    said.stale = &stale;
  }
  const Instant begun = core_->clock().now();
  core_->count(Count::load);
  try {
    const Piloting at_work(*flight_);
    landing.value = load(said);
    if (said.failure)
      throw LoadFailed(Error{Errc::unavailable, *said.failure, core_->name(), "remember", core_->shown(key_)});
    if (said.not_modified && said.stale != nullptr) landing.value = stale;
  } catch (...) {
    landing = {{}, std::current_exception()};
    // No failure where nobody was left to want it; who came aboard since then looks for himself.
    if (flight_->asked_to_stop()) landing = {.look_again = true};
  }
  flight_->claimed_by(nullptr);
  try {
    if (landing.look_again) {
      release();
    } else if (!landing.failure) {
      core_->emit(EventKind::load, key_);
      succeeded(landing.value, said, core_->clock().now() - begun);
    } else {
      core_->count(Count::load_failure);
      core_->emit(EventKind::load_failed, key_);
      if (options_.fail_safe && snapshot_.has_stale() && !snapshot_.fresh) throttle();
      release();
    }
    unlock();
  } catch (...) {  // the answer stands, whatever became of storing it
  }
  core_->flights_->remove(flight_);
  flight_->land(std::move(landing));
}

void Job::settle(Landing landing) {
  flight_->claimed_by(nullptr);
  try {
    release();
    unlock();
  } catch (...) {  // what is left of the claim ends with its lease
  }
  core_->flights_->remove(flight_);
  flight_->land(std::move(landing));
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
