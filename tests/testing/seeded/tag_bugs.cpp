// The contract on a store with one bug in its tags, named by the environment: each is one that somebody has shipped.
#include <flux/cache/decorator.hpp>
#include <flux/cache/layers/tagged.hpp>
#include <flux/cache/testing/reference_store.hpp>
#include <flux/cache/testing/store_contract.hpp>

#include <algorithm>
#include <cstdlib>
#include <map>

namespace flux::cache::testing {

namespace {

/// Correct: what the bugs derive from, over a store whose tags are sound. Batches go down whole.
class SoundTags : public Decorator {
 public:
  using Decorator::Decorator;
  Result<bool> touch(const Key& key, const Expiry& expiry) override { return inner().touch(key, expiry); }
  Result<std::int64_t> increment(const Key& key, std::int64_t by, const Entry& if_new) override {
    return inner().increment(key, by, if_new);
  }
  Result<BatchWritten> put_many(std::span<const Item> items) override { return inner().put_many(items); }
};

/// A put under several tags is stamped with all but the last of them.
struct OneTagIsLost : SoundTags {
  using SoundTags::SoundTags;
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    Entry fewer = entry;
    if (entry.tags.size() > 1) fewer.tags = entry.tags.first(entry.tags.size() - 1);
    return inner().put(key, fewer, how);
  }
};

/// The epochs are read as the value is written, not before it is computed.
struct EpochsAreReadAfterTheLoad : SoundTags {
  using SoundTags::SoundTags;
  Result<std::vector<std::uint64_t>> epochs(std::span<const std::string_view> tags) override {
    return std::vector<std::uint64_t>(tags.size(), 0);
  }
};

/// The same for batches alone.
struct BatchesAreStampedAnew : SoundTags {
  using SoundTags::SoundTags;
  Result<BatchWritten> put_many(std::span<const Item> items) override {
    std::vector<Item> anew(items.begin(), items.end());
    std::vector<std::vector<TagStamp>> stamps(items.size());
    for (std::size_t i = 0; i < items.size(); ++i) {
      for (const TagStamp& tag : items[i].entry.tags) stamps[i].push_back({tag.name, 0});
      anew[i].entry.tags = stamps[i];
    }
    return inner().put_many(anew);
  }
};

/// Of the tags of a `flush_any`, the first alone is flushed.
struct OneOfTwoTagsIsFlushed : SoundTags {
  using SoundTags::SoundTags;
  Result<void> flush(const Scope& scope) override {
    if (!scope.any || scope.tags.size() < 2) return inner().flush(scope);
    return inner().flush({.tags = scope.tags.first(1), .any = true});
  }
};

/// All of the tags are taken for any of them.
struct AllOfIsTakenForAnyOf : SoundTags {
  using SoundTags::SoundTags;
  Result<void> flush(const Scope& scope) override { return inner().flush({.tags = scope.tags, .any = true}); }
};

/// A flush of three tags together looks at the first two.
struct TheThirdTagOfAFlushIsIgnored : SoundTags {
  using SoundTags::SoundTags;
  Result<void> flush(const Scope& scope) override {
    if (scope.any || scope.tags.size() < 3) return inner().flush(scope);
    return inner().flush({.tags = scope.tags.first(2)});
  }
};

/// The new value carries the old one's tags besides its own.
struct TagsOfTheOldValueAreKept : SoundTags {
  using SoundTags::SoundTags;
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    EntryCopy old;
    (void)inner().get(key, {}, [&](const Entry& there) { old = EntryCopy(there); });
    std::vector<TagStamp> tags(entry.tags.begin(), entry.tags.end());
    for (const TagStamp& tag : old.view().tags)
      if (std::none_of(tags.begin(), tags.end(), [&](const TagStamp& one) { return one.name == tag.name; }))
        tags.push_back(tag);
    Entry both = entry;
    both.tags = tags;
    return inner().put(key, both, how);
  }
};

/// An entry under the same key keeps the tags that it had.
struct ANewValueIsNotRelabelled : SoundTags {
  using SoundTags::SoundTags;
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    EntryCopy old;
    (void)inner().get(key, {}, [&](const Entry& there) { old = EntryCopy(there); });
    Entry same = entry;
    if (old.view().version != 0) same.tags = old.view().tags;
    return inner().put(key, same, how);
  }
};

/// What was flushed still stands in the way of `add`.
struct AddFearsTheFlushed : SoundTags {
  using SoundTags::SoundTags;
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    if (how.when == When::absent && seen_.contains(std::string(key.text()))) return false;
    auto written = inner().put(key, entry, how);
    if (written.ok() && *written) seen_[std::string(key.text())] = true;
    return written;
  }
  Result<bool> forget(const Key& key, const Forget& how) override {
    seen_.erase(std::string(key.text()));
    return inner().forget(key, how);
  }
  std::map<std::string, bool> seen_;
};

/// A counter that was flushed counts on.
struct AFlushedCounterCountsOn : SoundTags {
  using SoundTags::SoundTags;
  Result<std::int64_t> increment(const Key& key, std::int64_t by, const Entry& if_new) override {
    auto number = inner().increment(key, by, if_new);
    std::int64_t& last = last_[std::string(key.text())];
    if (!number.ok() || *number != by || last == 0) {
      if (number.ok()) last = *number;
      return number;
    }
    return last += by;
  }
  std::map<std::string, std::int64_t> last_;
};

template <class Bug>
StorePtr seeded(StorePtr inner) {
  return std::make_shared<Bug>(std::move(inner));
}

const std::map<std::string, StorePtr (*)(StorePtr)> kBugs{
    {"none", seeded<SoundTags>},
    {"one_tag_is_lost", seeded<OneTagIsLost>},
    {"epochs_are_read_after_the_load", seeded<EpochsAreReadAfterTheLoad>},
    {"batches_are_stamped_anew", seeded<BatchesAreStampedAnew>},
    {"one_of_two_tags_is_flushed", seeded<OneOfTwoTagsIsFlushed>},
    {"all_of_is_taken_for_any_of", seeded<AllOfIsTakenForAnyOf>},
    {"the_third_tag_of_a_flush_is_ignored", seeded<TheThirdTagOfAFlushIsIgnored>},
    {"tags_of_the_old_value_are_kept", seeded<TagsOfTheOldValueAreKept>},
    {"a_new_value_is_not_relabelled", seeded<ANewValueIsNotRelabelled>},
    {"add_fears_the_flushed", seeded<AddFearsTheFlushed>},
    {"a_flushed_counter_counts_on", seeded<AFlushedCounterCountsOn>},
};

ContractParam param() {
  const char* const name = std::getenv("FLUX_CACHE_SEEDED_TAG_BUG");
  const auto bug = kBugs.find(name != nullptr ? name : "");
  if (bug == kBugs.end())
    return {.make = [](const Clock&) { return StorePtr(); }, .needs = "FLUX_CACHE_SEEDED_TAG_BUG"};
  return {.make = [make = bug->second](const Clock& clock) {
    return make(make_tagged(make_reference({.clock = &clock, .objects = false}), {.clock = &clock}));
  }};
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(SeededTags, StoreContract, ::testing::Values(param()), pipeline_name);

}  // namespace flux::cache::testing
