// Many keys at once: one burst to each server, all servers side by side.
#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>

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

Error no_room(const Server& server) {
  return net::fault(server.endpoint(), Errc::unavailable, "writing", "the server had no room for the item");
}

void keep_first(std::unique_ptr<Error>& first, std::unique_ptr<Error> next) {
  if (!first) first = std::move(next);
}

}  // namespace

/// The keys of a batch as their servers know them.
class ServersStore::Addresses {
 public:
  /// `key_of(i)`: the key at that place.
  template <class KeyOf>
  Addresses(const ServersStore& store, std::size_t count, const KeyOf& key_of) {
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < count; ++i) bytes += store.codec_.longest(key_of(i));
    wires_ = std::make_unique_for_overwrite<char[]>(bytes);
    all_.reserve(count);
    char* to = wires_.get();
    for (std::size_t i = 0; i < count; ++i) {
      const Key& key = key_of(i);
      bool is_digest = false;
      const std::string_view wire = store.codec_.encode(key, to, is_digest);
      to += wire.size();
      const std::size_t server = store.continuum_.server_of(wire);
      all_.push_back({key.text(), wire, *store.servers_[server], server, is_digest, key.space() == Space::values,
                      store.is_plain(key.space())});
    }
  }
  const Address& operator[](std::size_t i) const noexcept { return all_[i]; }

 private:
  std::unique_ptr<char[]> wires_;
  std::vector<Address> all_;
};

/// Commands dealt out to the servers, which are at work on the first while the next are being made, and their replies.
class ServersStore::Fan {
 public:
  /// Where the generation is asked for of each server that is asked for something stamped.
  enum class Generation : std::uint8_t { never, first, last };
  struct Part {
    Server* server = nullptr;
    std::size_t expected = 0;
    bool is_stamped = false;
    std::uint64_t stamp = 0;           ///< the generation that what is written carries
    std::vector<std::size_t> indices;  ///< of the caller, one for each command but that for the generation
    std::vector<Command> commands;
    std::vector<Reply> replies;
    std::optional<Exchange> exchange;
    std::unique_ptr<Error> error;

    const Reply& generation() const noexcept { return replies.back(); }
  };

  Fan(const ServersStore& store, Repeat repeat, Generation generation, const net::Deadline& deadline)
      : store_(store), repeat_(repeat), generation_(generation), deadline_(deadline), parts_(store.servers_.size()) {}

  /// One more command will be for its server.
  void expect(const Address& address) noexcept {
    Part& part = parts_[address.server_index];
    part.server = &address.server;
    part.is_stamped |= address.is_stamped;
    ++part.expected;
  }
  /// Always in the same order: callers that hold connections to some servers do not wait for each other's.
  void open() {
    for (Part& part : parts_) {
      if (part.server == nullptr) continue;
      if (!part.is_stamped || generation_ == Generation::never) part.is_stamped = false;
      part.indices.reserve(part.expected);
      part.commands.reserve(part.expected + 1);
      if (part.error) continue;
      part.exchange.emplace(*part.server, repeat_);
      part.error = part.exchange->open(part.expected + (part.is_stamped ? 1 : 0), deadline_).take_error();
      if (part.is_stamped && generation_ == Generation::first) part.commands.push_back(store_.ask_generation());
    }
  }
  void add(const Address& address, std::size_t index, const Command& command) {
    Part& part = parts_[address.server_index];
    part.indices.push_back(index);
    part.commands.push_back(command);
    if (part.commands.size() % kAtOnce == 0 || command.body.size() >= kLargeBody) pass_on(part);
  }
  void close() {
    for (Part& part : parts_) {
      if (part.server == nullptr) continue;
      if (part.is_stamped && generation_ == Generation::last) part.commands.push_back(store_.ask_generation());
      if (part.error) continue;
      pass_on(part);
      part.replies.resize(generation_ == Generation::first ? 0 : part.commands.size());
      part.error = part.exchange->close(part.commands, part.replies, deadline_).take_error();
    }
  }
  /// Closes, and receives all replies.
  void run() {
    close();
    for (Part& part : parts_)
      if (part.exchange && !part.error) part.error = part.exchange->end(deadline_).take_error();
  }
  std::vector<Part>& parts() noexcept { return parts_; }

