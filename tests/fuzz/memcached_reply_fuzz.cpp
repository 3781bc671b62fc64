// Any bytes as a memcached server's answers: read the same however they are cut, one answer for each command.
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "fuzz/answer.hpp"
#include "stores/memcached/meta_connection.hpp"
#include "stores/memcached/record.hpp"

using flux::cache::fuzz::Answer;
namespace net = flux::cache::detail::net;
namespace memcached = flux::cache::detail::memcached;
using memcached::Command;
using memcached::Verb;

namespace {

constexpr std::size_t kLargest = 1 << 20;
constexpr std::size_t kWhole = SIZE_MAX;

struct Outcome {
  bool is_read = false;
  std::map<std::size_t, std::tuple<memcached::Status, std::uint64_t, std::string>> replies;  // but for misses
  std::vector<std::string> lines;
  std::size_t used = 0;  // bytes, where they came one by one

  void add(std::size_t index, const memcached::Reply& reply) {
    if (reply.status == memcached::Status::missing) return;
    if (!replies.try_emplace(index, reply.status, reply.cas, std::string(reply.value)).second) std::abort();
    memcached::Record record;
    (void)memcached::decode_record(reply.value, "key", record);
  }
  bool operator==(const Outcome& other) const {
    return is_read == other.is_read && (!is_read || (replies == other.replies && lines == other.lines));
  }
};

/// Reads next to each other are asked for in one line, above four commands plain writes quietly.
std::vector<Command> commands_of(std::uint8_t kind) {
  constexpr Verb kVerbs[] = {Verb::get, Verb::set, Verb::add, Verb::swap, Verb::remove};
  constexpr const char* kKeys[] = {"key0", "key1", "key2", "key3", "key4", "key5", "key6", "key6"};
  std::vector<Command> commands;
  const std::size_t count = 1 + kind % 8;
  const bool reads = (kind & 8) != 0;
  for (std::size_t i = 0; i < count; ++i) {
    const Verb verb = reads ? Verb::get : kVerbs[(i + kind / 16) % 5];
    commands.push_back({.verb = verb, .key = kKeys[i], .body = "body", .cas = verb == Verb::swap ? 7U : 0U});
    commands.back().wants_cas = (kind & 16) != 0 && i > 2;
    commands.back().is_apart = (kind & 32) != 0 && i == 0;
  }
  return commands;
}

enum class Way { each_at_once, one_by_one, stats, dump, greeting };

Outcome read(std::string_view bytes, std::span<const Command> commands, Way way, std::size_t piece) {
  Answer answer(bytes, piece);
  memcached::MetaConnection connection(answer.take_stream());
  connection.limit_values(kLargest);
  const net::Deadline deadline = net::Deadline::in(Answer::kPatience);
  Outcome outcome;
  const auto end = [&](const auto& result) {
    if (!result.ok() && result.error().message.empty()) std::abort();
    outcome.is_read = result.ok();
    outcome.used = answer.handed_out();
  };
  switch (way) {
    case Way::each_at_once: {
      if (!connection.send(commands, deadline).ok()) std::abort();
      std::vector<memcached::Reply> replies(commands.size());
      const auto done = connection.receive(replies, deadline);
      for (std::size_t i = 0; done.ok() && i < replies.size(); ++i) outcome.add(i, replies[i]);
      end(done);
      break;
    }
    case Way::one_by_one:
      if (!connection.send(commands, deadline).ok()) std::abort();
      end(connection.receive_each([&](std::size_t index, const memcached::Reply& reply) { outcome.add(index, reply); },
                                  deadline));
      break;
    case Way::stats: {
      const auto all = connection.stats(deadline);
      if (all.ok())
        for (const auto& [name, value] : *all) outcome.lines.push_back(name + '=' + value);
      end(all);
      break;
    }
    case Way::dump:
      end(connection.dump([&](std::string_view key) { outcome.lines.emplace_back(key); }, Answer::kPatience));
      break;
    case Way::greeting: end(connection.greet(deadline)); break;
  }
  return outcome;
}

/// Read byte by byte, at once and in pieces: the same. The first tells how much of it is needed.
Outcome check(std::string_view bytes, std::span<const Command> commands, Way way, std::size_t piece) {
  const Outcome dripped = read(bytes, commands, way, 1);
  const std::string_view needed = dripped.is_read ? bytes.substr(0, dripped.used) : bytes;
  for (const std::size_t size : {piece, kWhole}) {
    const Outcome other = read(needed, commands, way, size);
    // A dump may ask twice; an answer that is there before it was asked for is refused.
    if (way == Way::dump && !other.is_read) continue;
    if (!(other == dripped)) std::abort();
  }
  return dripped;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const std::vector<Command> commands = commands_of(data[1]);
  const std::size_t piece = 1 + data[2] % 32;
  const std::string_view bytes = std::string_view(reinterpret_cast<const char*>(data), size).substr(3, Answer::kMost);
  switch (data[0] % 6) {
    case 0: (void)check(bytes, {}, Way::stats, piece); break;
    case 1: (void)check(bytes, {}, Way::dump, piece); break;
    case 2: (void)check(bytes, {}, Way::greeting, piece); break;
    default: {
      const Outcome at_once = check(bytes, commands, Way::each_at_once, piece);
      if ((data[1] & 8) == 0) break;  // to be taken one by one is for reads
      if (!(check(bytes, commands, Way::one_by_one, piece) == at_once)) std::abort();
    }
  }
  return 0;
}
