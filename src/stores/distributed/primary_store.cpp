// The primary decides; replicas follow behind, and are read where the primary does not answer.
#include <flux/cache/stores/distributed.hpp>

#include "copier.hpp"
#include "replicas.hpp"

namespace flux::cache {
inline namespace v1 {
namespace distributed {

namespace {

class PrimaryStore final : public composite::CompositeStore {
 public:
  PrimaryStore(std::vector<StorePtr> stores, const DistributedOptions& options)
      : CompositeStore(guarded(std::move(stores), options), {.kind = "distributed",
                                                             .authority = options.authority,
                                                             .max_value = options.max_value,
                                                             .clock = options.clock}) {
    traits_ = parts_.front().traits;
    traits_.kind = "distributed";
    traits_.atomic_batches = false;
    traits_.remote = false;  // each part has its own breaker; the whole is never out of reach
    if (options.max_value != 0) traits_.max_value_bytes = std::min(traits_.max_value_bytes, options.max_value);
    for (std::size_t i = 1; i < parts_.size(); ++i)
      copiers_.push_back(std::make_unique<Copier>(parts_[0].store, parts_[i].store, options.max_pending));
  }

  Result<bool> get(const Key& key, const Read& how, Receiver found) override {
    if (key.space() != Space::values) return authority().get(key, how, found);
    auto there = primary().get(key, how, found);
    if (there.ok() || !is_transient(there.error().code) || how.stale) return there;
    return from_replicas(key, std::move(there), [&](Store& replica, std::size_t part) {
      return replica.get(key, how, [&](const Entry& entry) {
        Entry shown = entry;
        shown.version = composite::marked(entry.version, part);
        found(shown);
      });
    });
  }
  Result<bool> has(const Key& key) override {
    if (key.space() != Space::values) return authority().has(key);
    auto there = primary().has(key);
    if (there.ok() || !is_transient(there.error().code)) return there;
    return from_replicas(key, std::move(there), [&](Store& replica, std::size_t) { return replica.has(key); });
  }
  Result<void> get_many(std::span<const Key> keys, const Read& how, BatchReceiver found) override {
    if (has_other_spaces(keys)) return Store::get_many(keys, how, found);
    std::vector<bool> seen(keys.size());
    const auto take = [&](std::size_t i, const Entry& entry) {
      seen[i] = true;
      found(i, entry);
    };
    const auto hand_on = [&](std::size_t i, std::unique_ptr<Error> why) {
      seen[i] = true;
      found.unreadable(i, std::move(why));
    };
    auto done = primary().get_many(keys, how, {take, hand_on});
    if (done.ok() || !is_transient(done.error().code) || how.stale) return done;
    bool answered = false;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (seen[i]) continue;
      auto there = get(keys[i], how, [&](const Entry& entry) { found(i, entry); });
      const bool is_bad = !there.ok() && is_unreadable(there.error().code);
      if (is_bad) found.unreadable(i, there.take_error());
      answered = answered || is_bad || there.ok();
    }
    return answered ? Result<void>() : std::move(done);
  }

  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    if (key.space() != Space::values) return authority().put(key, entry, how);
    if (auto fits = check(key, entry); !fits.ok()) return Result<bool>(fits.take_error());
    std::vector<TagStamp> room;
    auto written = primary().put(key, book_.for_part(entry, 0, room), how);
    // Refused, nothing has changed; failed, it may have been written, and the replicas must not look newer.
    const bool changed = !written.ok() || *written;
    if (changed && !composite::is_placeholder(entry))
      copy(key, entry.value.kind == Kind::object ? entry.value.type : nullptr);
    return written;
  }
  Result<bool> forget(const Key& key, const Forget& how) override {
    if (key.space() != Space::values) return authority().forget(key, how);
    auto gone = primary().forget(key, how);
    copy(key, nullptr);
    return gone;
  }
  Result<bool> pull(const Key& key, const Read& how, Receiver found) override {
    if (key.space() != Space::values) return authority().pull(key, how, found);
    auto pulled = primary().pull(key, how, found);
    copy(key, how.as);
    return pulled;
  }
  Result<bool> touch(const Key& key, const Expiry& expiry) override {
    if (key.space() != Space::values) return authority().touch(key, expiry);
    auto touched = primary().touch(key, expiry);
    copy(key, nullptr);
    return touched;
  }
  Result<std::int64_t> increment(const Key& key, std::int64_t by, const Entry& if_new) override {
    if (key.space() != Space::values) return authority().increment(key, by, if_new);
    std::vector<TagStamp> room;
    auto number = primary().increment(key, by, book_.for_part(if_new, 0, room));
    copy(key, nullptr);
    return number;
  }

  Result<BatchWritten> put_many(std::span<const Item> items) override {
    std::vector<Item> own(items.begin(), items.end());
    std::vector<std::vector<TagStamp>> rooms(items.size());
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (items[i].key.space() != Space::values) return Store::put_many(items);
      if (auto fits = check(items[i].key, items[i].entry); !fits.ok()) return Result<BatchWritten>(fits.take_error());
      own[i].entry = book_.for_part(items[i].entry, 0, rooms[i]);
    }
    auto written = primary().put_many(own);
    for (const Item& item : items)
      copy(item.key, item.entry.value.kind == Kind::object ? item.entry.value.type : nullptr);
    return written;
  }
  Result<std::size_t> forget_many(std::span<const Key> keys) override {
    if (has_other_spaces(keys)) return Store::forget_many(keys);
    auto gone = primary().forget_many(keys);
    for (const Key& key : keys) copy(key, nullptr);
    return gone;
  }
  Result<void> flush(const Scope& scope) override {
    auto done = primary().flush(scope);
    for (const auto& copier : copiers_) copier->flush(scope);
    return done;
  }
  Result<void> scan(Space space, Visitor visit) override {
    return space == Space::values ? primary().scan(space, visit) : authority().scan(space, visit);
  }

 private:
  Store& primary() const noexcept { return *parts_.front(); }
  void copy(const Key& key, const Type* as) {
    for (const auto& copier : copiers_) copier->key(key.text(), as);
  }
  /// What a replica may be behind with, it does not answer.
  template <class Ask>
  Result<bool> from_replicas(const Key& key, Result<bool> otherwise, Ask&& ask) {
    for (std::size_t part = 1; part < parts_.size(); ++part) {
      if (copiers_[part - 1]->is_behind(key.text())) continue;
      auto there = ask(*parts_[part], part);
      if (there.ok()) return there;
    }
    return otherwise;
  }

  std::vector<std::unique_ptr<Copier>> copiers_;
};

}  // namespace

}  // namespace distributed

StorePtr make_primary(std::vector<StorePtr> stores, const DistributedOptions& options) {
  return std::make_shared<distributed::PrimaryStore>(std::move(stores), options);
}

}  // namespace v1
}  // namespace flux::cache
