// What looks first and then replaces or removes just what it saw: by the server's own numbers.
#include <algorithm>
#include <chrono>
#include <thread>

#include "core/lock_version.hpp"
#include "core/random.hpp"
#include "memcached_store.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::memcached {

bool step_back(int attempt) {
  constexpr int kFirst = 2, kMost = 6;
  if (attempt < kFirst) return false;
  const auto span = std::uint64_t{50} << std::min(attempt - kFirst, kMost);
  std::this_thread::sleep_for(std::chrono::microseconds(random_below(span)));
  return true;
}

Result<ServersStore::Seen> ServersStore::read_for_swap(const Target& target, std::string& bytes,
                                                       const net::Deadline& deadline) {
  const Command commands[] = {Command::get_for_swap(target.wire), Command::get_for_swap(codec_.generation())};
  Reply replies[2];
  const std::size_t count = target.is_stamped ? 2 : 1;
  Exchange exchange(target.server, {commands, count}, {replies, count}, Repeat::yes);
  auto done = exchange.run(deadline);
  if (!done.ok()) return Result<Seen>(done.take_error());
  bytes = replies[0].value;
  replies[0].value = bytes;
  if (target.is_stamped) (void)is_current(target.server, replies[1], target.server.generation());
  return look(target, replies[0], replies[1], wall());
}

Result<ServersStore::Swapped> ServersStore::swap(const Target& target, const Packed& item, std::uint64_t cas,
                                                 const net::Deadline& deadline) {
  const Command commands[] = {item.command(Verb::swap, target.wire, cas), ask_generation()};
  Reply replies[2];
  const std::size_t count = target.is_stamped ? 2 : 1;
  Exchange exchange(target.server, {commands, count}, {replies, count}, Repeat::no);
  auto done = exchange.run(deadline);
  if (!done.ok()) return Result<Swapped>(done.take_error());
  if (auto why = fault_of(target.server, replies[0])) return Result<Swapped>(std::move(why));
  const bool is_current_stamp = !target.is_stamped || is_current(target.server, replies[1], item.generation);
  return replies[0].status == Status::stored && is_current_stamp ? Swapped::yes : Swapped::no;
}

Result<ServersStore::Swapped> ServersStore::remove(const Target& target, std::uint64_t cas,
                                                   const net::Deadline& deadline) {
  const Command command{.verb = Verb::remove, .key = target.wire, .cas = cas};
  Reply reply;
  Exchange exchange(target.server, {&command, 1}, {&reply, 1}, Repeat::no);
  auto done = exchange.run(deadline);
  if (!done.ok()) return Result<Swapped>(done.take_error());
  if (auto why = fault_of(target.server, reply)) return Result<Swapped>(std::move(why));
  return reply.status == Status::removed ? Swapped::yes : Swapped::no;
}

// A swap that failed goes round again, and finds what was changed: so a flush in between answers false.
Result<bool> ServersStore::put_over(const Target& target, const Entry& entry, const Write& how,
                                    const net::Deadline& deadline) {
  std::string bytes;
  for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
    step_back(attempt);
    auto seen = read_for_swap(target, bytes, deadline);
    if (!seen.ok()) return Result<bool>(seen.take_error());
    const bool holds =
        how.when == When::present ? seen->state == Seen::fresh : seen->is_kept() && seen->record.version == how.version;
    if (!holds) return false;
    std::string head;
    auto item = make_item(target, entry, now(), head, deadline, proposed_version(target.key, entry, how),
                          seen->record.generation);
    if (!item.ok()) return Result<bool>(item.take_error());
    auto swapped = swap(target, *item, seen->cas, deadline);
    if (!swapped.ok()) return Result<bool>(swapped.take_error());
    if (*swapped == Swapped::yes) return true;
  }
  return contended();
}

Result<bool> ServersStore::forget(const Key& key, const Forget& how) {
  auto good = check(key);
  if (!good.ok()) return placed(std::move(good.error()), "forget", &key);
  const Target target = target_of(key);
  const net::Deadline end = deadline();
  std::string bytes;
  for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
    step_back(attempt);
    auto seen = read_for_swap(target, bytes, end);
    if (!seen.ok()) {
      if (how.version == 0) owe(target, seen.error());
      return placed(std::move(seen.error()), "forget", &key);
    }
    if (seen->state == Seen::nothing || seen->state == Seen::other) return false;
    if (how.version != 0 && !(seen->is_kept() && seen->record.version == how.version)) return false;
    auto removed = remove(target, seen->cas, end);
    if (!removed.ok()) {
      if (how.version == 0) owe(target, removed.error());
      return placed(std::move(removed.error()), "forget", &key);
    }
    if (*removed == Swapped::yes) return seen->state == Seen::fresh;
  }
  return placed(contended(), "forget", &key);
}

Result<bool> ServersStore::pull(const Key& key, const Read&, Receiver found) {
  auto good = check(key);
  if (!good.ok()) return placed(std::move(good.error()), "pull", &key);
  const Target target = target_of(key);
  const net::Deadline end = deadline();
  std::string bytes;
  for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
    step_back(attempt);
    auto seen = read_for_swap(target, bytes, end);
    if (!seen.ok()) return placed(std::move(seen.error()), "pull", &key);
    if (!seen->is_kept() && seen->state != Seen::foreign) return false;
    auto removed = remove(target, seen->cas, end);
    if (!removed.ok()) return placed(std::move(removed.error()), "pull", &key);
    if (*removed == Swapped::no) continue;
    if (seen->state == Seen::kept) return false;
    if (seen->state == Seen::fresh && hand_over(seen->record, now(), found)) return true;
    return placed({Errc::corrupt, "the item is damaged, or another program's; it was removed"}, "pull", &key);
  }
  return placed(contended(), "pull", &key);
}

Result<bool> ServersStore::touch(const Key& key, const Expiry& expiry) {
  auto good = check(key);
  if (!good.ok()) return placed(std::move(good.error()), "touch", &key);
  const Target target = target_of(key);
  const net::Deadline end = deadline();
  std::string bytes;
  for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
    step_back(attempt);
    auto seen = read_for_swap(target, bytes, end);
    if (!seen.ok()) return placed(std::move(seen.error()), "touch", &key);
    if (seen->state != Seen::fresh) return false;
    const WallTime present = now();
    seen->record.fresh_until = present.to_stored(expiry.fresh_until);
    seen->record.keep_until = present.to_stored(expiry.keep_until);
    std::string head;
    auto item = make_item(target, seen->record, present, head, end);
    if (!item.ok()) return placed(std::move(item.error()), "touch", &key);
    auto swapped = swap(target, *item, seen->cas, end);
    if (!swapped.ok()) return placed(std::move(swapped.error()), "touch", &key);
    if (*swapped == Swapped::yes) return true;
  }
  return placed(contended(), "touch", &key);
}

}  // namespace detail::memcached
}  // namespace v1
}  // namespace flux::cache
