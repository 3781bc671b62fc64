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
/// How much of a burst is put together before it is sent: enough to be worth a system call.
constexpr std::size_t kPartBytes = 32 * 1024;
/// Keys of one MGET: what a server takes in with one read. It answers those while the next are on their way to it, and
/// others' calls come in between.
constexpr std::size_t kKeysAtOnce = 250;
/// About what an entry takes beside its value.
constexpr std::size_t kEachBytes = 160;

bool is_of_values(const Key& key) noexcept { return key.space() == Space::values; }

}  // namespace

Result<void> ServerStore::get_many(std::span<const Key> keys, const Read& how, BatchReceiver found) {
  if (keys.empty()) return {};
  if (wrong_) return placed(*wrong_, "get_many");
  const Now now(clock_);
  ThreadCommands commands;
  const auto end_of = [&](std::size_t first) { return std::min(first + kKeysAtOnce, keys.size()); };
  for (std::size_t first = 0; first < keys.size(); first = end_of(first)) {
    layout_.generation_word(commands->begin(2 + end_of(first) - first).word("MGET"), 0);
    for (std::size_t i = first; i < end_of(first); ++i) key_word(*commands, keys[i]);
  }

  std::vector<std::pair<std::size_t, EntryCopy>> tagged;
  std::size_t handed = 0;  // a second run goes on where the first met trouble: nothing is handed over twice
  bool is_foreign = false;
  auto done = client_->call({}, *commands, Again::yes, [&](Replies& replies) -> Result<void> {
    Record record;
    for (std::size_t first = 0; first < keys.size(); first = end_of(first)) {
      auto whole = replies.array(1 + end_of(first) - first);
      if (!whole.ok()) return Result<void>(whole.take_error());
      if (!*whole) continue;  // refused, and so is the call; the other answers are taken off the connection
      auto stamp = replies.next();
      if (!stamp.ok()) return Result<void>(stamp.take_error());
      const std::uint64_t generation = note_generation(0, *stamp);
      for (std::size_t i = first; i < end_of(first); ++i) {
        auto element = replies.next();
        if (!element.ok()) return Result<void>(element.take_error());
        const Fit seen = fit(*element, keys[i], how.stale, now, generation, record);
        if (seen == Fit::stranger) return Result<void>(replies.unexpected());
        if (seen == Fit::foreign) is_foreign = true;
        if (seen != Fit::hit || i < handed || replies.refusal()) continue;
        handed = i + 1;
        const Entry entry = entry_of(record, now);
        if (entry.tags.empty()) {
          found(i, entry);
        } else {
          tagged.emplace_back(i, EntryCopy(entry));
        }
      }
    }
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
      const auto write = [&](Part& to, std::size_t i) {
        const auto& [key, entry] = items[i];
        Commands& commands = *to.commands;
        const Draft& draft = to.drafts.emplace_back(*this, key, entry, now, is_of_values(key) ? generation : 0);
        if (entry.tags.empty()) return set_command(commands, key, draft);
        const bool whole = whole_script && i == first_tagged;
        commands.begin(2 + script_words(key.space(), 1) + 10);
        commands.word(whole ? "EVAL" : "EVALSHA").word(whole ? script_text(Script::put) : script_name(Script::put));
        script_opening(commands, {&key, 1}, now);
        draft_words(commands, draft, to.epochs.emplace_back(fresh_epochs(entry.tags.size())));
        commands.word("always").word(bytes_of(0));
      };
      const auto fill = [&](Part& to, std::size_t from) {
        for (std::size_t bytes = 0; from < items.size() && bytes < kPartBytes; ++from) {
          write(to, from);
          bytes += kEachBytes + items[from].entry.value.text.size();
        }
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
        for (std::size_t i = 0; i < items.size() + 2; ++i) {
          auto queued = replies.next();
          if (!queued.ok()) return Result<void>(queued.take_error());
        }
        auto whole = replies.array(items.size() + 1);
        if (!whole.ok() || !*whole) return Result<void>(whole.take_error());
        for (std::size_t i = 0; i < items.size(); ++i) {
          auto set = replies.next();
          if (!set.ok()) return Result<void>(set.take_error());
        }
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
