// Random puts, loads, flushes and relabellings of several writers, step by step between each other, against a model of
// who must be gone and who must be there.
//
// The seed stands in the message of a failure; FLUX_CACHE_SEED repeats it, FLUX_CACHE_STEPS makes it longer.
#include <flux/cache/testing/store_contract.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <deque>
#include <map>
#include <random>

#include "anchors.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_tag_model() {}

namespace {

using Names = std::vector<std::string_view>;

constexpr std::array<std::string_view, 4> kTags{"red", "blue", "green", "gray"};
constexpr std::array<std::string_view, 5> kKeys{"a", "b", "c", "d", "e"};
constexpr std::size_t kWriters = 4;
/// So many flushes of several tags together may be kept as rules; beyond that a store may let go of more than was
/// asked.
constexpr int kExactRules = 15;

bool has_all(const Names& tags, const Names& wanted) {
  return std::all_of(wanted.begin(), wanted.end(),
                     [&](auto tag) { return std::find(tags.begin(), tags.end(), tag) != tags.end(); });
}
bool has_one(const Names& tags, const Names& wanted) {
  return std::any_of(wanted.begin(), wanted.end(),
                     [&](auto tag) { return std::find(tags.begin(), tags.end(), tag) != tags.end(); });
}

std::string listed(const Names& tags) {
  std::string all = "[";
  for (const std::string_view tag : tags) all.append(all.size() > 1 ? " " : "").append(tag);
  return all + "]";
}

/// What must be readable.
struct Alive {
  std::int64_t value = 0;
  Names tags;
};

/// A value that is being computed: its tags were stamped, it is written later.
struct Pending {
  std::string_view key;
  Names tags;
  std::vector<std::uint64_t> epochs;
  bool flushed = false;
};

class TagWalk {
 public:
  TagWalk(const StoreProbe& store, unsigned seed) : store_(store), random_(seed) {}

  std::string report;

  /// False at the first answer that the model does not give.
  bool step() {
    if (rules_ > kExactRules) catch_up();
    const std::string_view key = kKeys[below(kKeys.size())];
    switch (below(14)) {
      case 0:
      case 1: return put(key);
      case 2: return put_several();
      case 3:
      case 4: return begin_load(key);
      case 5:
      case 6: return end_load();
      case 7: return flush_one();
      case 8: return flush_together(below(4) == 0);
      case 9: return add(key);
      case 10: return swap(key);
      case 11: return count(key);
      case 12: return touch_or_forget(key);
      default: return look(key);
    }
  }

 private:
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }
  Names some_tags() {
    Names tags;
    for (const std::string_view tag : kTags)
      if (below(5) < 2) tags.push_back(tag);
    std::shuffle(tags.begin(), tags.end(), random_);
    return tags;
  }
  static std::vector<TagStamp> stamps(const Names& tags, const std::vector<std::uint64_t>& epochs = {}) {
    std::vector<TagStamp> all;
    for (std::size_t i = 0; i < tags.size(); ++i) all.push_back({tags[i], epochs.empty() ? 0 : epochs[i]});
    return all;
  }

  void say(std::string what) {
    history_.push_back(std::move(what));
    if (history_.size() > 40) history_.pop_front();
  }
  bool is_so(bool same, const std::string& what) {
    if (same) return true;
    for (const std::string& line : history_) report += line + "\n";
    report += what + "\n";
    return false;
  }
  std::string expected(std::string_view key) const {
    const auto at = alive_.find(key);
    return at == alive_.end() ? std::string(kMiss) : "integer " + std::to_string(at->second.value);
  }
  bool is_alive(std::string_view key) const { return alive_.contains(key); }

  bool look(std::string_view key) {
    std::string seen;
    switch (below(3)) {
      case 0: seen = store_.got(key); break;
      case 1: seen = store_.stale(key); break;
      default: seen = store_.got_many({"nobody", key}).at(1);
    }
    return is_so(seen == expected(key), std::string(key) + " is " + seen + " and should be " + expected(key));
  }
  bool look_at_all() {
    return std::all_of(kKeys.begin(), kKeys.end(), [&](auto key) { return look(key); });
  }

  /// Once rules may have been folded, what is gone though it need not be is gone for good.
  void catch_up() {
    for (const std::string_view key : kKeys)
      if (is_alive(key) && !store_.has(key)) alive_.erase(key);
  }

  bool put(std::string_view key) {
    const Names tags = some_tags();
    const auto labels = stamps(tags);
    say("put " + std::string(key) + "=" + std::to_string(++last_) + " " + listed(tags));
    store_.put(key, {.value = integer(last_), .tags = labels});
    alive_[key] = {last_, tags};
    return look(key);
  }
  bool put_several() {
    const Names tags = some_tags();
    const auto labels = stamps(tags);
    std::vector<Item> items;
    for (const std::string_view key : kKeys) {
      if (below(2) == 0) continue;
      items.push_back({Key(key), {.value = integer(++last_), .tags = labels}});
      alive_[key] = {last_, tags};
      say("put among several " + std::string(key) + "=" + std::to_string(last_) + " " + listed(tags));
    }
    return is_so(store_.put_many(items).empty(), "not all were written") && look_at_all();
  }

