#include <flux/cache/funnel.hpp>

#include <algorithm>
#include <cstring>
#include <thread>
#include <vector>

#include "random.hpp"
#include "record.hpp"

namespace flux::cache {
inline namespace v1 {

namespace {

/// A holder: its token, and the wall time at which its lease is over.
struct Place {
  std::uint64_t token;
  std::int64_t until;
};

std::vector<Place> decode(std::string_view text) {
  std::vector<Place> places(text.size() / sizeof(Place));
  if (!places.empty()) std::memcpy(places.data(), text.data(), places.size() * sizeof(Place));
  return places;
}

std::string encode(const std::vector<Place>& places) {
  return {reinterpret_cast<const char*>(places.data()), places.size() * sizeof(Place)};
}

/// The record lives as long as its longest lease.
Expiry expiry_of(const detail::Core& core, const std::vector<Place>& places, std::int64_t now) {
  std::int64_t last = now + 1;
  for (const Place& place : places) last = std::max(last, place.until);
  return Expiry::at(after(core.clock().now(), Duration(last - now)));
}

}  // namespace

Funnel::Funnel(std::shared_ptr<detail::Core> core, std::string name, FunnelOptions options)
    : core_(std::move(core)), name_(std::move(name)), options_(options) {
  if (name_.empty()) raise(Error{Errc::bad_key, "the name of a funnel is empty", core_->name(), "funnel"});
  if (options_.limit < 1 || options_.limit > 10'000 || options_.release_after <= Duration::zero())
    throw std::invalid_argument("flux::cache: funnel: limit must be 1 to 10,000 and release_after above zero");
  name_.insert(0, "funnel:");
}

FunnelPlace Funnel::try_enter() {
  std::uint64_t token = 0;
  detail::change_record(*core_, Key(name_, Space::limits), "funnel", [&](std::string& text, Expiry& expiry) {
    auto places = decode(text);
    const std::int64_t now = core_->clock().wall().time_since_epoch().count();
    std::erase_if(places, [&](const Place& place) { return place.until <= now; });
    token = 0;
    if (places.size() >= options_.limit) return false;
    token = detail::random_bits();
    places.push_back({token, now + options_.release_after.count()});
    text = encode(places);
    expiry = expiry_of(*core_, places, now);
    return true;
  });
  return token != 0 ? FunnelPlace(core_, name_, token) : FunnelPlace();
}

FunnelPlace Funnel::try_enter_for(Ttl limit) {
  using Steady = std::chrono::steady_clock;
  const auto begun = Steady::now();
  Duration pause = std::chrono::milliseconds(1);
  for (;;) {
    if (FunnelPlace place = try_enter()) return place;
    Duration left = Duration::max();
    if (!limit.is_forever()) {
      left = limit.length() - std::chrono::duration_cast<Duration>(Steady::now() - begun);
      if (left <= Duration::zero()) return {};
    }
    const auto spread = static_cast<std::uint64_t>(pause.count());
    std::this_thread::sleep_for(
        std::min(left, pause / 2 + Duration(static_cast<Duration::rep>(detail::random_below(spread)))));
    pause = std::min<Duration>(pause * 2, std::chrono::milliseconds(50));
  }
}

void Funnel::raise_timeout() const {
  throw LockTimeout(Error{Errc::timeout, "the funnel had no place in time", core_->name(), "funnel", name_});
}

void FunnelPlace::leave() noexcept {
  if (token_ == 0) return;
  const std::uint64_t mine = std::exchange(token_, 0);
  try {
    detail::change_record(*core_, Key(name_, Space::limits), "funnel", [&](std::string& text, Expiry& expiry) {
      auto places = decode(text);
      if (std::erase_if(places, [&](const Place& place) { return place.token == mine; }) == 0) return false;
      const std::int64_t now = core_->clock().wall().time_since_epoch().count();
      text = encode(places);
      expiry = expiry_of(*core_, places, now);
      return true;
    });
  } catch (...) {  // the lease ends by itself
  }
}

}  // namespace v1
}  // namespace flux::cache
