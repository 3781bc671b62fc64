#include "cluster_store.hpp"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <optional>

#include "core/random.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

namespace {

constexpr int kMaxStamps = 100;

bool is_of_values(const Key& key) noexcept { return key.space() == Space::values; }

/// Keeps what went wrong first.
struct FirstError {
  void operator()(std::size_t, Error error) {
    if (!why) why = std::make_unique<Error>(std::move(error));
  }
  std::unique_ptr<Error> why;
};

}  // namespace

struct ClusterStore::ByGroup {
  struct Unit {
    std::size_t begin, end;  // of `order`
    std::size_t group;
    bool is_values;
  };

  template <class KeyOf>
  ByGroup(const Layout& layout, std::size_t count, KeyOf key_of) : order(count) {
    const auto place = [&](std::size_t i) {
      return std::pair(layout.group_of(key_of(i)), static_cast<int>(key_of(i).space()));
    };
    std::vector<decltype(place(0))> places;
    for (std::size_t i = 0; i < count; ++i) places.push_back(place(i));
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return places[a] < places[b]; });
    for (std::size_t i = 0; i < count; ++i) {
      if (i > 0 && places[order[i - 1]] == places[order[i]]) {
        ++units.back().end;
        continue;
      }
      const std::size_t group = places[order[i]].first;
      units.push_back({i, i + 1, group, is_of_values(key_of(order[i]))});
      slots.push_back(layout.slot(group));
    }
  }
  std::span<const std::size_t> members(std::size_t unit) const {
    return std::span(order).subspan(units[unit].begin, units[unit].end - units[unit].begin);
  }

  std::vector<std::size_t> order;
  std::vector<Unit> units;
  std::vector<Slot> slots;
};

ClusterStore::ClusterStore(const RedisConfig& config, std::unique_ptr<ClusterClient> client,
                           std::unique_ptr<Error> wrong)
    : ServerStore(config, std::move(client), Spread::cluster, std::move(wrong)),
      cluster_(static_cast<ClusterClient&>(*client_)) {}

Traits ClusterStore::traits() const noexcept {
  Traits traits = ServerStore::traits();
  traits.spread = true;
  traits.atomic_batches = false;
  traits.tags = false;
  return traits;
}

void ClusterStore::transaction(Commands& commands, std::size_t group, std::span<const Item* const> items,
                               std::span<const Draft> drafts) const {
  commands.begin(1).word("MULTI");
  for (std::size_t i = 0; i < items.size(); ++i) set_command(commands, items[i]->key, drafts[i]);
  if (is_of_values(items.front()->key)) layout_.generation_word(commands.begin(2).word("GET"), group);
  commands.begin(1).word("EXEC");
}

Result<bool> ClusterStore::executed(Replies& replies, std::size_t commands) {
  for (std::size_t i = 0; i < commands + 1; ++i) {
    auto queued = replies.next();
    if (!queued.ok()) return Result<bool>(queued.take_error());
  }
  return replies.array(commands);
}

Result<void> ClusterStore::written(Replies& replies, std::size_t group, std::size_t count, std::uint64_t& generation) {
  const std::size_t commands = count + (generation != 0 ? 1 : 0);
  auto whole = executed(replies, commands);
  if (!whole.ok() || !*whole) return Result<void>(whole.take_error());
  for (std::size_t i = 0; i < count; ++i) {
    auto set = replies.next();
    if (!set.ok()) return Result<void>(set.take_error());
  }
  if (commands == count) return {};
  auto stands = replies.next();
  if (!stands.ok()) return Result<void>(stands.take_error());
  generation = note_generation(group, *stands);
  return {};
}

