#include "redis_store.hpp"

#include <flux/cache/detail/stable_hash.hpp>

#include <algorithm>

#include "core/lock_version.hpp"
#include "core/random.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

namespace {

/// The most that the server takes for one string, less what a record has beside the value.
constexpr std::uint64_t kLargestValue = std::uint64_t{512} * 1024 * 1024 - 1024 * 1024;
constexpr std::int64_t kLongestLife = 100'000'000'000'000;  // milliseconds: beyond, the server keeps it for ever

bool is_values(const Key& key) noexcept { return key.space() == Space::values; }

std::string_view text_in(const Entry& entry) noexcept {
  return entry.value.kind == Kind::text || entry.value.kind == Kind::bytes ? entry.value.text : std::string_view();
}

SetWords set_words(std::int64_t life, bool by_psetex) {
  const std::string digits = std::to_string(life);
  const std::string word = "$" + std::to_string(digits.size()) + "\r\n" + digits + "\r\n";
  if (life == 0) return {.before_key = "*3\r\n$3\r\nSET\r\n", .life = life};
  if (by_psetex) return {.before_key = "*4\r\n$6\r\nPSETEX\r\n", .before_value = word, .life = life};
  return {.before_key = "*5\r\n$3\r\nSET\r\n", .behind_value = "$2\r\nPX\r\n" + word, .life = life};
}

std::string_view word_of(When when) noexcept {
  switch (when) {
    case When::always: return "always";
    case When::absent: return "absent";
    case When::present: return "present";
    case When::unchanged: break;
  }
  return "unchanged";
}

}  // namespace

// The server's own clock runs beside the caller's: what it removes has been past its time for a while.
ServerStore::ServerStore(const RedisConfig& config, std::unique_ptr<Client> client, Spread spread,
                         std::unique_ptr<Error> wrong)
    : clock_(config.clock != nullptr ? *config.clock : system_clock()),
      wrong_(std::move(wrong)),
      client_(std::move(client)),
      roots_(roots_of(escaped_prefix(config.prefix, spread))),
      layout_(escaped_prefix(config.prefix, spread) + "g/", spread),
      tag_root_(spread == Spread::server ? escaped_prefix(config.prefix, spread) + "e/" : std::string()),
      max_value_(config.max_value == 0 ? kLargestValue : std::min(config.max_value, kLargestValue)),
      margin_(&clock_ == &system_clock() ? Duration(std::chrono::seconds(1)) : Duration(std::chrono::hours(1))) {}

Traits ServerStore::traits() const noexcept {
  return {.kind = "redis",
          .shared = true,
          .remote = true,
          .persistent = true,
          .atomic_batches = true,
          .tags = true,
          .max_value_bytes = max_value_};
}

std::unique_ptr<Error> ServerStore::foreign(const Key& key, const char* operation) const {
  return std::make_unique<Error>(placed({Errc::corrupt, "what stands there is no entry of ours"}, operation, &key));
}

Error ServerStore::placed(Error error, const char* operation, const Key* key) const {
  error.store = "redis";
  error.operation = operation;
  if (key != nullptr) error.key = key->text();
  return error;
}

std::unique_ptr<Error> ServerStore::refuse(const Key& key, const Entry& entry) const {
  if (wrong_) return std::make_unique<Error>(*wrong_);
  if (key.text().empty()) return std::make_unique<Error>(Error{Errc::bad_key, "the key is empty"});
  if (entry.value.kind == Kind::object)
    return std::make_unique<Error>(
        Error{Errc::not_serializable, "a server holds bytes, not objects of type " +
                                          std::string(entry.value.type != nullptr ? entry.value.type->name : "?")});
  if (entry.value.text.size() > max_value_)
    return std::make_unique<Error>(Error{Errc::too_large, "the value has " + std::to_string(entry.value.text.size()) +
                                                              " bytes, the limit is " + std::to_string(max_value_)});
  if (entry.tags.size() > 0xffff ||
      std::any_of(entry.tags.begin(), entry.tags.end(), [](const TagStamp& tag) { return tag.name.size() > 0xffff; }))
    return std::make_unique<Error>(Error{Errc::too_large, "at most 65,535 tags, of at most 65,535 bytes each"});
  return nullptr;
}

std::uint32_t ServerStore::check_of(const Key& key) const noexcept {
  return static_cast<std::uint32_t>(stable_hash64(key.text(), static_cast<std::uint64_t>(key.space()) + 1));
}

std::string ServerStore::stored_key(const Key& key) const {
  std::string whole = root(key.space());
  return whole.append(layout_.mark(layout_.group_of(key))).append(key.text());
}

