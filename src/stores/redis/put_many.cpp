// Many entries at a time: one transaction in one burst.
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
/// About what an entry takes beside its value.
constexpr std::size_t kEachBytes = 160;
/// From so many entries on, what silence saves is more than what it costs to ask for it.
constexpr std::size_t kQuietFrom = 32;
/// No server can be told to take less for one word; what it does not take it would refuse in silence, and hang up.
constexpr std::size_t kQuietValue = 1024 * 1024 - 64 * 1024;
/// So often in a row silence may be refused where the same transaction, aloud, was not.
constexpr int kMostRefusals = 3;

bool is_of_values(const Key& key) noexcept { return key.space() == Space::values; }

}  // namespace

/// A transaction's way to the server and back.
class ServerStore::Transaction {
 public:
  /// Aloud, the server answers each command. Quiet, it says nothing until its last entry is written, which spares it a
  /// system call each time it has read, and the client all those answers; entries with a lifetime then go by PSETEX,
  /// which has one word less than SET. Only for entries without tags: a script that is missing would be missed in
  /// silence.
  enum class Voice : std::uint8_t { aloud, quiet };

  Transaction(ServerStore& store, std::span<const Item> items, const Now& now, std::uint64_t generation)
      : store_(store),
        items_(items),
        now_(now),
        generation_(generation),
        first_tagged_(static_cast<std::size_t>(
            std::find_if(items.begin(), items.end(), [](const Item& item) { return !item.entry.tags.empty(); }) -
            items.begin())) {}
  bool is_tagged() const noexcept { return first_tagged_ < items_.size(); }

  /// Quietly where that is possible; what the server has against that, or against the transaction, it is asked aloud.
  Result<void> run(bool whole_script) {
    whole_script_ = whole_script;
    if (!may_be_quiet()) return send(Voice::aloud);
    auto done = send(Voice::quiet);
    if (!was_refused_) {
      if (done.ok()) store_.quiet_refusals_.store(0, std::memory_order_relaxed);
      return done;
    }
    done = send(Voice::aloud);
    if (done.ok()) store_.quiet_refusals_.fetch_add(1, std::memory_order_relaxed);
    return done;
  }
  /// The generation as it stood behind the entries.
  std::uint64_t is_now() const noexcept { return is_now_; }

 private:
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

  bool may_be_quiet() const {
    return items_.size() >= kQuietFrom && !is_tagged() &&
           store_.quiet_refusals_.load(std::memory_order_relaxed) < kMostRefusals &&
           std::all_of(items_.begin(), items_.end(), [](const Item& item) {
             return item.entry.value.text.size() + item.entry.notes.size() <= kQuietValue;
           });
  }

  Result<void> send(Voice voice) {
    voice_ = voice;
    words_ = {};
    most_ = kFirstBytes;
    was_refused_ = false;
    // The first part is put together before there is a connection, the others while the server takes in the last one.
    Part first, other;
    first.commands->alone();
    if (voice == Voice::quiet) reply(*first.commands, "OFF");
    first.commands->begin(1).word("MULTI");
    const std::size_t begun = fill(first, 0);
    return store_.client_->call({}, *first.commands, Again::yes, [&](Replies& replies) -> Result<void> {
      for (std::size_t from = begun; from < items_.size();) {
        other.clear();
        from = fill(other, from);
        auto sent = replies.send(*other.commands);
        if (!sent.ok()) return sent;
      }
      return voice == Voice::quiet ? read_quiet(replies) : read_aloud(replies);
    });
  }

  /// Adds entries from there on, as many as are worth to be sent, and behind the last one the end; how far it came.
  std::size_t fill(Part& to, std::size_t from) {
    Commands& commands = *to.commands;
    for (std::size_t bytes = 0; from < items_.size() && bytes < most_; ++from) {
      if (voice_ == Voice::quiet && from + 1 == items_.size()) reply(commands, "ON");
      write(to, from);
      bytes += kEachBytes + Commands::copied(items_[from].entry.value.text);
    }
    most_ = std::min(2 * most_, kPartBytes);
    const bool is_whole = from == items_.size();
    if (voice_ == Voice::aloud) {
      if (is_whole) store_.layout_.generation_word(commands.begin(2).word("GET"), 0), commands.begin(1).word("EXEC");
      return from;
    }
    // The transaction breaks the silence before its last entry, which thus says whether it was written. One that was
    // refused breaks nothing; so the silence is ended behind it, too, and an answer less tells which of them it was.
    if (is_whole) {
      commands.begin(1).word("EXEC");
      reply(commands, "ON");
      store_.layout_.generation_word(commands.begin(2).word("GET"), 0);
    }
    commands.answered_by(is_whole ? kQuietReplies : 0);
    return from;
  }
  static constexpr std::size_t kQuietReplies = 4;

