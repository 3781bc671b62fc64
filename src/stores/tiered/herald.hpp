// A tiered store's end of the backplane: tells what changed here, and keeps what could not be told.
//
// What is kept is told when the backplane is back, and again to each who says that he is back: whoever was cut off as
// well may have begun to listen after the first time.
#pragma once
#include <flux/cache/backplane.hpp>
#include <flux/cache/clock.hpp>
#include <flux/cache/engine/registry.hpp>
#include <flux/cache/key.hpp>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "composite/background.hpp"
#include "message.hpp"

namespace flux::cache {
inline namespace v1 {
namespace tiered {

/// A key, and the wall's time of its change, in microseconds.
struct Change {
  std::string_view key;
  std::int64_t wall = 0;
};

class Herald final : private engine::Registered {
 public:
  struct Duties {
    std::function<void(const Message&)> changed;  ///< somebody else changed something
    std::function<void(bool)> connection;         ///< false: messages may be missed from now on
  };
  struct Limits {
    std::size_t most = 10'000;                 ///< kept at the most; beyond, all near tiers are emptied instead
    Duration retry = std::chrono::seconds(1);  ///< between two attempts to tell what is kept
  };

  Herald(std::shared_ptr<Backplane> backplane, const std::string& name, const Clock& clock, const Limits& limits,
         Duties duties);
  ~Herald();
  /// Ends the calls of the duties, and begins them; apart from the constructor, for they may come at once.
  void begin();
  void end();
  /// For one who is cut off: a carrier whose thread was left behind by a fork begins anew.
  void revive() { backplane_->revive(); }

  void keys(std::span<const Change> changes);
  void flush(std::int64_t wall);
  void flush_tags(std::span<const std::string_view> tags, bool any, std::int64_t wall);
  std::int64_t now() const { return clock_.wall().time_since_epoch().count(); }

 private:
  /// What could not be told.
  struct Untold {
    std::unordered_map<std::string, std::int64_t> keys{};
    std::map<std::string, std::int64_t> tags{};  // messages without a time, and their time
    std::int64_t flush = 0;                      // its wall time; 0: none
    bool hello = false;

    std::size_t size() const noexcept { return keys.size() + tags.size(); }
    bool empty() const noexcept { return size() == 0 && flush == 0 && !hello; }
    void add(const Message& message);
    void add(const Untold& other);
    void bound(std::size_t most, std::int64_t wall);
  };

  void before_fork() noexcept override { lock_.lock(); }
  void after_fork() noexcept override { lock_.unlock(); }

  Message message(Message::Kind kind, std::int64_t wall) const;
  bool publish(const Message& message) { return backplane_->publish(message.encode()); }
  bool publish(const Untold& untold);
  void tell(const Message& message);
  void keep(const Untold& untold);
  void try_later();
  /// Tells what could not be told before.
  bool catch_up();
  /// Tells again what was told late.
  void tell_again();

  const std::shared_ptr<Backplane> backplane_;
  const std::uint64_t origin_;
  const std::uint64_t cache_;
  const Clock& clock_;
  const Limits limits_;
  const Duties duties_;
  std::shared_ptr<void> subscription_;
  engine::Lock lock_;
  Untold untold_;
  Untold told_late_;  // in the last minute
  std::chrono::steady_clock::time_point last_late_{};
  std::atomic<bool> is_telling_again_{false};
  std::atomic<bool> is_behind_{false};
  std::atomic<bool> is_scheduled_{false};
  composite::Background background_;
};

}  // namespace tiered
}  // namespace v1
}  // namespace flux::cache
