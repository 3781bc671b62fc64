// The generation of each server, and what a server owes when it could not be told of a flush or a removal.
#include "core/random.hpp"
#include "memcached_store.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::memcached {

bool ServersStore::is_current(Server& server, const Reply& reply, std::uint64_t stamp) const noexcept {
  const std::uint64_t seen = generation_in(reply);
  if (seen == stamp && seen != 0) return true;
  server.set_generation(seen);
  return stamp == 0;
}

Result<std::uint64_t> ServersStore::generation_of(Server& server, const net::Deadline& deadline) {
  if (const std::uint64_t known = server.generation(); known != 0) return known;
  for (int attempt = 0; attempt < 3; ++attempt) {
    const std::string begun = encode_generation(random_bits());
    // Whoever is first begins it; what is no generation is replaced.
    const Command commands[] = {
        {.verb = attempt == 0 ? Verb::add : Verb::set, .key = codec_.generation(), .body = begun}, ask_generation()};
    Reply replies[2];
    Exchange exchange(server, commands, replies, Repeat::yes);
    auto done = exchange.run(deadline);
    if (!done.ok()) return Result<std::uint64_t>(done.take_error());
    if (auto why = fault_of(server, replies[0])) return Result<std::uint64_t>(std::move(why));
    if (const std::uint64_t seen = generation_in(replies[1]); seen != 0) {
      server.set_generation(seen);
      return seen;
    }
  }
  return net::fault(server.endpoint(), Errc::unavailable, "beginning a generation", "the server does not keep it");
}

Result<void> ServersStore::flush(const Scope& scope) {
  if (why_not_) return placed(*why_not_, "flush");
  if (!scope.tags.empty())
    return placed({Errc::unsupported, "memcached knows no tags; a layer above keeps them"}, "flush");
  if (plain_)
    return placed({Errc::unsupported, "plain documents carry nothing that a flush could end; forget them by key"},
                  "flush");
  const net::Deadline end = deadline();
  const std::string begun = encode_generation(random_bits());
  const Command command{.verb = Verb::set, .key = codec_.generation(), .body = begun};
  std::unique_ptr<Error> first;
  std::vector<Reply> replies(servers_.size());
  std::vector<std::unique_ptr<Exchange>> exchanges;
  std::vector<bool> is_sent;
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    exchanges.push_back(
        std::make_unique<Exchange>(*servers_[i], std::span(&command, 1), std::span(&replies[i], 1), Repeat::yes));
    auto sent = exchanges.back()->begin(end);
    is_sent.push_back(sent.ok());
    if (!sent.ok() && !first) first = sent.take_error();
  }
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    servers_[i]->set_generation(0);
    if (!is_sent[i]) {
      servers_[i]->owe_flush();
      continue;
    }
    auto received = exchanges[i]->end(end);
    auto why = received.ok() ? fault_of(*servers_[i], replies[i]) : received.take_error();
    if (why) servers_[i]->owe_flush();
    if (why && !first) first = std::move(why);
  }
  if (first) return placed(std::move(*first), "flush");
  return {};
}

// Values alone: whoever holds a lock or counts in the meantime must not lose it.
void ServersStore::owe(const Address& address, const Error& why) {
  if (address.is_stamped && is_transient(why.code)) address.server.owe(address.wire);
}

}  // namespace detail::memcached
}  // namespace v1
}  // namespace flux::cache
