// The contract on a reference store with one bug, named by the environment. Each bug is one that somebody has shipped.
#include <flux/cache/decorator.hpp>
#include <flux/cache/testing/reference_store.hpp>
#include <flux/cache/testing/store_contract.hpp>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <map>
#include <thread>

namespace flux::cache::testing {

namespace {

using namespace std::chrono_literals;

/// Correct: what the bugs derive from. Compound operations go down whole.
class Sound : public Decorator {
 public:
  Sound(StorePtr inner, const Clock& clock) : Decorator(std::move(inner)), clock_(clock) {}
  Result<bool> has(const Key& key) override { return inner().has(key); }
  Result<bool> pull(const Key& key, const Read& how, Receiver found) override { return inner().pull(key, how, found); }
  Result<bool> touch(const Key& key, const Expiry& expiry) override { return inner().touch(key, expiry); }
  Result<std::int64_t> increment(const Key& key, std::int64_t by, const Entry& if_new) override {
    return inner().increment(key, by, if_new);
  }
  Result<void> get_many(std::span<const Key> keys, const Read& how, BatchReceiver found) override {
    return inner().get_many(keys, how, found);
  }
  Result<BatchWritten> put_many(std::span<const Item> items) override { return inner().put_many(items); }
  Result<std::size_t> forget_many(std::span<const Key> keys) override { return inner().forget_many(keys); }

 protected:
  EntryCopy copy(const Key& key, bool stale = false) {
    EntryCopy copy;
    (void)inner().get(key, {.stale = stale}, [&](const Entry& entry) { copy = EntryCopy(entry); });
    return copy;
  }
  const Clock& clock_;
};

/// What a store sees that has no compound operations of its own: all goes through the five.
class ByFive : public Decorator {
 public:
  ByFive(StorePtr inner, const Clock& clock) : Decorator(std::move(inner)), clock_(clock) {}

 protected:
  const Clock& clock_;
};

struct AliveAtTheDeadline : Sound {
  using Sound::Sound;
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    Entry longer = entry;
    longer.expiry = {after(entry.expiry.fresh_until, 1us), after(entry.expiry.keep_until, 1us)};
    return inner().put(key, longer, how);
  }
};

struct OldLifetimeInherited : Sound {
  using Sound::Sound;
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    Entry same = entry;
    if (*has(key)) same.expiry = copy(key).view().expiry;
    return inner().put(key, same, how);
  }
};

struct AddChecksThenWrites : Sound {
  using Sound::Sound;
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    if (how.when != When::absent) return inner().put(key, entry, how);
    if (*has(key)) return false;
    std::this_thread::sleep_for(1ms);
    return inner().put(key, entry, {});
  }
};

struct SwapChecksThenWrites : Sound {
  using Sound::Sound;
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    if (how.when != When::unchanged) return inner().put(key, entry, how);
    if (copy(key, true).view().version != how.version) return false;
    std::this_thread::sleep_for(1ms);
    return inner().put(key, entry, {});
  }
};

struct IncrementReadsThenWrites : Sound {
  using Sound::Sound;
  Result<std::int64_t> increment(const Key& key, std::int64_t by, const Entry& if_new) override {
    if (!*has(key)) return inner().increment(key, by, if_new);
    const EntryCopy old = copy(key);
    auto sum = cache::detail::add_to_counter(old.view().value, by);
    if (!sum.ok()) return sum;
    std::this_thread::yield();
    Entry entry = old.view();
    entry.value = integer(*sum);
    (void)inner().put(key, entry, {});
    return sum;
  }
};

struct IncrementRenewsTheLife : Sound {
  using Sound::Sound;
  Result<std::int64_t> increment(const Key& key, std::int64_t by, const Entry& if_new) override {
    auto number = inner().increment(key, by, if_new);
    if (number.ok()) (void)inner().touch(key, if_new.expiry);
    return number;
  }
};

struct CountersWrap : Sound {
  using Sound::Sound;
  Result<std::int64_t> increment(const Key& key, std::int64_t by, const Entry& if_new) override {
    auto number = inner().increment(key, by, if_new);
    if (number.ok() || number.error().code != Errc::overflow) return number;
    const auto old = static_cast<std::uint64_t>(copy(key).view().value.number);
    const auto sum = static_cast<std::int64_t>(old + static_cast<std::uint64_t>(by));
    (void)inner().put(key, {.value = integer(sum)}, {});
    return sum;
  }
};

struct TextCountsFromZero : Sound {
  using Sound::Sound;
  Result<std::int64_t> increment(const Key& key, std::int64_t by, const Entry& if_new) override {
    auto number = inner().increment(key, by, if_new);
    if (number.ok() || number.error().code != Errc::not_a_number) return number;
    (void)inner().put(key, {.value = integer(by)}, {});
    return by;
  }
};

