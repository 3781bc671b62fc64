// A value that is nothing but a document and a lifetime is kept as the document, with the server's own lifetime. What
// needs more (tags, notes, a life past its freshness: the placeholder of a load, a stale value) is kept as a record
// like everywhere else. Reads tell one from the other by its first bytes; writers that want to know what stands there
// do so by script.
#include "plain_store.hpp"

#include <flux/cache/detail/stable_hash.hpp>

#include <algorithm>
#include <charconv>
#include <map>
#include <numeric>
#include <type_traits>

#include "cluster_store.hpp"
#include "core/random.hpp"
#include "server_client.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

namespace {

constexpr std::int64_t kLongestLife = 100'000'000'000'000;  // milliseconds, as of records
constexpr std::size_t kSweep = 512;                         // keys that a flush looks at in one step

bool is_record(std::string_view text) { return text.size() >= kHeadBytes && text.starts_with("\xf1\x01"); }

/// A document as it is to be sent. Where `is_one` is false, only a record holds the entry.
struct Document {
  Document(const Entry& entry, Instant now) : number{}, text(entry.value.text) {
    const std::int64_t value = entry.value.number;
    char* const end = number + sizeof number;
    switch (entry.value.kind) {
      case Kind::integer:
        text = {number, static_cast<std::size_t>(std::to_chars(number, end, value).ptr - number)};
        break;
      case Kind::unsigned_integer:
        text = {number,
                static_cast<std::size_t>(std::to_chars(number, end, static_cast<std::uint64_t>(value)).ptr - number)};
        break;
      case Kind::text:
      case Kind::bytes: break;
      default: return;
    }
    is_one = entry.tags.empty() && entry.notes.empty() && entry.expiry.fresh_until == entry.expiry.keep_until &&
             entry.expiry.is_fresh(now) && !is_record(text);
    life = life_until(entry.expiry.fresh_until, now);
  }
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;

  /// Milliseconds, rounded up; 0: for ever.
  static std::int64_t life_until(Instant end, Instant now) {
    std::int64_t left = 0;
    if (end == kNever || __builtin_sub_overflow(end.time_since_epoch().count(), now.time_since_epoch().count(), &left))
      return 0;
    const std::int64_t whole = std::max<std::int64_t>((left + 999) / 1000, 1);
    return whole > kLongestLife ? 0 : whole;
  }

  char number[24];
  std::string_view text;
  std::int64_t life = 0;
  bool is_one = false;
};

template <class Base>
class PlainStore final : public Base {
 public:
  using Base::Base;

  Traits traits() const noexcept override {
    Traits traits = Base::traits();
    traits.atomic_batches = false;
    return traits;
  }

  Result<bool> get(const Key& key, const Read& how, Receiver found) override {
    if (!is_value(key) || this->wrong_) return Base::get(key, how, found);
    const Now now(this->clock_);
    ThreadCommands commands;
    ask(*commands, {&key, 1});
    bool is_there = false, has_record = false;
    auto done = this->client_->call(this->layout_.where(key, true), *commands, Again::yes,
                                    [&](Replies& replies) -> Result<void> {
                                      is_there = has_record = false;
                                      auto begun = answered(replies, 1);
                                      if (!begun.ok() || !*begun) return Result<void>(begun.take_error());
                                      auto left = replies.integer();
                                      if (!left.ok()) return Result<void>(left.take_error());
                                      auto whole = replies.array(1);
                                      if (!whole.ok() || !*whole) return Result<void>(whole.take_error());
                                      auto element = replies.next();
                                      if (!element.ok()) return Result<void>(element.take_error());
                                      if (element->kind != Element::Kind::text) return {};
                                      has_record = is_record(element->text);
                                      if (has_record) return {};
                                      is_there = true;
                                      found(entry_of(element->text, *left, now));
                                      return {};
                                    });
    if (!done.ok()) return this->placed(std::move(done.error()), "get", &key);
    return has_record ? Base::get(key, how, found) : Result<bool>(is_there);
  }

  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    if (!is_value(key)) return Base::put(key, entry, how);
    if (auto refused = this->refuse(key, entry)) return this->placed(std::move(*refused), "put", &key);
    const Now now(this->clock_);
    const Document document(entry, now.instant);
    if (how.when != When::always) return put_when(key, entry, how, document, now);
    if (!document.is_one) return Base::put(key, entry, how);
    ThreadCommands commands;
    set(*commands, key, document);
    auto done = this->client_->call(this->layout_.where(key), *commands, Again::yes,
                                    [](Replies& replies) { return Result<void>(replies.next().take_error()); });
    if (!done.ok()) return this->placed(std::move(done.error()), "put", &key);
    return true;
  }

