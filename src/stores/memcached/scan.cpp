// Listing: the keys that the servers' crawlers tell, and then their entries, slice by slice.
#include <set>

#include "memcached_store.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::memcached {

namespace {

constexpr std::size_t kSlice = 1024;
constexpr int kMostDumps = 16;

}  // namespace

// A crawler passes over an item that somebody else holds in that moment. So it is sent until a round brings nothing
// new, which makes a miss rare, and no more than that.
Result<std::set<std::string>> ServersStore::wire_keys(Server& server, Space space) {
  std::set<std::string> keys;
  for (int round = 0; round < kMostDumps; ++round) {
    const std::size_t before = keys.size();
    auto done = server.dump([&](std::string_view wire) {
      if (codec_.is_of(space, wire)) keys.emplace(wire);
    });
    if (!done.ok()) return Result<std::set<std::string>>(done.take_error());
    if (round > 0 && keys.size() == before) break;
  }
  return keys;
}

Result<void> ServersStore::scan(Space space, Visitor visit) {
  if (why_not_) return placed(*why_not_, "scan");
  if (!lists_) return placed({Errc::unsupported, "the configuration says \"listing\": false"}, "scan");
  for (const auto& server : servers_) {
    auto keys = wire_keys(*server, space);
    if (!keys.ok()) return placed(std::move(keys.error()), "scan");
    const std::vector<std::string> all(keys->begin(), keys->end());
    for (std::size_t at = 0; at < all.size(); at += kSlice) {
      std::vector<Command> commands;
      for (std::size_t i = at; i < std::min(all.size(), at + kSlice); ++i) commands.push_back(Command::get(all[i]));
      const std::size_t count = commands.size();
      commands.push_back(ask_generation());
      std::vector<Reply> replies(commands.size());
      Exchange exchange(*server, commands, replies, Repeat::yes);
      auto done = exchange.run(deadline());
      if (!done.ok()) return placed(std::move(done.error()), "scan");
      const WallTime present = now();
      for (std::size_t i = 0; i < count; ++i) {
        Record record;
        if (replies[i].status != Status::found || !decode_record(replies[i].value, all[at + i], record)) continue;
        const std::string_view key = record.key.empty() ? codec_.key_in(all[at + i]) : record.key;
        const Address address{
            key, all[at + i], *server, 0, !record.key.empty(), space == Space::values, is_plain(space)};
        if (!look(address, replies[i], replies.back(), present.wall).is_kept()) continue;
        bool goes_on = true;
        (void)hand_over(record, present, [&](const Entry& entry) { goes_on = visit(key, entry); });
        if (!goes_on) return {};
      }
    }
  }
  return {};
}

}  // namespace detail::memcached
}  // namespace v1
}  // namespace flux::cache
