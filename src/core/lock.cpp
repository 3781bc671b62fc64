#include <flux/cache/lock.hpp>
#include <flux/cache/type_of.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <mutex>

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

/// The record of a lock, as text: the fence, a space, the owner.
struct Record {
  bool kept = false;
  bool held = false;
  std::uint64_t version = 0;
  std::uint64_t fence = 0;
  std::string owner;
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
  return record;
}

bool write(detail::Core& core, const Key& key, const Record& record, const Expiry& expiry, const char* operation) {
  const std::string text = std::to_string(record.fence) + ' ' + record.owner;
  auto written = core.store()->put(key, {.value = {.kind = Kind::text, .text = text}, .expiry = expiry},
                                   {When::unchanged, record.version});
  if (!written.ok()) {
    Error why = written.error();
    why.store = core.name();
    why.operation = operation;
    raise(std::move(why));
  }
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

/// Where those wait whose holder may be in this process: woken by each release of a lock that falls here.
struct Bench {
  detail::ForkMutex mutex;
  std::condition_variable freed;
  std::uint64_t releases = 0;
};
Bench& bench(const Key& key) {
  static auto* const all = new std::array<Bench, 64>;
  return (*all)[key.hash() % all->size()];
}

Key key_of(const std::string& name) { return Key(name, Space::locks); }

bool let_go(detail::Core& core, const std::string& name, const std::string* owner) {
  const Key key = key_of(name);
  for (int attempt = 0; attempt < kMaxSwapAttempts; ++attempt) {
    Record record = read(core, key, "unlock");
    if (!record.held || (owner != nullptr && record.owner != *owner)) return false;
    record.owner.clear();
    const Instant now = core.clock().now();
    if (!write(core, key, record, {now, after(now, kFenceMemory)}, "unlock")) continue;
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
  for (int attempt = 0; attempt < kMaxSwapAttempts; ++attempt) {
    const Record record = read(core, key, "refresh");
    if (!record.held || record.owner != owner) return false;
    if (write(core, key, record, lease_of(core, lease), "refresh")) return true;
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
  Record record = read(*core_, key, "lock");
  if (record.held) return false;
  record.fence = next_fence(record.fence, core_->clock());
  record.owner = owner_;
  if (!record.kept) record.version = 0;
  if (!write(*core_, key, record, lease_of(*core_, lease_), "lock")) return false;
  fence_ = record.fence;
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
