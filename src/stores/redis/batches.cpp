// Many at a time: one burst to read, one to write, one script to forget.
#include <algorithm>
#include <deque>
#include <numeric>

#include "core/random.hpp"
#include "redis_store.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

namespace {

constexpr int kMaxStamps = 100;
/// How much of a burst is put together before it is sent: at first little, so that the server is soon at work, then
/// twice as much each time, so that it has always something at hand, until it is well worth a system call.
constexpr std::size_t kFirstBytes = 4 * 1024;
constexpr std::size_t kPartBytes = 32 * 1024;
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
/// About what an entry takes beside its value.
constexpr std::size_t kEachBytes = 160;

bool is_of_values(const Key& key) noexcept { return key.space() == Space::values; }

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
  bool is_foreign = false;
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
        if (seen == Fit::foreign) is_foreign = true;
        if (seen != Fit::hit || i < handed || replies.refusal()) continue;
        handed = i + 1;
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
  if (is_foreign) return placed({Errc::corrupt, "under one of the keys stands no entry of ours"}, "get_many");
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

// One transaction in one burst. Entries are stamped with the generation that was last seen; the transaction tells
// whether it still stands, and is made again where a flush came between.
Result<BatchWritten> ServerStore::put_many(std::span<const Item> items) {
  BatchWritten outcome;
  if (items.empty()) return outcome;
  const auto fail_all = [&](Error error) {
    outcome.failed.resize(items.size());
    std::iota(outcome.failed.begin(), outcome.failed.end(), std::size_t{0});
    outcome.error = std::make_unique<Error>(placed(std::move(error), "put_many"));
  };
  for (const Item& item : items)
    if (auto refused = refuse(item.key, item.entry)) {
      refused->key = item.key.text();
      fail_all(std::move(*refused));
      return outcome;
    }
  const Now now(clock_);
  const auto tagged =
      std::find_if(items.begin(), items.end(), [](const Item& item) { return !item.entry.tags.empty(); });
  const bool by_script = tagged != items.end();
  const auto first_tagged = static_cast<std::size_t>(tagged - items.begin());
  // Drafts and epochs are borrowed by commands that are not sent yet.
  struct Part {
    void clear() {
      commands->clear();
      drafts.clear();
      epochs.clear();
    }
    ThreadCommands commands;
    std::deque<Draft> drafts;
    std::deque<std::string> epochs;
  };
  for (int attempt = 0; attempt < kMaxStamps; ++attempt) {
    std::uint64_t generation = layout_.generation(0);
    if (generation == 0 || by_script) {
      auto learned = learn_generation();
      if (!learned.ok()) return fail_all(std::move(learned.error())), std::move(outcome);
      generation = *learned;
    }
    std::uint64_t is_now = 0;
    const auto send = [&](bool whole_script) {
      LifeWords life;
      const auto write = [&](Part& to, std::size_t i) {
        const auto& [key, entry] = items[i];
        Commands& commands = *to.commands;
        const std::uint64_t stamp = is_of_values(key) ? generation : 0;
        if (entry.tags.empty() && entry.notes.empty()) return set_short(commands, key, entry, now, stamp, life);
        const Draft& draft = to.drafts.emplace_back(*this, key, entry, now, stamp);
        if (entry.tags.empty()) return set_command(commands, key, draft);
        const bool whole = whole_script && i == first_tagged;
        commands.begin(2 + script_words(key.space(), 1) + 10);
        commands.word(whole ? "EVAL" : "EVALSHA").word(whole ? script_text(Script::put) : script_name(Script::put));
        script_opening(commands, {&key, 1}, now);
        draft_words(commands, draft, to.epochs.emplace_back(fresh_epochs(entry.tags.size())));
        commands.word("always").word(bytes_of(0));
      };
      std::size_t most = kFirstBytes;
      const auto fill = [&](Part& to, std::size_t from) {
        for (std::size_t bytes = 0; from < items.size() && bytes < most; ++from) {
          write(to, from);
          bytes += kEachBytes + Commands::copied(items[from].entry.value.text);
        }
        most = std::min(2 * most, kPartBytes);
        if (from < items.size()) return from;
        layout_.generation_word(to.commands->begin(2).word("GET"), 0);
        to.commands->begin(1).word("EXEC");
        return from;
      };
      // The first part is put together before there is a connection, the others while the server takes in the last one.
      Part first, other;
      first.commands->alone().begin(1).word("MULTI");
      const std::size_t begun = fill(first, 0);
      return client_->call({}, *first.commands, Again::yes, [&](Replies& replies) -> Result<void> {
        for (std::size_t from = begun; from < items.size();) {
          other.clear();
          from = fill(other, from);
          auto sent = replies.send(*other.commands);
          if (!sent.ok()) return sent;
        }
        auto queued = replies.statuses(items.size() + 2, "+QUEUED\r\n");
        if (!queued.ok()) return queued;
        auto whole = replies.array(items.size() + 1);
        if (!whole.ok() || !*whole) return Result<void>(whole.take_error());
        auto set = replies.statuses(items.size(), "+OK\r\n");
        if (!set.ok()) return set;
        auto stands = replies.next();
        if (!stands.ok()) return Result<void>(stands.take_error());
        is_now = note_generation(0, *stands);
        return {};
      });
    };
    auto done = send(false);
    if (!done.ok() && done.error().message.find("NOSCRIPT") != std::string::npos) done = send(true);
    if (!done.ok()) return fail_all(std::move(done.error())), std::move(outcome);
    if (is_now == generation) {
      for (const Item& item : items)
        if (is_of_values(item.key)) hints_.note(item.key, item.entry.tags);
      return outcome;
    }
  }
  fail_all({Errc::unavailable, "the store was flushed again and again meanwhile"});
  return outcome;
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
