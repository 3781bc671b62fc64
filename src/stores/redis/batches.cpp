// Many at a time: a burst to read, a script to forget.
#include <algorithm>
#include <deque>
#include <numeric>

#include "core/random.hpp"
#include "redis_store.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

namespace {

/// Keys of one MGET: others' calls come in between.
constexpr std::size_t kKeysAtOnce = 250;
/// So few are one part: what more of them would win here they would lose where several servers are asked at once and no
/// processor is idle.
constexpr std::size_t kOnePart = 400;
/// Keys of the first of several: few enough that the server is soon at work, and as much work as it takes to put the
/// next together, so that it does not fall asleep between them: to wake it costs as much as fifty keys.
constexpr std::size_t kFirstKeys = 300;
/// Of the others, where the server is near: few enough that it is soon through with them and the answers are looked at
/// while it does the next, enough to be worth its system calls.
constexpr std::size_t kNearKeys = 400;
/// And of values: what both ends' caches and a socket hold.
constexpr std::size_t kNearBytes = 128 * 1024;
/// Of the last: fewer cost more than they bring.
constexpr std::size_t kLastKeys = 300;

/// Keys of a batch's first part, where entries are about so long.
std::size_t first_part(std::size_t keys, std::size_t bytes_each) noexcept {
  if (keys * bytes_each <= kNearBytes && keys <= kOnePart) return keys;
  return std::clamp<std::size_t>(kNearBytes / std::max<std::size_t>(bytes_each, 1), 1, std::min(keys, kFirstKeys));
}

/// Keys of its next part: towards the end fewer and fewer, so that little is left to do when the last answer has come.
std::size_t near_part(std::size_t left, std::size_t bytes_each) noexcept {
  const std::size_t most = std::clamp<std::size_t>(kNearBytes / std::max<std::size_t>(bytes_each, 1), 1, kNearKeys);
  const std::size_t part = std::min(most, std::max(left * 2 / 3, kLastKeys));
  return left <= part + part / 4 ? left : part;
}

}  // namespace

