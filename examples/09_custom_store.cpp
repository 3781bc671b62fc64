// examples/09_custom_store.cpp - a store of one's own: derive, write five functions, name it in a configuration.
#include <flux/cache.hpp>

#include <chrono>
#include <iostream>
#include <map>
#include <mutex>
#include <string>
#include <utility>

using flux::Cache;
namespace cache = flux::cache;
using namespace std::chrono_literals;

// [store]
/// Entries in a std::map: the five functions of the contract, and nothing else.
class MapStore final : public cache::Store {
 public:
  explicit MapStore(const cache::Clock& clock) : clock_(clock) {}

  cache::Traits traits() const noexcept override { return {.kind = "map", .objects = true}; }

  cache::Result<bool> get(const cache::Key& key, const cache::Read& how, cache::Receiver found) override {
    const std::scoped_lock guard(mutex_);
    const cache::EntryCopy* const kept = find(key);
    if (kept == nullptr || !(how.stale || is_fresh(*kept))) return false;
    found(kept->view());
    return true;
  }

  cache::Result<bool> put(const cache::Key& key, const cache::Entry& entry, const cache::Write& how) override {
    const std::scoped_lock guard(mutex_);
    const cache::EntryCopy* const kept = find(key);
    const bool fresh = kept != nullptr && is_fresh(*kept);
    if (how.when == cache::When::absent && fresh) return false;
    if (how.when == cache::When::present && !fresh) return false;
    if (how.when == cache::When::unchanged && (kept != nullptr ? kept->view().version : 0) != how.version) return false;
    cache::Entry numbered = entry;
    numbered.version = ++last_version_;
    entries_.insert_or_assign(name_of(key), cache::EntryCopy(numbered));
    return true;
  }

  cache::Result<bool> forget(const cache::Key& key, const cache::Forget& how) override {
    const std::scoped_lock guard(mutex_);
    const cache::EntryCopy* const kept = find(key);
    if (kept == nullptr || (how.version != 0 && kept->view().version != how.version)) return false;
    const bool fresh = is_fresh(*kept);
    entries_.erase(name_of(key));
    return fresh;
  }

  cache::Result<void> flush(const cache::Scope& scope) override {
    if (!scope.tags.empty()) return cache::Error{cache::Errc::unsupported, "a layer does tags here"};
    const std::scoped_lock guard(mutex_);
    std::erase_if(entries_, [](const auto& one) { return one.first.first == cache::Space::values; });
    return {};
  }

  /// Not of the five, but `keys_of` and tools want to walk.
  cache::Result<void> scan(cache::Space space, cache::Visitor visit) override {
    const std::scoped_lock guard(mutex_);
    for (const auto& [name, entry] : entries_)
      if (name.first == space && entry.view().expiry.is_kept(clock_.now()) && !visit(name.second, entry.view())) break;
    return {};
  }

 private:
  using Name = std::pair<cache::Space, std::string>;

  static Name name_of(const cache::Key& key) { return {key.space(), std::string(key.text())}; }
  bool is_fresh(const cache::EntryCopy& entry) const { return entry.view().expiry.is_fresh(clock_.now()); }
  const cache::EntryCopy* find(const cache::Key& key) const {
    const auto at = entries_.find(name_of(key));
    return at != entries_.end() && at->second.view().expiry.is_kept(clock_.now()) ? &at->second : nullptr;
  }

  const cache::Clock& clock_;
  std::mutex mutex_;
  std::map<Name, cache::EntryCopy> entries_;
  std::uint64_t last_version_ = 0;
};
// [/store]

int main() {
  // [extend]
  Cache::extend("map", [](const cache::DriverContext& context) { return std::make_shared<MapStore>(context.clock()); });
  Cache::configure(cache::Config::from_json(R"({"stores": {"mine": {"driver": "map"}}})"));
  // [/extend]

  // Everything else is built on the five: loads, tags, counters, batches...
  Cache::put("greeting", "hello", 1h);
  const int answer = Cache::remember("answer", {.hours = 1, .tags = {"numbers"}}, [] { return 42; });
  Cache::increment("visits");
  Cache::increment("visits");
  const auto both = Cache::many({"greeting", "answer"});
  std::cout << Cache::store().name() << ": " << both.get<std::string>("greeting").value_or("?") << ", " << answer
            << ", " << Cache::get("visits", 0) << " visits, and under the tag: " << Cache::keys_of("numbers").size()
            << " key\n";
  Cache::tags({"numbers"}).flush();

  const bool held = both.get<int>("answer") == 42 && Cache::get("visits", 0) == 2 && Cache::missing("answer") &&
                    Cache::pull<std::string>("greeting") == "hello" && !Cache::add("visits", 7, 1h);
  return held ? 0 : 1;
}
