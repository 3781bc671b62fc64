// Many keys at once: one burst to each server, all servers side by side.
#include <algorithm>
#include <numeric>

#include "memcached_store.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::memcached {

namespace {

/// Keys in one burst: bounds what a call holds in memory.
constexpr std::size_t kSlice = 1024;
/// Likewise where entries are handed over as they come.
constexpr std::size_t kReadSlice = 8192;

/// The first of each repeated key.
std::vector<Key> distinct(std::span<const Key> keys) {
  std::vector<Key> sorted(keys.begin(), keys.end());
  std::sort(sorted.begin(), sorted.end(), [](const Key& a, const Key& b) {
    return a.hash() != b.hash() ? a.hash() < b.hash() : a.text() < b.text();
  });
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  return sorted;
}

void keep_first(std::unique_ptr<Error>& first, std::unique_ptr<Error> next) {
  if (!first) first = std::move(next);
}

}  // namespace

/// Commands dealt out to the servers, and their replies.
class ServersStore::Fan {
 public:
  struct Part {
    Server* server = nullptr;
    bool is_stamped = false;           ///< some of it carries a generation, which is asked for at the end
    std::vector<std::size_t> indices;  ///< of the caller, one for each command
    std::vector<Command> commands;
    std::vector<Reply> replies;
    std::unique_ptr<Exchange> exchange;
    std::unique_ptr<Error> error;

    const Reply& generation() const noexcept { return replies.back(); }
  };

  /// `commands`: how many there will be, about.
  Fan(const ServersStore& store, std::size_t commands) : store_(store), parts_(store.servers_.size()) {
    for (Part& part : parts_) {
      part.indices.reserve(commands / parts_.size() + 1);
      part.commands.reserve(commands / parts_.size() + 2);
    }
  }

  void add(const Target& target, std::size_t index, const Command& command) {
    Part& part = part_of(target.server);
    part.is_stamped |= target.is_stamped;
    part.indices.push_back(index);
    part.commands.push_back(command);
  }
  /// Sends all, then receives all. What a server fails at is its part's error.
  void run(Repeat repeat, bool asks_generation, const net::Deadline& deadline) {
    for (Part& part : parts_) {
      if (part.commands.empty()) continue;
      if (asks_generation && part.is_stamped) part.commands.push_back(store_.ask_generation());
      part.replies.resize(part.commands.size());
      part.exchange = std::make_unique<Exchange>(*part.server, part.commands, part.replies, repeat);
      part.error = part.exchange->begin(deadline).take_error();
    }
    for (Part& part : parts_) {
      if (part.exchange && !part.error) part.error = part.exchange->end(deadline).take_error();
    }
  }
  std::vector<Part>& parts() noexcept { return parts_; }

 private:
  Part& part_of(Server& server) {
    for (std::size_t i = 0;; ++i) {
      if (store_.servers_[i].get() != &server) continue;
      parts_[i].server = &server;
      return parts_[i];
    }
  }

  const ServersStore& store_;
  std::vector<Part> parts_;
};

