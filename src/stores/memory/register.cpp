#include <flux/cache/drivers.hpp>

namespace flux::cache {
inline namespace v1 {
namespace detail {

void register_store_memory(DriverTable& table);
void register_store_memory(DriverTable& table) {
  table.add<MemoryConfig>("memory", [](MemoryConfig config, const DriverContext& context) {
    config.prefix = context.prefix();
    config.clock = &context.clock();
    return make_memory(config);
  });
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
