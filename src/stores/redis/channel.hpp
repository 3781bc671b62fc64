// One connection for all threads: what they ask while it is busy goes out together.
#pragma once
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "connection.hpp"
#include "core/fork_guard.hpp"
#include "net/pool.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

/// There is no thread behind it. One of the callers leads: it sends what all have asked for so far, the flight, and
/// reads the replies for all; meanwhile the others line up for the next one. Who runs out of time goes, and somebody
/// else leads; a connection that fails takes its flight along. Thread-safe; after a fork the child begins anew.
class Channel final : ForkGuard {
 public:
  /// What became of a call.
  struct Answer {
    std::string bytes{};             ///< the replies, whole
    std::unique_ptr<Error> error{};  ///< none: the replies are there
    bool was_sent = false;           ///< it may have been carried out
    bool may_retry = false;          ///< the connection had died unseen: another one may do
  };

  /// The pool holds one connection, and has no other users.
  explicit Channel(net::Pool& pool);
  ~Channel();

  /// A call that others can wait behind: short, whole, and of a known number of replies.
  static bool takes(const Commands& commands) noexcept {
    return !commands.is_alone() && !commands.borrows() && commands.size() <= kMostBytes;
  }
  Answer exchange(Commands& commands, const net::Deadline& deadline);
  /// Something was no answer to what was asked: the connection is not used again.
  void suspect();

 private:
  struct Request;
  struct Flight;
  using Lock = std::unique_lock<std::mutex>;

  void lead(Lock& lock, Request& mine, const net::Deadline& deadline);
  bool take_off(Lock& lock, Request& mine, const net::Deadline& deadline);
  void land(Lock& lock);
  void crash(const Error& why);
  static void end(Request& request, const Error& why, bool was_sent, bool may_retry);
  void give_up(const std::shared_ptr<Request>& mine);
  /// Who is to be called, so that somebody leads; null: nobody waits, or somebody does.
  std::shared_ptr<Request> next_lead() const;
  bool try_before_fork() noexcept override { return mutex_.try_lock(); }
  void after_fork(bool in_child) noexcept override;

  static constexpr std::size_t kMostBytes = 16 * 1024;     // of one call
  static constexpr std::size_t kMostInFlight = 64 * 1024;  // bytes

  /// A flight of reads of the largest values, and what stands around them.
  static constexpr std::size_t kMostReceived = std::size_t{1024} * 1024 * 1024;

  net::Pool& pool_;
  std::mutex mutex_;
  bool leading_ = false;
  std::size_t last_size_ = 0;  // of the flight before
  std::deque<std::shared_ptr<Request>> waiting_;
  std::unique_ptr<Flight> flight_;
};

/// Goes on over replies, from `at`, until `left` of them, elements of arrays included, have come to their end. False:
/// there is more to come. What is no reply at all throws `left` away and answers true; the reader will find out.
bool scan_replies(std::string_view data, std::size_t& at, std::size_t& left) noexcept;

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
