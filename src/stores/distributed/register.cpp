#include <flux/cache/drivers.hpp>
#include <flux/cache/stores/distributed.hpp>

#include <algorithm>

#include "composite/guard.hpp"

namespace flux::cache {
inline namespace v1 {

namespace {

StorePtr make(const DistributedConfig& config, const DriverContext& context) {
  std::vector<StorePtr> stores;
  for (const std::string& name : config.stores) stores.push_back(context.store(name));
  DistributedOptions options{.recovery = config.recovery,
                             .max_pending = static_cast<std::size_t>(config.max_pending),
                             .recovery_delay = config.recovery_delay,
                             .max_value = config.max_value,
                             .clock = &context.clock()};
  if (!config.authority.empty()) {
    const auto at = std::find(config.stores.begin(), config.stores.end(), config.authority);
    options.authority = static_cast<std::size_t>(at - config.stores.begin());
  }
  if (config.strategy == "sharding") {
    // Nobody stands in for a shard that is away, or remembers for it what it was not told.
    for (StorePtr& store : stores)
      if (store->traits().remote) store = make_owing(std::move(store));
    return make_sharded(std::move(stores), {.name = context.name(), .nodes = config.stores, .weights = config.weights},
                        options);
  }
  if (config.strategy == "primary") return make_primary(std::move(stores), options);
  const WritePolicy writes = config.writes == "all"
                                 ? WritePolicy::all
                                 : (config.writes == "majority" ? WritePolicy::majority : WritePolicy::any);
  return make_replicated(std::move(stores), writes, options);
}

}  // namespace

namespace detail {

void register_store_distributed(DriverTable& table);
void register_store_distributed(DriverTable& table) {
  table.add<DistributedConfig>("distributed", [](const DistributedConfig& config, const DriverContext& context) {
    return with_deadline(make(config, context), config.timeout);
  });
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