struct PullReadsThenForgets : Sound {
  using Sound::Sound;
  Result<bool> pull(const Key& key, const Read& how, Receiver found) override {
    auto there = inner().get(key, how, found);
    std::this_thread::sleep_for(1ms);
    if (there.ok() && *there) (void)inner().forget(key, {});
    return there;
  }
};

struct FlushTakesTheLocks : Sound {
  using Sound::Sound;
  Result<void> flush(const Scope& scope) override {
    std::vector<std::string> locks;
    (void)scan(Space::locks, [&](std::string_view key, const Entry&) { return locks.emplace_back(key), true; });
    for (const std::string& lock : locks) (void)forget(Key(lock, Space::locks), {});
    return inner().flush(scope);
  }
};

struct FlushLeavesWhatIsKept : Sound {
  using Sound::Sound;
  Result<void> flush(const Scope&) override {
    std::vector<std::string> keys;
    (void)scan(Space::values, [&](std::string_view key, const Entry& entry) {
      if (entry.expiry.is_fresh(clock_.now())) keys.emplace_back(key);
      return true;
    });
    for (const std::string& key : keys) (void)forget(Key(key), {});
    return {};
  }
};

/// Changes the text of every key on its way down.
template <class Change>
struct KeysChanged : ByFive {
  using ByFive::ByFive;
  Result<bool> get(const Key& key, const Read& how, Receiver found) override {
    const std::string text = Change{}(std::string(key.text()));
    return inner().get(Key(text, key.space()), how, found);
  }
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    const std::string text = Change{}(std::string(key.text()));
    return inner().put(Key(text, key.space()), entry, how);
  }
  Result<bool> forget(const Key& key, const Forget& how) override {
    const std::string text = Change{}(std::string(key.text()));
    return inner().forget(Key(text, key.space()), how);
  }
};
struct ToLower {
  std::string operator()(std::string key) const {
    for (char& byte : key) byte = static_cast<char>(std::tolower(static_cast<unsigned char>(byte)));
    return key;
  }
};
struct CutAt250 {
  std::string operator()(std::string key) const { return key.substr(0, 250); }
};
struct CutAtZero {
  std::string operator()(const std::string& key) const { return key.c_str(); }
};
struct Trimmed {
  std::string operator()(std::string key) const {
    while (!key.empty() && (key.back() == ' ' || key.back() == '\n' || key.back() == '\r')) key.pop_back();
    return key;
  }
};

struct OneSpaceForAll : ByFive {
  using ByFive::ByFive;
  Result<bool> get(const Key& key, const Read& how, Receiver found) override {
    return inner().get(Key(key.text()), how, found);
  }
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    return inner().put(Key(key.text()), entry, how);
  }
  Result<bool> forget(const Key& key, const Forget& how) override { return inner().forget(Key(key.text()), how); }
};

/// Counts the writes of each key from 1, and again from 1 once it was forgotten.
struct VersionsStartAgain : ByFive {
  using ByFive::ByFive;
  static std::uint64_t of(const Entry& entry) {
    return entry.notes.empty() ? 1 : std::stoull(std::string(entry.notes));
  }
  Result<bool> get(const Key& key, const Read& how, Receiver found) override {
    return inner().get(key, how, [&](const Entry& entry) {
      Entry shown = entry;
      shown.version = of(entry), shown.notes = {};
      found(shown);
    });
  }
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    std::uint64_t now = 0;
    (void)inner().get(key, {.stale = true}, [&](const Entry& there) { now = of(there); });
    if (how.when == When::unchanged && how.version != now) return false;
    const std::string next = std::to_string(now + 1);
    Entry counted = entry;
    counted.notes = next;
    return inner().put(key, counted, {how.when == When::unchanged ? When::always : how.when});
  }
};

struct ForgetAnswersTrueForTheDead : Sound {
  using Sound::Sound;
  Result<bool> forget(const Key& key, const Forget& how) override {
    const bool kept = copy(key, true).view().version != 0;
    auto gone = inner().forget(key, how);
    return how.version == 0 ? Result<bool>(kept) : std::move(gone);
  }
};

struct ForgetIgnoresTheVersion : Sound {
  using Sound::Sound;
  Result<bool> forget(const Key& key, const Forget&) override { return inner().forget(key, {}); }
};

struct TouchRevives : Sound {
  using Sound::Sound;
  Result<bool> touch(const Key& key, const Expiry& expiry) override {
    const EntryCopy old = copy(key, true);
    if (old.view().version == 0) return false;
    Entry entry = old.view();
    entry.expiry = expiry;
    return inner().put(key, entry, {});
  }
};

