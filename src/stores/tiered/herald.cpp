#include "herald.hpp"

#include <algorithm>

#include "core/random.hpp"

namespace flux::cache {
inline namespace v1 {
namespace tiered {

namespace {

/// For so long others may still come back and ask what they missed.
constexpr Duration kLate = std::chrono::minutes(1);
constexpr Duration kPause = std::chrono::milliseconds(20);

}  // namespace

void Herald::Untold::add(const Message& message) {
  switch (message.kind) {
    case Message::Kind::keys:
      for (std::size_t i = 0; i < message.names.size(); ++i) {
        std::int64_t& wall = keys.try_emplace(std::string(message.names[i]), message.walls[i]).first->second;
        wall = std::max(wall, message.walls[i]);
      }
      break;
    case Message::Kind::flush_tags: {
      Message timeless = message;
      timeless.wall = 0;
      std::int64_t& wall = tags[timeless.encode()];
      wall = std::max(wall, message.wall);
      break;
    }
    case Message::Kind::flush: flush = std::max(flush, message.wall); break;
    case Message::Kind::hello: hello = true; break;
  }
}

void Herald::Untold::add(const Untold& other) {
  for (const auto& [key, wall] : other.keys) {
    std::int64_t& mine = keys.try_emplace(key, wall).first->second;
    mine = std::max(mine, wall);
  }
  for (const auto& [bytes, wall] : other.tags) {
    std::int64_t& mine = tags.try_emplace(bytes, wall).first->second;
    mine = std::max(mine, wall);
  }
  flush = std::max(flush, other.flush);
  hello = hello || other.hello;
}

void Herald::Untold::bound(std::size_t most, std::int64_t wall) {
  if (size() <= most) return;
  keys.clear(), tags.clear();
  flush = wall;
}

Herald::Herald(std::shared_ptr<Backplane> backplane, const std::string& name, const Clock& clock, const Limits& limits,
               Duties duties)
    : backplane_(std::move(backplane)),
      origin_(detail::random_bits()),
      cache_(detail::stable_hash64(name)),
      clock_(clock),
      limits_(limits),
      duties_(std::move(duties)) {
  enlist();
}

Herald::~Herald() {
  end();
  background_.close();
  delist();
}

void Herald::begin() {
  subscription_ = backplane_->subscribe({
      .heard =
          [this](std::string_view bytes) {
            const auto message = Message::decode(bytes);
            if (!message || message->cache != cache_ || message->origin == origin_) return;
            message->kind == Message::Kind::hello ? tell_again() : duties_.changed(*message);
          },
      .connection =
          [this](bool connected) {
            duties_.connection(connected);
            // Behind: who is being told must not wait for others who are told as well.
            if (connected) background_.submit([this] { tell(message(Message::Kind::hello, 0)); });
          },
  });
}

void Herald::end() { subscription_.reset(); }

Message Herald::message(Message::Kind kind, std::int64_t wall) const {
  return {.origin = origin_, .cache = cache_, .wall = wall, .kind = kind};
}

// --- telling

void Herald::keys(std::span<const Change> changes) {
  Message some = message(Message::Kind::keys, 0);
  std::size_t bytes = 0;
  for (const auto& [key, wall] : changes) {
    some.names.push_back(key);
    some.walls.push_back(wall);
    bytes += key.size();
    const bool is_last = &key == &changes.back().key;
    if (!is_last && some.names.size() < kMostNames && bytes < kMostBytes) continue;
    tell(some);
    some.names.clear(), some.walls.clear(), bytes = 0;
  }
}

void Herald::flush(std::int64_t wall) { tell(message(Message::Kind::flush, wall)); }

void Herald::flush_tags(std::span<const std::string_view> tags, bool any, std::int64_t wall) {
  if (tags.size() > kMostNames) return flush(wall);
  Message some = message(Message::Kind::flush_tags, wall);
  some.names.assign(tags.begin(), tags.end());
  some.any = any;
  tell(some);
}

void Herald::tell(const Message& message) {
  const bool is_told = (!is_behind_.load(std::memory_order_acquire) || catch_up()) && publish(message);
  if (is_told) return;
  Untold untold;
  untold.add(message);
  keep(untold);
  try_later();
}

// --- what could not be told

void Herald::keep(const Untold& untold) {
  const engine::Held held(lock_);
  untold_.add(untold);
  untold_.bound(limits_.most, now());
  is_behind_.store(true, std::memory_order_release);
}

void Herald::try_later() {
  if (is_scheduled_.exchange(true)) return;
  background_.submit_later(limits_.retry, [this] {
    is_scheduled_ = false;
    if (is_behind_.load(std::memory_order_acquire) && !catch_up()) try_later();
  });
}

bool Herald::publish(const Untold& untold) {
  if (untold.hello && !publish(message(Message::Kind::hello, 0))) return false;
  if (untold.flush != 0 && !publish(message(Message::Kind::flush, untold.flush))) return false;
  for (const auto& [bytes, wall] : untold.tags) {
    auto timed = Message::decode(bytes);
    timed->wall = wall;
    if (!publish(*timed)) return false;
  }
  Message some = message(Message::Kind::keys, 0);
  std::size_t bytes = 0;
  std::size_t left = untold.keys.size();
  for (const auto& [key, wall] : untold.keys) {
    some.names.push_back(key);
    some.walls.push_back(wall);
    bytes += key.size();
    if (--left != 0 && some.names.size() < kMostNames && bytes < kMostBytes) continue;
    if (!publish(some)) return false;
    some.names.clear(), some.walls.clear(), bytes = 0;
  }
  return true;
}

bool Herald::catch_up() {
  Untold hand;
  {
    const engine::Held held(lock_);
    hand = std::exchange(untold_, {});
    is_behind_.store(false, std::memory_order_release);
  }
  if (hand.empty()) return true;
  if (!publish(hand)) {
    keep(hand);  // all of it: to be told twice does no harm
    return false;
  }
  hand.hello = false;
  const engine::Held held(lock_);
  told_late_.add(hand);
  told_late_.bound(limits_.most, now());
  last_late_ = std::chrono::steady_clock::now();
  return true;
}

void Herald::tell_again() {
  {
    const engine::Held held(lock_);
    if (told_late_.empty()) return;
    if (std::chrono::steady_clock::now() - last_late_ > kLate) {
      told_late_ = {};
      return;
    }
  }
  // Behind, for this is somebody else's call; and once for all who come back together.
  if (is_telling_again_.exchange(true)) return;
  background_.submit_later(kPause, [this] {
    is_telling_again_ = false;
    Untold late;
    {
      const engine::Held held(lock_);
      late = told_late_;
    }
    if (publish(late)) return;
    keep(late);
    try_later();
  });
}

}  // namespace tiered
}  // namespace v1
}  // namespace flux::cache
