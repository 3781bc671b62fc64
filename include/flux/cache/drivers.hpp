// flux/cache/drivers.hpp - from a driver's name to a store: the table, and what a driver is handed.
//
// There is one table for the process. The library's own drivers stand in it from the start; one of your own is added by
// `extend` with a factory, or by `add<MineConfig>` where its keys are to be checked when a configuration is put in
// force.
#pragma once
#include <flux/cache/backplane.hpp>
#include <flux/cache/config.hpp>
#include <flux/cache/store.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace flux::cache {
inline namespace v1 {

/// What a driver may know while it makes a store. Valid inside the factory alone.
class FLUX_CACHE_API DriverContext {
 public:
  using StoreLookup = std::function<StorePtr(std::string_view name)>;

  /// For managers. `config` must be checked and outlive the context; `stores` hands out other configured stores.
  DriverContext(std::string name, const Config& config, const Clock& clock, StoreLookup stores);

  /// The store's configured name.
  const std::string& name() const noexcept { return name_; }
  /// The driver's name.
  std::string_view driver() const noexcept { return store_->driver(); }
  /// The store's own settings, as they were written.
  const Settings& settings() const noexcept { return store_->settings(); }
  /// Whose time the store goes by.
  const Clock& clock() const noexcept { return *clock_; }
  /// What every store may be told, resolved; layers for most of it are put on by the manager.
  const StoreRules& rules() const noexcept { return rules_; }
  /// What to put before each key: the global prefix, then the store's. Composites ignore it.
  const std::string& prefix() const noexcept { return rules_.prefix; }
  /// Another configured store, under its own prefix and with the layers that keep its promises. Throws ConfigError.
  StorePtr store(std::string_view name) const { return stores_(name); }
  /// The connection of that name, or "default" where the name is empty; null where there is no default: then the
  /// driver's own defaults hold. Throws ConfigError where there is none of that name.
  const ConnectionConfig* connection(std::string_view name) const;

  /// The backplane over a connection. Throws ConfigError where there is no such connection, or where its driver carries
  /// no backplane in this build.
  std::shared_ptr<Backplane> backplane(std::string_view connection) const;

  /// The store's settings as the struct they belong to.
  template <Described Config>
  Config read() const {
    const Config* const given = store_->given<Config>();
    return given != nullptr ? *given : from_settings<Config>(settings(), pointer());
  }
  /// A connection's settings as the struct they belong to; a struct as it is born where there is no such connection.
  template <Described Connection>
  Connection read_connection(std::string_view name) const {
    const ConnectionConfig* const found = connection(name);
    if (found == nullptr) return Connection{};
    const Connection* const given = found->given<Connection>();
    return given != nullptr ? *given : from_settings<Connection>(found->settings(), pointer() + "/connection");
  }

 private:
  std::string pointer() const;

  std::string name_;
  const Config* config_;
  const StoreConfig* store_;
  const Clock* clock_;
  StoreLookup stores_;
  StoreRules rules_;
};

/// Makes a store. May throw ConfigError; must not wait for a disk or a server, which are opened at first use.
using StoreFactory = std::function<StorePtr(const DriverContext&)>;

/// Makes a backplane over the named connection. May throw ConfigError; must not wait for a server.
using BackplaneFactory =
    std::function<std::shared_ptr<Backplane>(const DriverContext& context, std::string_view connection)>;

/// A driver: how its settings are checked, and how a store is made of them.
struct Driver {
  using Check = std::function<void(Fields&)>;

  Check check{};        ///< walks over all fields; empty: only what every store may be told is checked
  StoreFactory make{};  ///< empty: known, but not in this build
};

/// Drivers by name. Safe for concurrent use.
class FLUX_CACHE_API DriverTable {
 public:
  /// Empty; the process's own is `drivers()`.
  DriverTable();
  ~DriverTable();
  DriverTable(const DriverTable&) = delete;
  DriverTable& operator=(const DriverTable&) = delete;

  /// Adds a driver or replaces it. Configurations in force keep what they have.
  void set(std::string name, Driver driver);
  /// A driver whose settings nobody checks but itself.
  void extend(std::string name, StoreFactory factory) { set(std::move(name), {{}, std::move(factory)}); }
  /// A driver with a struct: its settings are read strictly and, where the struct has `Result<void> validate() const`,
  /// validated; the factory gets `(Config, const DriverContext&)`.
  template <Described Config, class Factory>
  void add(std::string name, Factory factory) {
    set(std::move(name), {check_of<Config>(), [factory = std::move(factory)](const DriverContext& context) {
                            return factory(context.read<Config>(), context);
                          }});
  }
  /// A driver whose settings are known, but whose stores this build cannot make.
  template <Described Config>
  void know(std::string name) {
    set(std::move(name), {reading_of<Config>(), {}});
  }
  /// Takes a driver out; false: it was not there.
  bool forget(std::string_view name);

  /// A driver of connections, likewise: for the stores that speak over them to read.
  void set_connection(std::string name, Driver::Check check);
  template <Described Connection>
  void add_connection(std::string name) {
    set_connection(std::move(name), check_of<Connection>());
  }
  template <Described Connection>
  void know_connection(std::string name) {
    set_connection(std::move(name), reading_of<Connection>());
  }
  /// Says how connections of a driver carry a backplane.
  void set_backplane(std::string connection_driver, BackplaneFactory factory);
  /// Lets configurations name a serializer or a compressor beside the library's own.
  void allow_serializer(std::string name);
  void allow_compressor(std::string name);

  /// The driver, or null.
  std::shared_ptr<const Driver> find(std::string_view name) const;
  std::shared_ptr<const Driver> find_connection(std::string_view name) const;
  /// Empty where connections of that driver carry none.
  BackplaneFactory find_backplane(std::string_view connection_driver) const;
  bool has_serializer(std::string_view name) const;
  bool has_compressor(std::string_view name) const;
  /// All names, in order.
  std::vector<std::string> names() const;
  std::vector<std::string> connection_names() const;
  std::vector<std::string> serializer_names() const;
  std::vector<std::string> compressor_names() const;

  /// The store that the context asks for. Throws ConfigError where its driver is unknown or not in this build.
  StorePtr make(const DriverContext& context) const;

 private:
  struct Tables;

  template <Described Struct>
  static Driver::Check reading_of() {
    return [](Fields& fields) {
      Struct read{};
      describe(fields, read);
    };
  }
  template <Described Struct>
  static Driver::Check check_of() {
    return [](Fields& fields) {
      Struct read{};
      describe(fields, read);
      if constexpr (requires { read.validate().error(); })
        if (const auto valid = read.validate(); !valid.ok()) fields.mistake(valid.error());
    };
  }

  std::unique_ptr<Tables> tables_;
};

/// The process's own table. Lives for ever.
FLUX_CACHE_API DriverTable& drivers();

}  // namespace v1
}  // namespace flux::cache
