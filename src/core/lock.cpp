#include <flux/cache/lock.hpp>
#include <flux/cache/type_of.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "fork_mutex.hpp"
#include "random.hpp"
#include "timer.hpp"

namespace flux::cache {
inline namespace v1 {

namespace {

using Steady = std::chrono::steady_clock;

/// How long a record stays after the lock is free, so that the next fence is above the last even if the wall clock was
/// set back. Afterwards the wall clock alone keeps fences growing.
constexpr Duration kFenceMemory = std::chrono::hours(1);
constexpr int kMaxSwapAttempts = 1'000;

Key key_of(const std::string& name) { return Key(name, Space::locks); }

/// What this process wrote last under the name of a lock.
struct Known {
  const detail::Core* core = nullptr;
  std::string name{};
  std::uint64_t version = 0;
  std::uint64_t fence = 0;
  std::string owner{};       // empty: nobody
  Instant until{};           // of the owner's lease
  bool serves_owner = true;  // to let go or extend without a look; a store that takes no proposals says otherwise
  bool serves_free = true;   // to take it without a look; others who come between say otherwise
};

/// Where those wait whose holder may be in this process: woken by each release of a lock that falls here.
struct Bench {
  detail::ForkMutex mutex;
  std::condition_variable freed;
  std::uint64_t releases = 0;
  std::vector<Known> known;  // a few, the oldest overwritten
  std::size_t oldest = 0;

  static constexpr std::size_t kMost = 32;

  Known* find(const detail::Core& core, const Key& key) {
    for (Known& each : known)
      if (each.core == &core && each.name == key.text()) return &each;
    return nullptr;
  }
};
Bench& bench(const Key& key) {
  static auto* const all = new std::array<Bench, 64>;
  return (*all)[key.hash() % all->size()];
}

/// A look before a swap is a round trip, which is spared where the last one who wrote was this process: a swap against
/// the version that it wrote finds out by itself. Worth it only where a round trip costs something, and where the store
/// takes the version that a lock's record proposes; elsewhere the first guess fails, and no other is made.
bool is_worth_guessing(detail::Core& core) { return core.store()->traits().remote; }

std::optional<Known> recall(detail::Core& core, const Key& key) {
  if (!is_worth_guessing(core)) return std::nullopt;
  Bench& here = bench(key);
  const std::scoped_lock guard(here.mutex);
  const Known* const known = here.find(core, key);
  return known != nullptr ? std::optional<Known>(*known) : std::nullopt;
}

void doubt(detail::Core& core, const Key& key, bool Known::*serves) {
  Bench& here = bench(key);
  const std::scoped_lock guard(here.mutex);
  if (Known* const known = here.find(core, key)) known->*serves = false;
}

void note_written(detail::Core& core, const Key& key, Known now) {
  if (!is_worth_guessing(core)) return;
  Bench& here = bench(key);
  const std::scoped_lock guard(here.mutex);
  now.core = &core;
  now.name = key.text();
  if (Known* const known = here.find(core, key)) {
    now.serves_owner = known->serves_owner;
    now.serves_free = known->serves_free;
    *known = std::move(now);
  } else if (here.known.size() < Bench::kMost) {
    here.known.push_back(std::move(now));
  } else {
    here.known[here.oldest++ % Bench::kMost] = std::move(now);
  }
}

void note_read(detail::Core& core, const Key& key, std::uint64_t version) {
  if (!is_worth_guessing(core)) return;
  Bench& here = bench(key);
  const std::scoped_lock guard(here.mutex);
  Known* const known = here.find(core, key);
  if (known == nullptr) return;
  known->serves_free = known->version == version;
  known->serves_owner = known->serves_owner || known->serves_free;
}

/// The record of a lock, as text: the fence, a space, the owner.
struct Record {
  bool kept = false;
  bool held = false;
  std::uint64_t version = 0;
  std::uint64_t fence = 0;
  std::string owner{};
};

Record read(detail::Core& core, const Key& key, const char* operation) {
  Record record;
  const Instant now = core.clock().now();
  auto there = core.store()->get(key, {.as = &type_of<std::string>(), .stale = true}, [&](const Entry& entry) {
    const std::string_view text = entry.value.text;
    record.kept = true;
    record.held = entry.expiry.is_fresh(now);
    record.version = entry.version;
    const auto [stop, fault] = std::from_chars(text.data(), text.data() + text.size(), record.fence);
    const auto at = static_cast<std::size_t>(stop - text.data());
    if (fault == std::errc{} && at < text.size()) record.owner = text.substr(at + 1);
  });
  if (!there.ok()) {
    Error why = there.error();
    why.store = core.name();
    why.operation = operation;
    raise(std::move(why));
  }
  note_read(core, key, record.version);
  return record;
}

bool write(detail::Core& core, const Key& key, const Record& record, const Expiry& expiry, const char* operation) {
  const std::string text = std::to_string(record.fence) + ' ' + record.owner;
  const std::uint64_t version = detail::random_bits();
  auto written =
      core.store()->put(key, {.value = {.kind = Kind::text, .text = text}, .expiry = expiry, .version = version},
                        {When::unchanged, record.version});
  if (!written.ok()) {
    Error why = written.error();
    why.store = core.name();
    why.operation = operation;
    raise(std::move(why));
  }
  if (*written)
    note_written(core, key,
                 {.version = version, .fence = record.fence, .owner = record.owner, .until = expiry.fresh_until});
  return *written;
}

Expiry lease_of(detail::Core& core, Ttl lease) {
  const Instant end = lease.from(core.clock().now());
  return {end, after(end, kFenceMemory)};
}

/// Above every fence of this process, whatever the wall clock does.
std::uint64_t next_fence(std::uint64_t last, const Clock& clock) {
  static std::atomic<std::uint64_t> highest{0};
  const auto wall = static_cast<std::uint64_t>(std::max<std::int64_t>(clock.wall().time_since_epoch().count(), 1));
  std::uint64_t seen = highest.load(std::memory_order_relaxed);
  std::uint64_t next = 0;
  do {
    next = std::max({wall, last + 1, seen + 1});
  } while (!highest.compare_exchange_weak(seen, next, std::memory_order_relaxed));
  return next;
}

std::string random_token() {
  constexpr char digits[] = "0123456789abcdef";
  std::string token;
  for (int word = 0; word < 2; ++word) {
    std::uint64_t bits = detail::random_bits();
    for (int i = 0; i < 16; ++i, bits >>= 4) token += digits[bits & 15];
  }
  return token;
}

/// What stands there as far as this process knows, where that is a lease of this owner's that still runs.
std::optional<Record> guess_held(detail::Core& core, const Key& key, const std::string& owner) {
  const auto known = recall(core, key);
  if (!known || !known->serves_owner || known->owner != owner || core.clock().now() >= known->until)
    return std::nullopt;
  return Record{.kept = true, .held = true, .version = known->version, .fence = known->fence, .owner = owner};
}

/// Who takes a lock that another thread of this process has let go sees what that one wrote. The store puts the two
/// calls in order, but where it is a file or another machine it promises nothing to the compiler.
std::atomic<std::uint64_t> handovers{0};

bool let_go(detail::Core& core, const std::string& name, const std::string* owner) {
  handovers.fetch_add(1, std::memory_order_release);
  const Key key = key_of(name);
  auto guess = owner != nullptr ? guess_held(core, key, *owner) : std::nullopt;
  for (int attempt = 0; attempt < kMaxSwapAttempts; ++attempt) {
    const bool is_guess = guess.has_value();
    Record record = is_guess ? *std::exchange(guess, std::nullopt) : read(core, key, "unlock");
    if (!record.held || (owner != nullptr && record.owner != *owner)) return false;
    record.owner.clear();
    const Instant now = core.clock().now();
    if (!write(core, key, record, {now, after(now, kFenceMemory)}, "unlock")) {
      if (is_guess) doubt(core, key, &Known::serves_owner);
      continue;
    }
    Bench& waiting = bench(key);
    {
      const std::scoped_lock guard(waiting.mutex);
      ++waiting.releases;
    }
    waiting.freed.notify_all();
    return true;
  }
  return false;
}

bool extend(detail::Core& core, const std::string& name, const std::string& owner, Ttl lease) {
  const Key key = key_of(name);
  auto guess = guess_held(core, key, owner);
  for (int attempt = 0; attempt < kMaxSwapAttempts; ++attempt) {
    const bool is_guess = guess.has_value();
    const Record record = is_guess ? *std::exchange(guess, std::nullopt) : read(core, key, "refresh");
    if (!record.held || record.owner != owner) return false;
    if (write(core, key, record, lease_of(core, lease), "refresh")) return true;
    if (is_guess) doubt(core, key, &Known::serves_owner);
  }
  return false;
}

}  // namespace

/// The background's share of a kept-alive lock. It ends with the handle, or when the lock is lost.
struct Lock::Renewal : std::enable_shared_from_this<Lock::Renewal> {
  std::shared_ptr<detail::Core> core;
  std::string name;
  std::string owner;
  Ttl lease = Ttl::forever();
  std::atomic<bool> ended{false};

  void next() {
    detail::run_later(lease.length() / 3, [self = shared_from_this()] {
      if (self->ended) return;
      bool mine = true;
      try {
        mine = extend(*self->core, self->name, self->owner, self->lease);
      } catch (const Exception&) {  // the store is away: the next turn may still be in time
      }
      if (mine && !self->ended) self->next();
    });
  }
};

Lock::Lock(std::shared_ptr<detail::Core> core, std::string name, Ttl lease, LockOptions options)
    : core_(std::move(core)), name_(std::move(name)), owner_(random_token()), lease_(lease), options_(options) {
  if (name_.empty()) raise(Error{Errc::bad_key, "the name of a lock is empty", core_->name(), "lock"});
}

Lock::Lock(std::shared_ptr<detail::Core> core, std::string name, std::string owner)
    : core_(std::move(core)), name_(std::move(name)), owner_(std::move(owner)), lease_(Ttl::forever()) {
  if (name_.empty()) raise(Error{Errc::bad_key, "the name of a lock is empty", core_->name(), "lock"});
}

Lock::Lock(Lock&& other) noexcept
    : core_(std::move(other.core_)),
      name_(std::move(other.name_)),
      owner_(std::move(other.owner_)),
      lease_(other.lease_),
      options_(other.options_),
      fence_(other.fence_),
      held_(std::exchange(other.held_, false)),
      renewal_(std::move(other.renewal_)) {}

Lock& Lock::operator=(Lock&& other) noexcept {
  if (this == &other) return *this;
  unlock();
  core_ = std::move(other.core_);
  name_ = std::move(other.name_);
  owner_ = std::move(other.owner_);
  lease_ = other.lease_;
  options_ = other.options_;
  fence_ = other.fence_;
  held_ = std::exchange(other.held_, false);
  renewal_ = std::move(other.renewal_);
  return *this;
}

Lock::~Lock() {
  if (held_) unlock();
}

bool Lock::try_lock() {
  const Key key = key_of(name_);
  const auto take = [&](Record record) {
    record.fence = next_fence(record.fence, core_->clock());
    record.owner = owner_;
    if (!write(*core_, key, record, lease_of(*core_, lease_), "lock")) return false;
    fence_ = record.fence;
    return true;
  };
  const auto known = recall(*core_, key);
  const bool seems_free = known && known->serves_free && (known->owner.empty() || core_->clock().now() >= known->until);
  if (!seems_free || !take({.kept = true, .version = known->version, .fence = known->fence})) {
    if (seems_free) doubt(*core_, key, &Known::serves_free);
    Record record = read(*core_, key, "lock");
    if (record.held) return false;
    if (!record.kept) record.version = 0;
    if (!take(std::move(record))) return false;
  }
  (void)handovers.load(std::memory_order_acquire);
  held_ = true;
  if (options_.keep_alive && !lease_.is_forever()) {
    renewal_ = std::make_shared<Renewal>();
    renewal_->core = core_;
    renewal_->name = name_;
    renewal_->owner = owner_;
    renewal_->lease = lease_;
    renewal_->next();
  }
  return true;
}

bool Lock::try_lock_for(Ttl limit) {
  const auto begun = Steady::now();
  const Key key = key_of(name_);
  Bench& waiting = bench(key);
  Duration pause = std::chrono::milliseconds(1);
  for (;;) {
    std::uint64_t seen = 0;
    {
      const std::scoped_lock guard(waiting.mutex);
      seen = waiting.releases;
    }
    if (try_lock()) return true;
    Duration left = Duration::max();
    if (!limit.is_forever()) {
      left = limit.length() - std::chrono::duration_cast<Duration>(Steady::now() - begun);
      if (left <= Duration::zero()) return false;
    }
    const auto jittered =
        pause / 2 +
        Duration(static_cast<Duration::rep>(detail::random_below(static_cast<std::uint64_t>(pause.count()))));
    std::unique_lock lock(waiting.mutex.plain());
    waiting.freed.wait_for(lock, std::min(jittered, left), [&] { return waiting.releases != seen; });
    pause = std::min<Duration>(pause * 2, std::chrono::milliseconds(50));
  }
}

void Lock::lock() { try_lock_for(Ttl::forever()); }

bool Lock::release() {
  if (renewal_) renewal_->ended = true;
  renewal_.reset();
  held_ = false;
  return let_go(*core_, name_, &owner_);
}

void Lock::unlock() {
  try {
    release();
  } catch (const Exception&) {  // the lease ends by itself
  }
}

bool Lock::refresh(Ttl lease) {
  if (!extend(*core_, name_, owner_, lease)) return held_ = false;
  lease_ = lease;
  return true;
}

void Lock::force_unlock() { let_go(*core_, name_, nullptr); }

void Lock::raise_timeout() const {
  throw LockTimeout(Error{Errc::timeout, "the lock was not free in time", core_->name(), "lock", name_});
}

}  // namespace v1
}  // namespace flux::cache
