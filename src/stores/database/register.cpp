#include <flux/cache/drivers.hpp>

namespace flux::cache {
inline namespace v1 {
namespace detail {

void register_store_database(DriverTable& table);
void register_store_database(DriverTable& table) {
  table.add_connection<SqliteConnection>("sqlite");
  table.add<DatabaseConfig>("database", [](DatabaseConfig config, const DriverContext& context) {
    config.prefix = context.prefix();
    config.clock = &context.clock();
    return make_database(config, context.read_connection<SqliteConnection>(config.connection));
  });
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
