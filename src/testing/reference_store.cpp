// Every function says what the contract says, in the contract's order, and nothing about speed.
#include <flux/cache/testing/reference_store.hpp>

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace flux::cache {
inline namespace v1 {
namespace testing {

namespace {

class ReferenceStore final : public Store {
 public:
  explicit ReferenceStore(const ReferenceConfig& config)
      : clock_(config.clock != nullptr ? *config.clock : system_clock()), objects_(config.objects) {}

  Traits traits() const noexcept override {
    return {.kind = "reference", .objects = objects_, .atomic_batches = true, .grain = Duration(1)};
  }

  Result<bool> get(const Key& key, const Read& how, Receiver found) override {
    std::optional<EntryCopy> entry;
    {
      const std::scoped_lock guard(mutex_);
      entry = copy_of(how.stale ? kept(key) : fresh(key));
    }
    if (!entry) return false;
    found(entry->view());
    return true;
  }

  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    if (auto refused = refuse(key, entry, "put")) return Result<bool>(std::move(refused));
    const std::scoped_lock guard(mutex_);
    switch (how.when) {
      case When::always: break;
      case When::absent:
        if (fresh(key) != entries_.end()) return false;
        break;
      case When::present:
        if (fresh(key) == entries_.end()) return false;
        break;
      case When::unchanged: {
        const auto there = kept(key);
        if ((there == entries_.end() ? 0 : there->second.view().version) != how.version) return false;
        break;
      }
    }
    write(key, entry);
    return true;
  }

  Result<bool> forget(const Key& key, const Forget& how) override {
    const std::scoped_lock guard(mutex_);
    const auto there = kept(key);
    if (there == entries_.end()) return false;
    if (how.version != 0 && there->second.view().version != how.version) return false;
    const bool alive = is_fresh(there);
    entries_.erase(there);
    return alive;
  }

  Result<void> flush(const Scope& scope) override {
    if (!scope.tags.empty())
      return Error{Errc::unsupported, "tags are a layer's work on this store", "reference", "flush", {}};
    const std::scoped_lock guard(mutex_);
    std::erase_if(entries_, [](const auto& one) { return one.first.first == Space::values; });
    return {};
  }

  Result<bool> has(const Key& key) override {
    const std::scoped_lock guard(mutex_);
    return fresh(key) != entries_.end();
  }

  Result<bool> pull(const Key& key, const Read&, Receiver found) override {
    std::optional<EntryCopy> entry;
    {
      const std::scoped_lock guard(mutex_);
      entry = copy_of(fresh(key));
      if (const auto there = kept(key); there != entries_.end()) entries_.erase(there);
    }
    if (!entry) return false;
    found(entry->view());
    return true;
  }

  Result<bool> touch(const Key& key, const Expiry& expiry) override {
    const std::scoped_lock guard(mutex_);
    const auto there = fresh(key);
    if (there == entries_.end()) return false;
    Entry entry = there->second.view();
    entry.expiry = expiry;
    write(key, entry);
    return true;
  }

  Result<std::int64_t> increment(const Key& key, std::int64_t by, const Entry& if_new) override {
    const std::scoped_lock guard(mutex_);
    const auto there = fresh(key);
    if (there == entries_.end()) {
      Entry entry = if_new;
      entry.value = {.kind = Kind::integer, .number = by};
      write(key, entry);
      return by;
    }
    auto number = detail::add_to_counter(there->second.view().value, by);
    if (!number.ok()) return number;
    Entry entry = there->second.view();
    entry.value = {.kind = Kind::integer, .number = *number};
    write(key, entry);
    return number;
  }

  Result<BatchWritten> put_many(std::span<const Item> items) override {
    BatchWritten outcome;
    for (std::size_t i = 0; i < items.size() && !outcome.error; ++i)
      outcome.error = refuse(items[i].key, items[i].entry, "put_many");
    if (outcome.error) {
      for (std::size_t i = 0; i < items.size(); ++i) outcome.failed.push_back(i);
      return outcome;
    }
    const std::scoped_lock guard(mutex_);
    for (const Item& item : items) write(item.key, item.entry);
    return outcome;
  }

  Result<std::size_t> forget_many(std::span<const Key> keys) override {
    const std::scoped_lock guard(mutex_);
    std::size_t gone = 0;
    for (const Key& key : keys) {
      const auto there = kept(key);
      if (there == entries_.end()) continue;
      gone += is_fresh(there) ? 1 : 0;
      entries_.erase(there);
    }
    return gone;
  }

  Result<void> scan(Space space, Visitor visit) override {
    std::map<Name, EntryCopy> seen;
    {
      const std::scoped_lock guard(mutex_);
      for (auto at = entries_.begin(); at != entries_.end(); ++at)
        if (at->first.first == space && is_kept(at)) seen.emplace(at->first, EntryCopy(at->second.view()));
    }
    for (const auto& [name, entry] : seen)
      if (!visit(name.second, entry.view())) break;
    return {};
  }

  Result<std::size_t> prune(std::size_t budget) override {
    const std::scoped_lock guard(mutex_);
    std::size_t gone = 0;
    for (auto at = entries_.begin(); at != entries_.end() && gone < budget;)
      is_kept(at) ? ++at : (++gone, at = entries_.erase(at));
    return gone;
  }

 private:
  using Name = std::pair<Space, std::string>;
  using Entries = std::map<Name, EntryCopy>;

  bool is_fresh(Entries::const_iterator at) const { return at->second.view().expiry.is_fresh(clock_.now()); }
  bool is_kept(Entries::const_iterator at) const { return at->second.view().expiry.is_kept(clock_.now()); }
  /// What is there for stale reads and for versions; the end where nothing is.
  Entries::iterator kept(const Key& key) {
    const auto there = entries_.find(Name(key.space(), key.text()));
    return there != entries_.end() && is_kept(there) ? there : entries_.end();
  }
  /// What is there for everyone.
  Entries::iterator fresh(const Key& key) {
    const auto there = kept(key);
    return there != entries_.end() && is_fresh(there) ? there : entries_.end();
  }
  std::optional<EntryCopy> copy_of(Entries::iterator there) const {
    return there == entries_.end() ? std::nullopt : std::optional<EntryCopy>(there->second.view());
  }
  void write(const Key& key, const Entry& entry) {
    Entry stamped = entry;
    stamped.version = ++writes_;
    entries_.insert_or_assign(Name(key.space(), key.text()), EntryCopy(stamped));
  }
  std::unique_ptr<Error> refuse(const Key& key, const Entry& entry, const char* operation) const {
    if (objects_ || entry.value.kind != Kind::object) return nullptr;
    const std::string_view type = entry.value.type != nullptr ? entry.value.type->name : "an object";
    return std::make_unique<Error>(Error{Errc::not_serializable, std::string(type) + " lives above the border alone",
                                         "reference", operation, std::string(key.text())});
  }

  const Clock& clock_;
  const bool objects_;
  std::mutex mutex_;
  Entries entries_;
  std::uint64_t writes_ = 0;
};

}  // namespace

StorePtr make_reference(const ReferenceConfig& config) { return std::make_shared<ReferenceStore>(config); }

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
