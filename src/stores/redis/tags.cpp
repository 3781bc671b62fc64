// Tags: their records, and what a flush does to them. docs/design/tags.md argues why this is right.
#include <flux/cache/detail/stable_hash.hpp>

#include <algorithm>

#include "core/random.hpp"
#include "redis_store.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

namespace {

constexpr int kMaxSwapAttempts = 1'000;
constexpr std::size_t kMaxRules = 16;
/// Milliseconds: a record that lives so long is as good as one that lives for ever.
constexpr std::int64_t kLongestFact = std::int64_t{100} * 365 * 24 * 3'600'000;
constexpr std::int64_t kLeastTagLife = 675'000;  // milliseconds: no load takes longer

std::vector<std::string_view> distinct(std::span<const std::string_view> tags) {
  std::vector<std::string_view> each(tags.begin(), tags.end());
  std::sort(each.begin(), each.end());
  each.erase(std::unique(each.begin(), each.end()), each.end());
  return each;
}

}  // namespace

void ServerStore::tag_word(Commands& commands, std::string_view tag) const {
  commands.open(tag_root_.size() + tag.size()).piece(tag_root_).piece(tag).close();
}

std::string ServerStore::fresh_epochs(std::size_t count) const {
  std::string epochs;
  for (; count > 0; --count) epochs += bytes_of(TagRecord::begin(random_bits()).epoch);
  return epochs;
}

void ServerStore::note_facts(std::span<const TagStamp> tags, std::string_view said, TagFact::Clock::time_point asked) {
  if (said.size() != 16 * tags.size()) return;
  for (const TagStamp& tag : tags) {
    TagFact fact;
    fact.epoch = load_little<std::uint64_t>(said.data());
    const auto left = static_cast<std::int64_t>(load_little<std::uint64_t>(said.data() + 8));
    fact.lives_until =
        left < 0 || left > kLongestFact ? TagFact::Clock::time_point::max() : asked + std::chrono::milliseconds(left);
    facts_.note(tag.name, fact);
    said.remove_prefix(16);
  }
}

// Stamped with what the records said last; the server tells in the same burst whether they still do. Where one is not
// known, or would not outlive the entry, the script looks, and begins or prolongs it.
Result<bool> ServerStore::put_under_tags(const Key& key, const Entry& entry, const Now& now) {
  std::vector<TagStamp> stamped;
  Entry known = entry;
  if (has_own_tags() && key.space() == Space::values) {
    const std::int64_t life = life_until(entry.expiry.keep_until, now);
    const auto end = life == 0 || life > kLongestFact ? TagFact::Clock::time_point::max()
                                                      : TagFact::Clock::now() + std::chrono::milliseconds(life);
    for (const TagStamp& tag : entry.tags) {
      const auto fact = facts_.find(tag.name);
      if (!fact || fact->lives_until < end) break;
      stamped.push_back({tag.name, tag.epoch != 0 ? tag.epoch : fact->epoch});
    }
    known.tags = stamped;
  }
  if (stamped.size() < entry.tags.size()) return put_by_script(key, entry, {}, now);
  std::uint64_t generation = layout_.generation(0);
  if (generation == 0) {
    auto learned = learn_generation();
    if (!learned.ok()) return placed(std::move(learned.error()), "put", &key);
    generation = *learned;
  }

  const Draft draft(*this, key, known, now, generation);
  ThreadCommands commands;
  set_command(*commands, key, draft);
  commands->begin(2 + stamped.size()).word("MGET");
  layout_.generation_word(*commands, 0);
  for (const TagStamp& tag : stamped) tag_word(*commands, tag.name);
  bool holds = false;
  auto done = client_->call({}, *commands, Again::yes, [&](Replies& replies) -> Result<void> {
    auto set = replies.next();
    if (!set.ok()) return Result<void>(set.take_error());
    auto whole = replies.array(1 + stamped.size());
    if (!whole.ok() || !*whole) return Result<void>(whole.take_error());
    auto stands = replies.next();
    if (!stands.ok()) return Result<void>(stands.take_error());
    holds = note_generation(0, *stands) == generation;
    for (std::size_t i = 0; i < stamped.size(); ++i) {
      auto element = replies.next();
      if (!element.ok()) return Result<void>(element.take_error());
      const bool is_there = element->kind == Element::Kind::text && element->text.size() >= 8;
      const bool is_given = entry.tags[i].epoch != 0;  // by who computed the value: whether it holds, readers see
      if (is_there && (is_given || load_little<std::uint64_t>(element->text.data()) == stamped[i].epoch)) continue;
      facts_.forget(stamped[i].name);
      holds = false;
    }
    return {};
  });
  if (!done.ok()) return placed(std::move(done.error()), "put", &key);
  if (!holds) return put_by_script(key, entry, {}, now);
  hints_.note(key, entry.tags);
  return true;
}

Result<ServerStore::TagRecords> ServerStore::read_tags(std::span<const std::string_view> tags) {
  TagRecords records;
  ThreadCommands commands;
  commands->begin(1 + tags.size()).word("MGET");
  for (const std::string_view tag : tags) tag_word(*commands, tag);
  auto done = client_->call({}, *commands, Again::yes, [&](Replies& replies) -> Result<void> {
    records.clear();
    auto whole = replies.array(tags.size());
    if (!whole.ok() || !*whole) return Result<void>(whole.take_error());
    for (const std::string_view tag : tags) {
      auto element = replies.next();
      if (!element.ok()) return Result<void>(element.take_error());
      TagRecord record;
      if (element->kind == Element::Kind::text && TagRecord::decode(element->text, record))
        records.emplace_back(tag, std::move(record));
    }
    return {};
  });
  if (!done.ok()) return Result<TagRecords>(done.take_error());
  return records;
}

