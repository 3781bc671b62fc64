#include <flux/cache/drivers.hpp>

namespace flux::cache {
inline namespace v1 {
namespace detail {

void register_store_file(DriverTable& table);
void register_store_file(DriverTable& table) {
  table.add<FileConfig>("file", [](FileConfig config, const DriverContext& context) {
    config.prefix = context.prefix();
    config.clock = &context.clock();
    return make_file(config);
  });
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
