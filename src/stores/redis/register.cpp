#include <flux/cache/drivers.hpp>
#include <flux/cache/stores/redis.hpp>
#include <flux/cache/stores/redis/backplane.hpp>

namespace flux::cache {
inline namespace v1 {
namespace detail {

void register_store_redis(DriverTable& table);
void register_store_redis(DriverTable& table) {
  table.add_connection<RedisConnection>("redis");
  table.set_backplane("redis", [](const DriverContext& context, std::string_view connection) {
    return make_redis_backplane(context.read_connection<RedisConnection>(connection));
  });
  table.add<RedisConfig>("redis", [](RedisConfig config, const DriverContext& context) -> StorePtr {
    config.prefix = context.prefix();
    config.clock = &context.clock();
    return make_redis(config, context.read_connection<RedisConnection>(config.connection));
  });
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
