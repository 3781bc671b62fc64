// flux/cache/repository.hpp - the verbs on one store, and on one store under tags.
#pragma once
#include <flux/cache/funnel.hpp>
#include <flux/cache/lock.hpp>
#include <flux/cache/rate_limiter.hpp>
#include <flux/cache/verbs.hpp>

#include <memory>
#include <string>
#include <utility>

namespace flux::cache {
inline namespace v1 {

namespace detail {
/// What the layers wrap, down to the last.
FLUX_CACHE_API StorePtr beneath_layers(StorePtr store);
}  // namespace detail

/// The verbs under tags: what is written carries them, what is read must carry all of them, in any order. A tag is a
/// label on one key space: untagged calls see the same entries, and obey their flushes.
class FLUX_CACHE_API TagSet : public Verbs<TagSet> {
 public:
  TagSet(std::shared_ptr<detail::Core> core, Tags tags) : core_(std::move(core)), tags_(std::move(tags)) {}

  /// Removes what carries at least one of the tags; `flush()` removes what carries all of them.
  bool flush_any() const;
  Result<bool> try_flush_any() const;

  detail::Core& core() const noexcept { return *core_; }
  const Tags* tags_of_call() const noexcept { return tags_.empty() ? nullptr : &tags_; }

 private:
  std::shared_ptr<detail::Core> core_;
  Tags tags_;
};

/// A store with its rules. A handle: copying it is cheap, and copies are the same repository.
class FLUX_CACHE_API Repository : public Verbs<Repository> {
 public:
  explicit Repository(std::shared_ptr<detail::Core> core) : core_(std::move(core)) {}
  /// Over a store of one's own; no manager needed.
  explicit Repository(StorePtr store, const RepositoryOptions& options = {}, std::string name = "store");

  /// The configured name.
  const std::string& name() const noexcept;
  Traits traits() const noexcept;
  /// The verbs under tags.
  TagSet tags(Tags tags) const;

  /// A lock of this name, for a lease; free until it is taken.
  Lock lock(std::string name, Ttl lease, LockOptions options = {}) const;
  /// A handle on a lock held elsewhere, by its owner's token.
  Lock restore_lock(std::string name, std::string owner) const;
  /// Runs `work` unless somebody holds the lock of this name; false: somebody did. The lease is the longest time that
  /// a dead holder keeps others out.
  template <class F>
  bool without_overlapping(std::string name, Ttl lease, F&& work) const {
    Lock alone = lock(std::move(name), lease);
    if (!alone.try_lock()) return false;
    std::forward<F>(work)();
    return true;
  }
  /// Removes every lock of this store, and no value. True: done.
  bool flush_locks() const;
  RateLimiter rate_limiter(std::string name, RateLimit limit) const;
  Funnel funnel(std::string name, FunnelOptions options) const;

  /// The live keys that carry the tag, in no order. Walks over the whole store: for tools, not for requests.
  std::vector<std::string> keys_of(const std::string& tag) const;

  /// Counts since the start or the last `reset_stats`.
  Stats stats() const;
  void reset_stats() const;
  /// Calls the listener at each event until the answer goes out of scope: in the thread of the call, or with
  /// `{.background = true}` by the executor. What it throws is contained.
  Listening listen(Listener listener, const ListenOptions& how = {}) const;
  /// Reclaims expired entries, about `budget` of them at the most; answers how many went.
  Result<std::size_t> prune(std::size_t budget = 10'000) const;
  /// The store itself, layers and all.
  const StorePtr& store() const noexcept;
  /// The store beneath all layers, for what the verbs do not cover: `as<RedisStore>()->info()`. Null where it is
  /// something else.
  template <class Kind>
  std::shared_ptr<Kind> as() const {
    return std::dynamic_pointer_cast<Kind>(detail::beneath_layers(store()));
  }

  detail::Core& core() const noexcept { return *core_; }
  const Tags* tags_of_call() const noexcept { return nullptr; }

 private:
  std::shared_ptr<detail::Core> core_;
};

}  // namespace v1
}  // namespace flux::cache
