// Counters by compare-and-swap: the servers' own know no number below zero and wrap around at the top.
#include "memcached_store.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::memcached {

// Two round trips where nobody interferes; an attempt that failed brings what the next one starts from.
Result<std::int64_t> ServersStore::increment(const Key& key, std::int64_t by, const Entry& if_new) {
  const auto fail = [&](Error why) { return placed(std::move(why), "increment", &key); };
  Entry fresh = if_new;
  fresh.value = {.kind = Kind::integer, .number = by};
  auto good = check(key, fresh);
  if (!good.ok()) return fail(std::move(good.error()));
  const Target target = target_of(key);
  const net::Deadline end = deadline();
  std::string bytes;
  auto read = read_for_swap(target, bytes, end);
  if (!read.ok()) return fail(std::move(read.error()));
  Seen seen = *read;
  for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
    if (step_back(attempt)) {
      // Whoever did not wait has counted on meanwhile: with the old number the swap would fail each time.
      read = read_for_swap(target, bytes, end);
      if (!read.ok()) return fail(std::move(read.error()));
      seen = *read;
    }
    if (seen.state == Seen::other && !target.is_stamped && wall() < seen.record.keep_until)
      return fail({Errc::unavailable, "another key of the same digest is there"});
    std::int64_t number = by;
    if (seen.state == Seen::fresh) {
      const Kind kind = seen.record.is_document ? Kind::text : seen.record.kind;
      auto sum = add_to_counter({.kind = kind, .number = seen.record.number, .text = seen.record.text}, by);
      if (!sum.ok()) return fail(std::move(sum.error()));
      number = seen.record.number = *sum;
      seen.record.kind = Kind::integer;
      seen.record.text = {};
    }
    std::string head;
    auto item = seen.state == Seen::fresh ? make_item(target, seen.record, now(), head, end)
                                          : make_item(target, fresh, now(), head, end);
    if (!item.ok()) return fail(std::move(item.error()));
    const Verb verb = seen.state == Seen::nothing ? Verb::add : Verb::swap;
    const Command commands[] = {item->command(verb, target.wire, seen.cas), Command::get_for_swap(target.wire),
                                Command::get_for_swap(codec_.generation())};
    Reply replies[3];
    const std::size_t count = target.is_stamped ? 3 : 2;
    Exchange exchange(target.server, {commands, count}, {replies, count}, Repeat::no);
    auto done = exchange.run(end);
    if (!done.ok()) return fail(std::move(done.error()));
    if (auto why = fault_of(target.server, replies[0])) return fail(std::move(*why));
    const bool is_current_stamp = !target.is_stamped || is_current(target.server, replies[2], item->generation);
    if (replies[0].status == Status::stored && is_current_stamp) return number;
    bytes = replies[1].value;
    replies[1].value = bytes;
    seen = look(target, replies[1], replies[2], wall());
  }
  return fail(contended());
}

}  // namespace detail::memcached
}  // namespace v1
}  // namespace flux::cache