Result<bool> ServerStore::are_spared(std::span<const TagStamp> tags) {
  std::vector<std::string_view> names;
  for (const TagStamp& tag : tags) names.push_back(tag.name);
  const auto each = distinct(names);
  auto records = read_tags(each);
  if (!records.ok()) return Result<bool>(records.take_error());
  if (records->size() < each.size()) return false;
  return std::all_of(tags.begin(), tags.end(), [&](const TagStamp& tag) {
    const auto at =
        std::find_if(records->begin(), records->end(), [&](const auto& one) { return one.first == tag.name; });
    return at->second.spares(tag.epoch, tags);
  });
}

Result<std::vector<std::uint64_t>> ServerStore::epochs(std::span<const std::string_view> tags) {
  std::vector<std::uint64_t> numbers;
  if (tags.empty()) return numbers;
  if (wrong_) return placed(*wrong_, "epochs");
  const std::string fresh = fresh_epochs(tags.size());
  auto done = client_->eval(
      {}, Script::epochs, 1 + tags.size() + 5, Again::yes,
      [&](Commands& commands) {
        commands.number(static_cast<std::int64_t>(tags.size()));
        for (const std::string_view tag : tags) tag_word(commands, tag);
        commands.number(0).number(static_cast<std::int64_t>(tags.size())).word(tag_root_);
        commands.word(fresh).number(kLeastTagLife + margin_.count() / 1000);
      },
      [&](Replies& replies) -> Result<void> {
        numbers.clear();
        auto element = replies.next();
        if (!element.ok()) return Result<void>(element.take_error());
        if (element->kind == Element::Kind::error) return {};
        if (element->text.size() != 8 * tags.size()) return Result<void>(replies.unexpected());
        for (std::size_t i = 0; i < tags.size(); ++i)
          numbers.push_back(load_little<std::uint64_t>(element->text.data() + 8 * i));
        return {};
      });
  if (!done.ok()) return placed(std::move(done.error()), "epochs");
  return numbers;
}

// An entry whose tag has no record is gone, and the next writer begins one anew. Removing is what a full server still
// does.
Result<void> ServerStore::flush_any(std::span<const std::string_view> tags) {
  ThreadCommands commands;
  commands->begin(1 + tags.size()).word("UNLINK");
  for (const std::string_view tag : tags) {
    tag_word(*commands, tag);
    facts_.forget(tag);
  }
  return client_->call({}, *commands, Again::yes,
                       [](Replies& replies) { return Result<void>(replies.next().take_error()); });
}

Result<void> ServerStore::flush_all_of(std::span<const std::string_view> tags) {
  for (int attempt = 0; attempt < kMaxSwapAttempts; ++attempt) {
    auto records = read_tags(tags);
    if (!records.ok()) return Result<void>(records.take_error());
    if (records->size() < tags.size()) return {};  // no living entry carries a tag without a record
    const auto least = std::min_element(records->begin(), records->end(), [](const auto& a, const auto& b) {
      return a.second.rules.size() < b.second.rules.size();
    });
    const std::string old = least->second.encode();
    TagRecord next = least->second;
    std::vector<std::string> others;
    for (const std::string_view tag : tags)
      if (tag != least->first) others.emplace_back(tag);
    next.flush(std::move(others), kMaxRules, random_bits());
    const std::string encoded = next.encode();
    std::int64_t done = 0;
    auto exchanged = client_->eval(
        {}, Script::exchange, 1 + 1 + 5, Again::no,
        [&](Commands& commands) {
          commands.number(1);
          tag_word(commands, least->first);
          commands.number(0).number(1).word(tag_root_).word(old).word(encoded);
        },
        [&](Replies& replies) -> Result<void> {
          auto number = replies.integer();
          if (number.ok()) done = *number;
          return Result<void>(number.take_error());
        });
    // A full server takes no rule; so the whole tag goes: too much, never too little.
    if (!exchanged.ok() && exchanged.error().message.find("OOM") != std::string::npos)
      return flush_any({&least->first, 1});
    if (!exchanged.ok() || done == 1) return exchanged;
  }
  return Error{Errc::unavailable, "too many writers of one tag"};
}

Result<void> ServerStore::flush(const Scope& scope) {
  if (wrong_) return placed(*wrong_, "flush");
  if (scope.tags.empty()) {
    // Without a generation nothing is alive, and the next writer begins one anew.
    ThreadCommands commands;
    layout_.generation_word(commands->begin(2).word("UNLINK"), 0);
    auto done = client_->call({}, *commands, Again::yes,
                              [](Replies& replies) { return Result<void>(replies.next().take_error()); });
    if (!done.ok()) return placed(std::move(done.error()), "flush");
    layout_.note_generation(0, 0);
    reclaim_behind();
    return {};
  }
  const auto each = distinct(scope.tags);
  auto done = scope.any || each.size() == 1 ? flush_any(each) : flush_all_of(each);
  if (!done.ok()) return placed(std::move(done.error()), "flush");
  return {};
}

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
