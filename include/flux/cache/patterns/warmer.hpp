// flux/cache/patterns/warmer.hpp - fill the cache before anybody asks.
#pragma once
#include <flux/cache/manager.hpp>
#include <flux/cache/repository.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace flux::cache {
inline namespace v1 {

/// How far a warming is. `key` is the one that was just done.
struct WarmProgress {
  std::size_t done = 0;
  std::size_t total = 0;
  std::string_view key{};
  bool failed = false;
};

struct WarmOptions {
  std::size_t parallel = 4;                             ///< loaders at once; 1 to 256
  std::function<void(const WarmProgress&)> progress{};  ///< after each key, by one thread at a time
  bool only_missing = false;                            ///< leave alone what is there
  std::optional<std::string> leader_lock{};             ///< one process of many warms; the others report `skipped`
  Duration leader_lease = std::chrono::minutes(10);     ///< renewed while it warms
};

/// What came of a warming.
struct WarmReport {
  struct Failure {
    std::string key;
    std::string message;
  };
  std::size_t warmed = 0;
  std::size_t failed = 0;
  std::size_t present = 0;  ///< left alone by `only_missing`
  bool skipped = false;     ///< another process holds the leader's lock
  Duration took{0};
  std::vector<Failure> errors;  ///< one for each that failed, in the order of the list
};

/// Repeats a warming as long as it lives.
class [[nodiscard]] WarmSchedule {
 public:
  WarmSchedule() = default;
  explicit WarmSchedule(std::shared_ptr<void> running) : running_(std::move(running)) {}

 private:
  std::shared_ptr<void> running_;
};

/// A list of keys with their loaders. A warmed value is loaded under a ticket like any other: what is forgotten or
/// flushed while it loads stays so. Adding is for one thread; `run` may be called by several.
class FLUX_CACHE_API Warmer {
 public:
  /// Warms the default store of the facade, whichever is in force when it runs.
  Warmer();
  explicit Warmer(Repository repository);
  Warmer(Warmer&&) noexcept;
  Warmer& operator=(Warmer&&) noexcept;
  ~Warmer();

  /// The loader runs at each warming; it may take a `Load<T>&`.
  template <class F>
  Warmer& add(std::string key, Ttl ttl, F load, Tags tags = {}) {
    return add(std::move(key), Options{.ttl = ttl, .tags = std::move(tags)}, std::move(load));
  }
  template <class F>
  Warmer& add(std::string key, Options options, F load) {
    return add_item(key, [key, options = std::move(options), load = std::move(load)](const Repository& to,
                                                                                     bool only_missing) mutable {
      options.skip_read = !only_missing;
      return to.load(key, options, load).status == LoadStatus::miss;
    });
  }
  std::size_t size() const noexcept;

  /// Warms once and waits for it. A loader's exception is a failure in the report, and keeps no other from running.
  WarmReport run(const WarmOptions& options = {});
  /// Warms now and then again after each such time, in the background, until the answer goes out of scope.
  WarmSchedule every(Duration period, WarmOptions options = {});

 private:
  using Warm = std::function<bool(const Repository&, bool only_missing)>;  // true: it was loaded
  struct Item;
  struct Schedule;

  Warmer& add_item(std::string key, Warm warm);

  static WarmReport warm(const std::vector<Item>& items, const Repository& to, const WarmOptions& options);
  Repository target() const;

  std::optional<Repository> repository_;
  std::vector<Item> items_;
};

}  // namespace v1
}  // namespace flux::cache