 private:
  /// So many commands are passed on together, and large ones as soon as they are there.
  static constexpr std::size_t kAtOnce = 16;
  static constexpr std::size_t kLargeBody = 4096;

  void pass_on(Part& part) {
    if (part.error) return;
    part.exchange->add(std::span<const Command>(part.commands).subspan(part.exchange->added()), deadline_);
  }

  const ServersStore& store_;
  const Repeat repeat_;
  const Generation generation_;
  const net::Deadline& deadline_;
  std::vector<Part> parts_;
};

// Entries are handed over as they come in, so what a call holds does not grow with its values. The generation is asked
// for first; an entry that is put after a flush in between reads as a miss, as if it had been asked for in between.
void ServersStore::get_slice(std::span<const Key> keys, std::size_t first, const Read& how, BatchReceiver found,
                             const net::Deadline& deadline, std::unique_ptr<Error>& error) {
  const Addresses addresses(*this, keys.size(), [&](std::size_t i) -> const Key& { return keys[i]; });
  Fan fan(*this, Repeat::yes, Fan::Generation::first, deadline);
  for (std::size_t i = 0; i < keys.size(); ++i) fan.expect(addresses[i]);
  fan.open();
  for (std::size_t i = 0; i < keys.size(); ++i) fan.add(addresses[i], i, Command::get(addresses[i].wire));
  fan.close();
  std::vector<std::size_t> damaged;
  const WallTime present = now();
  for (Fan::Part& part : fan.parts()) {
    if (part.exchange && !part.error) {
      const std::size_t before = part.is_stamped ? 1 : 0;
      std::uint64_t generation = 0;
      const auto take = [&](std::size_t command, const Reply& reply) {
        if (command < before) {
          generation = generation_in(reply);
          return;
        }
        if (reply.status != Status::found) {
          if (auto why = fault_of(*part.server, reply)) keep_first(error, std::move(why));
          return;
        }
        const std::size_t index = part.indices[command - before];
        const Seen seen = look(addresses[index], reply, generation, present.wall);
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
  for (const std::size_t index : damaged) {
    clear_away(target_of(keys[index]), deadline);
    found.unreadable(first + index, std::make_unique<Error>(placed({Errc::corrupt,
                                                                    "the item is damaged, or another program's; it was "
                                                                    "removed"},
                                                                   "get_many", &keys[index])));
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
  struct Stamp {
    std::uint64_t version, generation;
  };
  const Addresses addresses(*this, items.size(), [&](std::size_t i) -> const Key& { return items[i].key; });
  std::size_t head_bytes = 0;
  for (std::size_t i = 0; i < items.size(); ++i) head_bytes += longest_head(addresses[i], items[i].entry);
  std::string heads;
  heads.reserve(head_bytes);
  std::vector<Stamp> stamps(items.size());
  std::vector<std::size_t> left(items.size());
  std::iota(left.begin(), left.end(), std::size_t{0});
  for (int attempt = 0; !left.empty(); ++attempt) {
    step_back(attempt);
    heads.clear();
    Fan fan(*this, Repeat::yes, Fan::Generation::last, deadline);
    for (const std::size_t index : left) fan.expect(addresses[index]);
    // To learn it takes a connection, and there may be no second one.
    for (Fan::Part& part : fan.parts()) {
      if (!part.is_stamped) continue;
      auto generation = generation_of(*part.server, deadline);
      if (generation.ok()) part.stamp = *generation;
      part.error = generation.take_error();
    }
    fan.open();
    const WallTime present = now();
    std::vector<std::size_t> again;
    for (const std::size_t index : left) {
      const Address& address = addresses[index];
      auto good = check(items[index].key, items[index].entry);
      const Fan::Part& part = fan.parts()[address.server_index];
      auto made = !good.ok()   ? Result<Packed>(good.take_error())
                  : part.error ? Result<Packed>(*part.error)
                               : make_item(address, items[index].entry, present, heads, deadline, 0, part.stamp);
      if (made.ok()) {
        stamps[index] = {made->version, made->generation};
        fan.add(address, index, made->command(Verb::set, address.wire));
        continue;
      }
      // What could not be replaced must not look as if it had been.
      if (made.error().code == Errc::too_large) fan.add(address, index, {.verb = Verb::remove, .key = address.wire});
      owe(address, made.error());
      fail(index, std::make_unique<Error>(placed(std::move(made.error()), "put_many", &items[index].key)));
    }
    fan.run();
    std::vector<std::size_t> doubtful;
    for (Fan::Part& part : fan.parts()) {
      for (std::size_t i = 0; i < part.indices.size(); ++i) {
        const std::size_t index = part.indices[i];
        if (part.commands[i].verb == Verb::remove) continue;
        if (part.error) {
          owe(addresses[index], *part.error);
          fail(index, std::make_unique<Error>(*part.error));
        } else if (part.replies[i].status == Status::doubtful) {
          doubtful.push_back(index);
        } else if (part.replies[i].status != Status::stored) {
          auto why = fault_of(*part.server, part.replies[i]);
          fail(index, why ? std::move(why) : std::make_unique<Error>(no_room(*part.server)));
          (void)remove(target_of(items[index].key), 0, deadline);
        } else if (addresses[index].is_stamped && stamps[index].generation != 0 &&
                   generation_in(part.generation()) != stamps[index].generation) {
          again.push_back(index);
        }
      }
      if (part.is_stamped && !part.error) (void)is_current(*part.server, part.generation(), part.server->generation());
    }
    for (const std::size_t index : doubtful) {
      const Target target = target_of(items[index].key);
      std::string bytes;
      auto seen = read_for_swap(target, bytes, deadline);
      if (seen.ok() && seen->record.version == stamps[index].version) {
        if (seen->state == Seen::gone) again.push_back(index);
        continue;
      }
      fail(index, seen.ok() ? std::make_unique<Error>(no_room(target.server)) : seen.take_error());
      (void)remove(target, 0, deadline);
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
    const Addresses addresses(*this, slice.size(), [&](std::size_t i) -> const Key& { return slice[i]; });
    std::vector<Seen> seen(slice.size());
    {
      Fan look_up(*this, Repeat::yes, Fan::Generation::last, end);
      for (std::size_t i = 0; i < slice.size(); ++i) look_up.expect(addresses[i]);
      look_up.open();
      for (std::size_t i = 0; i < slice.size(); ++i)
        look_up.add(addresses[i], i, Command::get_for_swap(addresses[i].wire));
      look_up.run();
      const std::int64_t now = wall();
      for (Fan::Part& part : look_up.parts()) {
        if (part.error) {
          for (const std::size_t index : part.indices) owe(addresses[index], *part.error);
          keep_first(error, std::make_unique<Error>(*part.error));
        }
        for (std::size_t i = 0; i < part.indices.size() && !part.error; ++i)
          seen[part.indices[i]] = look(addresses[part.indices[i]], part.replies[i], part.generation(), now);
      }
    }
    Fan removal(*this, Repeat::no, Fan::Generation::never, end);
    const auto is_there = [&](std::size_t i) { return seen[i].state != Seen::nothing && seen[i].state != Seen::other; };
    for (std::size_t i = 0; i < slice.size(); ++i)
      if (is_there(i)) removal.expect(addresses[i]);
    removal.open();
    for (std::size_t i = 0; i < slice.size(); ++i)
      if (is_there(i))
        removal.add(addresses[i], i, {.verb = Verb::remove, .key = addresses[i].wire, .cas = seen[i].cas});
    removal.run();
    std::vector<std::size_t> changed;
    for (Fan::Part& part : removal.parts()) {
      if (part.error) {
        for (const std::size_t index : part.indices) owe(addresses[index], *part.error);
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
