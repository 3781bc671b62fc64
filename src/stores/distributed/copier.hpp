// Copies from the primary to one replica, behind, in order: keys, not values, so what is copied is what the primary
// holds by then.
//
// After a copy the primary is looked at again; what changed meanwhile is copied again. So a replica ends up with what
// the primary has, whoever else writes to both.
#pragma once
#include <flux/cache/store.hpp>

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "composite/background.hpp"

namespace flux::cache {
inline namespace v1 {
namespace distributed {

class Copier {
 public:
  Copier(StorePtr primary, StorePtr replica, std::size_t max_pending)
      : primary_(std::move(primary)), replica_(std::move(replica)), max_pending_(max_pending) {}
  /// Copies what is left, for a second at the most; what could not be copied then is flushed from the replica.
  ~Copier();

  /// The key is to be copied; `as` is its value's type, where that is known.
  void key(std::string_view key, const Type* as);
  /// All, or what carries the tags.
  void flush(const Scope& scope);
  /// May the replica hold something older than what the primary was told about the key?
  bool is_behind(std::string_view key) const;
  std::size_t pending() const;

 private:
  struct Step {
    enum class Kind : std::uint8_t { key, flush, flush_tags } kind = Kind::key;
    std::string key{};
    const Type* as = nullptr;
    std::vector<std::string> tags{};
    bool any = false;
  };

  void push(Step step);
  void start();
  void run();
  bool copy(std::span<const Step> steps);
  bool copy_key(const Step& step);

  const StorePtr primary_;
  const StorePtr replica_;
  const std::size_t max_pending_;
  mutable std::mutex mutex_;
  std::deque<Step> steps_;
  std::unordered_map<std::string, std::size_t> behind_;  // keys in steps_ or in hand, how often
  std::unordered_map<std::string, std::size_t> queued_;  // keys behind the last flush in steps_: not queued again
  std::size_t flushes_ = 0;                              // in steps_ or in hand
  bool running_ = false;
  Duration pause_{};
  composite::Background background_;
};

}  // namespace distributed
}  // namespace v1
}  // namespace flux::cache