  static void reply(Commands& commands, std::string_view how) {
    commands.begin(3).word("CLIENT").word("REPLY").word(how);
  }

  void write(Part& to, std::size_t i) {
    const auto& [key, entry] = items_[i];
    Commands& commands = *to.commands;
    const std::uint64_t stamp = is_of_values(key) ? generation_ : 0;
    if (entry.tags.empty() && entry.notes.empty())
      return store_.set_short(commands, key, entry, now_, stamp, voice_ == Voice::quiet, words_);
    const Draft& draft = to.drafts.emplace_back(store_, key, entry, now_, stamp);
    if (entry.tags.empty()) return store_.set_command(commands, key, draft);
    const bool whole = whole_script_ && i == first_tagged_;
    commands.begin(2 + script_words(key.space(), 1) + 10);
    commands.word(whole ? "EVAL" : "EVALSHA").word(whole ? script_text(Script::put) : script_name(Script::put));
    store_.script_opening(commands, {&key, 1}, now_);
    store_.draft_words(commands, draft, to.epochs.emplace_back(store_.fresh_epochs(entry.tags.size())));
    commands.word("always").word(bytes_of(0));
  }

  Result<void> read_aloud(Replies& replies) {
    auto queued = replies.statuses(items_.size() + 2, "+QUEUED\r\n");
    if (!queued.ok()) return queued;
    auto whole = replies.array(items_.size() + 1);
    if (!whole.ok() || !*whole) return Result<void>(whole.take_error());
    auto set = replies.statuses(items_.size(), "+OK\r\n");
    if (!set.ok()) return set;
    return read_generation(replies);
  }

  Result<void> read_quiet(Replies& replies) {
    auto first = replies.next();
    if (!first.ok()) return Result<void>(first.take_error());
    if (first->kind == Element::Kind::error) {  // there was no silence: all the others are answered as well
      was_refused_ = true;
      replies.expect(static_cast<std::int64_t>(items_.size() + 6 - kQuietReplies));
      return replies.pass_over();
    }
    auto second = first->kind == Element::Kind::status ? replies.next() : std::move(first);
    if (!second.ok()) return Result<void>(second.take_error());
    if (is_generation(*second)) {  // the transaction was refused
      was_refused_ = true;
      is_now_ = store_.note_generation(0, *second);
      replies.expect(2 - static_cast<std::int64_t>(kQuietReplies));
      return {};
    }
    if (second->kind == Element::Kind::status) {
      auto third = replies.statuses(1, "+OK\r\n");
      if (!third.ok()) return third;
      auto last = replies.next();
      if (!last.ok()) return Result<void>(last.take_error());
      is_now_ = store_.note_generation(0, *last);
      if (is_generation(*last)) return {};
    }
    was_refused_ = true;  // a server with a mind of its own about silence, or the entry's error, or that of the end
    return Result<void>(replies.unexpected());
  }
  static bool is_generation(const Element& element) noexcept {
    return element.kind == Element::Kind::text || element.kind == Element::Kind::nothing;
  }

  Result<void> read_generation(Replies& replies) {
    auto stands = replies.next();
    if (!stands.ok()) return Result<void>(stands.take_error());
    is_now_ = store_.note_generation(0, *stands);
    return {};
  }

  ServerStore& store_;
  const std::span<const Item> items_;
  const Now& now_;
  const std::uint64_t generation_;
  const std::size_t first_tagged_;
  bool whole_script_ = false;
  bool was_refused_ = false;
  Voice voice_ = Voice::aloud;
  SetWords words_;
  std::size_t most_ = kFirstBytes;
  std::uint64_t is_now_ = 0;
};

// Entries are stamped with the generation that was last seen; the transaction tells whether it still stands, and is
// made again where a flush came between.
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
  const bool by_script =
      std::any_of(items.begin(), items.end(), [](const Item& item) { return !item.entry.tags.empty(); });
  for (int attempt = 0; attempt < kMaxStamps; ++attempt) {
    std::uint64_t generation = layout_.generation(0);
    if (generation == 0 || by_script) {
      auto learned = learn_generation();
      if (!learned.ok()) return fail_all(std::move(learned.error())), std::move(outcome);
      generation = *learned;
    }
    Transaction transaction(*this, items, now, generation);
    auto done = transaction.run(false);
    if (!done.ok() && is_missing_script(done.error())) done = transaction.run(true);
    if (!done.ok()) return fail_all(std::move(done.error())), std::move(outcome);
    if (transaction.is_now() == generation) {
      for (const Item& item : items)
        if (is_of_values(item.key)) hints_.note(item.key, item.entry.tags);
      return outcome;
    }
  }
  fail_all({Errc::unavailable, "the store was flushed again and again meanwhile"});
  return outcome;
}

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
