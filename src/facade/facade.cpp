// The facade's functions that need no template: compiled once, instead of in every file that includes it.
#include <flux/cache.hpp>

namespace flux {
inline namespace v1 {

void Cache::configure(cache::Config config) { cache::detail::replace_manager(cache::StoreManager(std::move(config))); }
void Cache::use(cache::StoreManager manager) { cache::detail::replace_manager(std::move(manager)); }
cache::StoreManager Cache::manager() { return cache::detail::current_manager(); }
cache::Repository Cache::store() { return here(); }
cache::Repository Cache::store(std::string_view name) { return manager().store(name); }
void Cache::extend(std::string name, cache::StoreFactory factory) {
  cache::drivers().extend(std::move(name), std::move(factory));
}
bool Cache::has(Key key) { return here().has(key); }
bool Cache::missing(Key key) { return here().missing(key); }
cache::Result<bool> Cache::try_has(Key key) { return here().try_has(key); }
std::optional<cache::Duration> Cache::expires_in(Key key) { return here().expires_in(key); }
bool Cache::touch(Key key, Ttl ttl) { return here().touch(key, ttl); }
bool Cache::touch(Key key, const Options& options) { return here().touch(key, options); }
cache::Result<bool> Cache::try_touch(Key key, Ttl ttl) { return here().try_touch(key, ttl); }
bool Cache::forget(Key key) { return here().forget(key); }
cache::Result<bool> Cache::try_forget(Key key) { return here().try_forget(key); }
std::size_t Cache::forget_many(const Keys& keys) { return here().forget_many(keys); }
cache::Result<std::size_t> Cache::try_forget_many(const Keys& keys) { return here().try_forget_many(keys); }
bool Cache::flush() { return here().flush(); }
cache::Result<bool> Cache::try_flush() { return here().try_flush(); }
std::int64_t Cache::increment(Key key, std::int64_t by) { return here().increment(key, by); }
std::int64_t Cache::increment(Key key, std::int64_t by, Ttl ttl) { return here().increment(key, by, ttl); }
std::int64_t Cache::increment(Key key, std::int64_t by, const Options& options) {
  return here().increment(key, by, options);
}
std::int64_t Cache::decrement(Key key, std::int64_t by) { return here().decrement(key, by); }
std::int64_t Cache::decrement(Key key, std::int64_t by, Ttl ttl) { return here().decrement(key, by, ttl); }
std::int64_t Cache::decrement(Key key, std::int64_t by, const Options& options) {
  return here().decrement(key, by, options);
}
cache::Result<std::int64_t> Cache::try_increment(Key key, std::int64_t by, const Options& options) {
  return here().try_increment(key, by, options);
}
cache::Result<std::int64_t> Cache::try_decrement(Key key, std::int64_t by, const Options& options) {
  return here().try_decrement(key, by, options);
}
cache::Many<void> Cache::many(const Keys& keys) { return here().many(keys); }
bool Cache::put_many(std::initializer_list<cache::NamedValue> items, Ttl ttl) { return here().put_many(items, ttl); }
bool Cache::put_many(std::initializer_list<cache::NamedValue> items, const Options& options) {
  return here().put_many(items, options);
}
cache::Result<std::vector<std::string>> Cache::try_put_many(std::initializer_list<cache::NamedValue> items,
                                                            const Options& options) {
  return here().try_put_many(items, options);
}
cache::TagSet Cache::tags(cache::Tags tags) { return here().tags(std::move(tags)); }
std::vector<std::string> Cache::keys_of(const std::string& tag) { return here().keys_of(tag); }
cache::Lock Cache::lock(std::string name, Ttl lease, cache::LockOptions options) {
  return here().lock(std::move(name), lease, options);
}
cache::Lock Cache::restore_lock(std::string name, std::string owner) {
  return here().restore_lock(std::move(name), std::move(owner));
}
bool Cache::flush_locks() { return here().flush_locks(); }
cache::RateLimiter Cache::rate_limiter(std::string name, cache::RateLimit limit) {
  return here().rate_limiter(std::move(name), limit);
}
cache::Funnel Cache::funnel(std::string name, cache::FunnelOptions options) {
  return here().funnel(std::move(name), options);
}
cache::Memo Cache::memo() { return cache::Memo(store()); }
cache::Deferred Cache::deferred() { return cache::Deferred(store()); }
cache::Listening Cache::listen(cache::Listener listener, const cache::ListenOptions& how) {
  return here().listen(std::move(listener), how);
}
cache::Stats Cache::stats() { return here().stats(); }

}  // namespace v1
}  // namespace flux