// Entries are handed over as they come in, so what a call holds does not grow with its values. The generation is asked
// for first; an entry that is put after a flush in between reads as a miss, as if it had been asked for in between.
void ServersStore::get_slice(std::span<const Key> keys, std::size_t first, const Read& how, BatchReceiver found,
                             const net::Deadline& deadline, std::unique_ptr<Error>& error) {
  struct Part {
    Server* server = nullptr;
    std::vector<std::size_t> indices;  // of the keys, one for each command but the first
    std::vector<Command> commands;
    std::unique_ptr<Exchange> exchange;
    std::unique_ptr<Error> error;
    std::uint64_t generation = 0;
  };
  std::size_t bytes = 0;
  for (const Key& key : keys) bytes += codec_.longest(key);
  std::string wires;
  wires.reserve(bytes);  // so that the views below stay where they are
  std::vector<Asked> asked;
  asked.reserve(keys.size());
  std::vector<Part> parts(servers_.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const WireKey wire = codec_.encode(keys[i]);
    wires += wire.text();
    asked.push_back({keys[i].text(), std::string_view(wires).substr(wires.size() - wire.text().size()),
                     wire.is_digest(), keys[i].space() == Space::values, is_plain(keys[i].space())});
    const std::size_t server = continuum_.server_of(wire);
    Part& part = parts[server];
    if (part.server == nullptr) {
      part.server = servers_[server].get();
      part.commands.push_back(ask_generation());
    }
    part.indices.push_back(i);
    part.commands.push_back(Command::get(asked[i].wire));
  }
  for (Part& part : parts) {
    if (part.server == nullptr) continue;
    part.exchange = std::make_unique<Exchange>(*part.server, part.commands, std::span<Reply>(), Repeat::yes);
    part.error = part.exchange->begin(deadline).take_error();
  }
  std::vector<std::size_t> damaged;
  const WallTime present = now();
  for (Part& part : parts) {
    if (part.exchange && !part.error) {
      const auto take = [&](std::size_t command, const Reply& reply) {
        if (command == 0) {
          part.generation = generation_in(reply);
          return;
        }
        if (auto why = fault_of(*part.server, reply)) keep_first(error, std::move(why));
        const std::size_t index = part.indices[command - 1];
        const Seen seen = look(asked[index], reply, part.generation, present.wall);
        const bool is_wanted = how.stale ? seen.is_kept() : seen.state == Seen::fresh;
        if (seen.state == Seen::foreign ||
            (is_wanted && !hand_over(seen.record, present, [&](const Entry& entry) { found(first + index, entry); })))
          damaged.push_back(index);
      };
      part.error = part.exchange->end_each(take, deadline).take_error();
    }
    part.exchange.reset();
    if (part.error) keep_first(error, std::move(part.error));
  }
  // A damaged item does not keep the others of its batch from being read.
  for (const std::size_t index : damaged) {
    clear_away(target_of(keys[index]), deadline);
    keep_first(error, std::make_unique<Error>(Error{Errc::corrupt,
                                                    "an item is damaged, or another program's; it was removed",
                                                    {},
                                                    {},
                                                    std::string(keys[index].text())}));
  }
}

Result<void> ServersStore::get_many(std::span<const Key> keys, const Read& how, BatchReceiver found) {
  for (const Key& key : keys) {
    auto good = check(key);
    if (!good.ok()) return placed(std::move(good.error()), "get_many", &key);
  }
  const net::Deadline end = deadline();
  std::unique_ptr<Error> error;
  for (std::size_t at = 0; at < keys.size(); at += kReadSlice)
    get_slice(keys.subspan(at, std::min(kReadSlice, keys.size() - at)), at, how, found, end, error);
  if (error) return placed(std::move(*error), "get_many");
  return {};
}

void ServersStore::put_slice(std::span<const Item> items, std::size_t first, const net::Deadline& deadline,
                             BatchWritten& outcome) {
  const auto fail = [&](std::size_t index, std::unique_ptr<Error> why) {
    outcome.failed.push_back(first + index);
    keep_first(outcome.error, std::move(why));
  };
  std::vector<Target> targets;
  targets.reserve(items.size());
  for (const Item& item : items) targets.push_back(target_of(item.key));
  std::vector<Packed> packed(items.size());
  std::vector<std::size_t> left(items.size());
  std::iota(left.begin(), left.end(), std::size_t{0});
  for (int attempt = 0; !left.empty(); ++attempt) {
    step_back(attempt);
    Fan fan(*this, left.size());
    const WallTime present = now();
    std::vector<std::size_t> again;
    for (const std::size_t index : left) {
      auto good = check(items[index].key, items[index].entry);
      auto made = good.ok() ? make_item(targets[index], items[index].entry, present, deadline)
                            : Result<Packed>(good.take_error());
      if (made.ok()) {
        packed[index] = std::move(*made);
        fan.add(targets[index], index, packed[index].command(Verb::set, targets[index]));
        continue;
      }
      // What could not be replaced must not look as if it had been.
      if (made.error().code == Errc::too_large)
        fan.add(targets[index], index, {.verb = Verb::remove, .key = targets[index].wire});
      owe(targets[index], made.error());
      fail(index, std::make_unique<Error>(placed(std::move(made.error()), "put_many", &items[index].key)));
    }
    fan.run(Repeat::yes, true, deadline);
    std::vector<std::size_t> doubtful;
    for (Fan::Part& part : fan.parts()) {
      for (std::size_t i = 0; i < part.indices.size(); ++i) {
        const std::size_t index = part.indices[i];
        if (part.commands[i].verb == Verb::remove) continue;
        if (part.error) {
          owe(targets[index], *part.error);
          fail(index, std::make_unique<Error>(*part.error));
        } else if (part.replies[i].status == Status::doubtful) {
          doubtful.push_back(index);
        } else if (auto why = fault_of(*part.server, part.replies[i])) {
          fail(index, std::move(why));
          (void)remove(targets[index], 0, deadline);
        } else if (targets[index].is_stamped && packed[index].generation != 0 &&
                   generation_in(part.generation()) != packed[index].generation) {
          again.push_back(index);
        }
      }
      if (part.server != nullptr && !part.error && part.is_stamped)
        (void)is_current(*part.server, part.generation(), part.server->generation());
    }
    for (const std::size_t index : doubtful) {
      std::string bytes;
      auto seen = read_for_swap(targets[index], bytes, deadline);
      if (seen.ok() && seen->record.version == packed[index].version) {
        if (seen->state == Seen::gone) again.push_back(index);
        continue;
      }
      fail(index, seen.ok() ? std::make_unique<Error>(net::fault(targets[index].server.endpoint(), Errc::unavailable,
                                                                 "writing", "the server had no room for the item"))
                            : seen.take_error());
      (void)remove(targets[index], 0, deadline);
    }
    left.swap(again);
    if (attempt == kMostAttempts) {
      for (const std::size_t index : left) fail(index, std::make_unique<Error>(contended()));
      return;
    }
  }
}

