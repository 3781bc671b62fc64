#include "memcached_store.hpp"

#include <flux/cache/detail/stable_hash.hpp>

#include <algorithm>
#include <chrono>
#include <limits>

#include "core/lock_version.hpp"
#include "core/random.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::memcached {

namespace {

constexpr Duration kUsualTimeout = std::chrono::seconds(1);
constexpr std::size_t kLongestKey = std::size_t{1} << 20;
/// What the server adds to an item: its header, a number for swaps, flags, line ends.
constexpr std::uint64_t kItemOverhead = 80;
/// Leaves room for the head, a key of usual length and the server's overhead.
constexpr std::uint64_t kValueOverhead = 1024;

std::vector<Continuum::Server> places_of(const std::vector<MemcachedServer>& servers) {
  std::vector<Continuum::Server> places;
  for (const MemcachedServer& server : servers) {
    const bool is_socket = server.host.starts_with('/');
    places.push_back({server.host, is_socket ? 0 : server.port, static_cast<std::uint32_t>(server.weight)});
  }
  return places;
}

}  // namespace

ServersStore::ServersStore(const MemcachedConfig& config, std::unique_ptr<Error> why_not)
    : max_value_(config.max_value),
      timeout_(config.timeout > Duration::zero() ? config.timeout : kUsualTimeout),
      lists_(config.listing),
      plain_(!config.frame),
      clock_(config.clock != nullptr ? *config.clock : system_clock()),
      codec_(config.prefix),
      continuum_(places_of(config.servers)),
      why_not_(std::move(why_not)) {
  ServerRules rules;
  rules.is_binary = is_binary(config);
  rules.timeout = timeout_;
  rules.connections = static_cast<std::size_t>(config.pool_size);
  rules.failure_limit = config.failure_limit;
  rules.longest_back_off = config.retry_after;
  rules.username = config.username;
  rules.password = config.password;
  rules.tls = std::make_shared<net::TlsSource>(tls_options(config));
  rules.keeps_documents = plain_;
  rules.generation_key = codec_.generation();
  for (const MemcachedServer& server : config.servers) servers_.push_back(std::make_unique<Server>(server, rules));
  if (servers_.empty()) servers_.push_back(std::make_unique<Server>(MemcachedServer{}, rules));
}

Traits ServersStore::traits() const noexcept {
  std::uint64_t least = max_value_ != 0 ? max_value_ : std::numeric_limits<std::uint64_t>::max();
  for (const auto& server : servers_)
    least = std::min(least, std::max(server->item_bytes(), 2 * kValueOverhead) - kValueOverhead);
  return {.kind = "memcached", .shared = true, .remote = true, .max_value_bytes = least};
}

// --- reading

ServersStore::Target ServersStore::target_of(const Key& key) {
  const WireKey wire = codec_.encode(key);
  const std::size_t server = continuum_.server_of(wire);
  return {key, wire, *servers_[server], server, key.space() == Space::values, is_plain(key.space())};
}

Result<void> ServersStore::check(const Key& key) const {
  if (why_not_) return *why_not_;
  if (key.text().empty() || key.text().size() > kLongestKey) return Error{Errc::bad_key, "a key has 1 byte to 1 MiB"};
  return {};
}

ServersStore::Seen ServersStore::look(const Address& address, const Reply& item, std::uint64_t generation,
                                      std::int64_t now) noexcept {
  Seen seen;
  if (item.status != Status::found) return seen;
  seen.cas = item.cas;
  if (item.value.empty()) {
    seen.state = Seen::gone;  // what the library leaves in the place of an item that was removed by its number
  } else if (address.is_plain && !address.is_digest && !begins_record(item.value)) {
    seen.state = Seen::fresh;  // while the server has it
    seen.record.is_document = true;
    seen.record.kind = Kind::bytes;
    seen.record.text = item.value;
    seen.record.version = std::max<std::uint64_t>(stable_hash64(item.value), 1);
  } else if (!decode_record(item.value, address.wire, seen.record)) {
    seen.state = Seen::foreign;
  } else if (address.is_digest ? seen.record.key != address.key : !seen.record.key.empty()) {
    seen.state = Seen::other;
  } else if (now >= seen.record.keep_until || (address.is_stamped && seen.record.generation != generation)) {
    seen.state = Seen::gone;
  } else {
    seen.state = now < seen.record.fresh_until ? Seen::fresh : Seen::kept;
  }
  return seen;
}

bool ServersStore::hand_over(const Record& record, const WallTime& now, Receiver found) const {
  std::vector<TagStamp> tags;
  if (record.tag_count != 0 && !decode_tags(record.tags, record.tag_count, tags)) return false;
  Entry entry;
  entry.value = {.kind = record.kind, .number = record.number, .text = record.text};
  entry.expiry.fresh_until = now.from_stored(record.fresh_until);
  entry.expiry.keep_until =
      record.keep_until == record.fresh_until ? entry.expiry.fresh_until : now.from_stored(record.keep_until);
  entry.tags = tags;
  entry.notes = record.notes;
  entry.version = record.version;
  // How long the server keeps a document it does not tell: so the answer is good for a moment.
  if (record.is_document) entry.expiry = Expiry::at(after(now.instant, std::chrono::seconds(1)));
  found(entry);
  return true;
}