// As on a server, but the two commands are a transaction: half of it would not be told apart from all of it while the
// slot moves.
Result<bool> ClusterStore::put(const Key& key, const Entry& entry, const Write& how) {
  if (auto refused = refuse(key, entry)) return placed(std::move(*refused), "put", &key);
  const Now now(clock_);
  const std::size_t group = layout_.group_of(key);
  if (how.when != When::always) return put_by_script(key, entry, how, now);
  if (is_of_values(key) && layout_.generation(group) == 0) {
    auto learned = learn_generations({&group, 1});
    if (!learned.ok()) return placed(std::move(learned.error()), "put", &key);
  }
  // A flush may have come in between: then it is stamped with what was never one, and written again.
  const std::uint64_t generation = is_of_values(key) ? std::max<std::uint64_t>(layout_.generation(group), 1) : 0;

  const Draft draft(*this, key, entry, now, generation);
  ThreadCommands commands;
  if (is_of_values(key)) {
    const Item item{key, entry};
    const Item* const items[] = {&item};
    transaction(*commands, group, items, {&draft, 1});
  } else {
    set_command(*commands, key, draft);
  }
  std::uint64_t is_now = generation;
  auto done = client_->call({layout_.slot(group)}, *commands, Again::yes, [&](Replies& replies) -> Result<void> {
    if (is_of_values(key)) return written(replies, group, 1, is_now);
    auto set = replies.next();
    return Result<void>(set.take_error());
  });
  if (!done.ok()) return placed(std::move(done.error()), "put", &key);
  return is_now == generation ? Result<bool>(true) : put_by_script(key, entry, how, now);
}

Result<bool> ClusterStore::has(const Key& key) {
  if (wrong_) return placed(*wrong_, "has", &key);
  auto there = run(Script::has, key, Now(clock_), 0, Again::yes, [](Commands&) {});
  if (!there.ok()) return placed(std::move(there.error()), "has", &key);
  return *there == 1;
}

Result<std::vector<std::uint64_t>> ClusterStore::epochs(std::span<const std::string_view>) {
  return placed({Errc::unsupported, "on a cluster tags are kept by a layer: put `make_tagged` over the store"},
                "epochs");
}

// Each group has a generation of its own, so this is 256 small commands; never more, whatever the number of entries.
Result<void> ClusterStore::flush(const Scope& scope) {
  if (wrong_) return placed(*wrong_, "flush");
  if (!scope.tags.empty())
    return placed({Errc::unsupported, "on a cluster tags are kept by a layer: put `make_tagged` over the store"},
                  "flush");
  std::vector<Slot> slots;
  for (std::size_t group = 0; group < layout_.groups(); ++group) slots.push_back(layout_.slot(group));
  FirstError first;
  cluster_.call_many(
      {.slots = slots,
       .again = Again::yes,
       .write = [&](std::size_t group, bool,
                    Commands& commands) { layout_.generation_word(commands.begin(2).word("UNLINK"), group); },
       .read = [](std::size_t, Replies& replies) { return Result<void>(replies.next().take_error()); },
       .failed = first});
  for (std::size_t group = 0; group < layout_.groups(); ++group) layout_.note_generation(group, 0);
  if (first.why) return placed(std::move(*first.why), "flush");
  reclaim_behind();
  return {};
}

Result<void> ClusterStore::get_many(std::span<const Key> keys, const Read& how, BatchReceiver found) {
  if (keys.empty()) return {};
  if (wrong_) return placed(*wrong_, "get_many");
  const Now now(clock_);
  const ByGroup grouped(layout_, keys.size(), [&](std::size_t i) -> const Key& { return keys[i]; });
  std::vector<bool> handed(keys.size());
  FirstError first;
  Record record;
  cluster_.call_many({.slots = grouped.slots,
                      .is_read = true,
                      .again = Again::yes,
                      .write =
                          [&](std::size_t unit, bool, Commands& commands) {
                            const auto members = grouped.members(unit);
                            const bool is_values = grouped.units[unit].is_values;
                            commands.begin(1 + members.size() + (is_values ? 1 : 0)).word("MGET");
                            if (is_values) layout_.generation_word(commands, grouped.units[unit].group);
                            for (const std::size_t i : members) key_word(commands, keys[i]);
                          },
                      .read = [&](std::size_t unit, Replies& replies) -> Result<void> {
                        const auto members = grouped.members(unit);
                        const bool is_values = grouped.units[unit].is_values;
                        auto whole = replies.array(members.size() + (is_values ? 1 : 0));
                        if (!whole.ok() || !*whole) return Result<void>(whole.take_error());
                        std::uint64_t generation = 0;
                        if (is_values) {
                          auto stands = replies.next();
                          if (!stands.ok()) return Result<void>(stands.take_error());
                          generation = note_generation(grouped.units[unit].group, *stands);
                        }
                        for (const std::size_t i : members) {
                          auto element = replies.next();
                          if (!element.ok()) return Result<void>(element.take_error());
                          const Fit seen = fit(*element, keys[i], how.stale, now, generation, record);
                          if (seen == Fit::stranger) return Result<void>(replies.unexpected());
                          if (seen == Fit::miss || handed[i]) continue;
                          handed[i] = true;
                          if (seen == Fit::hit)
                            found(i, entry_of(record, now));
                          else
                            found.unreadable(i, foreign(keys[i], "get_many"));
                        }
                        return {};
                      },
                      .failed = first});
  if (first.why) return placed(std::move(*first.why), "get_many");
  return {};
}

