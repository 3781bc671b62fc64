// config/known_drivers.hpp - the drivers that every build knows, whether it can make their stores or not.
#pragma once

namespace flux::cache {
inline namespace v1 {

class DriverTable;
struct SerializeConfig;
struct LimitsConfig;
class Fields;

void describe(Fields& fields, SerializeConfig& config);
void describe(Fields& fields, LimitsConfig& config);

namespace detail {

/// Adds the documented drivers with their checks alone.
void know_drivers(DriverTable& table);

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
