// Near tiers with copies in front of a far one that decides.
#pragma once
#include <flux/cache/stores/tiered.hpp>

#include <memory>
#include <mutex>

#include "composite/guard.hpp"
#include "composite/small_copy.hpp"
#include "composite/stripes.hpp"
#include "herald.hpp"

namespace flux::cache {
inline namespace v1 {
namespace tiered {

class TieredStore;

/// The far tier's log speaks to the store through it, as long as there is one.
struct Link {
  std::mutex mutex;
  TieredStore* store = nullptr;
};

/// What the base wants before the store itself stands.
struct Beginning {
  std::shared_ptr<Link> link = std::make_shared<Link>();
  std::shared_ptr<Recovering> recovery;
};

class TieredStore final : public composite::CompositeStore {
 public:
  TieredStore(std::vector<StorePtr> stores, const TieredOptions& options, Beginning beginning);
  ~TieredStore() override;
  /// The far tier has done what waited for it.
  void caught_up(const CaughtUp& done);

  Result<bool> get(const Key& key, const Read& how, Receiver found) override;
  Result<Got> get_value(const Key& key, const ValueRead& how) override;
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override;
  Result<bool> forget(const Key& key, const Forget& how) override;
  Result<void> flush(const Scope& scope) override;
  Result<bool> has(const Key& key) override;
  Result<bool> pull(const Key& key, const Read& how, Receiver found) override;
  Result<bool> touch(const Key& key, const Expiry& expiry) override;
  Result<std::int64_t> increment(const Key& key, std::int64_t by, const Entry& if_new) override;
  Result<void> get_many(std::span<const Key> keys, const Read& how, BatchReceiver found) override;
  Result<BatchWritten> put_many(std::span<const Item> items) override;
  Result<std::size_t> forget_many(std::span<const Key> keys) override;
  Result<void> scan(Space space, Visitor visit) override;

 private:
  std::size_t last() const noexcept { return parts_.size() - 1; }
  Store& far() const noexcept { return *parts_.back(); }
  bool is_capped(std::size_t tier) const noexcept { return tier != last() && caps_[tier].has_value(); }
  /// May the private tiers be read and filled? Not while messages are missed.
  bool is_informed() const noexcept { return informed_.load(std::memory_order_acquire); }
  /// Is what failed at the far tier kept, and done later?
  bool is_kept(const Key& key) const { return recovery_ != nullptr && recovery_->is_waiting(key); }

  template <class Found>
  Result<bool> get_farther(const Key& key, const Read& how, Found&& found);
  Result<Got> get_farther_value(const Key& key, const ValueRead& how);
  void promote(const Key& key, const Read& how, const Entry& entry, std::size_t from, std::uint64_t ticket);
  Entry with_own_life(const Entry& entry, std::size_t tier) const;
  /// May a nearer tier keep it too?
  bool is_worth(const Entry& entry) const;
  void fill(std::size_t tier, const Key& key, const Entry& entry);
  template <class Work>
  void with_own_epochs(const Entry& entry, std::size_t tier, Work&& work);
  /// The near tiers that this process has for itself, or those that others see too. The latter are emptied before the
  /// others are told, so that nobody who was told fills his own from them; the former after it.
  enum class Tiers : std::uint8_t { own, shared };
  template <class Work>
  void each_near(Tiers which, Work&& work);
  /// True: something fresh was there.
  bool drop(Tiers which, const Key& key);
  void fill_own(const Key& key, const Entry& entry, std::uint64_t ticket);
  /// After a write that went well at the far tier.
  void wrote(const Key& key, const Entry& entry, std::uint64_t ticket);
  bool invalidate(const Key& key);
  Result<void> flush_tiers(Tiers which, const Scope& scope);
  void tell(const Key& key);
  template <class Range, class NameOf>
  void tell(const Range& range, NameOf name_of);
  void tell_flush(const Scope& scope, std::int64_t wall);
  void heard(const Message& message);
  void connection(bool connected);

  const std::vector<std::optional<Duration>> caps_;
  composite::Stripes stripes_;
  const std::shared_ptr<Link> link_;
  const std::shared_ptr<Recovering> recovery_;
  std::unique_ptr<Herald> herald_;
  std::atomic<bool> informed_{true};
};

}  // namespace tiered
}  // namespace v1
}  // namespace flux::cache
