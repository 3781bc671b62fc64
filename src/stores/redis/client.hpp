// Calls to a server: a connection from the pool, a burst of commands, all their replies, one deadline.
#pragma once
#include <flux/cache/detail/function_ref.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <span>

#include "connection.hpp"
#include "scripts.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

/// May a call be made again that may have been carried out already?
enum class Again : std::uint8_t {
  yes,  ///< a read, or a write that may be repeated
  no,   ///< a counter, a lock, a pull: who does not know says so
};

/// Reads the replies of one burst. What the server refused is an error to `check`, and the reading goes on.
class Replies {
 public:
  Replies(Connection& connection, const net::Deadline& deadline) : connection_(connection), deadline_(deadline) {}

  /// The next element; an error of the server's is kept as the call's answer and comes as Kind::error.
  Result<Element> next(std::size_t largest = kLargest);
  /// An array of exactly so many.
  Result<bool> array(std::size_t size);
  /// An integer; an error of the server's gives 0 and is kept.
  Result<std::int64_t> integer();
  /// One whole reply as it came; see Connection.
  Result<void> raw(detail::FunctionRef<bool(std::string_view)> feed) { return connection_.read_raw(feed, deadline_); }
  /// What the server refused first, if anything.
  const std::unique_ptr<Error>& refusal() const noexcept { return refusal_; }
  std::unique_ptr<Error> take_refusal() noexcept { return std::move(refusal_); }
  Error unexpected() const;

  static constexpr std::size_t kLargest = std::size_t{512} * 1024 * 1024 + 1024;

 private:
  Connection& connection_;
  const net::Deadline& deadline_;
  std::unique_ptr<Error> refusal_;
};

using Reading = detail::FunctionRef<Result<void>(Replies&)>;

class Client {
 public:
  Client(const RedisConnection& connection, Duration timeout);

  /// Sends the commands and lets `read` take all their replies. An error of the server's, the first, is the answer.
  Result<void> call(Commands& commands, Again again, Reading read);
  /// Runs a script; it is sent again whole where the server does not have it. `arguments` adds what follows its name:
  /// the count of keys, keys, arguments; `words` counts them.
  Result<void> eval(Script script, std::size_t words, Again again, detail::FunctionRef<void(Commands&)> arguments,
                    Reading read);

  /// A connection of the caller's own, outside the pool.
  Result<std::unique_ptr<net::Pooled>> dial(const net::Deadline& deadline);

  void trim() { pool_.trim(); }
  std::size_t connections() const { return pool_.size(); }

 private:
  Result<void> call(Commands& commands, Again again, Reading read, const net::Deadline& deadline);
  Result<void> attempt(Commands& commands, Again again, Reading read, const net::Deadline& deadline, bool& may_retry);

  const net::Endpoint endpoint_;
  const Greeting greeting_;
  const Duration timeout_;
  const net::TlsOptions tls_options_;
  const RedisSentinel sentinel_;
  std::atomic<std::size_t> first_sentinel_{0};
  std::mutex tls_mutex_;
  std::shared_ptr<const net::TlsContext> tls_;
  net::Pool pool_;
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
