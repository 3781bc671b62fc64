// Random operations on the store and on the reference at once: every answer must be the same.
//
// The seed stands in the message of a failure; FLUX_CACHE_SEED repeats it, FLUX_CACHE_STEPS makes it longer.
#include <flux/cache/testing/reference_store.hpp>
#include <flux/cache/testing/store_contract.hpp>

#include <array>
#include <cstdlib>
#include <deque>
#include <map>

#include "anchors.hpp"
#include "read_as.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_model() {}

using namespace std::chrono_literals;

namespace {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t below(std::uint64_t bound) {
    state_ += 0x9e3779b97f4a7c15ULL;  // splitmix64
    std::uint64_t bits = (state_ ^ (state_ >> 30)) * 0xbf58476d1ce4e5b9ULL;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebULL;
    return (bits ^ (bits >> 31)) % bound;
  }

 private:
  std::uint64_t state_;
};

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* const said = std::getenv(name);
  return said != nullptr && *said != '\0' ? std::strtoull(said, nullptr, 10) : otherwise;
}

/// One store with the words for what it answers, so that two of them can be compared.
class Side {
 public:
  Side(StorePtr store, const Clock& clock, Duration grain) : store_(std::move(store)), clock_(clock), grain_(grain) {}

  Store& store() { return *store_; }
  void watch(StorePtr store) { store_ = std::move(store); }

  std::string words(const Error& error) const { return "error " + std::string(to_string(error.code)); }
  template <class T>
  std::string words(const Result<T>& result) const {
    return result.ok() ? std::to_string(*result) : words(result.error());
  }
  std::string words(const Entry& entry) const {
    return show(entry) + left(entry.expiry.fresh_until) + left(entry.expiry.keep_until);
  }
  /// What is left until the deadline, in the store's grains.
  std::string left(Instant deadline) const {
    if (deadline == kNever) return ", never";
    return ", in " + std::to_string((deadline - clock_.now()) / grain_);
  }
  std::string get(const Key& key, bool stale, std::uint64_t* version = nullptr) {
    std::string seen = "miss";
    const auto there = store().get(key, {.as = detail::read_as(), .stale = stale}, [&](const Entry& entry) {
      seen = words(entry);
      if (version != nullptr) *version = entry.version;
    });
    return words(there) + " " + seen;
  }
  std::string pull(const Key& key) {
    std::string seen = "miss";
    const auto there = store().pull(key, {.as = detail::read_as()}, [&](const Entry& entry) { seen = words(entry); });
    return words(there) + " " + seen;
  }
  std::string get_many(const std::vector<Key>& keys, bool stale) {
    std::vector<std::string> seen(keys.size(), "miss");
    const auto done = store().get_many(keys, {.as = detail::read_as(), .stale = stale},
                                       [&](std::size_t i, const Entry& entry) { seen.at(i) = words(entry); });
    std::string all = done.ok() ? "ok" : words(done.error());
    for (const std::string& one : seen) all += " | " + one;
    return all;
  }
  std::string put_many(const std::vector<Item>& items) {
    const auto outcome = store().put_many(items);
    if (!outcome.ok()) return words(outcome.error());
    return std::to_string(outcome->failed.size()) + " failed";
  }
  std::string flush() {
    const auto done = store().flush({});
    return done.ok() ? "ok" : words(done.error());
  }
  std::string list(Space space) {
    std::map<std::string, std::string> all;
    const auto done = store().scan(
        space, [&](std::string_view key, const Entry& entry) { return all.emplace(key, words(entry)), true; });
    if (!done.ok()) return words(done.error());
    std::string text;
    for (const auto& [key, shown] : all) text += key + "=" + shown + "; ";
    return text;
  }

 private:
  StorePtr store_;
  const Clock& clock_;
  Duration grain_;
};

}  // namespace

/// The random walk: each step asks both sides the same.
class ModelWalk {
 public:
  ModelWalk(Side& ours, Side& reference, std::uint64_t seed, bool tags, Duration grain)
      : ours_(ours), reference_(reference), random_(seed), tags_(tags), grain_(grain) {}

