// The facade's end before that of the program.
#include <flux/cache.hpp>

namespace flux {
inline namespace v1 {

namespace {

constexpr char kDriver[] = "closed";

/// Answers everything with the same error.
class ClosedStore final : public cache::Store {
 public:
  cache::Traits traits() const noexcept override { return {.kind = kDriver, .objects = true, .tags = true}; }
  cache::Result<bool> get(const cache::Key&, const cache::Read&, cache::Receiver) override { return closed(); }
  cache::Result<bool> put(const cache::Key&, const cache::Entry&, const cache::Write&) override { return closed(); }
  cache::Result<bool> forget(const cache::Key&, const cache::Forget&) override { return closed(); }
  cache::Result<void> flush(const cache::Scope&) override { return closed(); }
  cache::Result<std::int64_t> increment(const cache::Key&, std::int64_t, const cache::Entry&) override {
    return closed();
  }
  cache::Result<void> scan(cache::Space, cache::Visitor) override { return closed(); }

 private:
  static cache::Error closed() { return {cache::Errc::shut_down, "the cache was shut down"}; }
};

}  // namespace

void Cache::shutdown() {
  static const bool is_known = [] {
    extend(kDriver, [](const cache::DriverContext&) { return std::make_shared<ClosedStore>(); });
    return true;
  }();
  (void)is_known;
  const cache::StoreManager old = manager();
  const cache::Config& before = old.config();
  cache::Config after;
  after.default_store = before.default_store;
  cache::Settings closed = cache::Settings::map();
  closed.set("driver", kDriver);
  for (const auto& [name, store] : before.stores) after.stores[name] = cache::StoreConfig(closed);
  use(cache::StoreManager(std::move(after)));
}

}  // namespace v1
}  // namespace flux