Result<void> ClusterStore::learn_generations(std::span<const std::size_t> groups) {
  std::vector<Slot> slots;
  for (const std::size_t group : groups) slots.push_back(layout_.slot(group));
  FirstError first;
  cluster_.call_many({.slots = slots,
                      .again = Again::yes,
                      .write =
                          [&](std::size_t unit, bool, Commands& commands) {
                            commands.begin(1).word("MULTI");
                            layout_.generation_word(commands.begin(4).word("SET"), groups[unit]);
                            commands.word(bytes_of(random_bits())).word("NX");
                            layout_.generation_word(commands.begin(2).word("GET"), groups[unit]);
                            commands.begin(1).word("EXEC");
                          },
                      .read =
                          [&](std::size_t unit, Replies& replies) {
                            std::uint64_t generation = 1;
                            return written(replies, groups[unit], 1, generation);
                          },
                      .failed = first});
  return Result<void>(std::move(first.why));
}

Result<BatchWritten> ClusterStore::put_many(std::span<const Item> items) {
  BatchWritten outcome;
  const auto fail = [&](std::size_t item, Error error) {
    outcome.failed.push_back(item);
    if (!outcome.error) outcome.error = std::make_unique<Error>(placed(std::move(error), "put_many"));
  };
  for (const Item& item : items)
    if (auto refused = refuse(item.key, item.entry)) {
      refused->key = item.key.text();
      for (std::size_t i = 0; i < items.size(); ++i) fail(i, *refused);
      return outcome;
    }
  const Now now(clock_);
  std::vector<std::size_t> left(items.size());
  std::iota(left.begin(), left.end(), std::size_t{0});
  for (int attempt = 0; !left.empty(); ++attempt) {
    const ByGroup grouped(layout_, left.size(), [&](std::size_t i) -> const Key& { return items[left[i]].key; });
    std::vector<std::size_t> unknown;
    for (const auto& unit : grouped.units)
      if (unit.is_values && layout_.generation(unit.group) == 0) unknown.push_back(unit.group);
    if (!unknown.empty()) (void)learn_generations(unknown);  // where it could not be learnt, the write fails as well
    std::vector<std::uint64_t> stamps(grouped.units.size());
    std::vector<std::vector<const Item*>> of_unit(grouped.units.size());
    std::vector<std::vector<Draft>> drafts(grouped.units.size());
    for (std::size_t unit = 0; unit < grouped.units.size(); ++unit) {
      if (grouped.units[unit].is_values)
        stamps[unit] = std::max<std::uint64_t>(layout_.generation(grouped.units[unit].group), 1);
      for (const std::size_t i : grouped.members(unit)) {
        of_unit[unit].push_back(&items[left[i]]);
        drafts[unit].emplace_back(*this, items[left[i]].key, items[left[i]].entry, now, stamps[unit]);
      }
    }
    std::vector<std::size_t> once_more;
    cluster_.call_many({.slots = grouped.slots,
                        .again = Again::yes,
                        .write =
                            [&](std::size_t unit, bool, Commands& commands) {
                              transaction(commands, grouped.units[unit].group, of_unit[unit], drafts[unit]);
                            },
                        .read = [&](std::size_t unit, Replies& replies) -> Result<void> {
                          std::uint64_t is_now = stamps[unit];
                          auto done = written(replies, grouped.units[unit].group, of_unit[unit].size(), is_now);
                          if (done.ok() && !replies.refusal() && is_now != stamps[unit])
                            for (const std::size_t i : grouped.members(unit)) once_more.push_back(left[i]);
                          return done;
                        },
                        .failed =
                            [&](std::size_t unit, Error error) {
                              for (const std::size_t i : grouped.members(unit)) fail(left[i], error);
                            }});
    if (attempt + 1 >= kMaxStamps) {
      for (const std::size_t item : once_more)
        fail(item, {Errc::unavailable, "the store was flushed again and again meanwhile"});
      once_more.clear();
    }
    std::sort(once_more.begin(), once_more.end());
    left = std::move(once_more);
  }
  std::sort(outcome.failed.begin(), outcome.failed.end());
  return outcome;
}

