#include <algorithm>
#include <map>
#include <numeric>
#include <unordered_set>

#include "replicas.hpp"

namespace flux::cache {
inline namespace v1 {
namespace distributed {

using composite::marked;
using composite::Part;

std::vector<StorePtr> guarded(std::vector<StorePtr> stores, const DistributedOptions& options) {
  for (StorePtr& store : stores) {
    if (store == nullptr) continue;
    if (options.recovery)
      store = make_recovering(
          std::move(store), {.max_keys = options.max_pending, .delay = options.recovery_delay, .clock = options.clock});
  }
  return stores;
}

namespace {

/// What a reader sees: the version says which replica it came from.
template <class Found>
auto from(std::size_t part, Found& found) {
  return [part, &found](const Entry& entry) {
    if (part == 0) return found(entry);
    Entry shown = entry;
    shown.version = marked(entry.version, part);
    found(shown);
  };
}

}  // namespace

ReplicatedStore::ReplicatedStore(std::vector<StorePtr> stores, WritePolicy writes, const DistributedOptions& options)
    : CompositeStore(guarded(std::move(stores), options), {.kind = "distributed",
                                                           .authority = options.authority,
                                                           .max_value = options.max_value,
                                                           .clock = options.clock}),
      writes_(writes),
      recovers_(options.recovery) {}

std::size_t ReplicatedStore::wanted() const noexcept {
  switch (writes_) {
    case WritePolicy::any: return 1;
    case WritePolicy::majority: return parts_.size() / 2 + 1;
    case WritePolicy::all: return parts_.size();
  }
  return 1;
}

template <class T, class Ask>
Result<T> ReplicatedStore::decide(std::size_t& decided, Ask&& ask) {
  std::unique_ptr<Error> first;
  for (decided = 0; decided < parts_.size(); ++decided) {
    Result<T> answer = ask(*parts_[decided], decided);
    if (answer.ok() || !is_transient(answer.error().code)) return answer;
    if (!first) first = answer.take_error();
  }
  return Result<T>(std::move(first));
}

// --- reading

Result<bool> ReplicatedStore::get(const Key& key, const Read& how, Receiver found) {
  if (key.space() != Space::values) return authority().get(key, how, found);
  if (how.stale) {
    // Somebody means to change it: the replica that will decide answers, and is repaired first where it has lost it.
    std::size_t decided = 0;
    auto there = decide<bool>(decided, [&](Store& part, std::size_t i) { return part.get(key, how, from(i, found)); });
    if (!there.ok() || *there) return there;
    for (std::size_t i = decided + 1; i < parts_.size(); ++i) {
      auto elsewhere = parts_[i]->has(key);
      if (!elsewhere.ok() || !*elsewhere) continue;
      repair(key, how, i);
      return parts_[decided]->get(key, how, from(decided, found));
    }
    return there;
  }
  std::unique_ptr<Error> error;
  bool somebody_missed = false;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    auto there = parts_[i]->get(key, how, from(i, found));
    if (there.ok() && *there) {
      if (somebody_missed) repair_behind(key, how, i);
      return there;
    }
    somebody_missed = somebody_missed || there.ok();
    if (!there.ok() && !error) error = there.take_error();
  }
  return somebody_missed || !error ? Result<bool>(false) : Result<bool>(std::move(error));
}

Result<bool> ReplicatedStore::has(const Key& key) {
  if (key.space() != Space::values) return authority().has(key);
  std::unique_ptr<Error> error;
  bool somebody_missed = false;
  for (const Part& part : parts_) {
    auto there = part->has(key);
    if (there.ok() && *there) return there;
    somebody_missed = somebody_missed || there.ok();
    if (!there.ok() && !error) error = there.take_error();
  }
  return somebody_missed || !error ? Result<bool>(false) : Result<bool>(std::move(error));
}

Result<void> ReplicatedStore::get_many(std::span<const Key> keys, const Read& how, BatchReceiver found) {
  if (how.stale || has_other_spaces(keys)) return Store::get_many(keys, how, found);
  std::vector<Key> asked(keys.begin(), keys.end());
  std::vector<std::size_t> places(keys.size());
  std::iota(places.begin(), places.end(), std::size_t{0});
  std::unique_ptr<Error> error;
  std::map<std::size_t, std::unique_ptr<Error>> unreadable;  // by place
  std::vector<bool> missed(keys.size());                     // some replica has none
  bool answered = false;
  bool somebody_missed = false;
  for (std::size_t part = 0; part < parts_.size() && !asked.empty(); ++part) {
    std::vector<bool> seen(asked.size()), bad(asked.size());
    const auto take = [&](std::size_t i, const Entry& entry) {
      seen[i] = true;
      const auto receive = [&](const Entry& shown) { found(places[i], shown); };
      from(part, receive)(entry);
    };
    const auto keep = [&](std::size_t i, std::unique_ptr<Error> why) {
      bad[i] = true;
      unreadable.try_emplace(places[i], std::move(why));
    };
    auto done = parts_[part]->get_many(asked, how, {take, keep});
    if (!done.ok() && !error) error = done.take_error();
    answered = answered || done.ok();
    std::vector<Key> left;
    std::vector<std::size_t> left_places;
    for (std::size_t i = 0; i < asked.size(); ++i) {
      if (!seen[i]) {
        if (done.ok() && !bad[i]) missed[places[i]] = true;
        left.push_back(asked[i]);
        left_places.push_back(places[i]);
      } else if (somebody_missed) {
        repair_behind(asked[i], how, part);
      }
    }
    somebody_missed = somebody_missed || done.ok();
    asked = std::move(left);
    places = std::move(left_places);
  }
  for (const std::size_t place : places)
    if (const auto at = unreadable.find(place); at != unreadable.end() && !missed[place])
      found.unreadable(place, std::move(at->second));
  return answered || !error ? Result<void>() : Result<void>(std::move(error));
}

/// All from before a flush, or all from after it: an entry must not stand on some of the replicas alone.
Result<std::vector<std::uint64_t>> ReplicatedStore::epochs(std::span<const std::string_view> tags) {
  if (tags.empty()) return std::vector<std::uint64_t>{};
  const std::uint64_t before = flushes_.load(std::memory_order_acquire);
  if (before % 2 == 0) {
    auto numbers = CompositeStore::epochs(tags);
    if (!numbers.ok() || flushes_.load(std::memory_order_acquire) == before) return numbers;
  }
  // A flush takes every turn; this one lasts until the epochs are read.
  const Turn turn(stripes_, Key(tags.front(), Space::tags));
  return CompositeStore::epochs(tags);
}

// --- repair

void ReplicatedStore::repair(const Key& key, const Read& how, std::size_t part) {
  for (std::size_t to = 0; to < part; ++to)
    (void)composite::fill_under_ticket(*parts_[to], key, clock(), std::nullopt, [&](Receiver found) {
      if (is_flushing()) return false;
      auto there = parts_[part]->get(key, {.as = how.as}, found);
      return there.ok() && *there;
    });
}

void ReplicatedStore::repair_behind(const Key& key, const Read& how, std::size_t part) {
  bool at_hand = true;
  for (std::size_t i = 0; i <= part; ++i) at_hand = at_hand && parts_[i].is_private();
  if (at_hand) return repair(key, how, part);
  background_.submit([this, text = std::string(key.text()), how, part] { repair(Key(text), how, part); });
}

// --- writing

Result<bool> ReplicatedStore::put(const Key& key, const Entry& entry, const Write& how) {
  if (key.space() != Space::values) return authority().put(key, entry, how);
  if (auto fits = check(key, entry); !fits.ok()) return Result<bool>(fits.take_error());
  const Turn turn(stripes_, key);
  return how.when == When::always ? put_everywhere(key, entry) : put_if(key, entry, how);
}

Result<bool> ReplicatedStore::put_everywhere(const Key& key, const Entry& entry) {
  std::atomic<std::size_t> taken{0};
  std::vector<std::unique_ptr<Error>> errors(parts_.size());
  composite::fan_out(parts_.size(), apart(), [&](std::size_t part) {
    std::vector<TagStamp> room;
    auto written = parts_[part]->put(key, book_.for_part(entry, part, room), {});
    if (written.ok())
      taken += *written;
    else
      errors[part] = written.take_error();
  });
  if (taken.load() >= wanted()) return true;
  for (auto& error : errors)
    if (error) return Result<bool>(std::move(error));
  return false;
}

Result<bool> ReplicatedStore::put_if(const Key& key, const Entry& entry, const Write& how) {
  std::size_t decided = 0;
  auto written = decide<bool>(decided, [&](Store& part, std::size_t i) {
    std::vector<TagStamp> room;
    Write own = how;
    if (how.version != 0) own.version = marked(how.version, i);
    return part.put(key, book_.for_part(entry, i, room), own);
  });
  if (!written.ok()) return written;
  if (!*written) {
    if (how.when != When::unchanged || how.version == 0) return written;
    // The version may be a later replica's, of an entry that the deciding one has lost: once it is repaired, it fits.
    for (std::size_t i = decided + 1; i < parts_.size(); ++i) {
      auto there = parts_[i]->has(key);
      if (there.ok() && *there) return repair(key, {}, i), false;
    }
    return written;
  }
  if (!composite::is_placeholder(entry)) copy_from(decided, decided, key, entry);
  return written;
}

void ReplicatedStore::copy_from(std::size_t part, std::size_t away, const Key& key, const Entry& entry) {
  composite::fan_out(parts_.size(), apart(), [&](std::size_t to) {
    if (to == part) return;
    std::vector<TagStamp> room;
    const Entry own = book_.for_part(entry, to, room);
    if (to < away || !any_shared()) {
      (void)parts_[to]->put(key, own, {});
      return;
    }
    // Another process may remove it between the decision and this: a ticket tells.
    if (!parts_[to]->forget(key, {}).ok()) return;
    const bool filled = composite::fill_under_ticket(*parts_[to], key, clock(), std::nullopt, [&](Receiver found) {
      if (is_flushing()) return false;
      auto there = parts_[part]->has(key);
      if (!there.ok() || !*there) return false;
      found(entry);
      return true;
    });
    (void)filled;
  });
}

void ReplicatedStore::forget_elsewhere(std::size_t part, const Key& key) {
  composite::fan_out(parts_.size(), apart(), [&](std::size_t other) {
    if (other != part) (void)parts_[other]->forget(key, {});
  });
}

Result<bool> ReplicatedStore::touch(const Key& key, const Expiry& expiry) {
  if (key.space() != Space::values) return authority().touch(key, expiry);
  const Turn turn(stripes_, key);
  std::size_t decided = 0;
  auto touched = decide<bool>(decided, [&](Store& part, std::size_t) { return part.touch(key, expiry); });
  if (!touched.ok()) return touched;
  bool any = *touched;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    if (i == decided) continue;
    auto also = parts_[i]->touch(key, expiry);
    if (also.ok())
      any = any || *also;
    else
      (void)parts_[i]->forget(key, {});  // it must not outlive its end there
  }
  return any;
}

Result<std::int64_t> ReplicatedStore::increment(const Key& key, std::int64_t by, const Entry& if_new) {
  if (key.space() != Space::values) return authority().increment(key, by, if_new);
  const Turn turn(stripes_, key);
  std::vector<TagStamp> room;
  auto number = authority().increment(key, by, book_.for_part(if_new, authority_index(), room));
  if (!number.ok() || parts_.size() == 1) return number;
  EntryCopy copy;
  auto there = authority().get(key, {}, [&](const Entry& entry) { copy = EntryCopy(entry); });
  if (!there.ok() || !*there) return number;
  std::vector<TagStamp> tags;
  Entry entry = copy.view();
  for (const TagStamp& tag : entry.tags) tags.push_back({tag.name, 0});
  entry.tags = tags;
  copy_from(authority_index(), 0, key, entry);
  return number;
}

Result<BatchWritten> ReplicatedStore::put_many(std::span<const Item> items) {
  if (items.empty()) return BatchWritten{};
  for (const Item& item : items) {
    if (item.key.space() != Space::values) return Store::put_many(items);
    if (auto fits = check(item.key, item.entry); !fits.ok()) return Result<BatchWritten>(fits.take_error());
  }
  const Turn turn(stripes_, items, [](const Item& item) { return item.key; });
  std::vector<std::vector<std::uint8_t>> taken(parts_.size(), std::vector<std::uint8_t>(items.size()));
  std::vector<std::unique_ptr<Error>> errors(parts_.size());
  composite::fan_out(parts_.size(), apart(), [&](std::size_t part) {
    std::vector<Item> own(items.begin(), items.end());
    std::vector<std::vector<TagStamp>> rooms(items.size());
    for (std::size_t i = 0; i < items.size(); ++i) own[i].entry = book_.for_part(items[i].entry, part, rooms[i]);
    auto written = parts_[part]->put_many(own);
    if (!written.ok()) {
      errors[part] = written.take_error();
      return;
    }
    taken[part].assign(items.size(), 1);
    for (const std::size_t i : written->failed) taken[part][i] = 0;
    errors[part] = std::move(written->error);
  });
  BatchWritten outcome;
  for (std::size_t i = 0; i < items.size(); ++i) {
    std::size_t count = 0;
    for (const auto& part : taken) count += part[i];
    if (count < wanted()) outcome.failed.push_back(i);
  }
  if (!outcome.failed.empty())
    for (auto& error : errors)
      if (error && !outcome.error) outcome.error = std::move(error);
  return outcome;
}

// --- removing

Result<bool> ReplicatedStore::forget(const Key& key, const Forget& how) {
  if (key.space() != Space::values) return authority().forget(key, how);
  const Turn turn(stripes_, key);
  std::size_t decided = 0;
  if (how.version != 0) {
    // The others first, as in `pull`: who looks between the two must not find it there, under another version.
    auto stands = decide<bool>(decided, [&](Store& part, std::size_t i) {
      bool same = false;
      auto there =
          part.get(key, {.stale = true}, [&](const Entry& entry) { same = entry.version == marked(how.version, i); });
      return there.ok() ? Result<bool>(same) : std::move(there);
    });
    if (!stands.ok() || !*stands) return stands;
    forget_elsewhere(decided, key);
    return parts_[decided]->forget(key, {marked(how.version, decided)});
  }
  // First to last ends the loads that the first one knows of; the first again ends the repairs from the later ones.
  bool any = false;
  bool answered = false;
  std::unique_ptr<Error> error;
  const auto ask = [&](std::size_t part) {
    auto gone = parts_[part]->forget(key, how);
    if (gone.ok())
      any = any || *gone, answered = true;
    else if (!error)
      error = gone.take_error();
  };
  if (any_shared() && parts_.size() > 1) ask(0);
  for (std::size_t part = parts_.size(); part > 0; --part) ask(part - 1);
  return answered ? Result<bool>(any) : Result<bool>(std::move(error));
}

Result<bool> ReplicatedStore::pull(const Key& key, const Read& how, Receiver found) {
  if (key.space() != Space::values) return authority().pull(key, how, found);
  const Turn turn(stripes_, key);
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    auto there = parts_[i]->has(key);
    if (!there.ok() || !*there) continue;
    if (i != 0) repair(key, how, i);
    break;
  }
  // The others first: once the deciding one has handed it over, nobody finds it again.
  std::size_t decided = 0;
  auto known = decide<bool>(decided, [&](Store& part, std::size_t) { return part.has(key); });
  if (!known.ok()) return known;
  forget_elsewhere(decided, key);
  return parts_[decided]->pull(key, how, found);
}

