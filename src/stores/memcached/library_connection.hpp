// A connection that speaks the binary protocol through libmemcached: for SASL, and for servers before 1.6.
#pragma once
#include <libmemcached/memcached.h>

#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "connection.hpp"
#include "net/endpoint.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::memcached {

/// One of the library's handles, for one server. The library sends and waits in one go, so all happens in `receive`,
/// and its timeouts are for one wait each: a server that drips can hold a call longer than its deadline.
class LibraryConnection final : public Connection {
 public:
  /// Connects, logs in where a user is named, and learns `item_size_max`.
  static Result<std::unique_ptr<LibraryConnection>> connect(const net::Endpoint& endpoint, const std::string& username,
                                                            const std::string& password, const net::Deadline& deadline);

  /// The library does not tell. A connection that has died is found out by the first command, and that is sent again.
  bool is_quiet() noexcept override { return true; }
  void abandon() noexcept override;
  Result<void> open(std::size_t) override { return {}; }
  Result<void> add(std::span<const Command>, const net::Deadline&) override { return {}; }
  Result<void> close(std::span<const Command> all, const net::Deadline& deadline) override;
  Result<void> receive(std::span<Reply> replies, const net::Deadline& deadline) override;
  Result<void> receive_each(Sink take, const net::Deadline& deadline) override;
  bool has_begun() const noexcept override { return has_begun_; }
  Result<std::map<std::string, std::string>> stats(const net::Deadline& deadline) override {
    return stats(nullptr, deadline);
  }
  Result<void> dump(FunctionRef<void(std::string_view key)>, Duration) override {
    return net::fault(endpoint_, Errc::unsupported, "listing", "the binary protocol has no command for it");
  }
  Result<std::map<std::string, std::string>> stats(const char* what, const net::Deadline& deadline);

 private:
  struct Free {
    void operator()(memcached_st* handle) const noexcept { memcached_free(handle); }
  };

  explicit LibraryConnection(const net::Endpoint& endpoint) : endpoint_(endpoint) {}
  void set_timeouts(const net::Deadline& deadline) noexcept;
  Error fault(const char* doing, memcached_return_t code) const;
  Result<void> fetch(std::size_t first, std::size_t count, std::span<Reply> replies);
  Result<void> write(const Command& command, Reply& reply);

  const net::Endpoint endpoint_;
  std::unique_ptr<memcached_st, Free> handle_;
  std::span<const Command> sent_{};
  std::deque<std::string> values_;  // what the replies borrow
  bool has_begun_ = false;
};

}  // namespace detail::memcached
}  // namespace v1
}  // namespace flux::cache