struct TouchDropsTheTags : Sound {
  using Sound::Sound;
  Result<bool> touch(const Key& key, const Expiry& expiry) override {
    const EntryCopy old = copy(key);
    if (old.view().version == 0) return false;
    Entry entry = old.view();
    entry.expiry = expiry, entry.tags = {};
    return inner().put(key, entry, {});
  }
};

struct NumericTextBecomesANumber : Sound {
  using Sound::Sound;
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    Entry changed = entry;
    const std::string text(entry.value.text);
    char* end = nullptr;
    const long long number = std::strtoll(text.c_str(), &end, 10);
    if (entry.value.kind == Kind::text && !text.empty() && *end == '\0' && end == text.c_str() + text.size())
      changed.value = integer(number);
    return inner().put(key, changed, how);
  }
};

struct UnsignedBecomesSigned : Sound {
  using Sound::Sound;
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    Entry changed = entry;
    if (entry.value.kind == Kind::unsigned_integer) changed.value = integer(entry.value.number);
    return inner().put(key, changed, how);
  }
};

struct ValuesAreCutAtZero : Sound {
  using Sound::Sound;
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    Entry changed = entry;
    changed.value.text = entry.value.text.substr(0, entry.value.text.find('\0'));
    return inner().put(key, changed, how);
  }
};

struct NotesAreLost : Sound {
  using Sound::Sound;
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    Entry changed = entry;
    changed.notes = {};
    return inner().put(key, changed, how);
  }
};

struct TagsAreSorted : Sound {
  using Sound::Sound;
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    std::vector<TagStamp> tags(entry.tags.begin(), entry.tags.end());
    std::sort(tags.begin(), tags.end(), [](const TagStamp& a, const TagStamp& b) { return a.name < b.name; });
    Entry changed = entry;
    changed.tags = tags;
    return inner().put(key, changed, how);
  }
};

struct ABatchAnswersARepeatedKeyOnce : Sound {
  using Sound::Sound;
  Result<void> get_many(std::span<const Key> keys, const Read& how, BatchReceiver found) override {
    std::vector<std::string> seen;
    return inner().get_many(keys, how, [&](std::size_t i, const Entry& entry) {
      if (std::find(seen.begin(), seen.end(), keys[i].text()) != seen.end()) return;
      seen.emplace_back(keys[i].text());
      found(i, entry);
    });
  }
};

struct ABatchKeepsTheFirstOfARepeatedKey : Sound {
  using Sound::Sound;
  Result<BatchWritten> put_many(std::span<const Item> items) override {
    return inner().put_many(std::vector<Item>(items.rbegin(), items.rend()));
  }
};

struct ForgetManyCountsTheDead : Sound {
  using Sound::Sound;
  Result<std::size_t> forget_many(std::span<const Key> keys) override {
    std::size_t kept = 0;
    for (const Key& key : keys) kept += copy(key, true).view().version != 0, (void)inner().forget(key, {});
    return kept;
  }
};

struct AddFearsWhatIsKept : Sound {
  using Sound::Sound;
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    if (how.when == When::absent) return inner().put(key, entry, {When::unchanged, 0});
    return inner().put(key, entry, how);
  }
};

struct StaleReadsSeeOnlyTheFresh : Sound {
  using Sound::Sound;
  Result<bool> get(const Key& key, const Read& how, Receiver found) override {
    return inner().get(key, {.as = how.as}, found);
  }
};

struct ScanListsAllSpaces : Sound {
  using Sound::Sound;
  Result<void> scan(Space, Visitor visit) override {
    for (const Space space : {Space::values, Space::tags, Space::locks, Space::limits})
      (void)inner().scan(space, visit);
    return {};
  }
};

struct HalfOfAValueIsVisible : Sound {
  using Sound::Sound;
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    if (how.when == When::always && entry.value.kind == Kind::text && entry.value.text.size() > 1) {
      Entry half = entry;
      half.value.text = entry.value.text.substr(0, entry.value.text.size() / 2);
      (void)inner().put(key, half, {});
      std::this_thread::yield();
    }
    return inner().put(key, entry, how);
  }
};

struct FlushComesLate : Sound {
  using Sound::Sound;
  Result<void> flush(const Scope& scope) override {
    if (!scope.tags.empty()) return inner().flush(scope);
    // What was written while the flush prepared itself is taken for newer than the flush.
    std::map<std::string, EntryCopy> late;
    std::this_thread::sleep_for(100us);
    (void)scan(Space::values, [&](std::string_view key, const Entry& entry) {
      if (key.substr(0, 6) == "writer") late.emplace(key, EntryCopy(entry));
      return true;
    });
    auto done = inner().flush(scope);
    for (const auto& [key, entry] : late) (void)inner().put(Key(key), entry.view(), {.when = When::absent});
    return done;
  }
};

