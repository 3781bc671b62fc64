// What all composites have in common: parts, an authority, one set of epochs, and no prefix, border or tag layer of
// their own.
#pragma once
#include <flux/cache/store.hpp>

#include <optional>
#include <string>
#include <vector>

#include "epoch_book.hpp"
#include "fan_out.hpp"

namespace flux::cache {
inline namespace v1 {
namespace composite {

/// A store among others, whole: with its own border and tags.
struct Part {
  explicit Part(StorePtr given)
      : store(std::move(given)),
        traits(store->traits()),
        is_private_(!traits.shared && !traits.persistent && !traits.remote) {}

  Store& operator*() const noexcept { return *store; }
  Store* operator->() const noexcept { return store.get(); }
  /// In this process and no other: nobody else changes it, and asking costs next to nothing.
  bool is_private() const noexcept { return is_private_; }

  StorePtr store;
  Traits traits;

 private:
  bool is_private_;
};

/// A version as the composite shows it: the deciding part's own for part 0, no other part's numbers otherwise.
constexpr std::uint64_t marked(std::uint64_t version, std::size_t part) noexcept {
  return version ^ (part * 0x9e3779b97f4a7c15U);
}

struct CompositeOptions {
  std::string_view kind;        ///< for the traits
  std::size_t authority = 0;    ///< the part that holds locks, limits and tag records
  std::uint64_t max_value = 0;  ///< bytes; 0: what the parts can
  const Clock* clock = nullptr;
  bool copies = true;  ///< the parts hold the same entries; otherwise each has its own
};

class CompositeStore : public Store {
 public:
  CompositeStore(std::vector<StorePtr> parts, const CompositeOptions& options);

  Traits traits() const noexcept override { return traits_; }
  Result<std::vector<std::uint64_t>> epochs(std::span<const std::string_view> tags) override;
  Result<std::size_t> prune(std::size_t budget) override;

 protected:
  std::size_t authority_index() const noexcept { return options_.authority; }
  Store& authority() const noexcept { return *parts_[options_.authority]; }
  /// Are the parts apart, so that asking them side by side pays?
  bool apart() const noexcept { return apart_; }
  bool any_shared() const noexcept { return any_shared_; }
  const Clock& clock() const noexcept { return *options_.clock; }
  Result<void> check(const Key& key, const Entry& entry) const;
  static bool has_other_spaces(std::span<const Key> keys) noexcept;

  std::vector<Part> parts_;
  Traits traits_;
  EpochBook book_;

 private:
  CompositeOptions options_;
  bool apart_ = false;
  bool any_shared_ = false;
};

/// The placeholder of a load in progress, which stands where the decision falls and nowhere else.
bool is_placeholder(const Entry& entry) noexcept;

/// Fills a part from another one, so that no removal between is undone, in whatever process it happens: a placeholder
/// is put where nothing is kept, the source is read after it, and the entry replaces the placeholder only if that still
/// stands. Right where removals reach the source before `to`. `source` reads the source, hands a fresh entry on, and
/// answers whether there was one. Under a cap the copy is fresh for no longer, and its `keep_until` is the entry's end.
bool fill_under_ticket(Store& to, const Key& key, const Clock& clock, std::optional<Duration> cap,
                       detail::FunctionRef<bool(Receiver)> source);

/// A value that means the same to every part: what was read without a type from a store of bytes does not.
inline bool is_portable(const ValueView& value) noexcept {
  return value.kind != Kind::bytes && value.kind != Kind::none;
}

}  // namespace composite
}  // namespace v1
}  // namespace flux::cache
