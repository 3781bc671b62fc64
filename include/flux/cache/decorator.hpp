// flux/cache/decorator.hpp - the base of everything that wraps a store and changes one thing about it.
#pragma once
#include <flux/cache/store.hpp>

#include <utility>

namespace flux::cache {
inline namespace v1 {

/// Forwards the contract's five functions, and whatever else changes nothing about an entry. The compound operations
/// (has, pull, touch, increment and the batches) run through the layer's *own* five, so that none of them can slip past
/// an override; a layer forwards one explicitly where that is right.
class FLUX_CACHE_TYPE Decorator : public Store {
 public:
  explicit Decorator(StorePtr inner) : inner_(std::move(inner)) {}

  /// Those of the store below, but for `atomic_batches`: what writes item by item cannot promise all or nothing. A
  /// layer that forwards `put_many` says so itself.
  Traits traits() const noexcept override {
    Traits traits = inner_->traits();
    traits.atomic_batches = false;
    return traits;
  }
  Result<bool> get(const Key& key, const Read& how, Receiver found) override { return inner_->get(key, how, found); }
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    return inner_->put(key, entry, how);
  }
  Result<bool> forget(const Key& key, const Forget& how) override { return inner_->forget(key, how); }
  Result<void> flush(const Scope& scope) override { return inner_->flush(scope); }
  Result<std::vector<std::uint64_t>> epochs(std::span<const std::string_view> tags) override {
    return inner_->epochs(tags);
  }
  Result<void> scan(Space space, Visitor visit) override { return inner_->scan(space, visit); }
  Result<std::size_t> prune(std::size_t budget) override { return inner_->prune(budget); }

  /// What is wrapped.
  const StorePtr& wrapped() const noexcept { return inner_; }

 protected:
  Store& inner() const noexcept { return *inner_; }

 private:
  StorePtr inner_;
};

}  // namespace v1
}  // namespace flux::cache
