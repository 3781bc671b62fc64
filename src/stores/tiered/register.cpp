#include <flux/cache/drivers.hpp>
#include <flux/cache/stores/tiered.hpp>

#include <algorithm>

#include "composite/guard.hpp"

namespace flux::cache {
inline namespace v1 {

namespace {

StorePtr make(const TieredConfig& config, const DriverContext& context) {
  std::vector<StorePtr> stores;
  for (const std::string& name : config.stores) stores.push_back(context.store(name));
  TieredOptions options{.name = context.prefix() + context.name(),
                        .recovery = config.recovery,
                        .max_pending = static_cast<std::size_t>(config.max_pending),
                        .recovery_delay = config.recovery_delay,
                        .max_value = config.max_value,
                        .clock = &context.clock()};
  for (const auto& ttl : config.ttl)
    options.ttl.push_back(ttl && !ttl->is_forever() ? std::optional(ttl->length()) : std::nullopt);
  if (!config.authority.empty()) {
    const auto at = std::find(config.stores.begin(), config.stores.end(), config.authority);
    options.authority = static_cast<std::size_t>(at - config.stores.begin());
  }
  if (!config.backplane.connection.empty()) options.backplane = context.backplane(config.backplane.connection);
  return make_tiered(std::move(stores), options);
}

}  // namespace

namespace detail {

void register_store_tiered(DriverTable& table);
void register_store_tiered(DriverTable& table) {
  table.add<TieredConfig>("tiered", [](const TieredConfig& config, const DriverContext& context) {
    return with_deadline(make(config, context), config.timeout);
  });
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
