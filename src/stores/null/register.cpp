#include <flux/cache/drivers.hpp>
#include <flux/cache/stores/null.hpp>

namespace flux::cache {
inline namespace v1 {

void describe(Fields& fields, NullConfig& config) {
  fields.driver("null");
  fields.common(config);
}

namespace detail {

void register_store_null(DriverTable& table);
void register_store_null(DriverTable& table) {
  table.add<NullConfig>("null", [](const NullConfig&, const DriverContext&) { return make_null(); });
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
