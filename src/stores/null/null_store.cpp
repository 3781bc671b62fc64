// A store that keeps nothing.
#include <flux/cache/stores/null.hpp>

namespace flux::cache {
inline namespace v1 {

namespace {

class NullStore final : public Store {
 public:
  /// Tags are its own, in that nothing carries any: the layer would ask for records that are never kept.
  Traits traits() const noexcept override {
    return {.kind = "null", .objects = true, .atomic_batches = true, .tags = true};
  }

  Result<bool> get(const Key&, const Read&, Receiver) override { return false; }
  Result<bool> put(const Key& key, const Entry&, const Write& how) override {
    return is_granted(key) && how.when != When::present;
  }
  Result<bool> forget(const Key& key, const Forget&) override { return is_granted(key); }
  Result<void> flush(const Scope&) override { return {}; }
  Result<std::vector<std::uint64_t>> epochs(std::span<const std::string_view> tags) override {
    return std::vector<std::uint64_t>(tags.size(), 1);
  }
  Result<std::int64_t> increment(const Key&, std::int64_t by, const Entry&) override { return by; }
  Result<void> scan(Space, Visitor) override { return {}; }

 private:
  /// Locks and limits are told that they were written, for a program that runs without a cache must still run.
  static bool is_granted(const Key& key) { return key.space() == Space::locks || key.space() == Space::limits; }
};

}  // namespace

StorePtr make_null() { return std::make_shared<NullStore>(); }

}  // namespace v1
}  // namespace flux::cache