void ServerStore::key_word(Commands& commands, const Key& key) const {
  commands.key(root(key.space()), layout_.mark(layout_.group_of(key)), key.text());
}

std::uint64_t ServerStore::note_generation(std::size_t group, const Element& element) noexcept {
  const bool is_one = element.kind == Element::Kind::text && element.text.size() == 8;
  const std::uint64_t generation = is_one ? load_little<std::uint64_t>(element.text.data()) : 0;
  layout_.note_generation(group, generation);
  return generation;
}

std::int64_t ServerStore::life_until(Instant keep_until, const Now& now) const noexcept {
  if (keep_until == kNever) return 0;
  std::int64_t left = 0;
  if (__builtin_sub_overflow(keep_until.time_since_epoch().count(), now.instant.time_since_epoch().count(), &left))
    left = keep_until > now.instant ? kForever : 0;
  const std::int64_t life = std::max<std::int64_t>(left, 0) / 1000 + 1 + margin_.count() / 1000;
  return life > kLongestLife ? 0 : life;
}

Head ServerStore::head_of(const Key& key, const Entry& entry, const Now& now, std::uint64_t generation,
                          std::uint64_t version) const {
  Head head;
  head.version = version;
  head.generation = generation;
  head.fresh_until = now.to_stored(entry.expiry.fresh_until);
  head.keep_until =
      entry.expiry.keep_until == entry.expiry.fresh_until ? head.fresh_until : now.to_stored(entry.expiry.keep_until);
  head.check = check_of(key);
  return head;
}