void ServersStore::clear_away(const Target& target, const net::Deadline& deadline) {
  std::string bytes;
  auto seen = read_for_swap(target, bytes, deadline);
  if (seen.ok() && seen->state == Seen::foreign) (void)remove(target, seen->cas, deadline);
}

Result<bool> ServersStore::get(const Key& key, const Read& how, Receiver found) {
  auto good = check(key);
  if (!good.ok()) return placed(std::move(good.error()), "get", &key);
  const Target target = target_of(key);
  const net::Deadline end = deadline();
  {
    const Command commands[] = {Command::get(target.wire), Command::get(codec_.generation())};
    Reply replies[2];
    const std::size_t count = target.is_stamped ? 2 : 1;
    Exchange exchange(target.server, {commands, count}, {replies, count}, Repeat::yes);
    auto done = exchange.run(end);
    if (!done.ok()) return placed(std::move(done.error()), "get", &key);
    const WallTime present = now();
    const Seen seen = look(target, replies[0], replies[1], present.wall);
    if (seen.state != Seen::foreign) {
      if (!(how.stale ? seen.is_kept() : seen.state == Seen::fresh)) return false;
      if (hand_over(seen.record, present, found)) return true;
    }
  }
  clear_away(target, end);
  return placed({Errc::corrupt, "the item is damaged, or another program's; it was removed"}, "get", &key);
}

Result<bool> ServersStore::has(const Key& key) {
  auto good = check(key);
  if (!good.ok()) return placed(std::move(good.error()), "has", &key);
  const Target target = target_of(key);
  const Command commands[] = {Command::get(target.wire), Command::get(codec_.generation())};
  Reply replies[2];
  const std::size_t count = target.is_stamped ? 2 : 1;
  Exchange exchange(target.server, {commands, count}, {replies, count}, Repeat::yes);
  auto done = exchange.run(deadline());
  if (!done.ok()) return placed(std::move(done.error()), "has", &key);
  return look(target, replies[0], replies[1], wall()).state == Seen::fresh;
}

std::vector<MemcachedServerStats> ServersStore::stats() {
  std::vector<MemcachedServerStats> all;
  if (why_not_) return all;
  const net::Deadline end = deadline();
  for (const auto& server : servers_) {
    MemcachedServerStats one;
    one.server = server->endpoint().name();
    auto values = server->stats(end);
    one.is_up = values.ok();
    if (values.ok()) one.values = std::move(*values);
    one.failures = server->failures();
    one.connections = server->pool().size();
    all.push_back(std::move(one));
  }
  return all;
}

// --- writing

Result<void> ServersStore::check(const Key& key, const Entry& entry) const {
  auto good = check(key);
  if (!good.ok()) return good;
  if (entry.value.kind == Kind::object)
    return Error{Errc::not_serializable, "servers hold bytes, not objects of type " +
                                             std::string(entry.value.type != nullptr ? entry.value.type->name : "?")};
  if (max_value_ != 0 && entry.value.text.size() > max_value_)
    return Error{Errc::too_large, "the value has " + std::to_string(entry.value.text.size()) + " bytes, the limit is " +
                                      std::to_string(max_value_)};
  if (entry.tags.size() > std::numeric_limits<std::uint16_t>::max())
    return Error{Errc::too_large, "more than 65,535 tags on an entry"};
  return {};
}

Result<void> ServersStore::check_size(const Address& address, const Packed& item) {
  const std::uint64_t size = item.head.size() + item.body.size() + address.wire.size() + kItemOverhead;
  if (size <= address.server.item_bytes()) return {};
  return net::fault(address.server.endpoint(), Errc::too_large, "writing",
                    "the item has " + std::to_string(size) + " bytes, the server takes " +
                        std::to_string(address.server.item_bytes()));
}

Result<ServersStore::Packed> ServersStore::make_item(const Address& address, Record record, const WallTime& now,
                                                     std::string& heads, const net::Deadline& deadline,
                                                     std::uint64_t version) {
  record.version = version != 0 ? version : random_bits();
  if (!address.is_stamped) {
    record.generation = 0;
  } else if (record.generation == 0) {
    record.generation = address.server.generation();
    if (record.generation == 0) [[unlikely]] {
      auto generation = generation_of(address.server, deadline);
      if (!generation.ok()) return Result<Packed>(generation.take_error());
      record.generation = *generation;
    }
  }
  if (address.is_digest) record.key = address.key;
  Packed item;
  if (!address.is_plain || !write_document(address, record, now, heads, item)) {
    item.head = encode_head(record, address.wire, heads);
    item.body = record.text;
    item.expires = expires_of(record.keep_until, now.wall);
    item.generation = record.generation;
    item.version = record.version;
  }
  auto fits = check_size(address, item);
  if (!fits.ok()) return Result<Packed>(fits.take_error());
  return item;
}