  bool begin_load(std::string_view key) {
    if (pending_.size() >= kWriters) return end_load();
    Pending load{key, some_tags(), {}, false};
    if (!load.tags.empty()) load.epochs = store_.epochs(load.tags);
    say("begin to load " + std::string(key) + " " + listed(load.tags));
    pending_.push_back(std::move(load));
    return true;
  }
  bool end_load() {
    if (pending_.empty()) return true;
    const auto at = pending_.begin() + static_cast<std::ptrdiff_t>(below(pending_.size()));
    const Pending load = *at;
    pending_.erase(at);
    const auto labels = stamps(load.tags, load.epochs);
    const Entry entry{.value = integer(++last_), .tags = labels};
    const bool in_batch = below(3) == 0;
    say("end to load " + std::string(load.key) + "=" + std::to_string(last_) + " " + listed(load.tags) +
        (load.flushed ? ", flushed meanwhile" : "") + (in_batch ? ", by put_many" : ""));
    if (in_batch)
      store_.put_many({{Key(load.key), entry}});
    else
      store_.put(load.key, entry);
    alive_.erase(load.key);
    if (!load.flushed) alive_[load.key] = {last_, load.tags};
    if (rules_ > kExactRules) catch_up();
    return look(load.key);
  }

  void end_lives(const Names& tags, bool any) {
    const auto goes = [&](const Names& carried) { return any ? has_one(carried, tags) : has_all(carried, tags); };
    std::erase_if(alive_, [&](const auto& one) { return goes(one.second.tags); });
    for (Pending& load : pending_) load.flushed |= goes(load.tags);
  }
  bool flush_one() {
    const std::string_view tag = kTags[below(kTags.size())];
    say("flush " + std::string(tag));
    store_.flush_tags({tag});
    end_lives({tag}, false);
    return rules_ > kExactRules ? (catch_up(), look_at_all()) : look_at_all();
  }
  bool flush_together(bool any) {
    Names tags = some_tags();
    if (tags.empty()) return true;
    say((any ? "flush any of " : "flush all of ") + listed(tags));
    store_.flush_tags(tags, any);
    end_lives(tags, any);
    if (!any && tags.size() > 1) ++rules_;
    if (rules_ > kExactRules) catch_up();
    return look_at_all();
  }

  bool add(std::string_view key) {
    const Names tags = some_tags();
    const auto labels = stamps(tags);
    const bool added = store_.put(key, {.value = integer(++last_), .tags = labels}, {When::absent});
    say("add " + std::string(key) + "=" + std::to_string(last_) + " " + listed(tags));
    if (!is_so(added != is_alive(key), added ? "add wrote over a living entry" : "add was refused by a dead entry"))
      return false;
    if (added) alive_[key] = {last_, tags};
    return look(key);
  }
  bool swap(std::string_view key) {
    const Names tags = some_tags();
    const auto labels = stamps(tags);
    const std::uint64_t version = store_.version(key);
    say("swap " + std::string(key) + "=" + std::to_string(++last_) + " " + listed(tags));
    if (!is_so((version != 0) == is_alive(key), "the version does not tell who lives")) return false;
    const bool swapped = store_.put(key, {.value = integer(last_), .tags = labels}, {When::unchanged, version});
    if (swapped) alive_[key] = {last_, tags};
    return is_so(swapped, "nobody else wrote") && look(key);
  }
  bool count(std::string_view key) {
    const Names tags = some_tags();
    const auto labels = stamps(tags);
    say("count " + std::string(key) + " " + listed(tags));
    const auto number = store_.store().increment(Key(key), 1, {.tags = labels});
    if (!is_so(number.ok(), "no number")) return false;
    const std::int64_t from = is_alive(key) ? alive_[key].value : 0;
    if (from == 0) alive_[key].tags = tags;
    alive_[key].value = from + 1;
    last_ = std::max(last_, from + 1);
    return is_so(*number == from + 1, "counted to " + std::to_string(*number)) && look(key);
  }
  bool touch_or_forget(std::string_view key) {
    if (below(2) == 0) {
      say("touch " + std::string(key));
      return is_so(store_.touch(key, {}) == is_alive(key), "touch revives or does not find") && look(key);
    }
    say("forget " + std::string(key));
    if (!is_so(store_.forget(key) == is_alive(key), "forget does not tell who lived")) return false;
    alive_.erase(key);
    return look(key);
  }

  const StoreProbe& store_;
  std::mt19937 random_;
  std::map<std::string_view, Alive> alive_;
  std::vector<Pending> pending_;
  std::deque<std::string> history_;
  std::int64_t last_ = 0;
  int rules_ = 0;
};

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* const said = std::getenv(name);
  return said != nullptr && *said != '\0' ? std::strtoull(said, nullptr, 10) : otherwise;
}

}  // namespace

TEST_P(StoreContract, RandomWritersUnderTagsSeeWhatMustLiveAndNothingElse) {
  FLUX_CACHE_SKIP_UNLESS(traits().tags, "this store leaves tags to the layer above it");
  const std::uint64_t first = from_environment("FLUX_CACHE_SEED", 1);
  const std::uint64_t walks = std::getenv("FLUX_CACHE_SEED") != nullptr ? 1 : 12;
  const auto steps = static_cast<int>(from_environment("FLUX_CACHE_STEPS", static_cast<std::uint64_t>(rounds(150))));
  for (std::uint64_t seed = first; seed < first + walks; ++seed) {
    if (seed != first) watch(GetParam().make(clock()));
    ASSERT_TRUE(share());
    TagWalk walk(*this, static_cast<unsigned>(seed));
    for (int i = 0; i < steps; ++i)
      ASSERT_TRUE(walk.step()) << "after " << i + 1 << " steps with FLUX_CACHE_SEED=" << seed << ":\n" << walk.report;
  }
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
