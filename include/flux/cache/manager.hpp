// flux/cache/manager.hpp - from a store's name to its repository: a configuration brought to life.
#pragma once
#include <flux/cache/config.hpp>
#include <flux/cache/repository.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace flux::cache {
inline namespace v1 {

/// Builds each configured store when it is first asked for, once, and keeps it. A handle: copying it is cheap, and
/// copies are the same manager. Thread-safe. Nothing is global: a program may own several.
class FLUX_CACHE_API StoreManager {
 public:
  /// Checks the configuration; throws ConfigError naming the place. Contacts no server and touches no disk.
  explicit StoreManager(Config config = {}, const Clock& clock = system_clock());
  StoreManager(const StoreManager&);
  StoreManager(StoreManager&&) noexcept;
  StoreManager& operator=(const StoreManager&);
  StoreManager& operator=(StoreManager&&) noexcept;
  ~StoreManager();

  /// The default store. Throws ConfigError where its driver is not in this build.
  Repository store() const;
  /// A store by name; throws ConfigError where there is none of that name.
  Repository store(std::string_view name) const;
  /// The configuration in force, complete with its defaults.
  const Config& config() const noexcept;
  /// Drops what was built of a store: the next call builds it anew. Repositories at hand keep the old one.
  void forget_store(std::string_view name) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

namespace detail {

/// The static facade's manager and default repository as this thread sees them: one atomic load and one comparison.
FLUX_CACHE_API const Repository& current_repository();
FLUX_CACHE_API StoreManager current_manager();
/// Puts another manager in force; the calls under way end on the old one.
FLUX_CACHE_API void replace_manager(StoreManager manager);

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