Result<BatchWritten> ServersStore::put_many(std::span<const Item> items) {
  BatchWritten outcome;
  if (items.empty()) return outcome;
  if (why_not_) return placed(*why_not_, "put_many");
  const net::Deadline end = deadline();
  for (std::size_t at = 0; at < items.size(); at += kSlice)
    put_slice(items.subspan(at, std::min(kSlice, items.size() - at)), at, end, outcome);
  std::sort(outcome.failed.begin(), outcome.failed.end());
  if (outcome.error) *outcome.error = placed(std::move(*outcome.error), "put_many");
  return outcome;
}

// Looks first, for the answer counts what was fresh; then removes what was seen and nothing newer.
Result<std::size_t> ServersStore::forget_many(std::span<const Key> keys) {
  for (const Key& key : keys) {
    auto good = check(key);
    if (!good.ok()) return placed(std::move(good.error()), "forget_many", &key);
  }
  const net::Deadline end = deadline();
  const std::vector<Key> all = distinct(keys);
  std::size_t gone = 0;
  std::unique_ptr<Error> error;
  for (std::size_t at = 0; at < all.size(); at += kSlice) {
    const auto slice = std::span(all).subspan(at, std::min(kSlice, all.size() - at));
    std::vector<Target> targets;
    targets.reserve(slice.size());
    for (const Key& key : slice) targets.push_back(target_of(key));
    std::vector<Seen> seen(slice.size());
    {
      Fan look_up(*this, slice.size());
      for (std::size_t i = 0; i < slice.size(); ++i) look_up.add(targets[i], i, Command::get_for_swap(targets[i].wire));
      look_up.run(Repeat::yes, true, end);
      const std::int64_t now = wall();
      for (Fan::Part& part : look_up.parts()) {
        if (part.error) {
          for (const std::size_t index : part.indices) owe(targets[index], *part.error);
          keep_first(error, std::make_unique<Error>(*part.error));
        }
        for (std::size_t i = 0; i < part.indices.size() && !part.error; ++i)
          seen[part.indices[i]] = look(targets[part.indices[i]], part.replies[i], part.generation(), now);
      }
    }
    Fan removal(*this, slice.size());
    for (std::size_t i = 0; i < slice.size(); ++i) {
      if (seen[i].state == Seen::nothing || seen[i].state == Seen::other) continue;
      removal.add(targets[i], i, {.verb = Verb::remove, .key = targets[i].wire, .cas = seen[i].cas});
    }
    removal.run(Repeat::no, false, end);
    std::vector<std::size_t> changed;
    for (Fan::Part& part : removal.parts()) {
      if (part.error) {
        for (const std::size_t index : part.indices) owe(targets[index], *part.error);
        keep_first(error, std::move(part.error));
      } else {
        for (std::size_t i = 0; i < part.indices.size(); ++i) {
          const std::size_t index = part.indices[i];
          if (part.replies[i].status == Status::removed)
            gone += seen[index].state == Seen::fresh;
          else
            changed.push_back(index);
        }
      }
    }
    for (const std::size_t index : changed) {
      auto removed = forget(slice[index], {});
      if (!removed.ok())
        keep_first(error, removed.take_error());
      else
        gone += *removed;
    }
  }
  if (error) return placed(std::move(*error), "forget_many");
  return gone;
}

}  // namespace detail::memcached
}  // namespace v1
}  // namespace flux::cache
