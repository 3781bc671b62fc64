#include <flux/cache/drivers.hpp>
#include <flux/cache/stores/redis.hpp>
#include <flux/cache/stores/redis/backplane.hpp>

#include "config/settings_access.hpp"
#include "net/tls.hpp"
#include "url.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail {

namespace {

RedisConnection connection_of(const DriverContext& context, std::string_view name) {
  auto connection = context.read_connection<RedisConnection>(name);
  const auto plain = redis::without_url(connection);
  if (plain.ok()) net::require_tls(redis::tls_options(*plain), join_pointer("/stores", context.name()) + "/connection");
  return connection;
}

}  // namespace

void register_store_redis(DriverTable& table);
void register_store_redis(DriverTable& table) {
  table.add_connection<RedisConnection>("redis");
  table.set_backplane("redis", [](const DriverContext& context, std::string_view connection) {
    return make_redis_backplane(connection_of(context, connection));
  });
  table.add<RedisConfig>("redis", [](RedisConfig config, const DriverContext& context) -> StorePtr {
    config.prefix = context.prefix();
    config.clock = &context.clock();
    return make_redis(config, connection_of(context, config.connection));
  });
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