Result<void> ServerStore::get_many(std::span<const Key> keys, const Read& how, BatchReceiver found) {
  if (keys.empty()) return {};
  if (wrong_) return placed(*wrong_, "get_many");
  const Now now(clock_);
  const auto ask = [&](Commands& commands, std::size_t from, std::size_t size) {
    layout_.generation_word(commands.begin(2 + size).word("MGET"), 0);
    for (const Key& key : keys.subspan(from, size)) key_word(commands, key);
  };
  const std::size_t begun = first_part(keys.size(), bytes_each_.load(std::memory_order_relaxed));
  ThreadCommands commands;
  if (begun < keys.size()) commands->alone();
  ask(*commands, 0, begun);

  std::vector<std::pair<std::size_t, EntryCopy>> tagged;
  std::size_t handed = 0;  // a second run goes on where the first met trouble: nothing is handed over twice
  auto done = client_->call({}, *commands, Again::yes, [&](Replies& replies) -> Result<void> {
    Record record;
    std::size_t asked = begun, bytes = 0, hits = 0;
    std::deque<std::size_t> parts{begun};  // that are on their way
    ThreadCommands more;
    const auto ask_more = [&]() -> Result<void> {
      more->clear();
      for (bool is_more = asked < keys.size(); is_more; is_more = asked < keys.size() && !replies.is_near()) {
        const std::size_t each = hits == 0 ? bytes_each_.load(std::memory_order_relaxed) : bytes / hits;
        parts.push_back(replies.is_near() ? near_part(keys.size() - asked, each)
                                          : std::min(keys.size() - asked, kKeysAtOnce));
        ask(*more, asked, parts.back());
        asked += parts.back();
      }
      return more->count() == 0 ? Result<void>() : replies.send(*more);
    };
    // A near server has one part before it and the next at hand, so that neither end waits for the other; a far one has
    // all of them at once.
    auto sent = ask_more();
    if (!sent.ok()) return sent;
    for (std::size_t first = 0; !parts.empty(); first += parts.front(), parts.pop_front()) {
      const std::size_t end = first + parts.front();
      auto whole = replies.array(1 + parts.front());
      if (!whole.ok()) return Result<void>(whole.take_error());
      if (!*whole) continue;  // refused, and so is the call; the other answers are taken off the connection
      if (first == 0) replies.note_turn();
      auto stamp = replies.next();
      if (!stamp.ok()) return Result<void>(stamp.take_error());
      const std::uint64_t generation = note_generation(0, *stamp);
      if (!replies.refusal()) sent = ask_more();
      if (!sent.ok()) return sent;
      for (std::size_t i = first; i < end; ++i) {
        auto element = replies.next();
        if (!element.ok()) return Result<void>(element.take_error());
        const Fit seen = fit(*element, keys[i], how.stale, now, generation, record);
        if (seen == Fit::stranger) return Result<void>(replies.unexpected());
        if (seen == Fit::miss || i < handed || replies.refusal()) continue;
        handed = i + 1;
        if (seen == Fit::foreign) {
          found.unreadable(i, foreign(keys[i], "get_many"));
          continue;
        }
        bytes += element->text.size(), ++hits;
        const Entry entry = entry_of(record, now);
        if (entry.tags.empty()) {
          found(i, entry);
        } else {
          tagged.emplace_back(i, EntryCopy(entry));
        }
      }
    }
    if (hits > 0) bytes_each_.store(bytes / hits, std::memory_order_relaxed);
    return {};
  });
  if (!done.ok()) return placed(std::move(done.error()), "get_many");
  if (!tagged.empty()) {
    std::vector<std::string_view> names;
    for (const auto& [i, entry] : tagged)
      for (const TagStamp& tag : entry.view().tags) names.push_back(tag.name);
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    auto records = read_tags(names);
    if (!records.ok()) return placed(std::move(records.error()), "get_many");
    for (const auto& [i, copy] : tagged) {
      const Entry entry = copy.view();
      const bool spared = std::all_of(entry.tags.begin(), entry.tags.end(), [&](const TagStamp& tag) {
        const auto at = std::lower_bound(records->begin(), records->end(), tag.name,
                                         [](const auto& one, std::string_view name) { return one.first < name; });
        return at != records->end() && at->first == tag.name && at->second.spares(tag.epoch, entry.tags);
      });
      if (spared) found(i, entry);
    }
  }
  return {};
}

Result<std::uint64_t> ServerStore::learn_generation() {
  ThreadCommands commands;
  commands->begin(4).word("SET");
  layout_.generation_word(*commands, 0);
  commands->word(bytes_of(random_bits())).word("NX");
  layout_.generation_word(commands->begin(2).word("GET"), 0);
  std::uint64_t generation = 0;
  auto done = client_->call({}, *commands, Again::yes, [&](Replies& replies) -> Result<void> {
    auto set = replies.next();
    if (!set.ok()) return Result<void>(set.take_error());
    auto stands = replies.next();
    if (!stands.ok()) return Result<void>(stands.take_error());
    generation = note_generation(0, *stands);
    return {};
  });
  if (!done.ok()) return Result<std::uint64_t>(done.take_error());
  if (generation == 0) return Error{Errc::unavailable, "the generation's key holds something that is not ours"};
  return generation;
}

Result<std::size_t> ServerStore::forget_many(std::span<const Key> keys) {
  if (keys.empty()) return std::size_t{0};
  if (wrong_) return placed(*wrong_, "forget_many");
  if (std::any_of(keys.begin(), keys.end(), [&](const Key& key) { return key.space() != keys.front().space(); }))
    return Store::forget_many(keys);
  const Now now(clock_);
  std::int64_t gone = 0;
  auto done = client_->eval(
      {}, Script::forget, script_words(keys.front().space(), keys.size()) + 1, Again::no,
      [&](Commands& commands) {
        script_opening(commands, keys, now);
        commands.word(bytes_of(0));
      },
      [&](Replies& replies) -> Result<void> {
        auto number = replies.integer();
        if (number.ok()) gone = *number;
        return Result<void>(number.take_error());
      });
  if (!done.ok()) return placed(std::move(done.error()), "forget_many");
  return static_cast<std::size_t>(gone);
}

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
