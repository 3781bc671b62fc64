#include "tiered_store.hpp"

#include <algorithm>

#include "shown.hpp"

namespace flux::cache {
inline namespace v1 {
namespace tiered {

using composite::marked;

namespace {

std::vector<std::optional<Duration>> caps_of(const TieredOptions& options, std::size_t tiers) {
  std::vector<std::optional<Duration>> caps = options.ttl;
  if (caps.size() > tiers) raise(Error{Errc::bad_config, "tiered: there are more lifetimes than stores"});
  caps.resize(tiers);
  for (const auto& cap : caps)
    if (cap && *cap <= Duration::zero()) raise(Error{Errc::bad_config, "tiered: a tier's lifetime is above zero"});
  return caps;
}

/// The tiers behind the first one, and a first one that others see too, behind recovery logs.
std::vector<StorePtr> guarded(std::vector<StorePtr> stores, const TieredOptions& options,
                              const std::shared_ptr<Link>& link, std::shared_ptr<Recovering>& recovery) {
  for (std::size_t i = 0; i < stores.size(); ++i) {
    if (stores[i] == nullptr) continue;
    const bool is_private = composite::Part(stores[i]).is_private();
    if (!options.recovery || (i == 0 && is_private)) continue;
    RecoveryOptions log{.max_keys = options.max_pending, .delay = options.recovery_delay, .clock = options.clock};
    const bool is_far = i + 1 == stores.size();
    if (is_far)
      log.on_caught_up = [link](const CaughtUp& done) {
        const std::scoped_lock guard(link->mutex);
        if (link->store != nullptr) link->store->caught_up(done);
      };
    auto recovering = make_recovering(std::move(stores[i]), log);
    if (is_far) recovery = recovering;
    stores[i] = std::move(recovering);
  }
  return stores;
}

}  // namespace

TieredStore::TieredStore(std::vector<StorePtr> stores, const TieredOptions& options, Beginning beginning)
    : CompositeStore(guarded(stores, options, beginning.link, beginning.recovery),
                     {.kind = "tiered",
                      .authority = options.authority.value_or(stores.empty() ? 0 : stores.size() - 1),
                      .max_value = options.max_value,
                      .clock = options.clock}),
      caps_(caps_of(options, stores.size())),
      link_(beginning.link),
      recovery_(beginning.recovery) {
  // What the far tier promises, the whole does.
  const Traits& of_far = parts_.back().traits;
  traits_.shared = of_far.shared;
  traits_.persistent = of_far.persistent;
  traits_.max_value_bytes = of_far.max_value_bytes;
  if (options.max_value != 0) traits_.max_value_bytes = std::min(traits_.max_value_bytes, options.max_value);
  link_->store = this;
  if (!options.backplane) return;
  informed_ = false;
  herald_ = std::make_unique<Herald>(
      options.backplane, options.name, clock(), Herald::Limits{options.max_pending, options.recovery_delay},
      Herald::Duties{[this](const Message& message) { heard(message); }, [this](bool now) { connection(now); }});
  herald_->begin();
}

TieredStore::~TieredStore() {
  if (herald_) herald_->end();
  const std::scoped_lock guard(link_->mutex);
  link_->store = nullptr;
}

void TieredStore::caught_up(const CaughtUp& done) {
  // The time of the change, and not of its coming late: what others did since is newer.
  if (!done.key.empty()) {
    const Key key(done.key);
    drop(Tiers::shared, key);
    const Change change{done.key, done.wall};
    if (herald_) herald_->keys({&change, 1});
    stripes_.invalidate(key, [&] { drop(Tiers::own, key); });
    return;
  }
  const std::vector<std::string_view> tags(done.tags.begin(), done.tags.end());
  const Scope scope{tags, done.any};
  (void)flush_tiers(Tiers::shared, scope);
  if (herald_) tell_flush(scope, done.wall);
  (void)flush_tiers(Tiers::own, scope);
}

// --- reading

Result<bool> TieredStore::get(const Key& key, const Read& how, Receiver found) {
  if (key.space() != Space::values) [[unlikely]]
    return authority().get(key, how, found);
  if (how.stale || parts_.size() == 1) return far().get(key, how, found);  // who means to change it wants the truth
  if (is_informed()) [[likely]] {
    auto there = parts_.front()->get(key, how, [&](const Entry& entry) {
      show(entry, marked(entry.version, kNearMark), caps_.front().has_value(), found);
    });
    if (there.ok() && *there) [[likely]]
      return there;
  }
  return get_farther(key, how, [&](const Entry& entry, std::size_t tier) {
    show(entry, tier == last() ? entry.version : marked(entry.version, kNearMark + tier), is_capped(tier), found);
  });
}

Result<Got> TieredStore::get_value(const Key& key, const ValueRead& how) {
  if (key.space() != Space::values || parts_.size() == 1 || !is_informed()) [[unlikely]]
    return Store::get_value(key, how);
  auto near = parts_.front()->get_value(key, how);
  if (near.ok() && *near != Got::nothing) [[likely]]
    return near;
  return get_farther_value(key, how);
}

/// A function of its own, so that a near hit keeps no registers for it.
[[gnu::noinline]] Result<Got> TieredStore::get_farther_value(const Key& key, const ValueRead& how) {
  Got got = Got::nothing;
  auto there = get_farther(key, {.as = &how.as}, [&](const Entry& entry, std::size_t) {
    const auto is_carried = [&](const std::string& tag) {
      return std::any_of(entry.tags.begin(), entry.tags.end(), [&](const TagStamp& has) { return has.name == tag; });
    };
    if (!how.tags.empty() && !std::all_of(how.tags.begin(), how.tags.end(), is_carried)) [[unlikely]]
      got = Got::other_tags;
    else
      got = how.take(entry.value) ? Got::value : Got::another_type;
  });
  return there.ok() ? Result<Got>(got) : Result<Got>(there.take_error());
}

/// What the first tier has not; the first that has it fills the nearer ones. Calls `found(entry, tier)`, with the entry
/// as that tier has it.
template <class Found>
Result<bool> TieredStore::get_farther(const Key& key, const Read& how, Found&& found) {
  if (!is_informed()) [[unlikely]]
    herald_->revive();
  const std::uint64_t ticket = stripes_.look(key);
  for (std::size_t tier = 1;; ++tier) {
    const bool is_last = tier == last();
    if (!is_last && parts_[tier].is_private() && !is_informed()) continue;
    composite::SmallCopy worth;
    auto there = parts_[tier]->get(key, how, [&](const Entry& entry) {
      if (is_worth(entry)) is_capped(tier) ? worth.take(with_own_life(entry, tier)) : worth.take(entry);
      found(entry, tier);
    });
    if (there.ok() && *there) {
      if (const Entry* const copy = worth.view()) promote(key, how, *copy, tier, ticket);
      return there;
    }
    if (is_last) return there;
  }
}

/// The entry as the far tier has it, as to its life.
Entry TieredStore::with_own_life(const Entry& entry, std::size_t tier) const {
  Entry own = entry;
  if (is_capped(tier)) own.expiry = Expiry::at(entry.expiry.keep_until);
  return own;
}

bool TieredStore::is_worth(const Entry& entry) const {
  return composite::is_portable(entry.value) &&
         (entry.expiry.fresh_until == kNever || entry.expiry.is_fresh(clock().now()));  // most calls need no clock
}

/// Puts what is fresh.
void TieredStore::fill(std::size_t tier, const Key& key, const Entry& entry) {
  auto written = [&] {
    if (!caps_[tier]) [[likely]]
      return parts_[tier]->put(key, entry, {});
    Entry capped = entry;
    capped.expiry.keep_until = entry.expiry.fresh_until;
    capped.expiry.fresh_until = std::min(entry.expiry.fresh_until, after(clock().now(), *caps_[tier]));
    return parts_[tier]->put(key, capped, {});
  }();
  if (!written.ok() || !*written) (void)parts_[tier]->forget(key, {});
}

void TieredStore::promote(const Key& key, const Read& how, const Entry& entry, std::size_t from, std::uint64_t ticket) {
  for (std::size_t to = from; to-- > 0;) {
    if (!parts_[to].is_private()) [[unlikely]] {
      // A private tier may not yet have heard of what another process took from the shared one.
      if (parts_[from].is_private() && from != last()) continue;
      (void)composite::fill_under_ticket(*parts_[to], key, clock(), caps_[to], [&](Receiver found) {
        auto there = parts_[from]->get(key, {.as = how.as}, found);
        return there.ok() && *there;
      });
      continue;
    }
    const auto fill_with = [&](const Entry& own) {
      stripes_.fill(key, ticket, [&] {
        if (is_informed()) fill(to, key, own);
      });
    };
    if (entry.tags.empty()) [[likely]]
      fill_with(entry);
    else if (is_informed())
      with_own_epochs(entry, to, fill_with);
  }
}

/// Each tier has epochs of its own for a tag; where it does not tell them, nothing is done.
template <class Work>
void TieredStore::with_own_epochs(const Entry& entry, std::size_t tier, Work&& work) {
  std::vector<std::string_view> names;
  for (const TagStamp& tag : entry.tags) names.push_back(tag.name);
  auto epochs = parts_[tier]->epochs(names);
  if (!epochs.ok()) return;
  std::vector<TagStamp> stamps;
  for (std::size_t i = 0; i < names.size(); ++i) stamps.push_back({names[i], (*epochs)[i]});
  Entry own = entry;
  own.tags = stamps;
  work(own);
}

Result<bool> TieredStore::has(const Key& key) {
  if (key.space() != Space::values) return authority().has(key);
  for (std::size_t tier = 0; tier < last(); ++tier) {
    if (parts_[tier].is_private() && !is_informed()) continue;
    auto there = parts_[tier]->has(key);
    if (there.ok() && *there) return there;
  }
  return far().has(key);
}

Result<void> TieredStore::get_many(std::span<const Key> keys, const Read& how, BatchReceiver found) {
  if (has_other_spaces(keys)) return Store::get_many(keys, how, found);
  if (how.stale || parts_.size() == 1) return far().get_many(keys, how, found);
  std::vector<Key> asked(keys.begin(), keys.end());
  std::vector<std::size_t> places(keys.size());
  for (std::size_t i = 0; i < places.size(); ++i) places[i] = i;
  std::vector<std::uint64_t> tickets;
  for (const Key& key : keys) tickets.push_back(stripes_.look(key));
  for (std::size_t tier = 0; tier <= last() && !asked.empty(); ++tier) {
    if (tier != last() && parts_[tier].is_private() && !is_informed()) continue;
    std::vector<std::pair<std::size_t, EntryCopy>> worth;
    std::vector<bool> seen(asked.size());
    const auto take = [&](std::size_t i, const Entry& entry) {
      seen[i] = true;
      if (tier != 0 && is_worth(entry)) worth.emplace_back(i, EntryCopy(with_own_life(entry, tier)));
      const auto receive = [&](const Entry& shown) { found(places[i], shown); };
      show(entry, tier == last() ? entry.version : marked(entry.version, kNearMark + tier), is_capped(tier), receive);
    };
    // What a nearer tier cannot read the next is asked for.
    const auto tell = [&](std::size_t i, std::unique_ptr<Error> why) {
      if (tier == last()) found.unreadable(places[i], std::move(why));
    };
    auto done = parts_[tier]->get_many(asked, how, {take, tell});
    for (const auto& [i, copy] : worth) promote(asked[i], how, copy.view(), tier, tickets[places[i]]);
    if (!done.ok() && tier == last()) return done;
    std::vector<Key> left;
    std::vector<std::size_t> left_places;
    for (std::size_t i = 0; i < asked.size(); ++i)
      if (!seen[i]) left.push_back(asked[i]), left_places.push_back(places[i]);
    asked = std::move(left);
    places = std::move(left_places);
  }
  return {};
}

// --- writing

template <class Work>
void TieredStore::each_near(Tiers which, Work&& work) {
  for (std::size_t tier = last(); tier > 0; --tier)
    if (parts_[tier - 1].is_private() == (which == Tiers::own)) work(tier - 1);
}

bool TieredStore::drop(Tiers which, const Key& key) {
  bool was_there = false;
  each_near(which, [&](std::size_t tier) {
    auto dropped = parts_[tier]->forget(key, {});
    was_there = was_there || (dropped.ok() && *dropped);
  });
  return was_there;
}

void TieredStore::tell(const Key& key) {
  if (!herald_) return;
  const Change change{key.text(), herald_->now()};
  herald_->keys({&change, 1});
}

template <class Range, class NameOf>
void TieredStore::tell(const Range& range, NameOf name_of) {
  if (!herald_) return;
  const std::int64_t wall = herald_->now();
  std::vector<Change> changes;
  for (const auto& one : range) changes.push_back({name_of(one), wall});
  herald_->keys(changes);
}

void TieredStore::tell_flush(const Scope& scope, std::int64_t wall) {
  scope.tags.empty() ? herald_->flush(wall) : herald_->flush_tags(scope.tags, scope.any, wall);
}

void TieredStore::wrote(const Key& key, const Entry& entry, std::uint64_t ticket) {
  // A shared tier is filled by the next read, under a ticket: another process may have written the far one after us.
  drop(Tiers::shared, key);
  tell(key);
  fill_own(key, entry, ticket);
}

void TieredStore::fill_own(const Key& key, const Entry& entry, std::uint64_t ticket) {
  const auto fill_each = [&] {
    const bool is_live = entry.expiry.fresh_until == kNever || entry.expiry.is_fresh(clock().now());
    each_near(Tiers::own, [&](std::size_t tier) {
      if (!is_informed()) return;
      std::vector<TagStamp> room;
      is_live ? fill(tier, key, book_.for_part(entry, tier, room)) : (void)parts_[tier]->forget(key, {});
    });
  };
  stripes_.write(key, ticket, fill_each, [&] { drop(Tiers::own, key); });
}

bool TieredStore::invalidate(const Key& key) {
  bool was_near = drop(Tiers::shared, key);
  tell(key);
  stripes_.invalidate(key, [&] { was_near = drop(Tiers::own, key) || was_near; });
  return was_near;
}

Result<void> TieredStore::flush_tiers(Tiers which, const Scope& scope) {
  Result<void> done;
  each_near(which, [&](std::size_t tier) {
    stripes_.end_fills();
    auto also = parts_[tier]->flush(scope);
    if (!also.ok() && done.ok()) done = std::move(also);
  });
  return done;
}

Result<bool> TieredStore::put(const Key& key, const Entry& entry, const Write& how) {
  if (key.space() != Space::values) return authority().put(key, entry, how);
  if (auto fits = check(key, entry); !fits.ok()) return Result<bool>(fits.take_error());
  const std::uint64_t ticket = stripes_.look(key);
  std::vector<TagStamp> room;
  auto written = far().put(key, book_.for_part(entry, last(), room), how);
  if (composite::is_placeholder(entry)) return written;
  if (written.ok() && *written) {
    wrote(key, entry, ticket);
    return written;
  }
  if (!written.ok() && how.when == When::always && is_kept(key)) {
    wrote(key, entry, ticket);
    return true;
  }
  // Refused, the near copy may have been what misled the caller; failed, it must not look new.
  if (!written.ok() || how.when == When::unchanged) invalidate(key);
  return written;
}

Result<BatchWritten> TieredStore::put_many(std::span<const Item> items) {
  if (items.empty()) return BatchWritten{};
  std::vector<Item> own(items.begin(), items.end());
  std::vector<std::vector<TagStamp>> rooms(items.size());
  std::vector<std::uint64_t> tickets;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i].key.space() != Space::values) return Store::put_many(items);
    if (auto fits = check(items[i].key, items[i].entry); !fits.ok()) return Result<BatchWritten>(fits.take_error());
    own[i].entry = book_.for_part(items[i].entry, last(), rooms[i]);
    tickets.push_back(stripes_.look(items[i].key));
  }
  auto written = far().put_many(own);
  if (!written.ok() && !is_transient(written.error().code)) return written;
  BatchWritten outcome;
  if (written.ok())
    outcome = *std::move(written);
  else
    for (std::size_t i = 0; i < items.size(); ++i) outcome.failed.push_back(i);
  std::vector<bool> failed(items.size());
  for (const std::size_t i : outcome.failed) failed[i] = !is_kept(items[i].key);
  for (const Item& item : items) drop(Tiers::shared, item.key);
  tell(items, [](const Item& item) { return item.key.text(); });
  // A repeated key is filled by none of its items: which of them the far tier holds is its own affair.
  for (std::size_t i = 0; i < items.size(); ++i)
    fill_own(items[i].key, items[i].entry, failed[i] ? ~tickets[i] : tickets[i]);
  std::erase_if(outcome.failed, [&](std::size_t i) { return !failed[i]; });
  if (outcome.failed.empty()) {
    outcome.error.reset();
    return outcome;
  }
  if (!outcome.error) outcome.error = written.take_error();
  return outcome;
}

