// A store that keeps nothing.
#include <flux/cache/stores/null.hpp>

namespace flux::cache {
inline namespace v1 {

namespace {

class NullStore final : public Store {
 public:
  Traits traits() const noexcept override { return {.kind = "null", .objects = true, .atomic_batches = true}; }

  Result<bool> get(const Key&, const Read&, Receiver) override { return false; }
  Result<bool> put(const Key& key, const Entry&, const Write& how) override {
    return key.space() == Space::locks && how.when != When::present;
  }
  Result<bool> forget(const Key& key, const Forget&) override { return key.space() == Space::locks; }
  Result<void> flush(const Scope&) override { return {}; }
  /// Each counter stands where its first call puts it, so limits never bite.
  Result<std::int64_t> increment(const Key&, std::int64_t by, const Entry&) override { return by; }
  Result<void> scan(Space, Visitor) override { return {}; }
};

}  // namespace

StorePtr make_null() { return std::make_shared<NullStore>(); }

}  // namespace v1
}  // namespace flux::cache
