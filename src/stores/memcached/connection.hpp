// What the store asks of a connection to one server, whichever protocol it speaks.
#pragma once
#include <flux/cache/detail/function_ref.hpp>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "net/deadline.hpp"
#include "net/pool.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::memcached {

enum class Verb : std::uint8_t {
  get,
  set,     ///< whatever is there
  add,     ///< where nothing is there
  swap,    ///< over what has the number `cas`
  remove,  ///< what is there; with `cas`, only what has that number
};

/// What the servers take for "gone at once".
inline constexpr std::int32_t kGone = -1;

/// One command. Borrows all it names until its reply was received.
struct Command {
  Verb verb = Verb::get;
  std::string_view key{};
  std::string_view head{};   ///< of the item, with
  std::string_view body{};   ///< what follows it
  std::int32_t expires = 0;  ///< seconds up to 30 days, above that a date; 0: never; `kGone`
  std::uint64_t cas = 0;
  bool wants_cas = false;  ///< of a get: hand out the number too
  bool is_apart = false;   ///< of a get: never asked for together with its neighbours, so its answer bears a number

  static Command get(std::string_view key) { return {.verb = Verb::get, .key = key}; }
  static Command get_for_swap(std::string_view key) { return {.verb = Verb::get, .key = key, .wants_cas = true}; }
};

enum class Status : std::uint8_t {
  found,
  missing,  ///< of get, swap and remove
  stored,
  not_stored,  ///< add: something is there
  changed,     ///< swap and remove: the number is another one
  removed,
  too_large,  ///< for the server
  refused,    ///< the server failed at it, and says why in `value`
  doubtful,   ///< one of some commands, of which one or more were refused or too large
};

/// What became of a command. The value lives in the connection until the next `send`.
struct Reply {
  Status status = Status::missing;
  std::uint64_t cas = 0;
  std::string_view value{};
};

/// A connection, used by one call at a time. After an error it must be destroyed: where it stands is unknown.
class Connection : public net::Pooled {
 public:
  /// Sends commands as one burst. They must stay where they are until `receive` has returned.
  Result<void> send(std::span<const Command> commands, const net::Deadline& deadline) {
    auto done = open(commands.size());
    if (done.ok()) done = add(commands, deadline);
    return done.ok() ? close(commands, deadline) : std::move(done);
  }
  /// The same while they are still being made. `commands`: how many there will be.
  virtual Result<void> open(std::size_t commands) = 0;
  virtual Result<void> add(std::span<const Command> more, const net::Deadline& deadline) = 0;
  /// `all` that were added: they must stay where they are from now on, and what they name from the start.
  virtual Result<void> close(std::span<const Command> all, const net::Deadline& deadline) = 0;
  /// Receives the replies, one for each command, in their order.
  virtual Result<void> receive(std::span<Reply> replies, const net::Deadline& deadline) = 0;
  /// Receives the replies to reads one by one, each valid inside the call alone; misses are left out.
  using Sink = FunctionRef<void(std::size_t index, const Reply& reply)>;
  virtual Result<void> receive_each(Sink take, const net::Deadline& deadline) = 0;
  /// Some of the replies' bytes are here: the server is at work on what was sent.
  virtual bool has_begun() const noexcept = 0;
  /// What the server tells about itself, by name.
  virtual Result<std::map<std::string, std::string>> stats(const net::Deadline& deadline) = 0;
  /// All keys on the server, whoever they belong to, some of them perhaps twice. Errc::rejected: its crawler is at work
  /// for somebody else. `patience` is for each part of the answer.
  virtual Result<void> dump(FunctionRef<void(std::string_view key)> take, Duration patience) = 0;
};

}  // namespace detail::memcached
}  // namespace v1
}  // namespace flux::cache
