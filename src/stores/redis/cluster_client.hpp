// Calls to a cluster: who has which slot, and how to follow slots that move. docs/design/redis_cluster.md.
#pragma once
#include <array>
#include <atomic>
#include <vector>

#include "server_client.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

/// What is sent as one call must be one command, or one transaction: then it is carried out by one node or by none.
class ClusterClient final : public Client, ForkGuard {
 public:
  ClusterClient(const RedisConnection& connection, Duration timeout);
  ~ClusterClient() override;

  /// Many such calls at once, each on a slot of its own: one burst to each node, all nodes side by side, one deadline.
  struct Units {
    std::span<const Slot> slots;  ///< of each unit
    bool is_read = false;
    Again again = Again::no;
    /// Adds a unit's command or transaction. `whole`: with the script's text, for its name is not known there.
    detail::FunctionRef<void(std::size_t unit, bool whole, Commands& commands)> write;
    /// Takes its replies. It may be called again for a unit, but not after it took all of them and the server refused
    /// nothing.
    detail::FunctionRef<Result<void>(std::size_t unit, Replies& replies)> read;
    detail::FunctionRef<void(std::size_t unit, Error error)> failed;
  };
  void call_many(const Units& units);

  /// The nodes have numbers: the first one from `first` on that is a primary with slots, or -1.
  Result<int> next_primary(int first);
  /// A call to that node, whatever the slot.
  Result<void> call_node(int node, Commands& commands, Reading read);

  void trim() override;

 private:
  struct Node;
  struct Trial;
  /// Where a call is to go, and how often it was sent on.
  struct Course {
    Node* node = nullptr;  // null: to who has the slot
    bool is_asking = false;
    bool is_whole = false;
    bool was_put_off = false;
    int hops = 0;

    void begin_again() noexcept {
      node = nullptr;
      is_asking = false;
      hops = 0;
    }
  };
  enum class Turn : std::uint8_t { fail, now, later };

  Result<void> call(Where where, Commands& commands, Again again, Reading read, const net::Deadline& deadline) override;
  /// `silent`: one that did not answer; whoever asks for another one waits until it is known whether there is one.
  Result<Node*> owner(Where where, const net::Deadline& deadline, const Node* silent = nullptr);
  Turn judge(const Error& error, const ServerClient::Trouble& trouble, Where where, Again again, Course& course,
             const net::Deadline& deadline);
  Node* node_at(const std::string& host, std::uint16_t port, ServerClient::Role role);
  std::vector<Node*> nodes() const;
  /// Learns anew who has what, unless somebody just did. Of many threads one asks; the others wait for it where that is
  /// wanted.
  Result<void> refresh(const net::Deadline& deadline, bool is_wanted);
  Result<void> ask(Node& node, const net::Deadline& deadline);
  Result<void> learn(const RedisReply& reply, const Node& from);
  bool try_before_fork() noexcept override { return mutex_.try_lock(); }
  void after_fork(bool in_child) noexcept override;

  const RedisConnection connection_;
  std::vector<Node*> seeds_;
  std::array<std::atomic<Node*>, kSlots> primaries_{};
  std::array<std::atomic<Node*>, kSlots> readers_{};  // null: the primary
  std::atomic<bool> is_stale_{true};                  // somebody met a slot that was elsewhere, or a node that is gone

  mutable std::mutex mutex_;                  // held for moments
  std::vector<std::unique_ptr<Node>> nodes_;  // none ever goes: others may be at it
  bool is_refreshing_ = false;
  std::uint64_t refreshes_ = 0;
  net::Deadline::Clock::time_point refreshed_{};
};

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
