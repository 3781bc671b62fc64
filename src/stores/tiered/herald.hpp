// A tiered store's end of the backplane: tells what changed here, and keeps what could not be told.
#pragma once
#include <flux/cache/backplane.hpp>
#include <flux/cache/clock.hpp>
#include <flux/cache/key.hpp>

#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "message.hpp"

namespace flux::cache {
inline namespace v1 {
namespace tiered {

class Herald {
 public:
  struct Duties {
    std::function<void(const Message&)> changed;  ///< somebody else changed something
    std::function<void(bool)> connection;         ///< false: messages may be missed from now on
  };

  Herald(std::shared_ptr<Backplane> backplane, const std::string& name, const Clock& clock, std::size_t max_untold,
         Duties duties);
  /// Ends the calls of the duties, and begins them; apart from the constructor, for they may come at once.
  void begin();
  void end();

  void keys(std::span<const std::string_view> keys);
  void flush();
  void flush_tags(std::span<const std::string_view> tags, bool any);

 private:
  Message message(Message::Kind kind) const;
  void tell(const Message& message);
  void keep(const Message& message);
  /// Tells what could not be told before.
  bool catch_up();

  const std::shared_ptr<Backplane> backplane_;
  const std::uint64_t origin_;
  const std::uint64_t cache_;
  const Clock& clock_;
  const std::size_t max_untold_;
  const Duties duties_;
  std::shared_ptr<void> subscription_;
  std::mutex mutex_;
  std::unordered_set<std::string> untold_;
  std::vector<std::string> untold_tags_;  // encoded
  bool untold_flush_ = false;
  std::atomic<bool> is_behind_{false};
};

}  // namespace tiered
}  // namespace v1
}  // namespace flux::cache