ServerStore::Draft::Draft(const ServerStore& store, const Key& key, const Entry& entry, const Now& now,
                          std::uint64_t generation, std::uint64_t version)
    : text(text_in(entry)),
      meta_bytes(0),
      life(store.life_until(entry.expiry.keep_until, now)),
      tag_life(0),
      version(version != 0 ? version : random_bits()) {
  const Head head = store.head_of(key, entry, now, generation, this->version);
  encode(head, entry, bytes);
  const bool is_number = entry.value.kind == Kind::integer || entry.value.kind == Kind::unsigned_integer;
  meta_bytes = bytes.size() - kHeadBytes - (is_number ? 8 : 0);
  if (entry.tags.empty() || life == 0) return;
  // Records are kept an eighth longer than what they guard, so that a stream of equal lifetimes rarely renews them; and
  // never shorter than a load may take.
  tag_life = std::max<std::int64_t>(life, 600'000);
  tag_life += tag_life / 8;
}

ServerStore::Fit ServerStore::fit(const Element& element, const Key& key, bool stale, const Now& now,
                                  std::uint64_t generation, Record& record) const {
  if (element.kind == Element::Kind::array) return Fit::stranger;  // no server has such a thing there
  if (element.kind != Element::Kind::text) return Fit::miss;
  switch (decode(element.text, check_of(key), record)) {
    case Decoded::broken: return Fit::foreign;
    case Decoded::of_another_key: return Fit::stranger;
    case Decoded::whole: break;
  }
  if (is_values(key) && (generation == 0 || record.head.generation != generation)) return Fit::miss;
  if (record.head.keep_until <= now.wall) return Fit::miss;
  return stale || record.head.fresh_until > now.wall ? Fit::hit : Fit::miss;
}

Entry ServerStore::entry_of(const Record& record, const Now& now) {
  Entry entry;
  entry.value = {.kind = record.head.kind, .number = record.number, .text = record.text};
  entry.expiry.fresh_until = now.from_stored(record.head.fresh_until);
  entry.expiry.keep_until = record.head.keep_until == record.head.fresh_until ? entry.expiry.fresh_until
                                                                              : now.from_stored(record.head.keep_until);
  entry.tags = record.tags;
  entry.notes = record.notes;
  entry.version = record.head.version;
  return entry;
}

Result<bool> ServerStore::get(const Key& key, const Read& how, Receiver found) {
  if (wrong_) return placed(*wrong_, "get", &key);
  const Now now(clock_);
  const std::size_t group = layout_.group_of(key);
  const TagHints::Names names = is_values(key) ? hints_.find(key) : nullptr;
  const std::size_t tags = names ? names->size() : 0;
  ThreadCommands commands;
  if (is_values(key)) {
    commands->begin(3 + tags).word("MGET");
    layout_.generation_word(*commands, group);
    for (std::size_t i = 0; i < tags; ++i) tag_word(*commands, (*names)[i]);
  } else {
    commands->begin(2).word("GET");
  }
  key_word(*commands, key);

  Fit seen = Fit::miss;
  EntryCopy later;  // where its tags were not among those asked for
  auto done = client_->call({layout_.slot(group), true}, *commands, Again::yes, [&](Replies& replies) -> Result<void> {
    seen = Fit::miss;
    std::uint64_t generation = 0;
    std::vector<TagRecord> records(tags);
    std::size_t known = 0;
    if (is_values(key)) {
      auto whole = replies.array(2 + tags);
      if (!whole.ok() || !*whole) return Result<void>(whole.take_error());
      auto first = replies.next();
      if (!first.ok()) return Result<void>(first.take_error());
      generation = note_generation(group, *first);
      for (TagRecord& record : records) {
        auto element = replies.next();
        if (!element.ok()) return Result<void>(element.take_error());
        if (element->kind == Element::Kind::text && TagRecord::decode(element->text, record)) ++known;
      }
    }
    auto element = replies.next();
    if (!element.ok()) return Result<void>(element.take_error());
    Record record;
    seen = fit(*element, key, how.stale, now, generation, record);
    if (seen == Fit::stranger) return Result<void>(replies.unexpected());
    if (seen != Fit::hit) return {};
    const Entry entry = entry_of(record, now);
    if (!has_own_tags()) {
      found(entry);
      return {};
    }
    hints_.note(key, entry.tags);
    for (const TagStamp& tag : entry.tags) {
      std::size_t at = 0;
      while (at < tags && (*names)[at] != tag.name) ++at;
      if (at == tags) {
        later = EntryCopy(entry);
        return {};
      }
      if (records[at].epoch == 0 || !records[at].spares(tag.epoch, entry.tags)) {
        seen = Fit::miss;
        return {};
      }
    }
    found(entry);
    return {};
  });
  if (!done.ok()) return placed(std::move(done.error()), "get", &key);
  if (seen == Fit::foreign) return Result<bool>(foreign(key, "get"));
  if (seen != Fit::hit) return false;
  if (later.view().version == 0) return true;
  auto spared = are_spared(later.view().tags);
  if (!spared.ok()) return placed(std::move(spared.error()), "get", &key);
  if (*spared) found(later.view());
  return *spared;
}

std::size_t ServerStore::script_words(Space space, std::size_t keys) {
  return 1 + keys + (space == Space::values ? 1 : 0) + 3;
}

void ServerStore::script_opening(Commands& commands, std::span<const Key> keys, const Now& now) const {
  const bool values = is_values(keys.front());
  commands.number(static_cast<std::int64_t>(keys.size() + (values ? 1 : 0)));
  for (const Key& key : keys) key_word(commands, key);
  if (values) layout_.generation_word(commands, layout_.group_of(keys.front()));
  commands.number(now.wall).number(static_cast<std::int64_t>(keys.size())).word(tag_root_);
}

Result<std::int64_t> ServerStore::run(Script script, const Key& key, const Now& now, std::size_t more, Again again,
                                      detail::FunctionRef<void(Commands&)> arguments) {
  std::int64_t answer = 0;
  auto done = client_->eval(
      layout_.where(key), script, script_words(key.space(), 1) + more, again,
      [&](Commands& commands) {
        script_opening(commands, {&key, 1}, now);
        arguments(commands);
      },
      [&](Replies& replies) -> Result<void> {
        auto number = replies.integer();
        if (!number.ok()) return Result<void>(number.take_error());
        answer = *number;
        return {};
      });
  if (!done.ok()) return Result<std::int64_t>(done.take_error());
  return answer;
}

void ServerStore::draft_words(Commands& commands, const Draft& draft, std::string_view epochs) const {
  const std::string_view bytes = draft.bytes;
  const std::string_view number = bytes.substr(kHeadBytes + draft.meta_bytes);
  commands.number(draft.life)
      .word(bytes.substr(0, kGenerationAt))
      .word(bytes.substr(kHeadBytes, draft.meta_bytes))
      .word(bytes.substr(kFreshAt, kHeadBytes - kFreshAt))
      .open(number.size() + draft.text.size())
      .piece(number)
      .piece(draft.text)
      .close()
      .word(bytes_of(random_bits()))
      .word(epochs)
      .number(draft.tag_life);
}

void ServerStore::set_command(Commands& commands, const Key& key, const Draft& draft) const {
  commands.begin(draft.life == 0 ? 3 : 5).word("SET");
  key_word(commands, key);
  commands.open(draft.bytes.size() + draft.text.size()).piece(draft.bytes).piece(draft.text).close();
  if (draft.life != 0) commands.word("PX").number(draft.life);
}

void ServerStore::set_short(Commands& commands, const Key& key, const Entry& entry, const Now& now,
                            std::uint64_t generation, bool by_psetex, SetWords& words) const {
  const std::int64_t life = life_until(entry.expiry.keep_until, now);
  if (words.life != life) words = set_words(life, by_psetex);
  const Head head = head_of(key, entry, now, generation, random_bits());
  commands.set(
      words, root(key.space()), key.text(), short_bytes(entry.value.kind),
      [&](char* to) { return encode_short(head, entry.value, 0, to); }, text_in(entry));
}

Result<bool> ServerStore::put_by_script(const Key& key, const Entry& entry, const Write& how, const Now& now) {
  const Draft draft(*this, key, entry, now, 0, proposed_version(key, entry, how));
  const std::string epochs = fresh_epochs(entry.tags.size());
  const Again again = how.when == When::always ? Again::yes : Again::no;
  const auto asked = TagFact::Clock::now();
  bool is_written = false;
  auto done = client_->eval(
      layout_.where(key), Script::put, script_words(key.space(), 1) + 10, again,
      [&](Commands& commands) {
        script_opening(commands, {&key, 1}, now);
        draft_words(commands, draft, epochs);
        commands.word(word_of(how.when)).word(bytes_of(how.version));
      },
      [&](Replies& replies) -> Result<void> {
        auto element = replies.next();
        if (!element.ok()) return Result<void>(element.take_error());
        is_written = element->kind == Element::Kind::text || element->number == 1;
        if (element->kind == Element::Kind::text) note_facts(entry.tags, element->text, asked);
        return {};
      });
  if (!done.ok()) return placed(std::move(done.error()), "put", &key);
  if (is_written && is_values(key) && has_own_tags()) hints_.note(key, entry.tags);
  return is_written;
}

Result<bool> ServerStore::put(const Key& key, const Entry& entry, const Write& how) {
  if (auto refused = refuse(key, entry)) return placed(std::move(*refused), "put", &key);
  const Now now(clock_);
  if (how.when != When::always) return put_by_script(key, entry, how, now);
  if (!entry.tags.empty()) return put_under_tags(key, entry, now);
  std::uint64_t generation = is_values(key) ? layout_.generation(0) : 0;
  if (is_values(key) && generation == 0) {
    auto learned = learn_generation();
    if (!learned.ok()) return placed(std::move(learned.error()), "put", &key);
    generation = *learned;
  }

  // Stamped with the generation as it was last seen; the server tells in the same breath whether it still is the one.
  const Draft draft(*this, key, entry, now, generation);
  ThreadCommands commands;
  set_command(*commands, key, draft);
  if (is_values(key)) layout_.generation_word(commands->begin(2).word("GET"), 0);
  std::uint64_t is_now = generation;
  auto done = client_->call({}, *commands, Again::yes, [&](Replies& replies) -> Result<void> {
    auto set = replies.next();
    if (!set.ok() || !is_values(key)) return Result<void>(set.take_error());
    auto stands = replies.next();
    if (!stands.ok()) return Result<void>(stands.take_error());
    is_now = note_generation(0, *stands);
    return {};
  });
  if (!done.ok()) return placed(std::move(done.error()), "put", &key);
  if (is_values(key)) hints_.note(key, {});
  return is_now == generation ? Result<bool>(true) : put_by_script(key, entry, how, now);
}

Result<bool> ServerStore::forget(const Key& key, const Forget& how) {
  if (wrong_) return placed(*wrong_, "forget", &key);
  const Now now(clock_);
  auto gone =
      run(Script::forget, key, now, 1, Again::no, [&](Commands& commands) { commands.word(bytes_of(how.version)); });
  if (!gone.ok()) return placed(std::move(gone.error()), "forget", &key);
  return *gone > 0;
}

// The head alone, by two plain commands in one burst, which cost the server far less than a script. Only where there
// are tags does a script look at their records too.
Result<bool> ServerStore::has(const Key& key) {
  if (wrong_) return placed(*wrong_, "has", &key);
  const Now now(clock_);
  if (!hints_.find(key)) {
    ThreadCommands commands;
    commands->begin(4).word("GETRANGE");
    key_word(*commands, key);
    commands->word("0").word("47");
    if (is_values(key)) layout_.generation_word(commands->begin(2).word("GET"), 0);
    Head head;
    bool is_entry = false;
    std::uint64_t generation = 0;
    auto done = client_->call({}, *commands, Again::yes, [&](Replies& replies) -> Result<void> {
      auto element = replies.next();
      if (!element.ok()) return Result<void>(element.take_error());
      is_entry = element->kind == Element::Kind::text && decode_head(element->text, head);
      if (is_entry && head.check != check_of(key)) return Result<void>(replies.unexpected());
      if (!is_values(key)) return {};
      auto stands = replies.next();
      if (!stands.ok()) return Result<void>(stands.take_error());
      generation = note_generation(0, *stands);
      return {};
    });
    if (!done.ok() && done.error().code == Errc::corrupt) return false;  // a list, a set...
    if (!done.ok()) return placed(std::move(done.error()), "has", &key);
    if (!is_entry || (is_values(key) && (generation == 0 || head.generation != generation))) return false;
    if (head.keep_until <= now.wall || head.fresh_until <= now.wall) return false;
    if (head.tag_count == 0) return true;
  }
  auto there = run(Script::has, key, now, 0, Again::yes, [](Commands&) {});
  if (!there.ok()) return placed(std::move(there.error()), "has", &key);
  return *there == 1;
}

Result<bool> ServerStore::pull(const Key& key, const Read&, Receiver found) {
  if (wrong_) return placed(*wrong_, "pull", &key);
  const Now now(clock_);
  Fit seen = Fit::miss;
  auto done = client_->eval(
      layout_.where(key), Script::pull, script_words(key.space(), 1), Again::no,
      [&](Commands& commands) {
        script_opening(commands, {&key, 1}, now);
      },
      [&](Replies& replies) -> Result<void> {
        auto element = replies.next();
        if (!element.ok()) return Result<void>(element.take_error());
        if (element->kind != Element::Kind::text) return {};
        Record record;
        if (decode(element->text, check_of(key), record) != Decoded::whole) {
          seen = Fit::foreign;
          return {};
        }
        seen = Fit::hit;
        found(entry_of(record, now));
        return {};
      });
  if (!done.ok()) return placed(std::move(done.error()), "pull", &key);
  if (seen == Fit::foreign) return placed({Errc::corrupt, "the entry does not check out"}, "pull", &key);
  return seen == Fit::hit;
}

Result<bool> ServerStore::touch(const Key& key, const Expiry& expiry) {
  if (wrong_) return placed(*wrong_, "touch", &key);
  const Now now(clock_);
  const std::int64_t life = life_until(expiry.keep_until, now);
  const std::int64_t tag_life = life == 0 ? 0 : std::max<std::int64_t>(life, 600'000) * 9 / 8;
  const std::string deadlines = bytes_of(static_cast<std::uint64_t>(now.to_stored(expiry.fresh_until))) +
                                bytes_of(static_cast<std::uint64_t>(now.to_stored(expiry.keep_until)));
  auto done = run(Script::touch, key, now, 4, Again::yes, [&](Commands& commands) {
    commands.number(life).word(bytes_of(random_bits())).word(deadlines).number(tag_life);
  });
  if (!done.ok()) return placed(std::move(done.error()), "touch", &key);
  return *done == 1;
}

Result<std::int64_t> ServerStore::increment(const Key& key, std::int64_t by, const Entry& if_new) {
  Entry fresh = if_new;
  fresh.value = {.kind = Kind::integer, .number = by};
  if (auto refused = refuse(key, fresh)) return placed(std::move(*refused), "increment", &key);
  const Now now(clock_);
  const Draft draft(*this, key, fresh, now, 0);
  const std::string epochs = fresh_epochs(fresh.tags.size());
  std::string answer;
  auto done = client_->eval(
      layout_.where(key), Script::increment, script_words(key.space(), 1) + 10, Again::no,
      [&](Commands& commands) {
        script_opening(commands, {&key, 1}, now);
        draft_words(commands, draft, epochs);
        commands.word(bytes_of(static_cast<std::uint64_t>(by))).word(bytes_of(random_bits()));
      },
      [&](Replies& replies) -> Result<void> {
        auto element = replies.next();
        if (!element.ok()) return Result<void>(element.take_error());
        answer = element->text;
        return {};
      });
  if (!done.ok()) return placed(std::move(done.error()), "increment", &key);
  if (answer == "other") {
    auto number = Store::increment(key, by, if_new);
    if (!number.ok()) return placed(std::move(number.error()), "increment", &key);
    return number;
  }
  if (answer == "full")
    return placed({Errc::overflow, "the counter would leave the range of 64 bits"}, "increment", &key);
  if (answer.size() != 8) return placed({Errc::unavailable, "the answer is no number"}, "increment", &key);
  return static_cast<std::int64_t>(load_little<std::uint64_t>(answer.data()));
}

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