Result<std::size_t> ReplicatedStore::forget_many(std::span<const Key> keys) {
  if (keys.empty()) return std::size_t{0};
  if (has_other_spaces(keys)) return Store::forget_many(keys);
  const Turn turn(stripes_, keys, [](const Key& key) { return key; });
  std::size_t most = 0;
  bool answered = false;
  std::unique_ptr<Error> error;
  const auto ask = [&](std::size_t part) {
    auto gone = parts_[part]->forget_many(keys);
    if (gone.ok())
      most = std::max(most, *gone), answered = true;
    else if (!error)
      error = gone.take_error();
  };
  if (any_shared() && parts_.size() > 1) ask(0);
  for (std::size_t part = parts_.size(); part > 0; --part) ask(part - 1);
  return answered ? Result<std::size_t>(most) : Result<std::size_t>(std::move(error));
}

// --- upkeep

Result<void> ReplicatedStore::scan(Space space, Visitor visit) {
  if (space != Space::values) return authority().scan(space, visit);
  std::unordered_set<std::string> seen;
  std::unique_ptr<Error> error;
  bool answered = false;
  bool go_on = true;
  for (std::size_t part = 0; part < parts_.size() && go_on; ++part) {
    const bool last = part + 1 == parts_.size();
    auto done = parts_[part]->scan(space, [&](std::string_view key, const Entry& entry) {
      std::string name(key);
      if (seen.contains(name)) return true;
      go_on = visit(key, entry);
      if (!last) seen.insert(std::move(name));
      return go_on;
    });
    answered = answered || done.ok();
    if (!done.ok() && !error) error = done.take_error();
  }
  return answered ? Result<void>() : Result<void>(std::move(error));
}

}  // namespace distributed

StorePtr make_replicated(std::vector<StorePtr> stores, WritePolicy writes, const DistributedOptions& options) {
  return std::make_shared<distributed::ReplicatedStore>(std::move(stores), writes, options);
}

}  // namespace v1
}  // namespace flux::cache