Result<ServersStore::Packed> ServersStore::make_item(const Address& address, const Entry& entry, const WallTime& now,
                                                     std::string& heads, const net::Deadline& deadline,
                                                     std::uint64_t version, std::uint64_t generation) {
  std::string tags;
  if (!entry.tags.empty()) encode_tags(entry.tags, tags);
  Record record;
  record.generation = generation;
  record.fresh_until = now.to_stored(entry.expiry.fresh_until);
  record.keep_until =
      entry.expiry.keep_until == entry.expiry.fresh_until ? record.fresh_until : now.to_stored(entry.expiry.keep_until);
  record.number = entry.value.number;
  record.kind = entry.value.kind;
  record.tag_count = static_cast<std::uint16_t>(entry.tags.size());
  record.tags = tags;
  record.notes = entry.notes;
  record.text = entry.value.text;
  return make_item(address, record, now, heads, deadline, version);
}

std::size_t ServersStore::longest_head(const Address& address, const Entry& entry) noexcept {
  std::size_t size = kMostHeadBytes + entry.notes.size() + (address.is_digest ? address.key.size() : 0);
  for (const TagStamp& tag : entry.tags) size += kTagBytes + tag.name.size();
  return size;
}

Result<bool> ServersStore::put(const Key& key, const Entry& entry, const Write& how) {
  auto good = check(key, entry);
  if (!good.ok()) return placed(std::move(good.error()), "put", &key);
  const Target target = target_of(key);
  const net::Deadline end = deadline();
  auto written = [&] {
    switch (how.when) {
      case When::always: return put_always(target, entry, end);
      case When::absent: return put_where_nothing(target, entry, Seen::fresh, 0, end);
      case When::unchanged:
        if (how.version == 0)
          return put_where_nothing(target, entry, Seen::kept, proposed_version(key, entry, how), end);
        break;
      case When::present: break;
    }
    return put_over(target, entry, how, end);
  }();
  if (written.ok()) return written;
  // What could not be replaced must not look as if it had been.
  const Errc code = written.error().code;
  if (how.when == When::always) {
    if (code == Errc::too_large || code == Errc::unavailable) (void)remove(target, 0, end);
    owe(target, written.error());
  }
  return placed(std::move(written.error()), "put", &key);
}

Result<bool> ServersStore::put_always(const Target& target, const Entry& entry, const net::Deadline& deadline) {
  for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
    step_back(attempt);
    std::string head;
    auto item = make_item(target, entry, now(), head, deadline);
    if (!item.ok()) return Result<bool>(item.take_error());
    const Command commands[] = {item->command(Verb::set, target.wire), ask_generation()};
    Reply replies[2];
    const std::size_t count = target.is_stamped ? 2 : 1;
    Exchange exchange(target.server, {commands, count}, {replies, count}, Repeat::yes);
    auto done = exchange.run(deadline);
    if (!done.ok()) return Result<bool>(done.take_error());
    if (auto why = fault_of(target.server, replies[0])) return Result<bool>(std::move(why));
    if (!target.is_stamped || is_current(target.server, replies[1], item->generation)) return true;
  }
  return contended();
}

// One burst where nothing is: add, and look at what there is if that fails. What is below `from` is written over.
Result<bool> ServersStore::put_where_nothing(const Target& target, const Entry& entry, Seen::State from,
                                             std::uint64_t version, const net::Deadline& deadline) {
  for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
    step_back(attempt);
    std::string head;
    auto item = make_item(target, entry, now(), head, deadline, version);
    if (!item.ok()) return Result<bool>(item.take_error());
    Seen seen;
    {
      const Command commands[] = {item->command(Verb::add, target.wire), Command::get_for_swap(target.wire),
                                  Command::get_for_swap(codec_.generation())};
      Reply replies[3];
      const std::size_t count = target.is_stamped ? 3 : 2;
      Exchange exchange(target.server, {commands, count}, {replies, count}, Repeat::no);
      auto done = exchange.run(deadline);
      if (!done.ok()) return Result<bool>(done.take_error());
      if (auto why = fault_of(target.server, replies[0])) return Result<bool>(std::move(why));
      const bool is_current_stamp = !target.is_stamped || is_current(target.server, replies[2], item->generation);
      if (replies[0].status == Status::stored) {
        if (is_current_stamp) return true;
        continue;  // flushed at birth: the next round writes over it
      }
      seen = look(target, replies[1], replies[2], wall());
      if (seen.state == Seen::other && !target.is_stamped && wall() < seen.record.keep_until)
        return Error{Errc::unavailable, "another key of the same digest is there"};
      if (seen.state >= from) return false;
      if (seen.state == Seen::nothing || !is_current_stamp) continue;
    }
    auto swapped = swap(target, *item, seen.cas, deadline);
    if (!swapped.ok()) return Result<bool>(swapped.take_error());
    if (*swapped == Swapped::yes) return true;
  }
  return contended();
}

}  // namespace detail::memcached
}  // namespace v1
}  // namespace flux::cache
