#include <flux/cache/layers/tagged.hpp>
#include <flux/cache/type_of.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "core/random.hpp"
#include "core/tag_record.hpp"
#include "tag_cache.hpp"
#include "tags_seen.hpp"

namespace flux::cache {
inline namespace v1 {

namespace {

using detail::TagRecord;

/// Writers of one tag's record, or of one key, may overtake each other; each failure means that another one got
/// through.
constexpr int kMaxSwapAttempts = 10'000;

/// A record as it was read, with what is needed to write over it.
struct Held {
  TagRecord record;
  std::uint64_t version = 0;
  Instant keep_until = kNever;
};
using Records = std::map<std::string, Held, std::less<>>;

class TaggedStore final : public Decorator {
 public:
  TaggedStore(StorePtr inner, const TaggedOptions& options)
      : Decorator(std::move(inner)),
        max_rules_(std::clamp<std::size_t>(options.max_rules, 1, 1'000)),
        clock_(options.clock != nullptr ? *options.clock : system_clock()) {}

  Traits traits() const noexcept override {
    Traits traits = inner().traits();
    traits.tags = true;
    return traits;
  }

  Result<bool> get(const Key& key, const Read& how, Receiver found) override {
    if (key.space() != Space::values) return inner().get(key, how, found);
    std::optional<EntryCopy> tagged;
    std::uint64_t clock = 0;
    auto there = inner().get(key, how, [&](const Entry& entry) {
      if (how.stale) seen_.note(key, entry);  // as who means to swap reads
      if (entry.tags.empty() || known_.spares(entry, clock_.now())) return found(entry);
      tagged.emplace(entry);
      clock = entry.tag_clock;
    });
    if (!there.ok() || !*there || !tagged) return there;
    auto alive = is_alive(tagged->view(), clock);
    if (!alive.ok()) return alive;
    if (*alive)
      found(tagged->view());
    else
      (void)inner().forget(key, {tagged->view().version});
    return alive;
  }

  Result<void> get_many(std::span<const Key> keys, const Read& how, BatchReceiver found) override {
    std::vector<std::pair<std::size_t, EntryCopy>> tagged;
    const auto take = [&](std::size_t i, const Entry& entry) {
      if (entry.tags.empty() || known_.spares(entry, clock_.now()))
        found(i, entry);
      else
        tagged.emplace_back(i, EntryCopy(entry));
    };
    const auto hand_on = [&](std::size_t i, std::unique_ptr<Error> why) { found.unreadable(i, std::move(why)); };
    auto done = inner().get_many(keys, how, {take, hand_on});
    if (!done.ok() || tagged.empty()) return done;
    std::vector<std::string_view> names;
    for (const auto& [i, entry] : tagged)
      for (const TagStamp& tag : entry.view().tags) names.push_back(tag.name);
    auto records = read(names);
    if (!records.ok()) return Result<void>(records.take_error());
    for (const auto& [i, copy] : tagged)
      if (spared(copy.view(), *records))
        found(i, copy.view());
      else
        (void)inner().forget(keys[i], {copy.view().version});
    return {};
  }

  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    if (key.space() != Space::values) return inner().put(key, entry, how);
    std::vector<TagStamp> labels;
    Entry stamped = entry;
    if (!entry.tags.empty()) {
      auto done = stamp(entry, labels);
      if (!done.ok()) return Result<bool>(done.take_error());
      stamped.tags = labels;
    }
    const bool may_be_blocked = how.when == When::absent || (how.when == When::unchanged && how.version == 0);
    if (may_be_blocked) return put_unless_alive(key, stamped, how);
    if (how.when == When::present) return put_over_alive(key, stamped);
    if (how.when == When::unchanged && !ends_with_the_old(key, how.version, stamped)) {
      // The entry of this version may be flushed already: then the new one must not live on, without its tags or with
      // younger stamps.
      EntryCopy old;
      auto there = find(key, {.stale = true}, old);
      if (!there.ok() || !*there) return there;
    }
    return inner().put(key, stamped, how);
  }

  Result<BatchWritten> put_many(std::span<const Item> items) override {
    std::vector<std::vector<TagStamp>> labels(items.size());
    std::vector<Item> stamped(items.begin(), items.end());
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (items[i].entry.tags.empty()) continue;
      if (i > 0 && items[i].entry.tags.data() == items[i - 1].entry.tags.data()) {
        labels[i] = labels[i - 1];
      } else {
        auto done = stamp(items[i].entry, labels[i]);
        if (!done.ok()) return Result<BatchWritten>(done.take_error());
      }
      stamped[i].entry.tags = labels[i];
    }
    return inner().put_many(stamped);
  }

  Result<bool> forget(const Key& key, const Forget& how) override {
    if (key.space() != Space::values || how.version != 0) return inner().forget(key, how);
    EntryCopy tagged;
    auto pulled = inner().pull(key, {}, [&](const Entry& entry) {
      if (!entry.tags.empty()) tagged = EntryCopy(entry);
    });
    if (!pulled.ok()) return pulled;
    if (!*pulled) return inner().forget(key, how);  // what is kept past its life
    return tagged.view().tags.empty() ? Result<bool>(true) : is_alive(tagged.view());
  }

  Result<std::size_t> forget_many(std::span<const Key> keys) override {
    std::vector<bool> alive(keys.size());
    auto read = get_many(keys, {}, [&](std::size_t i, const Entry&) { alive[i] = true; });
    if (!read.ok()) return Result<std::size_t>(read.take_error());
    auto gone = inner().forget_many(keys);
    if (!gone.ok()) return gone;
    return std::min<std::size_t>(*gone, static_cast<std::size_t>(std::count(alive.begin(), alive.end(), true)));
  }

  Result<bool> has(const Key& key) override {
    return get(key, {}, [](const Entry&) {});
  }

  Result<bool> pull(const Key& key, const Read& how, Receiver found) override {
    EntryCopy copy;
    auto pulled = inner().pull(key, how, [&](const Entry& entry) { copy = EntryCopy(entry); });
    if (!pulled.ok() || !*pulled) return pulled;
    auto alive = copy.view().tags.empty() ? Result<bool>(true) : is_alive(copy.view());
    if (alive.ok() && *alive) found(copy.view());
    return alive;
  }

  Result<bool> touch(const Key& key, const Expiry& expiry) override {
    EntryCopy copy;
    auto there = get(key, {}, [&](const Entry& entry) {
      if (!entry.tags.empty()) copy = EntryCopy(entry);
    });
    if (!there.ok() || !*there) return there;
    if (!copy.view().tags.empty()) {
      Entry longer = copy.view();
      longer.expiry = expiry;
      std::vector<TagStamp> same;
      auto done = stamp(longer, same);  // the records must outlive the entry
      if (!done.ok()) return Result<bool>(done.take_error());
    }
    return inner().touch(key, expiry);
  }

  Result<std::int64_t> increment(const Key& key, std::int64_t by, const Entry& if_new) override {
    if (key.space() != Space::values) return inner().increment(key, by, if_new);
    std::vector<TagStamp> labels;
    Entry first = if_new;
    first.value = {.kind = Kind::integer, .number = by};
    if (!if_new.tags.empty()) {
      auto done = stamp(if_new, labels);
      if (!done.ok()) return Result<std::int64_t>(done.take_error());
      first.tags = labels;
    }
    for (int attempt = 0; attempt < kMaxSwapAttempts; ++attempt) {
      EntryCopy copy;
      auto there = find(key, {}, copy);
      if (!there.ok()) return Result<std::int64_t>(there.take_error());
      Entry next = *there ? copy.view() : first;
      if (next.tags.empty()) return inner().increment(key, by, first);
      if (*there) {
        auto sum = detail::add_to_counter(next.value, by);
        if (!sum.ok()) return sum;
        next.value = {.kind = Kind::integer, .number = *sum};
      }
      // Only over what was seen alive: what was flushed meanwhile must not count on, nor take the new count with it.
      auto written = inner().put(key, next, *there ? Write{When::unchanged, next.version} : Write{When::absent});
      if (!written.ok()) return Result<std::int64_t>(written.take_error());
      if (*written) return next.value.number;
    }
    return contended(key, "increment");
  }

  Result<void> flush(const Scope& scope) override {
    if (scope.tags.empty()) return inner().flush(scope);
    std::vector<std::string_view> names(scope.tags.begin(), scope.tags.end());
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    if (!scope.any && names.size() > 1) return flush_intersection(names);
    for (const std::string_view name : names) {
      auto done = begin_anew(name);
      if (!done.ok()) return done;
    }
    return {};
  }

  Result<std::vector<std::uint64_t>> epochs(std::span<const std::string_view> tags) override {
    auto records = read_or_begin(tags, Instant{});
    if (!records.ok()) return Result<std::vector<std::uint64_t>>(records.take_error());
    std::vector<std::uint64_t> epochs;
    for (const std::string_view tag : tags) epochs.push_back(records->find(tag)->second.record.epoch);
    return epochs;
  }

  Result<void> scan(Space space, Visitor visit) override {
    if (space != Space::values) return inner().scan(space, visit);
    std::vector<std::pair<std::string, EntryCopy>> tagged;
    auto done = inner().scan(space, [&](std::string_view key, const Entry& entry) {
      if (entry.tags.empty()) return visit(key, entry);
      tagged.emplace_back(key, EntryCopy(entry));
      return true;
    });
    if (!done.ok()) return done;
    Records known;
    for (const auto& [key, copy] : tagged) {
      for (const TagStamp& tag : copy.view().tags) {
        if (known.contains(tag.name)) continue;
        auto one = read({&tag.name, 1});
        if (!one.ok()) return Result<void>(one.take_error());
        known.merge(*one);
      }
      if (spared(copy.view(), known) && !visit(key, copy.view())) break;
    }
    return {};
  }

 private:
  static bool spared(const Entry& entry, const Records& records) {
    return std::all_of(entry.tags.begin(), entry.tags.end(), [&](const TagStamp& tag) {
      const auto at = records.find(tag.name);
      return at != records.end() && at->second.record.spares(tag.epoch, entry.tags);
    });
  }

  /// The records that there are.
  template <class Names>
  Result<Records> read_all(const Names& names) {
    std::vector<Key> keys;
    keys.reserve(names.size());
    for (const auto& name : names) keys.emplace_back(name, Space::tags);
    Records records;
    auto done = inner().get_many(keys, {.as = &type_of<std::string>()}, [&](std::size_t i, const Entry& entry) {
      Held held{{}, entry.version, entry.expiry.keep_until};
      if (TagRecord::decode(entry.value.text, held.record))
        records.insert_or_assign(std::string(keys[i].text()), std::move(held));
    });
    if (!done.ok()) return Result<Records>(done.take_error());
    return records;
  }

  Result<Records> read(std::span<const std::string_view> names) { return read_all(distinct(names)); }

  static std::vector<std::string_view> distinct(std::span<const std::string_view> names) {
    std::vector<std::string_view> sorted(names.begin(), names.end());
    std::sort(sorted.begin(), sorted.end());
    sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
    return sorted;
  }

  /// `clock`: the store's tag clock as the entry was read.
  Result<bool> is_alive(const Entry& entry, std::uint64_t clock = 0) {
    std::vector<std::string_view> names;
    for (const TagStamp& tag : entry.tags) names.push_back(tag.name);
    auto records = read(names);
    if (!records.ok()) return Result<bool>(records.take_error());
    for (const auto& [name, held] : *records) known_.learn(name, held.record, held.keep_until, clock);
    return spared(entry, *records);
  }

  static Error contended(const Key& key, const char* operation) {
    return {Errc::unavailable, "too many writers on one key", {}, operation, std::string(key.text())};
  }

  /// Surely no flush of tags has ended the old entry without ending the new one: the old one had no tags, or the same
  /// stamps.
  bool ends_with_the_old(const Key& key, std::uint64_t version, const Entry& stamped) const noexcept {
    return seen_.knows(key, version, {}) || seen_.knows(key, version, stamped.tags);
  }

  /// What is under the key and alive. An entry that a flush has ended is removed.
  Result<bool> find(const Key& key, const Read& how, EntryCopy& entry) {
    for (int attempt = 0; attempt < kMaxSwapAttempts; ++attempt) {
      auto there = inner().get(key, how, [&](const Entry& found) { entry = EntryCopy(found); });
      if (!there.ok() || !*there || entry.view().tags.empty()) return there;
      auto alive = is_alive(entry.view());
      if (!alive.ok() || *alive) return alive;
      // False as well if it was kept past its life, or has been replaced: the next look tells.
      auto removed = inner().forget(key, {entry.view().version});
      if (!removed.ok()) return removed;
      if (*removed) return false;
    }
    return contended(key, "put");
  }

  /// Writes where nothing is in the way that is alive.
  Result<bool> put_unless_alive(const Key& key, const Entry& stamped, const Write& how) {
    for (int attempt = 0; attempt < kMaxSwapAttempts; ++attempt) {
      auto written = inner().put(key, stamped, how);
      if (!written.ok() || *written) return written;
      EntryCopy blocking;
      auto blocked = find(key, {.stale = how.when == When::unchanged}, blocking);
      if (!blocked.ok()) return blocked;
      if (*blocked) return false;
    }
    return contended(key, "put");
  }

  /// Writes over just the entry that was seen alive: another one that stands there later may be flushed.
  Result<bool> put_over_alive(const Key& key, const Entry& stamped) {
    for (int attempt = 0; attempt < kMaxSwapAttempts; ++attempt) {
      EntryCopy old;
      auto there = find(key, {}, old);
      if (!there.ok() || !*there) return there;
      auto written = inner().put(key, stamped, {When::unchanged, old.view().version});
      if (!written.ok() || *written) return written;
    }
    return contended(key, "put");
  }

  /// The records of all names, begun where there are none, each kept at least until `keep_until`.
  Result<Records> read_or_begin(std::span<const std::string_view> names, Instant keep_until) {
    const auto each = distinct(names);
    for (int attempt = 0; attempt < kMaxSwapAttempts; ++attempt) {
      auto records = read_all(each);
      if (!records.ok()) return records;
      bool complete = true;
      for (const std::string_view name : each) {
        const auto at = records->find(name);
        if (at != records->end() && at->second.keep_until >= keep_until) continue;
        complete = false;
        const bool is_new = at == records->end();
        auto written = write(name, is_new ? TagRecord::begin(detail::random_bits()) : at->second.record,
                             is_new ? 0 : at->second.version, with_slack(keep_until));
        if (!written.ok()) return Result<Records>(written.take_error());
      }
      if (complete) return records;
    }
    return Error{Errc::unavailable, "too many writers of one tag", {}, "tag"};
  }

  /// Records are kept an eighth longer than what they guard, so that a stream of equal lifetimes rarely writes them;
  /// and never shorter than a load may take.
  Instant with_slack(Instant keep_until) const {
    if (keep_until == kNever) return kNever;
    const Instant now = clock_.now();
    const Duration ahead = std::max<Duration>(keep_until - now, std::chrono::minutes(10));
    return after(now, ahead + ahead / 8);
  }

  Result<bool> write(std::string_view name, const TagRecord& record, std::uint64_t version, Instant keep_until) {
    const std::string bytes = record.encode();
    const Entry entry{.value = {.kind = Kind::text, .text = bytes}, .expiry = Expiry::at(keep_until)};
    return inner().put(Key(name, Space::tags), entry, {When::unchanged, version});
  }

  /// Gives each tag of the entry that has none yet its epoch of now.
  Result<void> stamp(const Entry& entry, std::vector<TagStamp>& labels) {
    labels.assign(entry.tags.begin(), entry.tags.end());
    std::vector<std::string_view> names;
    for (const TagStamp& tag : entry.tags) names.push_back(tag.name);
    auto records = read_or_begin(names, entry.expiry.keep_until);
    if (!records.ok()) return Result<void>(records.take_error());
    for (TagStamp& tag : labels)
      if (tag.epoch == 0) tag.epoch = records->find(tag.name)->second.record.epoch;
    return {};
  }

  /// A new epoch for a tag that has a record; one that has none guards nothing.
  Result<void> begin_anew(std::string_view name) {
    for (int attempt = 0; attempt < kMaxSwapAttempts; ++attempt) {
      auto records = read({&name, 1});
      if (!records.ok()) return Result<void>(records.take_error());
      const auto at = records->find(name);
      if (at == records->end()) return {};
      auto written = write(name, TagRecord::begin(detail::random_bits()), at->second.version, at->second.keep_until);
      if (!written.ok()) return Result<void>(written.take_error());
      if (*written) return {};
    }
    return Error{Errc::unavailable, "too many writers of one tag", {}, "flush"};
  }

  Result<void> flush_intersection(std::span<const std::string_view> names) {
    for (int attempt = 0; attempt < kMaxSwapAttempts; ++attempt) {
      auto records = read(names);
      if (!records.ok()) return Result<void>(records.take_error());
      if (records->size() < names.size()) return {};  // no living entry carries a tag without a record
      const auto least = std::min_element(records->begin(), records->end(), [](const auto& a, const auto& b) {
        return a.second.record.rules.size() < b.second.record.rules.size();
      });
      TagRecord next = least->second.record;
      std::vector<std::string> others;
      for (const std::string_view name : names)
        if (name != least->first) others.emplace_back(name);
      next.flush(std::move(others), max_rules_, detail::random_bits());
      auto written = write(least->first, next, least->second.version, least->second.keep_until);
      if (!written.ok()) return Result<void>(written.take_error());
      if (*written) return {};
    }
    return Error{Errc::unavailable, "too many writers of one tag", {}, "flush"};
  }

  const std::size_t max_rules_;
  const Clock& clock_;
  detail::TagCache known_;
  detail::TagsSeen seen_;
};

}  // namespace

StorePtr make_tagged(StorePtr inner, const TaggedOptions& options) {
  return std::make_shared<TaggedStore>(std::move(inner), options);
}

}  // namespace v1
}  // namespace flux::cache