Result<bool> TieredStore::touch(const Key& key, const Expiry& expiry) {
  if (key.space() != Space::values) return authority().touch(key, expiry);
  auto touched = far().touch(key, expiry);
  invalidate(key);
  return touched;
}

Result<std::int64_t> TieredStore::increment(const Key& key, std::int64_t by, const Entry& if_new) {
  if (key.space() != Space::values) return authority().increment(key, by, if_new);
  std::vector<TagStamp> room;
  auto number = far().increment(key, by, book_.for_part(if_new, last(), room));
  if (number.ok() || is_transient(number.error().code)) invalidate(key);
  return number;
}

// --- removing

Result<bool> TieredStore::forget(const Key& key, const Forget& how) {
  if (key.space() != Space::values) return authority().forget(key, how);
  auto gone = far().forget(key, how);
  const bool was_near = invalidate(key);
  if (how.version != 0) return gone;
  if (!gone.ok() && is_kept(key)) return was_near;
  return gone;
}

Result<bool> TieredStore::pull(const Key& key, const Read& how, Receiver found) {
  if (key.space() != Space::values) return authority().pull(key, how, found);
  auto pulled = far().pull(key, how, found);
  invalidate(key);
  return pulled;
}

Result<std::size_t> TieredStore::forget_many(std::span<const Key> keys) {
  if (keys.empty()) return std::size_t{0};
  if (has_other_spaces(keys)) return Store::forget_many(keys);
  auto gone = far().forget_many(keys);
  std::vector<std::uint8_t> was_near;
  for (const Key& key : keys) was_near.push_back(drop(Tiers::shared, key));
  tell(keys, [](const Key& key) { return key.text(); });
  std::size_t near = 0;
  for (std::size_t i = 0; i < keys.size(); ++i)
    stripes_.invalidate(keys[i], [&] { near += drop(Tiers::own, keys[i]) || was_near[i] != 0; });
  if (!gone.ok() && recovery_ && std::all_of(keys.begin(), keys.end(), [&](const Key& key) { return is_kept(key); }))
    return near;
  return gone;
}