/// The steady line of a store that goes by the wall.
class WallAsLine final : public Clock {
 public:
  explicit WallAsLine(const Clock& clock) : clock_(clock), line_(clock.now()), wall_(clock.wall()) {}
  Instant now() const noexcept override { return line_ + (clock_.wall() - wall_); }
  WallTime wall() const noexcept override { return clock_.wall(); }

 private:
  const Clock& clock_;
  const Instant line_;
  const WallTime wall_;
};
struct GoesByTheWall : Sound {
  GoesByTheWall(StorePtr, const Clock& clock) : GoesByTheWall(std::make_unique<WallAsLine>(clock)) {}
  explicit GoesByTheWall(std::unique_ptr<WallAsLine> line)
      : Sound(make_reference({.clock = line.get(), .objects = false}), *line), line_(std::move(line)) {}
  std::unique_ptr<WallAsLine> line_;
};

template <class Bug>
StorePtr seeded(StorePtr inner, const Clock& clock) {
  return std::make_shared<Bug>(std::move(inner), clock);
}

const std::map<std::string, StorePtr (*)(StorePtr, const Clock&)> kBugs{
    {"none", seeded<Sound>},
    {"none_by_five", seeded<ByFive>},
    {"alive_at_the_deadline", seeded<AliveAtTheDeadline>},
    {"old_lifetime_inherited", seeded<OldLifetimeInherited>},
    {"add_checks_then_writes", seeded<AddChecksThenWrites>},
    {"swap_checks_then_writes", seeded<SwapChecksThenWrites>},
    {"increment_reads_then_writes", seeded<IncrementReadsThenWrites>},
    {"increment_renews_the_life", seeded<IncrementRenewsTheLife>},
    {"counters_wrap", seeded<CountersWrap>},
    {"text_counts_from_zero", seeded<TextCountsFromZero>},
    {"pull_reads_then_forgets", seeded<PullReadsThenForgets>},
    {"flush_takes_the_locks", seeded<FlushTakesTheLocks>},
    {"flush_leaves_what_is_kept", seeded<FlushLeavesWhatIsKept>},
    {"flush_comes_late", seeded<FlushComesLate>},
    {"keys_lower_case", seeded<KeysChanged<ToLower>>},
    {"keys_cut_at_250", seeded<KeysChanged<CutAt250>>},
    {"keys_cut_at_zero", seeded<KeysChanged<CutAtZero>>},
    {"keys_trimmed", seeded<KeysChanged<Trimmed>>},
    {"one_space_for_all", seeded<OneSpaceForAll>},
    {"versions_start_again", seeded<VersionsStartAgain>},
    {"forget_answers_true_for_the_dead", seeded<ForgetAnswersTrueForTheDead>},
    {"forget_ignores_the_version", seeded<ForgetIgnoresTheVersion>},
    {"touch_revives", seeded<TouchRevives>},
    {"touch_drops_the_tags", seeded<TouchDropsTheTags>},
    {"numeric_text_becomes_a_number", seeded<NumericTextBecomesANumber>},
    {"unsigned_becomes_signed", seeded<UnsignedBecomesSigned>},
    {"values_are_cut_at_zero", seeded<ValuesAreCutAtZero>},
    {"notes_are_lost", seeded<NotesAreLost>},
    {"tags_are_sorted", seeded<TagsAreSorted>},
    {"a_batch_answers_a_repeated_key_once", seeded<ABatchAnswersARepeatedKeyOnce>},
    {"a_batch_keeps_the_first_of_a_repeated_key", seeded<ABatchKeepsTheFirstOfARepeatedKey>},
    {"forget_many_counts_the_dead", seeded<ForgetManyCountsTheDead>},
    {"add_fears_what_is_kept", seeded<AddFearsWhatIsKept>},
    {"stale_reads_see_only_the_fresh", seeded<StaleReadsSeeOnlyTheFresh>},
    {"scan_lists_all_spaces", seeded<ScanListsAllSpaces>},
    {"half_of_a_value_is_visible", seeded<HalfOfAValueIsVisible>},
    {"goes_by_the_wall", seeded<GoesByTheWall>},
};

ContractParam param() {
  const char* const name = std::getenv("FLUX_CACHE_SEEDED_BUG");
  const auto bug = kBugs.find(name != nullptr ? name : "");
  if (bug == kBugs.end()) return {.make = [](const Clock&) { return StorePtr(); }, .needs = "FLUX_CACHE_SEEDED_BUG"};
  return {.make = [make = bug->second](const Clock& clock) {
    return make(make_reference({.clock = &clock, .objects = false}), clock);
  }};
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Seeded, StoreContract, ::testing::Values(param()), pipeline_name);

}  // namespace flux::cache::testing
