#include "herald.hpp"

#include <algorithm>

#include "core/random.hpp"

namespace flux::cache {
inline namespace v1 {
namespace tiered {

Herald::Herald(std::shared_ptr<Backplane> backplane, const std::string& name, const Clock& clock,
               std::size_t max_untold, Duties duties)
    : backplane_(std::move(backplane)),
      origin_(detail::random_bits()),
      cache_(detail::stable_hash64(name)),
      clock_(clock),
      max_untold_(max_untold),
      duties_(std::move(duties)) {}

void Herald::begin() {
  subscription_ = backplane_->subscribe({
      .heard =
          [this](std::string_view bytes) {
            const auto message = Message::decode(bytes);
            if (message && message->cache == cache_ && message->origin != origin_) duties_.changed(*message);
          },
      .connection =
          [this](bool connected) {
            duties_.connection(connected);
            if (connected && is_behind_.load(std::memory_order_acquire)) catch_up();
          },
  });
}

void Herald::end() { subscription_.reset(); }

Message Herald::message(Message::Kind kind) const {
  return {.origin = origin_, .cache = cache_, .wall = clock_.wall().time_since_epoch().count(), .kind = kind};
}

void Herald::keys(std::span<const std::string_view> keys) {
  for (std::size_t from = 0; from < keys.size(); from += kMostNames) {
    Message now = message(Message::Kind::keys);
    const auto some = keys.subspan(from, std::min(kMostNames, keys.size() - from));
    now.names.assign(some.begin(), some.end());
    tell(now);
  }
}

void Herald::flush() { tell(message(Message::Kind::flush)); }

void Herald::flush_tags(std::span<const std::string_view> tags, bool any) {
  if (tags.size() > kMostNames) return flush();
  Message now = message(Message::Kind::flush_tags);
  now.names.assign(tags.begin(), tags.end());
  now.any = any;
  tell(now);
}

void Herald::tell(const Message& message) {
  if (is_behind_.load(std::memory_order_acquire) && !catch_up()) return keep(message);
  if (!backplane_->publish(message.encode())) keep(message);
}

void Herald::keep(const Message& message) {
  const std::scoped_lock guard(mutex_);
  switch (message.kind) {
    case Message::Kind::keys:
      for (const std::string_view key : message.names) untold_.emplace(key);
      break;
    case Message::Kind::flush_tags: untold_tags_.push_back(message.encode()); break;
    case Message::Kind::flush: untold_flush_ = true; break;
  }
  if (untold_.size() + untold_tags_.size() > max_untold_) untold_flush_ = true;
  if (untold_flush_) untold_.clear(), untold_tags_.clear();
  is_behind_.store(true, std::memory_order_release);
}

bool Herald::catch_up() {
  const std::scoped_lock guard(mutex_);
  if (untold_flush_) {
    if (!backplane_->publish(message(Message::Kind::flush).encode())) return false;
    untold_flush_ = false;
  }
  while (!untold_tags_.empty()) {
    if (!backplane_->publish(untold_tags_.back())) return false;
    untold_tags_.pop_back();
  }
  while (!untold_.empty()) {
    Message now = message(Message::Kind::keys);
    std::vector<std::string> taken;
    for (auto at = untold_.begin(); at != untold_.end() && taken.size() < kMostNames;) {
      taken.push_back(std::move(untold_.extract(at++).value()));
    }
    now.names.assign(taken.begin(), taken.end());
    if (backplane_->publish(now.encode())) continue;
    untold_.insert(taken.begin(), taken.end());
    return false;
  }
  is_behind_.store(false, std::memory_order_release);
  return true;
}

}  // namespace tiered
}  // namespace v1
}  // namespace flux::cache