void ClusterStore::call_groups(std::size_t count, detail::FunctionRef<const Key&(std::size_t index)> key_of,
                               const Batch& batch) {
  const ByGroup grouped(layout_, count, key_of);
  cluster_.call_many(
      {.slots = grouped.slots,
       .is_read = batch.is_read,
       .again = batch.again,
       .write = [&](std::size_t unit, bool, Commands& commands) { batch.write(grouped.members(unit), commands); },
       .read = [&](std::size_t unit, Replies& replies) { return batch.read(grouped.members(unit), replies); },
       .failed = [&](std::size_t unit, Error error) { batch.failed(grouped.members(unit), std::move(error)); }});
}

Result<std::size_t> ClusterStore::count_by(Script script, std::span<const Key> keys, Again again, const Now& now) {
  const ByGroup grouped(layout_, keys.size(), [&](std::size_t i) -> const Key& { return keys[i]; });
  std::vector<std::vector<Key>> of_unit(grouped.units.size());
  for (std::size_t unit = 0; unit < grouped.units.size(); ++unit)
    for (const std::size_t i : grouped.members(unit)) of_unit[unit].push_back(keys[i]);
  std::size_t count = 0;
  FirstError first;
  const bool has_version = script == Script::forget || script == Script::plain_forget;
  cluster_.call_many(
      {.slots = grouped.slots,
       .again = again,
       .write =
           [&](std::size_t unit, bool whole, Commands& commands) {
             const auto& members = of_unit[unit];
             const std::size_t words = script_words(members.front().space(), members.size()) + (has_version ? 1 : 0);
             commands.begin(2 + words);
             commands.word(whole ? "EVAL" : "EVALSHA").word(whole ? script_text(script) : script_name(script));
             script_opening(commands, members, now);
             if (has_version) commands.word(bytes_of(0));
           },
       .read = [&](std::size_t, Replies& replies) -> Result<void> {
         auto number = replies.integer();
         if (number.ok()) count += static_cast<std::size_t>(*number);
         return Result<void>(number.take_error());
       },
       .failed = first});
  if (first.why) return Result<std::size_t>(std::move(first.why));
  return count;
}

Result<std::size_t> ClusterStore::forget_many(std::span<const Key> keys) {
  if (wrong_) return placed(*wrong_, "forget_many");
  auto gone = count_by(Script::forget, keys, Again::no, Now(clock_));
  if (!gone.ok()) return placed(std::move(gone.error()), "forget_many");
  return gone;
}

Result<std::size_t> ClusterStore::reclaim(Space, std::span<const Key> keys, const Now& now) {
  return count_by(Script::reclaim, keys, Again::yes, now);
}

// The cursor is the node's number and its own cursor: "2:1792". To begin with it is "0", and in the end again.
Result<std::vector<std::string>> ClusterStore::scan_page(std::string& cursor, const std::string& pattern,
                                                         std::size_t count) {
  using Page = Result<std::vector<std::string>>;
  int node = 0;
  std::string place = "0";
  if (const std::size_t colon = cursor.find(':'); colon != cursor.npos) {
    (void)std::from_chars(cursor.data(), cursor.data() + colon, node);
    place = cursor.substr(colon + 1);
  }
  auto next = cluster_.next_primary(node);
  if (!next.ok()) return Page(next.take_error());
  if (*next != node) place = "0";
  if (*next < 0) {
    cursor = "0";
    return Page(std::vector<std::string>());
  }
  ThreadCommands commands;
  scan_command(*commands, place, pattern, count);
  std::vector<std::string> keys;
  auto done = cluster_.call_node(*next, *commands, [&](Replies& replies) { return scanned(replies, place, keys); });
  if (!done.ok()) return Page(done.take_error());
  node = *next + (place == "0" ? 1 : 0);
  cursor = std::to_string(node) + ":" + place;
  if (place == "0") {
    auto more = cluster_.next_primary(node);
    if (!more.ok()) return Page(more.take_error());
    if (*more < 0) cursor = "0";
  }
  return Page(std::move(keys));
}

// By the slot of the first key, as far as one can tell which word that is; the cluster sends it on if it is another.
Result<RedisReply> ClusterStore::command(const std::vector<std::string>& words) {
  const Slot slot = words.size() > 1 ? slot_of(words[1]) : Slot{0};
  return command_at({.slot = slot}, words);
}

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
