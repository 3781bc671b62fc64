#include <flux/cache/drivers.hpp>

#include <map>
#include <mutex>
#include <set>

#include "config/known_drivers.hpp"
#include "config/problems.hpp"
#include "config/settings_access.hpp"
#include "config/utf8.hpp"
#include "core/rooms.hpp"

namespace flux::cache {
inline namespace v1 {

namespace {

using Drivers = std::map<std::string, std::shared_ptr<const Driver>, std::less<>>;

[[noreturn]] void refuse(const std::string& message) { throw ConfigError(Error{Errc::bad_config, message}); }

std::vector<std::string> names_in(const Drivers& drivers) {
  std::vector<std::string> names;
  for (const auto& entry : drivers) names.push_back(entry.first);
  return names;
}

std::shared_ptr<const Driver> find_in(const Drivers& drivers, std::string_view name) {
  const auto found = drivers.find(name);
  return found != drivers.end() ? found->second : nullptr;
}

}  // namespace

struct DriverTable::Tables {
  mutable std::mutex mutex;
  Drivers stores, connections;
  std::map<std::string, BackplaneFactory, std::less<>> backplanes;
  std::set<std::string, std::less<>> serializers{"native", "pickle", "msgpack", "json"};
  std::set<std::string, std::less<>> compressors{"none", "zstd", "gzip"};
};

DriverTable::DriverTable() : tables_(std::make_unique<Tables>()) {}
DriverTable::~DriverTable() = default;

void DriverTable::set(std::string name, Driver driver) {
  if (name.empty()) refuse("a driver needs a name");
  if (!driver.make && !driver.check) refuse("the driver " + detail::shown(name) + " needs a factory");
  auto held = std::make_shared<const Driver>(std::move(driver));
  const std::lock_guard lock(tables_->mutex);
  tables_->stores[std::move(name)].swap(held);
}

bool DriverTable::forget(std::string_view name) {
  std::shared_ptr<const Driver> last;  // destroyed outside the lock: a factory may own anything
  const std::lock_guard lock(tables_->mutex);
  const auto found = tables_->stores.find(name);
  if (found == tables_->stores.end()) return false;
  last = std::move(found->second);
  tables_->stores.erase(found);
  return true;
}

void DriverTable::set_connection(std::string name, Driver::Check check) {
  if (name.empty()) refuse("a driver needs a name");
  auto held = std::make_shared<const Driver>(Driver{std::move(check), {}});
  const std::lock_guard lock(tables_->mutex);
  tables_->connections[std::move(name)].swap(held);
}

void DriverTable::set_backplane(std::string connection_driver, BackplaneFactory factory) {
  const std::lock_guard lock(tables_->mutex);
  tables_->backplanes[std::move(connection_driver)].swap(factory);
}

BackplaneFactory DriverTable::find_backplane(std::string_view connection_driver) const {
  const std::lock_guard lock(tables_->mutex);
  const auto found = tables_->backplanes.find(connection_driver);
  return found != tables_->backplanes.end() ? found->second : BackplaneFactory();
}

void DriverTable::allow_serializer(std::string name) {
  const std::lock_guard lock(tables_->mutex);
  tables_->serializers.insert(std::move(name));
}

void DriverTable::allow_compressor(std::string name) {
  const std::lock_guard lock(tables_->mutex);
  tables_->compressors.insert(std::move(name));
}

std::shared_ptr<const Driver> DriverTable::find(std::string_view name) const {
  const std::lock_guard lock(tables_->mutex);
  return find_in(tables_->stores, name);
}

std::shared_ptr<const Driver> DriverTable::find_connection(std::string_view name) const {
  const std::lock_guard lock(tables_->mutex);
  return find_in(tables_->connections, name);
}

bool DriverTable::has_serializer(std::string_view name) const {
  const std::lock_guard lock(tables_->mutex);
  return tables_->serializers.find(name) != tables_->serializers.end();
}

bool DriverTable::has_compressor(std::string_view name) const {
  const std::lock_guard lock(tables_->mutex);
  return tables_->compressors.find(name) != tables_->compressors.end();
}

std::vector<std::string> DriverTable::names() const {
  const std::lock_guard lock(tables_->mutex);
  return names_in(tables_->stores);
}

std::vector<std::string> DriverTable::connection_names() const {
  const std::lock_guard lock(tables_->mutex);
  return names_in(tables_->connections);
}

std::vector<std::string> DriverTable::serializer_names() const {
  const std::lock_guard lock(tables_->mutex);
  return {tables_->serializers.begin(), tables_->serializers.end()};
}

std::vector<std::string> DriverTable::compressor_names() const {
  const std::lock_guard lock(tables_->mutex);
  return {tables_->compressors.begin(), tables_->compressors.end()};
}

StorePtr DriverTable::make(const DriverContext& context) const {
  const std::string where = detail::join_pointer("/stores", context.name()) + "/driver: ";
  const std::string driver = "driver " + detail::shown(context.driver());
  const auto found = find(context.driver());
  if (found == nullptr) refuse(where + "there is no " + driver);
  if (!found->make) refuse(where + "the " + driver + " is not in this build");
  StorePtr store = found->make(context);
  if (store == nullptr) refuse(where + "the " + driver + " made no store");
  return store;
}

DriverTable& drivers() {
  static DriverTable& table = *[] {
    auto made = std::make_unique<DriverTable>();
    detail::know_drivers(*made);
    detail::register_stores(*made);
    return made.release();  // stores may be made in static destruction
  }();
  return table;
}

DriverContext::DriverContext(std::string name, const Config& config, const Clock& clock, StoreLookup stores)
    : name_(std::move(name)),
      config_(&config),
      store_(config.stores.find(name_)),
      clock_(&clock),
      stores_(std::move(stores)),
      rules_(rules_of(config, name_)) {
  if (store_ == nullptr) refuse("there is no store " + detail::shown(name_));
}

std::string DriverContext::pointer() const { return detail::join_pointer("/stores", name_); }

const ConnectionConfig* DriverContext::connection(std::string_view name) const {
  const ConnectionConfig* const found = config_->connections.find(name.empty() ? "default" : name);
  if (found == nullptr && !name.empty())
    refuse(pointer() + "/connection: there is no connection " + detail::shown(name));
  return found;
}

std::shared_ptr<Backplane> DriverContext::backplane(std::string_view name) const {
  const ConnectionConfig* const found = connection(name);
  const std::string where = pointer() + "/backplane/connection: ";
  if (found == nullptr) refuse(where + "there is no connection for it");
  const BackplaneFactory factory = drivers().find_backplane(found->driver());
  if (!factory)
    refuse(where + "connections of the driver " + detail::shown(found->driver()) + " carry no backplane in this build");
  return factory(*this, name);
}

}  // namespace v1
}  // namespace flux::cache