  Result<bool> forget(const Key& key, const Forget& how) override {
    if (!is_value(key) || this->wrong_) return Base::forget(key, how);
    auto gone = this->run(Script::plain_forget, key, Now(this->clock_), 1, Again::no,
                          [&](Commands& commands) { commands.word(bytes_of(how.version)); });
    if (!gone.ok()) return this->placed(std::move(gone.error()), "forget", &key);
    return *gone > 0;
  }

  Result<bool> has(const Key& key) override {
    if (!is_value(key) || this->wrong_) return Base::has(key);
    auto there = this->run(Script::plain_has, key, Now(this->clock_), 0, Again::yes, [](Commands&) {});
    if (!there.ok()) return this->placed(std::move(there.error()), "has", &key);
    return *there == 1;
  }

  Result<bool> pull(const Key& key, const Read& how, Receiver found) override {
    if (!is_value(key) || this->wrong_) return Base::pull(key, how, found);
    const Now now(this->clock_);
    typename Base::Fit seen = Base::Fit::miss;
    auto done = this->client_->eval(
        this->layout_.where(key), Script::plain_pull, Base::script_words(key.space(), 1), Again::no,
        [&](Commands& commands) {
          this->script_opening(commands, {&key, 1}, now);
        },
        [&](Replies& replies) -> Result<void> {
          auto element = replies.next();
          if (!element.ok()) return Result<void>(element.take_error());
          if (element->kind != Element::Kind::text) return {};
          Record record;
          if (!is_record(element->text)) {
            seen = Base::Fit::hit;
            found(entry_of(element->text, kNoEnd, now));
          } else if (decode(element->text, this->check_of(key), record) == Decoded::whole) {
            seen = Base::Fit::hit;
            found(Base::entry_of(record, now));
          } else {
            seen = Base::Fit::foreign;
          }
          return {};
        });
    if (!done.ok()) return this->placed(std::move(done.error()), "pull", &key);
    if (seen == Base::Fit::foreign) return this->placed({Errc::corrupt, "the entry does not check out"}, "pull", &key);
    return seen == Base::Fit::hit;
  }