  /// False at the first difference; `report` tells it.
  template <class Advance, class Now>
  bool step(const Advance& advance, const Now& now) {
    const Key key = any_key();
    switch (random_.below(20)) {
      case 0:
      case 1: return same("get", key, [&](Side& side) { return side.get(key, false); });
      case 2:
      case 3: return look(key);
      case 4:
      case 5:
      case 6: {
        const Entry entry = any_entry(now());
        const Write how{random_.below(3) == 0 ? (random_.below(2) == 0 ? When::absent : When::present) : When::always};
        return same("put " + show(entry) + " when " + std::to_string(static_cast<int>(how.when)), key,
                    [&](Side& side) { return side.words(side.store().put(key, entry, how)); });
      }
      case 7: {
        const Entry entry = any_entry(now());
        const auto versions = known(key);
        return same("put unchanged " + show(entry), key, [&](Side& side) {
          return side.words(side.store().put(key, entry, {When::unchanged, of(side, versions)}));
        });
      }
      case 8: return same("forget", key, [&](Side& side) { return side.words(side.store().forget(key, {})); });
      case 9: {
        const auto versions = known(key);
        return same("forget version", key,
                    [&](Side& side) { return side.words(side.store().forget(key, {.version = of(side, versions)})); });
      }
      case 10: return same("pull", key, [&](Side& side) { return side.pull(key); });
      case 11: return same("has", key, [&](Side& side) { return side.words(side.store().has(key)); });
      case 12: {
        const Expiry expiry = any_expiry(now());
        return same("touch", key, [&](Side& side) { return side.words(side.store().touch(key, expiry)); });
      }
      case 13:
      case 14: {
        const std::int64_t by = static_cast<std::int64_t>(random_.below(7)) - 3;
        const Entry if_new = any_entry(now());
        return same("increment", key, [&](Side& side) { return side.words(side.store().increment(key, by, if_new)); });
      }
      case 15: {
        const auto keys = some_keys();
        const bool stale = random_.below(2) == 0;
        return same("get_many", key, [&](Side& side) { return side.get_many(keys, stale); });
      }
      case 16: {
        std::vector<Item> items;
        for (const Key& one : some_keys()) items.push_back({one, any_entry(now())});
        return same("put_many of " + std::to_string(items.size()), key,
                    [&](Side& side) { return side.put_many(items); });
      }
      case 17: {
        const auto keys = some_keys();
        return same("forget_many", key, [&](Side& side) { return side.words(side.store().forget_many(keys)); });
      }
      case 18:
        if (random_.below(8) == 0) return same("flush", key, [](Side& side) { return side.flush(); });
        if (random_.below(4) == 0) {
          (void)ours_.store().prune(random_.below(10));
          return note("prune"), true;
        }
        return lists(key);
      default: {
        const Duration length = grain_ * static_cast<Duration::rep>(random_.below(5'000'000 / grain_.count() + 2));
        advance(length);
        return note("travel " + std::to_string(length.count()) + " us"), true;
      }
    }
  }

  std::string report;

 private:
  using Versions = std::pair<std::uint64_t, std::uint64_t>;

