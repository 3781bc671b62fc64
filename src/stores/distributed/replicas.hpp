// The same entries on several stores; the first that answers decides.
#pragma once
#include <flux/cache/stores/distributed.hpp>

#include <atomic>
#include <memory>

#include "composite/background.hpp"
#include "composite/guard.hpp"
#include "composite/stripes.hpp"

namespace flux::cache {
inline namespace v1 {
namespace distributed {

/// Each behind its recovery log, where that is wanted.
std::vector<StorePtr> guarded(std::vector<StorePtr> stores, const DistributedOptions& options);

class ReplicatedStore final : public composite::CompositeStore {
 public:
  ReplicatedStore(std::vector<StorePtr> stores, WritePolicy writes, const DistributedOptions& options);
  ~ReplicatedStore() override { background_.close(); }

  Result<bool> get(const Key& key, const Read& how, Receiver found) override;
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override;
  Result<bool> forget(const Key& key, const Forget& how) override;
  Result<void> flush(const Scope& scope) override;
  Result<std::vector<std::uint64_t>> epochs(std::span<const std::string_view> tags) override;
  Result<bool> has(const Key& key) override;
  Result<bool> pull(const Key& key, const Read& how, Receiver found) override;
  Result<bool> touch(const Key& key, const Expiry& expiry) override;
  Result<std::int64_t> increment(const Key& key, std::int64_t by, const Entry& if_new) override;
  Result<void> get_many(std::span<const Key> keys, const Read& how, BatchReceiver found) override;
  Result<BatchWritten> put_many(std::span<const Item> items) override;
  Result<std::size_t> forget_many(std::span<const Key> keys) override;
  Result<void> scan(Space space, Visitor visit) override;

 private:
  using Turn = composite::Stripes::Turn;

  std::size_t wanted() const noexcept;
  Result<bool> put_everywhere(const Key& key, const Entry& entry);
  Result<bool> put_if(const Key& key, const Entry& entry, const Write& how);
  /// Copies what the deciding replica was given to the others, of which the first `away` did not answer.
  void copy_from(std::size_t part, std::size_t away, const Key& key, const Entry& entry);
  /// Tells other processes of a flush that begins: what it is known by, or kUnsaid where the first replica is away.
  std::int64_t announce_flush();
  /// And that it is over. False: somebody may have copied something meanwhile.
  bool conclude_flush(std::int64_t announced);
  /// Is one under way, here or elsewhere?
  bool is_flushing();
  void forget_elsewhere(std::size_t part, const Key& key);
  /// Fills the replicas before `part` that lack the key, from it.
  void repair(const Key& key, const Read& how, std::size_t part);
  void repair_behind(const Key& key, const Read& how, std::size_t part);
  /// Asks the replicas in order until one answers; which one, in `decided`.
  template <class T, class Ask>
  Result<T> decide(std::size_t& decided, Ask&& ask);

  static constexpr std::int64_t kUnsaid = -1;

  const WritePolicy writes_;
  const bool recovers_;
  composite::Stripes stripes_;
  std::atomic<std::uint64_t> flushes_{0};  // odd while one is under way
  composite::Background background_;
};

}  // namespace distributed
}  // namespace v1
}  // namespace flux::cache
