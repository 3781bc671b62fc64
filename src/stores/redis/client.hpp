// Calls: a burst of commands and all their replies, within one deadline.
#pragma once
#include <flux/cache/detail/function_ref.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <span>

#include "connection.hpp"
#include "scripts.hpp"
#include "slots.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

/// May a call be made again that may have been carried out already?
enum class Again : std::uint8_t {
  yes,  ///< a read, or a write that may be repeated
  no,   ///< a counter, a lock, a pull: who does not know says so
};

/// Whom to ask: the slot's primary, or one of its replicas where the configuration allows that. A server that is no
/// cluster has all slots.
struct Where {
  Slot slot = 0;
  bool is_read = false;
};

/// Reads the replies of one burst. What the server refused is an error to `check`, and the reading goes on.
class Replies {
 public:
  Replies(Connection& connection, const net::Deadline& deadline) : connection_(connection), deadline_(deadline) {}

  /// Sends more, whose replies follow the first ones': so the server works while the rest is put together.
  Result<void> send(Commands& commands) { return connection_.send_more(commands, deadline_); }
  /// Waiting for an answer costs less than what client and server do side by side meanwhile.
  bool is_near() const noexcept { return connection_.is_near(); }
  /// The first answer to the call has come just now.
  void note_turn() noexcept { connection_.note_turn(net::Deadline::Clock::now() - deadline_.begun()); }
  /// The next element; an error of the server's is kept as the call's answer and comes as Kind::error.
  Result<Element> next(std::size_t largest = kLargest) {
    if (Element text; connection_.read_whole(largest, text)) [[likely]]
      return text;
    return next_of_any_kind(largest);
  }
  /// So many elements that say nothing but that all is well, nearly all of them by this line. Errors are kept.
  Result<void> statuses(std::size_t count, std::string_view usual);
  /// Reads whatever is still to come. Errors are kept.
  Result<void> pass_over();
  /// So many more elements are to come than there were commands.
  void expect(std::int64_t more) noexcept { connection_.expect(more); }
  /// An array of exactly so many.
  Result<bool> array(std::size_t size);
  /// An integer; an error of the server's gives 0 and is kept.
  Result<std::int64_t> integer();
  /// One whole reply, whatever it is, its errors included.
  Result<RedisReply> whole();
  /// What the server refused first, if anything.
  const std::unique_ptr<Error>& refusal() const noexcept { return refusal_; }
  std::unique_ptr<Error> take_refusal() noexcept { return std::move(refusal_); }
  void refuse(Error error) { refusal_ = std::make_unique<Error>(std::move(error)); }
  Error unexpected() const;

  static constexpr std::size_t kLargest = std::size_t{512} * 1024 * 1024 + 1024;

 private:
  Result<Element> next_of_any_kind(std::size_t largest);

  Connection& connection_;
  const net::Deadline& deadline_;
  std::unique_ptr<Error> refusal_;
};

using Reading = detail::FunctionRef<Result<void>(Replies&)>;

/// Thread-safe.
class Client {
 public:
  explicit Client(Duration timeout) : timeout_(timeout) {}
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  virtual ~Client() = default;

  /// Sends the commands and lets `read` take all their replies. An error of the server's, the first, is the answer.
  Result<void> call(Where where, Commands& commands, Again again, Reading read) {
    return call(where, commands, again, read, net::Deadline::in(timeout_));
  }
  /// Runs a script; it is sent again whole where the server does not have it. `arguments` adds what follows its name:
  /// the count of keys, keys, arguments; `words` counts them.
  Result<void> eval(Where where, Script script, std::size_t words, Again again,
                    detail::FunctionRef<void(Commands&)> arguments, Reading read);

  /// Closes connections that idle.
  virtual void trim() = 0;

 protected:
  virtual Result<void> call(Where where, Commands& commands, Again again, Reading read,
                            const net::Deadline& deadline) = 0;

  const Duration timeout_;
};

/// The server did nothing, and may do it a moment later.
bool is_passing(const Error& error) noexcept;
bool is_missing_script(const Error& error) noexcept;

/// Spans of waiting that double, each cut to a random part.
class Pauses {
 public:
  /// Waits; false: the deadline comes first.
  bool wait(const net::Deadline& deadline);

 private:
  Duration next_ = std::chrono::milliseconds(2);
};

/// A command buffer of this thread, empty; its memory stays for the next call.
class ThreadCommands {
 public:
  ThreadCommands();
  ~ThreadCommands();
  ThreadCommands(const ThreadCommands&) = delete;
  ThreadCommands& operator=(const ThreadCommands&) = delete;
  Commands& operator*() noexcept { return *commands_; }
  Commands* operator->() noexcept { return commands_; }

 private:
  Commands* commands_;
  std::unique_ptr<Commands> own_;
};

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