Result<void> TieredStore::flush(const Scope& scope) {
  auto done = far().flush(scope);
  for (const Tiers which : {Tiers::shared, Tiers::own}) {
    auto near = flush_tiers(which, scope);
    if (done.ok()) done = std::move(near);
    if (which == Tiers::shared && herald_) tell_flush(scope, herald_->now());
  }
  const bool is_promised = !done.ok() && is_transient(done.error().code) && recovery_ && recovery_->waiting() != 0;
  return is_promised ? Result<void>() : std::move(done);
}

Result<void> TieredStore::scan(Space space, Visitor visit) {
  return space == Space::values ? far().scan(space, visit) : authority().scan(space, visit);
}

// --- what others changed

void TieredStore::heard(const Message& message) {
  switch (message.kind) {
    case Message::Kind::keys:
      for (std::size_t i = 0; i < message.names.size(); ++i) {
        const Key key(message.names[i]);
        if (recovery_) recovery_->overtaken(message.names[i], message.walls[i]);
        stripes_.invalidate(key, [&] { drop(Tiers::own, key); });
      }
      break;
    case Message::Kind::flush:
    case Message::Kind::flush_tags:
      if (recovery_) recovery_->overtaken_by_flush(message.names, message.any, message.wall);
      (void)flush_tiers(Tiers::own, {message.names, message.any});
      break;
    case Message::Kind::hello: break;
  }
}

void TieredStore::connection(bool connected) {
  if (!connected) {
    informed_.store(false, std::memory_order_release);
    return;
  }
  // Whatever was missed: nothing that was near before is served again.
  (void)flush_tiers(Tiers::own, {});
  informed_.store(true, std::memory_order_release);
}

}  // namespace tiered

StorePtr make_tiered(std::vector<StorePtr> stores, const TieredOptions& options) {
  return std::make_shared<tiered::TieredStore>(std::move(stores), options, tiered::Beginning{});
}

}  // namespace v1
}  // namespace flux::cache