  Result<bool> touch(const Key& key, const Expiry& expiry) override {
    if (!is_value(key) || this->wrong_) return Base::touch(key, expiry);
    const Now now(this->clock_);
    const std::int64_t life = this->life_until(expiry.keep_until, now);
    const std::int64_t tag_life = life == 0 ? 0 : std::max<std::int64_t>(life, 600'000) * 9 / 8;
    auto done = this->run(Script::plain_touch, key, now, 5, Again::yes, [&](Commands& commands) {
      commands.number(life)
          .word(bytes_of(random_bits()))
          .word(bytes_of(static_cast<std::uint64_t>(now.to_stored(expiry.fresh_until))) +
                bytes_of(static_cast<std::uint64_t>(now.to_stored(expiry.keep_until))))
          .number(tag_life)
          .number(Document::life_until(expiry.fresh_until, now.instant));
    });
    if (!done.ok()) return this->placed(std::move(done.error()), "touch", &key);
    return *done == 1;
  }

  Result<std::int64_t> increment(const Key& key, std::int64_t by, const Entry& if_new) override {
    if (!is_value(key)) return Base::increment(key, by, if_new);
    Entry fresh = if_new;
    fresh.value = {.kind = Kind::integer, .number = by};
    if (auto refused = this->refuse(key, fresh)) return this->placed(std::move(*refused), "increment", &key);
    const Now now(this->clock_);
    const Document document(fresh, now.instant);
    const Draft draft(*this, key, fresh, now, 0);
    const std::string epochs = this->fresh_epochs(fresh.tags.size());
    std::string answer;
    auto done = this->client_->eval(
        this->layout_.where(key), Script::plain_increment, Base::script_words(key.space(), 1) + 12, Again::no,
        [&](Commands& commands) {
          this->script_opening(commands, {&key, 1}, now);
          this->draft_words(commands, draft, epochs);
          commands.word(bytes_of(static_cast<std::uint64_t>(by))).word(bytes_of(random_bits())).number(by);
          commands.word(document.is_one ? std::to_string(document.life) : std::string());
        },
        [&](Replies& replies) -> Result<void> {
          auto element = replies.next();
          if (!element.ok()) return Result<void>(element.take_error());
          answer = element->text;
          return {};
        });
    if (!done.ok()) return this->placed(std::move(done.error()), "increment", &key);
    if (answer == "other") return Store::increment(key, by, if_new);
    if (answer == "full")
      return this->placed({Errc::overflow, "the counter would leave the range of 64 bits"}, "increment", &key);
    std::int64_t sum = 0;
    const bool is_text = answer.starts_with('=') &&
                         std::from_chars(answer.data() + 1, answer.data() + answer.size(), sum).ec == std::errc();
    if (is_text) return sum;
    if (answer.size() != 8) return this->placed({Errc::unavailable, "the answer is no number"}, "increment", &key);
    return static_cast<std::int64_t>(load_little<std::uint64_t>(answer.data()));
  }

  Result<void> get_many(std::span<const Key> keys, const Read& how, BatchReceiver found) override {
    if (this->wrong_ || std::none_of(keys.begin(), keys.end(), is_value)) return Base::get_many(keys, how, found);
    const Now now(this->clock_);
    std::vector<bool> handed(keys.size());  // a second run hands over what the first has not
    std::vector<std::size_t> records;
    const auto take = [&](std::span<const std::size_t> members, Replies& replies) -> Result<void> {
      auto begun = answered(replies, members.size());
      if (!begun.ok() || !*begun) return Result<void>(begun.take_error());
      std::vector<std::int64_t> left(members.size());
      for (std::int64_t& each : left) {
        auto told = replies.integer();
        if (!told.ok()) return Result<void>(told.take_error());
        each = *told;
      }
      auto whole = replies.array(members.size());
      if (!whole.ok() || !*whole) return Result<void>(whole.take_error());
      for (std::size_t m = 0; m < members.size(); ++m) {
        const std::size_t i = members[m];
        auto element = replies.next();
        if (!element.ok()) return Result<void>(element.take_error());
        if (element->kind != Element::Kind::text || handed[i]) continue;
        handed[i] = true;
        if (!is_value(keys[i]) || is_record(element->text)) {
          records.push_back(i);
        } else {
          found(i, entry_of(element->text, left[m], now));
        }
      }
      return {};
    };
    Result<void> done;
    if constexpr (kOnCluster) {
      this->call_groups(keys.size(), [&](std::size_t i) -> const Key& { return keys[i]; },
                        {.is_read = true,
                         .again = Again::yes,
                         .write =
                             [&](std::span<const std::size_t> members, Commands& commands) {
                               std::vector<Key> of_group;
                               for (const std::size_t i : members) of_group.push_back(keys[i]);
                               ask(commands, of_group);
                             },
                         .read = take,
                         .failed =
                             [&](std::span<const std::size_t>, Error error) {
                               if (done.ok()) done = Result<void>(std::move(error));
                             }});
    } else {
      ThreadCommands commands;
      ask(*commands, keys);
      std::vector<std::size_t> all(keys.size());
      std::iota(all.begin(), all.end(), std::size_t{0});
      done = this->client_->call({}, *commands, Again::yes, [&](Replies& replies) { return take(all, replies); });
    }
    Result<void> of_records;
    if (!records.empty()) {
      std::vector<Key> rest;
      for (const std::size_t i : records) rest.push_back(keys[i]);
      const auto take = [&](std::size_t i, const Entry& entry) { found(records[i], entry); };
      const auto tell = [&](std::size_t i, std::unique_ptr<Error> why) {
        found.unreadable(records[i], std::move(why));
      };
      of_records = Base::get_many(rest, how, {take, tell});
    }
    if (!done.ok()) return this->placed(std::move(done.error()), "get_many");
    return of_records;
  }

  /// Documents in one transaction, on a cluster in one for each group; then the records.
  Result<BatchWritten> put_many(std::span<const Item> items) override {
    if (this->wrong_ || items.empty()) return Base::put_many(items);
    const Now now(this->clock_);
    for (const Item& item : items)
      if (this->refuse(item.key, item.entry)) return Base::put_many(items);  // which tells what is wrong with which
    std::vector<std::size_t> documents, records;
    std::vector<Item> rest;
    std::vector<std::unique_ptr<Document>> held;
    for (std::size_t i = 0; i < items.size(); ++i) {
      held.push_back(std::make_unique<Document>(items[i].entry, now.instant));
      if (is_value(items[i].key) && held.back()->is_one) {
        documents.push_back(i);
      } else {
        records.push_back(i);
        rest.push_back(items[i]);
      }
    }
    BatchWritten outcome;
    const auto add = [&](std::span<const std::size_t> which, std::unique_ptr<Error> why) {
      outcome.failed.insert(outcome.failed.end(), which.begin(), which.end());
      if (!outcome.error) outcome.error = std::move(why);
    };
    const auto write = [&](std::span<const std::size_t> which, Commands& commands) {
      commands.begin(1).word("MULTI");
      for (const std::size_t i : which) set(commands, items[i].key, *held[i]);
      commands.begin(1).word("EXEC");
    };
    const auto take = [](std::size_t count, Replies& replies) -> Result<void> {
      for (std::size_t i = 0; i < count + 1; ++i) {
        auto queued = replies.next();
        if (!queued.ok()) return Result<void>(queued.take_error());
      }
      auto whole = replies.array(count);
      if (!whole.ok() || !*whole) return Result<void>(whole.take_error());
      for (std::size_t i = 0; i < count; ++i) {
        auto written = replies.next();
        if (!written.ok()) return Result<void>(written.take_error());
      }
      return {};
    };
    const auto fail = [&](std::span<const std::size_t> which, Error error) {
      add(which, std::make_unique<Error>(this->placed(std::move(error), "put_many")));
    };
    if constexpr (kOnCluster) {
      const auto of = [&](std::span<const std::size_t> members) {
        std::vector<std::size_t> which;
        for (const std::size_t m : members) which.push_back(documents[m]);
        return which;
      };
      this->call_groups(
          documents.size(), [&](std::size_t m) -> const Key& { return items[documents[m]].key; },
          {.again = Again::yes,
           .write = [&](std::span<const std::size_t> members, Commands& commands) { write(of(members), commands); },
           .read = [&](std::span<const std::size_t> members,
                       Replies& replies) { return take(members.size(), replies); },
           .failed = [&](std::span<const std::size_t> members, Error error) { fail(of(members), std::move(error)); }});
    } else if (!documents.empty()) {
      ThreadCommands commands;
      write(documents, *commands);
      auto done = this->client_->call({}, *commands, Again::yes,
                                      [&](Replies& replies) { return take(documents.size(), replies); });
      if (!done.ok()) fail(documents, std::move(done.error()));
    }
    if (!rest.empty()) {
      auto written = Base::put_many(rest);
      if (!written.ok()) return written;
      std::vector<std::size_t> failed;
      for (const std::size_t i : written->failed) failed.push_back(records[i]);
      add(failed, std::move(written->error));
    }
    std::sort(outcome.failed.begin(), outcome.failed.end());
    return outcome;
  }

  Result<std::size_t> forget_many(std::span<const Key> keys) override {
    if (this->wrong_ || !std::all_of(keys.begin(), keys.end(), is_value)) return Base::forget_many(keys);
    if (keys.empty()) return std::size_t{0};
    if constexpr (kOnCluster) {
      auto count = this->count_by(Script::plain_forget, keys, Again::no, Now(this->clock_));
      if (!count.ok()) return this->placed(std::move(count.error()), "forget_many");
      return count;
    }
    std::int64_t gone = 0;
    auto done = this->client_->eval(
        {}, Script::plain_forget, Base::script_words(Space::values, keys.size()) + 1, Again::no,
        [&](Commands& commands) {
          this->script_opening(commands, keys, Now(this->clock_));
          commands.word(bytes_of(0));
        },
        [&](Replies& replies) -> Result<void> {
          auto number = replies.integer();
          if (number.ok()) gone = *number;
          return Result<void>(number.take_error());
        });
    if (!done.ok()) return this->placed(std::move(done.error()), "forget_many");
    return static_cast<std::size_t>(gone);
  }

  /// Records go with their generation; documents carry none, and are walked over.
  Result<void> flush(const Scope& scope) override {
    auto flushed = Base::flush(scope);
    if (!flushed.ok() || !scope.tags.empty()) return flushed;
    const std::string& before = this->root(Space::values);
    std::string cursor = "0";
    do {
      auto page = this->scan_page(cursor, Base::begins_with(before), kSweep);
      if (!page.ok()) return this->placed(std::move(page.error()), "flush");
      std::map<std::size_t, std::vector<std::string_view>> groups;
      for (const std::string& stored : *page)
        if (const std::string_view text = this->text_of(stored, before); !text.empty())
          groups[this->layout_.group_of(Key(text))].push_back(stored);
      for (const auto& [group, names] : groups) {
        ThreadCommands commands;
        commands->begin(1 + names.size()).word("UNLINK");
        for (const std::string_view name : names) commands->word(name);
        auto gone = this->client_->call({this->layout_.slot(group)}, *commands, Again::yes,
                                        [](Replies& replies) { return Result<void>(replies.next().take_error()); });
        if (!gone.ok()) return this->placed(std::move(gone.error()), "flush");
      }
    } while (cursor != "0");
    return {};
  }

 private:
  using Now = typename Base::Now;
  using Draft = typename Base::Draft;
  static constexpr std::int64_t kNoEnd = -1;  // as the server says it

  static constexpr bool kOnCluster = std::is_base_of_v<ClusterStore, Base>;

  static bool is_value(const Key& key) noexcept { return key.space() == Space::values; }

  /// Asks for the keys' lifetimes, and then for what stands there: an MGET takes a list for nothing. On a cluster in a
  /// transaction, which one node answers as a whole, also while the slot moves.
  void ask(Commands& commands, std::span<const Key> keys) const {
    if (kOnCluster) commands.begin(1).word("MULTI");
    for (const Key& key : keys) this->key_word(commands.begin(2).word("PTTL"), key);
    commands.begin(1 + keys.size()).word("MGET");
    for (const Key& key : keys) this->key_word(commands, key);
    if (kOnCluster) commands.begin(1).word("EXEC");
  }
  /// What comes before the answers to that. False: it was refused.
  static Result<bool> answered([[maybe_unused]] Replies& replies, [[maybe_unused]] std::size_t keys) {
    if constexpr (kOnCluster) return Base::executed(replies, keys + 1);
    return true;
  }

  void set(Commands& commands, const Key& key, const Document& document) const {
    commands.begin(document.life == 0 ? 3 : 5).word("SET");
    this->key_word(commands, key);
    commands.open(document.text.size()).piece(document.text).close();
    if (document.life != 0) commands.word("PX").number(document.life);
  }

  /// `left`: milliseconds that the server still keeps it. What has come between the question for that and the one for
  /// the value is good for this moment.
  static Entry entry_of(std::string_view text, std::int64_t left, const Now& now) {
    Entry entry;
    entry.value = {.kind = Kind::bytes, .text = text};
    entry.version = document_version(text);
    if (left != kNoEnd)
      entry.expiry = Expiry::at(after(now.instant, std::chrono::milliseconds(std::max<std::int64_t>(left, 1))));
    return entry;
  }

  Result<bool> put_when(const Key& key, const Entry& entry, const Write& how, const Document& document,
                        const Now& now) {
    Entry sent = entry;
    if (document.is_one) sent.value = {.kind = Kind::bytes, .text = document.text};
    Draft draft(*this, key, sent, now, 0);
    if (document.is_one) draft.life = document.life;
    const std::string epochs = this->fresh_epochs(entry.tags.size());
    const std::string_view when = how.when == When::absent    ? "absent"
                                  : how.when == When::present ? "present"
                                                              : "unchanged";
    auto written = this->run(Script::plain_put, key, now, 11, Again::no, [&](Commands& commands) {
      this->draft_words(commands, draft, epochs);
      commands.word(when).word(bytes_of(how.version)).word(document.is_one ? "1" : "0");
    });
    if (!written.ok()) return this->placed(std::move(written.error()), "put", &key);
    return *written == 1;
  }
};

}  // namespace

std::shared_ptr<RedisStore> make_plain(const RedisConfig& config, const RedisConnection& connection, Duration timeout,
                                       std::unique_ptr<Error> wrong) {
  if (connection.cluster)
    return std::make_shared<PlainStore<ClusterStore>>(config, std::make_unique<ClusterClient>(connection, timeout),
                                                      std::move(wrong));
  return std::make_shared<PlainStore<ServerStore>>(config, std::make_unique<ServerClient>(connection, timeout),
                                                   Spread::server, std::move(wrong));
}

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
