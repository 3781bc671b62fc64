// The store on a cluster: what concerns one key as on a server, in that key's slot; what concerns many by groups,
// all nodes side by side. docs/design/redis_cluster.md.
#pragma once
#include "cluster_client.hpp"
#include "redis_store.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

class ClusterStore : public ServerStore {
 public:
  ClusterStore(const RedisConfig& config, std::unique_ptr<ClusterClient> client, std::unique_ptr<Error> wrong);

  Traits traits() const noexcept override;
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override;
  Result<void> flush(const Scope& scope) override;
  Result<bool> has(const Key& key) override;
  Result<void> get_many(std::span<const Key> keys, const Read& how, BatchReceiver found) override;
  Result<BatchWritten> put_many(std::span<const Item> items) override;
  Result<std::size_t> forget_many(std::span<const Key> keys) override;
  Result<std::vector<std::uint64_t>> epochs(std::span<const std::string_view> tags) override;
  Result<RedisReply> command(const std::vector<std::string>& words) override;

 protected:
  /// Calls on keys of many groups, one for each group and space that they are of, by indices of the keys.
  struct Batch {
    using Members = std::span<const std::size_t>;
    bool is_read = false;
    Again again = Again::no;
    /// Adds one command or transaction.
    detail::FunctionRef<void(Members members, Commands& commands)> write;
    /// Takes its replies; again, where it was refused.
    detail::FunctionRef<Result<void>(Members members, Replies& replies)> read;
    detail::FunctionRef<void(Members members, Error error)> failed;
  };
  void call_groups(std::size_t count, detail::FunctionRef<const Key&(std::size_t index)> key_of, const Batch& batch);
  /// Takes the replies to a transaction up to the first of its commands' own. False: it was refused.
  static Result<bool> executed(Replies& replies, std::size_t commands);
  /// A script that counts, on keys of any groups.
  Result<std::size_t> count_by(Script script, std::span<const Key> keys, Again again, const Now& now);
  Result<std::vector<std::string>> scan_page(std::string& cursor, const std::string& pattern,
                                             std::size_t count) override;

 private:
  /// Keys by their groups and spaces: what one command may name.
  struct ByGroup;

  /// Writes a transaction that sets entries of one group and tells its generation.
  void transaction(Commands& commands, std::size_t group, std::span<const Item* const> items,
                   std::span<const Draft> drafts) const;
  /// Takes its replies, and the generation, unless that is 0: it was not asked for.
  Result<void> written(Replies& replies, std::size_t group, std::size_t count, std::uint64_t& generation);
  /// Makes sure that each group has a generation, and that it is known.
  Result<void> learn_generations(std::span<const std::size_t> groups);
  Result<std::size_t> reclaim(Space space, std::span<const Key> keys, const Now& now) override;

  ClusterClient& cluster_;
};

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
