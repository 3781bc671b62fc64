#include <flux/cache/drivers.hpp>

#include "memcached_store.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail {

void register_store_memcached(DriverTable& table);
void register_store_memcached(DriverTable& table) {
  table.add<MemcachedConfig>("memcached", [](MemcachedConfig config, const DriverContext& context) -> StorePtr {
    config.prefix = context.prefix();
    config.clock = &context.clock();
    return make_memcached(config);
  });
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
