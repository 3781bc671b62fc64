// flux/cache.hpp - the front door: the static `Cache` and all that most programs need.
//
//   Cache::put("greeting", "hello", {.hours = 1});
//   auto user = Cache::remember("user_7", 10min, [] { return load_user(7); });
//   Cache::tags({"users"}).flush();
//
// `Cache` has no state of its own: each call asks the manager in force for its default repository. With no
// configuration it works over a memory store. What every verb does is said in flux/cache/verbs.hpp.
#pragma once
#include <flux/cache/circuit_breaker.hpp>
#include <flux/cache/consistent_hash_ring.hpp>
#include <flux/cache/deferred.hpp>
#include <flux/cache/drivers.hpp>
#include <flux/cache/manager.hpp>
#include <flux/cache/memo.hpp>
#include <flux/cache/patterns/warmer.hpp>
#include <flux/cache/patterns/write_behind.hpp>
#include <flux/cache/repository.hpp>

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace flux {
inline namespace v1 {

/// The cache of the program. All functions are thread-safe. Users of several caches, or of none that is global, own a
/// `cache::StoreManager` or a `cache::Repository` instead: the verbs are the same.
class FLUX_CACHE_API Cache {
  using Ttl = cache::Ttl;
  using Options = cache::Options;
  using Keys = cache::Keys;
  using Key = std::string_view;
  template <class T>
  using stored_t = cache::detail::stored_t<T>;

 public:
  Cache() = delete;

  // --- which cache

  /// Puts a configuration in force; throws ConfigError and leaves the one in force as it is where there is a mistake.
  /// Calls under way end on the old one; each thread lets go of it at its next call.
  static void configure(cache::Config config);
  /// Likewise with a manager of one's own.
  static void use(cache::StoreManager manager);
  /// Closes every store: calls under way end on it, and from then on, until another configuration is put in force,
  /// every call is answered with `Errc::shut_down`: reads miss, writes answer false, loads compute, counters and locks
  /// throw StoreUnavailable. Waits for nobody. A program need not call it: what waits in the background is done at its
  /// end.
  static void shutdown();
  /// The manager in force.
  static cache::StoreManager manager();
  /// The default store.
  static cache::Repository store();
  /// A store by its configured name; throws ConfigError where there is none.
  static cache::Repository store(std::string_view name);
  /// Adds a driver under a name that configurations may then use; for every manager made afterwards.
  static void extend(std::string name, cache::StoreFactory factory);

  // --- reading

  template <class T>
  static std::optional<stored_t<T>> get(Key key) {
    return here().template get<T>(key);
  }
  template <class D>
  static auto get(Key key, D&& otherwise) {
    return here().get(key, std::forward<D>(otherwise));
  }
  template <class T>
  static cache::Result<std::optional<stored_t<T>>> try_get(Key key) {
    return here().template try_get<T>(key);
  }
  template <class T>
  static std::shared_ptr<const stored_t<T>> get_shared(Key key) {
    return here().template get_shared<T>(key);
  }
  template <class T, class F>
  static bool with(Key key, F&& look) {
    return here().template with<T>(key, std::forward<F>(look));
  }
  static bool has(Key key);
  static bool missing(Key key);
  static cache::Result<bool> try_has(Key key);
  static std::optional<cache::Duration> expires_in(Key key);

  // --- writing

  template <class V>
  static bool put(Key key, V&& value) {
    return here().put(key, std::forward<V>(value));
  }
  template <class V>
  static bool put(Key key, V&& value, Ttl ttl) {
    return here().put(key, std::forward<V>(value), ttl);
  }
  template <class V>
  static bool put(Key key, V&& value, const Options& options) {
    return here().put(key, std::forward<V>(value), options);
  }
  template <class V>
  static cache::Result<bool> try_put(Key key, V&& value, Ttl ttl) {
    return here().try_put(key, std::forward<V>(value), ttl);
  }
  template <class V>
  static cache::Result<bool> try_put(Key key, V&& value, const Options& options = {}) {
    return here().try_put(key, std::forward<V>(value), options);
  }
  template <class V>
  static bool forever(Key key, V&& value) {
    return here().forever(key, std::forward<V>(value));
  }
  template <class V>
  static bool add(Key key, V&& value) {
    return here().add(key, std::forward<V>(value));
  }
  template <class V>
  static bool add(Key key, V&& value, Ttl ttl) {
    return here().add(key, std::forward<V>(value), ttl);
  }
  template <class V>
  static bool add(Key key, V&& value, const Options& options) {
    return here().add(key, std::forward<V>(value), options);
  }
  template <class V>
  static cache::Result<bool> try_add(Key key, V&& value, const Options& options = {}) {
    return here().try_add(key, std::forward<V>(value), options);
  }
  static bool touch(Key key, Ttl ttl);
  static bool touch(Key key, const Options& options);
  static cache::Result<bool> try_touch(Key key, Ttl ttl);

  // --- loading: the repository is copied, since a loader may put another configuration in force

  template <class F>
  static auto remember(Key key, Ttl ttl, F&& load) {
    return store().remember(key, ttl, std::forward<F>(load));
  }
  template <class F>
  static auto remember(Key key, const Options& options, F&& load) {
    return store().remember(key, options, std::forward<F>(load));
  }
  template <class L, class F>
  requires std::is_invocable_r_v < Ttl, L&, const cache::detail::loaded_t<F>
  & > static auto remember(Key key, L lives, F load) {
    return store().remember(key, std::move(lives), std::move(load));
  }
  template <class F, class D>
  static auto remember(Key key, const Options& options, F&& load, D&& fallback) {
    return store().remember(key, options, std::forward<F>(load), std::forward<D>(fallback));
  }
  template <class F>
  static auto remember_forever(Key key, F&& load) {
    return store().remember_forever(key, std::forward<F>(load));
  }
  template <class F>
  static auto load(Key key, const Options& options, F&& load) {
    return store().load(key, options, std::forward<F>(load));
  }
  template <class F>
  static auto flexible(Key key, cache::Fresh lives, F&& load) {
    return store().flexible(key, lives, std::forward<F>(load));
  }
  template <class T, class F>
  static auto remember_many(const Keys& keys, const Options& options, F&& load) {
    return store().template remember_many<T>(keys, options, std::forward<F>(load));
  }
  template <class T, class F>
  static auto remember_many(const Keys& keys, Ttl ttl, F&& load) {
    return store().template remember_many<T>(keys, ttl, std::forward<F>(load));
  }

  // --- removing

  static bool forget(Key key);
  static cache::Result<bool> try_forget(Key key);
  static std::size_t forget_many(const Keys& keys);
  static cache::Result<std::size_t> try_forget_many(const Keys& keys);
  template <class T>
  static std::optional<stored_t<T>> pull(Key key) {
    return here().template pull<T>(key);
  }
  template <class D>
  static auto pull(Key key, D&& otherwise) {
    return here().pull(key, std::forward<D>(otherwise));
  }
  template <class T>
  static cache::Result<std::optional<stored_t<T>>> try_pull(Key key) {
    return here().template try_pull<T>(key);
  }
  static bool flush();
  static cache::Result<bool> try_flush();

  // --- counters

  static std::int64_t increment(Key key, std::int64_t by = 1);
  static std::int64_t increment(Key key, std::int64_t by, Ttl ttl);
  static std::int64_t increment(Key key, std::int64_t by, const Options& options);
  static std::int64_t decrement(Key key, std::int64_t by = 1);
  static std::int64_t decrement(Key key, std::int64_t by, Ttl ttl);
  static std::int64_t decrement(Key key, std::int64_t by, const Options& options);
  static cache::Result<std::int64_t> try_increment(Key key, std::int64_t by = 1, const Options& options = {});
  static cache::Result<std::int64_t> try_decrement(Key key, std::int64_t by = 1, const Options& options = {});

  // --- several at once

  template <class T>
  static cache::Many<stored_t<T>> many(const Keys& keys) {
    return here().template many<T>(keys);
  }
  static cache::Many<void> many(const Keys& keys);
  template <class T>
  static cache::Result<cache::Many<stored_t<T>>> try_many(const Keys& keys) {
    return here().template try_many<T>(keys);
  }
  static bool put_many(std::initializer_list<cache::NamedValue> items, Ttl ttl);
  static bool put_many(std::initializer_list<cache::NamedValue> items, const Options& options = {});
  template <class Range>
  requires cache::PairsOfValues<Range>
  static bool put_many(const Range& items, Ttl ttl) { return here().put_many(items, ttl); }
  template <class Range>
  requires cache::PairsOfValues<Range>
  static bool put_many(const Range& items, const Options& options = {}) { return here().put_many(items, options); }
  static cache::Result<std::vector<std::string>> try_put_many(std::initializer_list<cache::NamedValue> items,
                                                              const Options& options = {});

  // --- tags

  /// The verbs under tags: what is written carries them, what is read must carry all of them.
  static cache::TagSet tags(cache::Tags tags);
  /// The live keys that carry the tag. Walks over the whole store.
  static std::vector<std::string> keys_of(const std::string& tag);

  // --- locks and limits

  /// A lock of this name, for a lease; free until it is taken. Throws StoreUnavailable where the store cannot answer.
  static cache::Lock lock(std::string name, Ttl lease, cache::LockOptions options = {});
  /// A handle on a lock held elsewhere, by its owner's token.
  static cache::Lock restore_lock(std::string name, std::string owner);
  template <class F>
  static bool without_overlapping(std::string name, Ttl lease, F&& work) {
    return store().without_overlapping(std::move(name), lease, std::forward<F>(work));
  }
  static bool flush_locks();
  static cache::RateLimiter rate_limiter(std::string name, cache::RateLimit limit);
  static cache::Funnel funnel(std::string name, cache::FunnelOptions options);

  // --- scopes

  /// The verbs with a memory: within its scope each key is asked for once.
  static cache::Memo memo();
  /// Writes and invalidations that wait for `commit()`.
  static cache::Deferred deferred();

  // --- what happens

  /// Calls the listener at each event of the default store, until the answer goes out of scope.
  static cache::Listening listen(cache::Listener listener, const cache::ListenOptions& how = {});
  static cache::Stats stats();

 private:
  static const cache::Repository& here() { return cache::detail::current_repository(); }
};

}  // namespace v1
}  // namespace flux
