// flux/cache/detail/core.hpp - the compiled half of the verbs: one store with its rules, counters and listeners.
//
// The templates in repository.hpp capture a type and end here. Everything answers with a Result; `settle` turns it into
// what the plain verbs promise.
#pragma once
#include <flux/cache/detail/counters.hpp>
#include <flux/cache/events.hpp>
#include <flux/cache/options.hpp>
#include <flux/cache/stats.hpp>
#include <flux/cache/store.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace flux::cache {
inline namespace v1 {

class NamedValue;

/// What to do where a store cannot answer.
enum class OnError : std::uint8_t {
  soft,   ///< reads miss, writes answer false, loads compute
  raise,  ///< the plain verbs throw StoreUnavailable
};

/// The rules of a repository.
struct RepositoryOptions {
  std::optional<Ttl> ttl{};  ///< the lifetime of what is put without one; none: for ever
  OnError on_error = OnError::soft;
  std::size_t max_key_bytes = kMaxKeyBytes;        ///< longer keys are an InvalidKey; 1 to 16 MiB
  std::size_t max_tags = 64;                       ///< more on one entry are an InvalidTag
  std::size_t max_tag_bytes = 256;                 ///< longer tags are an InvalidTag
  Duration load_lease = std::chrono::seconds(30);  ///< how long other processes trust a load before they take over
  bool prohibit_flush = false;                     ///< `flush` is refused
  bool hash_keys = false;                          ///< events and errors show a hash where the key would stand
  const Clock* clock = nullptr;                    ///< null: the machine's
};

/// Where a loaded value came from.
enum class LoadStatus : std::uint8_t {
  hit,       ///< fresh in the store
  miss,      ///< the loader ran, for this caller or for one it waited with
  stale,     ///< past its lifetime, served by `.stale`, `.soft_timeout` or `.fail_safe`
  negative,  ///< the remembered answer that there is nothing
};

namespace detail {

/// The lifetime that a call asks for.
struct Lifetime {
  std::optional<Ttl> ttl{};
  const Options* options = nullptr;  ///< what else it asks for; null: nothing
};

/// Takes a value that was read; false: it is of another type than wanted.
class Flights;
class Job;
struct LoadRequest;
struct BatchLoadRequest;

using Take = cache::Take;
using BatchTake = FunctionRef<bool(std::size_t index, const ValueView&)>;

class FLUX_CACHE_API Core : public std::enable_shared_from_this<Core> {
 public:
  Core(std::string name, StorePtr store, const RepositoryOptions& options);
  ~Core();

  const std::string& name() const noexcept { return name_; }
  const StorePtr& store() const noexcept { return store_; }
  const Clock& clock() const noexcept { return *clock_; }
  const RepositoryOptions& options() const noexcept { return options_; }
  Flights& flights() const noexcept { return *flights_; }

  Result<bool> get(const Tags* tags, std::string_view key, const Type& as, const Take& take);
  /// `get` as the plain verbs have it, settled already: a hit, or none.
  bool fetch(const Tags* tags, std::string_view key, const Type& as, const Take& take);
  Result<bool> pull(const Tags* tags, std::string_view key, const Type& as, Take take);
  Result<bool> has(const Tags* tags, std::string_view key);
  Result<bool> put(const Tags* tags, std::string_view key, const ValueView& value, const Lifetime& life, When when);
  Result<bool> touch(const Tags* tags, std::string_view key, const Lifetime& life);
  Result<std::optional<Duration>> expires_in(const Tags* tags, std::string_view key);
  Result<std::int64_t> increment(const Tags* tags, std::string_view key, std::int64_t by, const Lifetime& life);
  Result<bool> forget(const Tags* tags, std::string_view key);
  Result<std::size_t> forget_many(const Tags* tags, std::span<const std::string_view> keys);
  /// The indices given to `take` are those of `keys`; repeated keys must have been collapsed.
  Result<void> get_many(const Tags* tags, std::span<const Key> keys, const Type* as, BatchTake take);
  /// The keys that were not written.
  Result<std::vector<std::string>> put_many(const Tags* tags, std::span<const NamedValue> named, const Lifetime& life);
  /// Reads, or runs the loader: one flight per key. Throws what the loader throws, LoadTimeout, RecursiveLoad.
  LoadStatus load(const LoadRequest& request);
  /// Reads, and runs the loader once for what is missing.
  void load_many(const BatchLoadRequest& request);
  /// All of the store, or what carries the tags: all of them, or any.
  Result<bool> flush(const Tags* tags, bool any);
  /// Removes what is in a space other than the values', entry by entry.
  Result<bool> flush_space(Space space);
  Result<std::vector<std::string>> keys_of(const std::string& tag);
  Result<std::size_t> prune(std::size_t budget);

  /// The soft answer of a plain verb; throws for what is the caller's mistake, or under `on_error: throw`.
  template <class T>
  T settle(Result<T> result, T otherwise) const {
    if (result.ok()) [[likely]]
      return *std::move(result);
    escalate(result.error());
    return otherwise;
  }
  /// What `settle` does about a failure, where the soft answer is worth making only then.
  void escalate(const Error& error) const;

  /// The key as events and errors may show it: as it is, or, with `hash_keys`, 16 digits that are the same for the same
  /// key in this process alone.
  std::string shown(std::string_view key) const;
  /// No load is in progress.
  bool idle() const;
  Stats stats() const;
  void reset_stats();
  Listening listen(Listener listener);
  Listening listen(Listener listener, const ListenOptions& how);
  void count(Count what, std::uint64_t times = 1) noexcept { counters_.add(what, times); }
  void emit(EventKind kind, std::string_view key, const Tags* tags = nullptr, MissCause cause = MissCause::none,
            const Error* error = nullptr) {
    if (listening_.load(std::memory_order_relaxed) != 0) [[unlikely]]
      tell({kind, name_, key, tags, cause, error});
  }

 private:
  friend class Job;
  struct Listeners;

  Result<bool> no_plain_hit(Result<Got>& got, const Tags* tags, std::string_view key, const char* operation,
                            const Type& as, std::string_view stored = "another type");
  bool no_plain_fetch(Result<Got>& got, const Tags* tags, std::string_view key, const Type& as);
  Result<bool> lives_under(const Tags& tags, const Key& key);
  void tell(const Event& raw);
  std::unique_ptr<Error> check(std::string_view key, const char* operation) const;
  std::unique_ptr<Error> check(const Tags& tags) const;
  /// Names the error's place, counts it and tells the listeners.
  std::unique_ptr<Error> failed(std::unique_ptr<Error> error, const char* operation, std::string_view key);
  /// The store has answered.
  void answered() {
    if (outage_.load(std::memory_order_relaxed) != Outage::none) [[unlikely]]
      recovered();
  }
  void recovered();
  bool may_tell_outage() noexcept;
  Result<bool> found(Result<bool> there, bool fits, bool tagged, const Tags* tags, std::string_view key,
                     const char* operation, const Type* as, std::string_view stored = "another type");
  bool is_thrown(Errc code) const noexcept;
  /// Counts why a value could not be read, and answers how a miss tells it.
  MissCause count_fault(Errc code);
  /// What every hit does, without an event to build where nobody listens.
  void count_hit(std::string_view key, const Tags* tags);
  std::optional<Expiry> expiry_of(const Lifetime& life) const;

  std::string name_;
  StorePtr store_;
  RepositoryOptions options_;
  const Clock* clock_;
  Counters counters_;
  std::atomic<int> listening_{0};
  enum class Outage : std::uint8_t { none, untold, told };
  std::atomic<Outage> outage_{Outage::none};
  std::atomic<std::int64_t> outages_told_up_to_{0};  ///< see may_tell_outage
  std::shared_ptr<Listeners> listeners_;
  std::unique_ptr<Flights> flights_;
};

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
