// The memory store: the contract over the engine.
#pragma once
#include <flux/cache/engine/engine.hpp>
#include <flux/cache/stores/memory.hpp>

#include <array>

#include "labels.hpp"
#include "reservations.hpp"

namespace flux::cache {
inline namespace v1 {
namespace memory {

class MemoryStore final : public Store, public std::enable_shared_from_this<MemoryStore> {
 public:
  explicit MemoryStore(const MemoryConfig& config);

  Traits traits() const noexcept override;
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
  Result<std::vector<std::uint64_t>> epochs(std::span<const std::string_view> tags) override;
  Result<void> scan(Space space, Visitor visit) override;
  Result<std::size_t> prune(std::size_t budget) override;

 private:
  /// A draft with what it borrows; stays where it is.
  struct Written {
    engine::Draft draft;
    std::string labels;
  };

  engine::Engine& engine_of(Space space) noexcept {
    return space == Space::values ? values_ : *others_[static_cast<std::size_t>(space) - 1];
  }
  bool draft(const Entry& entry, Written& out);
  Error over_max_value() const;
  std::string labels_of(const Entry& entry);
  /// The engine's view of a kept entry that no flush has hit; null otherwise.
  const engine::View* kept(const engine::View* view) const;
  const engine::View* fresh(const engine::View* view) const;
  bool is_alive(const engine::View& view) const;
  Got judge(std::string_view labels, std::span<const std::string> tags) const;
  bool hand_over_alive(const engine::View& view, Receiver found) const;
  Result<bool> put_if(const Key& key, const Entry& entry, const Write& how);
  Result<bool> reserve(const Key& key, const Entry& entry, const Write& how);
  Result<bool> fulfil(const Key& key, const engine::Draft& draft, std::uint64_t version);
  bool get_reserved(const Key& key, Receiver found);
  Result<bool> get_decoding(const Key& key, const Read& how, Receiver found);
  Result<bool> get_decoded(const Key& key, const Read& how, const Entry& frame, Receiver found);
  void written(const Key& key) noexcept {
    if (reservations_.any() && key.space() == Space::values) [[unlikely]]
      reservations_.drop(key);
  }
  void sweep_tags();
  void sweep_behind();

  const MemoryConfig config_;
  engine::Engine values_;
  std::array<std::unique_ptr<engine::Engine>, 3> others_;  // tags, locks, limits: few, and never evicted
  TagTable tags_;
  Reservations reservations_;
  std::atomic<bool> sweeping_{false};
  std::atomic<bool> decodes_{false};  ///< frames were put here to be read as objects: see `draft_of`
};

}  // namespace memory
}  // namespace v1
}  // namespace flux::cache
