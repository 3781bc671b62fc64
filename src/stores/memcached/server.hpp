// One server: its connections, what is known about it, and whether it is asked at all.
#pragma once
#include <flux/cache/stores/memcached.hpp>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "connection.hpp"
#include "net/gate.hpp"
#include "net/tls.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::memcached {

/// What every server of a store is spoken to with.
struct ServerRules {
  bool is_binary = false;
  Duration timeout{};
  std::size_t connections = 16;
  int failure_limit = 2;
  Duration longest_back_off{};
  std::string username{};
  std::string password{};
  std::shared_ptr<net::TlsSource> tls{};
  std::string generation_key{};  ///< on the wire
  bool keeps_documents = false;  ///< which no flush reaches: then each removal is remembered, however many
};

/// Removals that a server could not be told. More than these, and all values of the store on it are given up.
inline constexpr std::size_t kMostDebts = 1024;

/// Items are refused by a server as it comes from its makers above this, their own overhead included.
inline constexpr std::uint64_t kUsualItemBytes = 1024 * 1024;

class Server final : ForkGuard {
 public:
  Server(const MemcachedServer& where, ServerRules rules);
  ~Server();

  const net::Endpoint& endpoint() const noexcept { return endpoint_; }
  net::Pool& pool() noexcept { return pool_; }
  const ServerRules& rules() const noexcept { return rules_; }

  /// May it be asked? After some failures in a row it is left alone, but for one caller at a time that tries it again;
  /// the others get Errc::rejected at once.
  Result<void> enter();
  /// How a call went that was let in.
  void succeeded() noexcept;
  void failed(const Error& why);
  bool is_up() const noexcept { return failures_.load(std::memory_order_relaxed) < rules_.failure_limit; }

  /// The generation as it was last seen; 0: not yet, or lost.
  std::uint64_t generation() const noexcept { return generation_.load(std::memory_order_relaxed); }
  void set_generation(std::uint64_t generation) noexcept { generation_.store(generation, std::memory_order_relaxed); }
  /// The largest item the server takes, its overhead included.
  std::uint64_t item_bytes() const noexcept { return item_bytes_.load(std::memory_order_relaxed); }

  /// A value that must not be seen again: it is removed before anything else is asked of the server.
  void owe(std::string_view wire_key);
  /// Likewise all values of the store.
  void owe_flush();
  bool has_debts() const noexcept { return has_debts_.load(std::memory_order_acquire); }
  /// Does what is owed. Others wait for it: what they would read may be among it.
  Result<void> pay(const net::Deadline& deadline);

  Result<std::map<std::string, std::string>> stats(const net::Deadline& deadline);
  /// All keys on the server. Waits for its crawler, within the time of one call.
  Result<void> dump(FunctionRef<void(std::string_view key)> take);
  std::uint64_t failures() const noexcept { return all_failures_.load(std::memory_order_relaxed); }

 private:
  Result<std::unique_ptr<net::Pooled>> dial(const net::Deadline& deadline);
  Result<void> pay(const std::vector<std::string>& debts, bool flushes, const net::Deadline& deadline);
  bool try_before_fork() noexcept override { return mutex_.try_lock(); }
  void after_fork(bool in_child) noexcept override;

  const net::Endpoint endpoint_;
  const ServerRules rules_;
  std::atomic<std::uint64_t> generation_{0};
  std::atomic<std::uint64_t> item_bytes_{kUsualItemBytes};
  std::atomic<int> failures_{0};  // in a row
  std::atomic<std::uint64_t> all_failures_{0};
  std::mutex mutex_;  // of what follows, but for the pool
  std::set<std::string, std::less<>> debts_;
  bool owes_flush_ = false;
  std::atomic<bool> has_debts_{false};
  std::atomic<bool> is_paying_{false};
  net::Gate gate_;
  net::Pool pool_;  // last: its connections are made by the others
};

/// Whether commands may be sent twice: reads, and writes that mean the same the second time.
enum class Repeat : bool { no, yes };

/// Commands to one server and their replies, in one round trip. Values in replies live as long as this does.
class Exchange {
 public:
  Exchange(Server& server, std::span<const Command> commands, std::span<Reply> replies, Repeat repeat) noexcept
      : server_(server), commands_(commands), replies_(replies), repeat_(repeat) {}
  /// For who makes the commands meanwhile.
  Exchange(Server& server, Repeat repeat) noexcept : server_(server), repeat_(repeat) {}
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  ~Exchange();

  /// Sends, once nothing is owed any more. Several exchanges may be under way at once, one for each server.
  Result<void> begin(const net::Deadline& deadline);
  /// Likewise, whatever is owed: for the payment itself.
  Result<void> begin_at_once(const net::Deadline& deadline);
  /// The same while the commands are still being made. `count`: how many there will be. What cannot be sent is told by
  /// `close`, which is handed all of them, and room for the replies.
  Result<void> open(std::size_t count, const net::Deadline& deadline);
  void add(std::span<const Command> more, const net::Deadline& deadline);
  std::size_t added() const noexcept { return added_; }
  Result<void> close(std::span<const Command> all, std::span<Reply> replies, const net::Deadline& deadline);
  /// Receives, all at once or one by one.
  Result<void> end(const net::Deadline& deadline);
  Result<void> end_each(Connection::Sink take, const net::Deadline& deadline);
  Result<void> run(const net::Deadline& deadline) {
    auto begun = begin(deadline);
    return begun.ok() ? end(deadline) : std::move(begun);
  }

 private:
  Result<void> pay(const net::Deadline& deadline) {
    return server_.has_debts() ? server_.pay(deadline) : Result<void>();
  }
  Result<void> open_at_once(std::size_t count, const net::Deadline& deadline);
  template <class Receive>
  Result<void> end_with(const Receive& receive, const net::Deadline& deadline);
  Result<void> connect_and_send(const net::Deadline& deadline);
  Result<void> fail(Result<void> why);

  Server& server_;
  std::span<const Command> commands_{};
  std::span<Reply> replies_{};
  std::size_t added_ = 0;
  Repeat repeat_;
  std::optional<net::Pool::Lease> lease_;
  std::unique_ptr<Error> fault_;  // why what was added could not be sent
  bool is_open_ = false;          // the server was entered, and has not been left
  bool is_clean_ = false;         // received as a whole
};

}  // namespace detail::memcached
}  // namespace v1
}  // namespace flux::cache