  template <class Ask>
  bool same(const std::string& what, const Key& key, const Ask& ask) {
    const std::string ours = ask(ours_), theirs = ask(reference_);
    note(what + " " + ::testing::PrintToString(std::string(key.text())) + " in space " +
         std::to_string(static_cast<int>(key.space())) + " -> " + theirs);
    if (ours == theirs) return true;
    for (const std::string& line : history_) report += line + "\n";
    report += "the store answered: " + ours;
    return false;
  }
  /// A stale read, which also tells the versions that conditions may name.
  bool look(const Key& key) {
    Versions seen{0, 0};
    const bool well = same("stale get", key, [&](Side& side) {
      return side.get(key, true, &side == &ours_ ? &seen.first : &seen.second);
    });
    if (seen.first != 0) versions_[{key.space(), std::string(key.text())}].push_back(seen);
    return well;
  }
  bool lists(const Key& key) {
    const std::string ours = ours_.list(key.space());
    if (ours == "error unsupported") return true;
    const std::string theirs = reference_.list(key.space());
    return same("scan", key, [&](Side& side) { return &side == &ours_ ? ours : theirs; });
  }
  Versions known(const Key& key) {
    const auto& all = versions_[{key.space(), std::string(key.text())}];
    if (all.empty() || random_.below(6) == 0) return {0, 0};
    return random_.below(3) == 0 ? all[random_.below(all.size())] : all.back();
  }
  std::uint64_t of(const Side& side, const Versions& versions) const {
    return &side == &ours_ ? versions.first : versions.second;
  }
  void note(std::string line) {
    history_.push_back(std::move(line));
    if (history_.size() > 40) history_.pop_front();
  }
  Key any_key() {
    static const std::array<std::string, 10> names{
        "a", "b", "B", "a b", "k\r\n", std::string("k\0", 2), "counter", "n", "../x", std::string(300, 'l')};
    const Space space = random_.below(4) == 0 ? Space::locks : Space::values;
    return Key(names[random_.below(names.size())], space);
  }
  std::vector<Key> some_keys() {
    std::vector<Key> keys;
    for (std::uint64_t n = random_.below(6); n > 0; --n) keys.push_back(any_key());
    return keys;
  }
  Expiry any_expiry(Instant now) {
    if (random_.below(4) == 0) return {};
    // Whole grains from now, a few of them over already.
    const auto some = [&](Duration most) {
      return grain_ * static_cast<Duration::rep>(random_.below(static_cast<std::uint64_t>(most / grain_) + 1));
    };
    const Instant fresh_until = random_.below(20) == 0 ? now : now + some(20s);
    return {fresh_until, random_.below(2) == 0 ? fresh_until : fresh_until + some(20s)};
  }
  Entry any_entry(Instant now) {
    static const std::array<std::string, 6> texts{"", "v", "7", "-12", "9223372036854775807", std::string(2000, 't')};
    static const std::array<TagStamp, 3> stamps{TagStamp{"red", 5}, {"blue", 6}, {"r\xff", 7}};
    Entry entry;
    switch (random_.below(4)) {
      case 0: entry.value = text(texts[random_.below(texts.size())]); break;
      case 1: entry.value = unsigned_integer((std::uint64_t{1} << 63) + random_.below(100)); break;
      default: entry.value = integer(static_cast<std::int64_t>(random_.below(1000)) - 500);
    }
    entry.expiry = any_expiry(now);
    if (tags_) entry.tags = std::span(stamps).first(random_.below(4));
    if (random_.below(3) == 0) entry.notes = "noted";
    return entry;
  }

  Side& ours_;
  Side& reference_;
  Random random_;
  const bool tags_;
  const Duration grain_;
  std::map<std::pair<Space, std::string>, std::vector<Versions>> versions_;
  std::deque<std::string> history_;
};

TEST_P(StoreContract, RandomOperationsAnswerWhatTheReferenceAnswers) {
  FLUX_CACHE_SKIP_UNLESS(!GetParam().real_time, "this store takes no clock, so no random walk through time");
  const std::uint64_t first = from_environment("FLUX_CACHE_SEED", 1);
  const std::uint64_t walks = std::getenv("FLUX_CACHE_SEED") != nullptr ? 1 : 4;
  const auto steps = static_cast<int>(from_environment("FLUX_CACHE_STEPS", static_cast<std::uint64_t>(rounds(3'000))));
  for (std::uint64_t seed = first; seed < first + walks; ++seed) {
    if (seed != first) watch(GetParam().make(clock()));
    ASSERT_TRUE(share());
    Side ours(share(), clock(), grain());
    Side reference(make_reference({.clock = &clock()}), clock(), grain());
    ModelWalk walk(ours, reference, seed, !traits().tags, grain());
    for (int i = 0; i < steps; ++i) {
      const bool same = walk.step([&](Duration length) { advance(length); }, [&] { return now(); });
      ASSERT_TRUE(same) << "after " << i + 1 << " steps with FLUX_CACHE_SEED=" << seed << ":\n" << walk.report;
      // A restart every now and then: nothing may be lost by it.
      if (traits().persistent && GetParam().again && i % 500 == 499) {
        ours.watch(nullptr), watch(nullptr);
        watch(again());
        ours.watch(share());
      }
    }
  }
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
