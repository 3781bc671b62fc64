// The contract on a store whose operations take a flush for granted, named by the environment: each looks first and
// writes what it saw afterwards, whatever happened in between.
#include <flux/cache/decorator.hpp>
#include <flux/cache/layers/tagged.hpp>
#include <flux/cache/testing/reference_store.hpp>
#include <flux/cache/testing/store_contract.hpp>

#include <atomic>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>
#include <thread>

namespace flux::cache::testing {

namespace {

using namespace std::chrono_literals;

/// Correct: what the bugs derive from.
class Careful : public Decorator {
 public:
  using Decorator::Decorator;
  Result<bool> has(const Key& key) override { return inner().has(key); }
  Result<bool> touch(const Key& key, const Expiry& expiry) override { return inner().touch(key, expiry); }
  Result<std::int64_t> increment(const Key& key, std::int64_t by, const Entry& if_new) override {
    return inner().increment(key, by, if_new);
  }

 protected:
  /// What was there, under the stamps of now.
  std::optional<EntryCopy> look(const Key& key, bool stale = false) {
    std::optional<EntryCopy> copy;
    (void)inner().get(key, {.stale = stale}, [&](const Entry& entry) {
      std::vector<TagStamp> anew(entry.tags.begin(), entry.tags.end());
      for (TagStamp& tag : anew) tag.epoch = 0;
      Entry same = entry;
      same.tags = anew;
      copy.emplace(same);
    });
    std::this_thread::sleep_for(50us);
    return copy;
  }
};

struct TouchWritesItBack : Careful {
  using Careful::Careful;
  Result<bool> touch(const Key& key, const Expiry& expiry) override {
    const auto old = look(key);
    if (!old) return false;
    Entry longer = old->view();
    longer.expiry = expiry;
    return inner().put(key, longer, {});
  }
};

struct ReplacementLooksThenWrites : Careful {
  using Careful::Careful;
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    if (how.when != When::present) return inner().put(key, entry, how);
    return look(key) ? inner().put(key, entry, {}) : Result<bool>(false);
  }
};

struct SwapLooksThenWrites : Careful {
  using Careful::Careful;
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    if (how.when != When::unchanged || how.version == 0) return inner().put(key, entry, how);
    const auto old = look(key, true);
    return old && old->view().version == how.version ? inner().put(key, entry, {}) : Result<bool>(false);
  }
};

struct CounterReadsThenWrites : Careful {
  using Careful::Careful;
  Result<std::int64_t> increment(const Key& key, std::int64_t by, const Entry& if_new) override {
    const auto old = look(key);
    if (!old) return inner().increment(key, by, if_new);
    auto sum = cache::detail::add_to_counter(old->view().value, by);
    Entry next = old->view();
    if (!sum.ok()) return sum;
    next.value = integer(*sum);
    (void)inner().put(key, next, {});
    return sum;
  }
};

/// What was flushed still stands in the way.
struct AddFearsTheFlushed : Careful {
  using Careful::Careful;
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    const std::lock_guard lock(mutex_);
    if (how.when == When::absent && seen_.contains(std::string(key.text()))) return false;
    if (key.space() == Space::values) seen_.emplace(key.text());
    return inner().put(key, entry, how);
  }
  std::mutex mutex_;
  std::set<std::string> seen_;
};

struct HasIsRemembered : Careful {
  using Careful::Careful;
  Result<bool> has(const Key& key) override {
    if (++asked_ % 4 != 0) return last_.load();
    auto there = inner().has(key);
    if (there.ok()) last_ = *there;
    return there;
  }
  std::atomic<unsigned> asked_{0};
  std::atomic<bool> last_{false};
};

template <class Bug>
StorePtr seeded(StorePtr inner) {
  return std::make_shared<Bug>(std::move(inner));
}

const std::map<std::string, StorePtr (*)(StorePtr)> kBugs{
    {"none", seeded<Careful>},
    {"touch_writes_it_back", seeded<TouchWritesItBack>},
    {"replacement_looks_then_writes", seeded<ReplacementLooksThenWrites>},
    {"swap_looks_then_writes", seeded<SwapLooksThenWrites>},
    {"counter_reads_then_writes", seeded<CounterReadsThenWrites>},
    {"add_fears_the_flushed", seeded<AddFearsTheFlushed>},
    {"has_is_remembered", seeded<HasIsRemembered>},
};

ContractParam param() {
  const char* const name = std::getenv("FLUX_CACHE_SEEDED_FLUSH_BUG");
  const auto bug = kBugs.find(name != nullptr ? name : "");
  if (bug == kBugs.end())
    return {.make = [](const Clock&) { return StorePtr(); }, .needs = "FLUX_CACHE_SEEDED_FLUSH_BUG"};
  return {.make = [make = bug->second](const Clock& clock) {
    return make(make_tagged(make_reference({.clock = &clock, .objects = false}), {.clock = &clock}));
  }};
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(SeededFlush, StoreContract, ::testing::Values(param()), pipeline_name);

}  // namespace flux::cache::testing
