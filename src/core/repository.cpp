#include <flux/cache/decorator.hpp>
#include <flux/cache/repository.hpp>

namespace flux::cache {
inline namespace v1 {

StorePtr detail::beneath_layers(StorePtr store) {
  while (const auto layer = std::dynamic_pointer_cast<Decorator>(store)) store = layer->wrapped();
  return store;
}

bool TagSet::flush_any() const { return core_->settle(core_->flush(&tags_, true), false); }
Result<bool> TagSet::try_flush_any() const { return core_->flush(&tags_, true); }
Repository::Repository(StorePtr store, const RepositoryOptions& options, std::string name)
    : core_(std::make_shared<detail::Core>(std::move(name), std::move(store), options)) {}
const std::string& Repository::name() const noexcept { return core_->name(); }
Traits Repository::traits() const noexcept { return core_->store()->traits(); }
TagSet Repository::tags(Tags tags) const { return TagSet(core_, std::move(tags)); }
Lock Repository::lock(std::string name, Ttl lease, LockOptions options) const {
  return Lock(core_, std::move(name), lease, options);
}
Lock Repository::restore_lock(std::string name, std::string owner) const {
  return Lock(core_, std::move(name), std::move(owner));
}
bool Repository::flush_locks() const { return core_->settle(core_->flush_space(Space::locks), false); }
RateLimiter Repository::rate_limiter(std::string name, RateLimit limit) const {
  return RateLimiter(core_, std::move(name), limit);
}
Funnel Repository::funnel(std::string name, FunnelOptions options) const {
  return Funnel(core_, std::move(name), options);
}
std::vector<std::string> Repository::keys_of(const std::string& tag) const {
  return core_->settle(core_->keys_of(tag), std::vector<std::string>());
}
Stats Repository::stats() const { return core_->stats(); }
void Repository::reset_stats() const { core_->reset_stats(); }
Listening Repository::listen(Listener listener, const ListenOptions& how) const {
  return core_->listen(std::move(listener), how);
}
Result<std::size_t> Repository::prune(std::size_t budget) const { return core_->prune(budget); }
const StorePtr& Repository::store() const noexcept { return core_->store(); }

}  // namespace v1
}  // namespace flux::cache
