// The compiled half of the verbs.
#include <flux/cache/detail/core.hpp>

#include <algorithm>
#include <mutex>

#include "counting.hpp"
#include "flights.hpp"
#include "labels.hpp"
#include "listeners.hpp"
#include "random.hpp"
#include "text_frame.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail {

namespace {

std::unique_ptr<Error> error(Errc code, std::string message) {
  return std::make_unique<Error>(Error{code, std::move(message)});
}

std::span<const std::string> wanted(const Tags* tags) noexcept {
  return tags != nullptr ? std::span<const std::string>(*tags) : std::span<const std::string>();
}

}  // namespace

Core::Core(std::string name, StorePtr store, const RepositoryOptions& options)
    : name_(std::move(name)),
      store_(std::move(store)),
      options_(options),
      clock_(options.clock != nullptr ? options.clock : &system_clock()),
      listeners_(std::make_shared<Listeners>()),
      flights_(std::make_unique<Flights>()) {}

Core::~Core() = default;

// --- checks and errors

std::unique_ptr<Error> Core::check(std::string_view key, const char* operation) const {
  if (key.size() - 1 < options_.max_key_bytes) [[likely]]
    return nullptr;
  std::string what = key.empty() ? "the key is empty"
                                 : "the key has " + std::to_string(key.size()) + " bytes, over the limit of " +
                                       std::to_string(options_.max_key_bytes);
  return std::make_unique<Error>(Error{Errc::bad_key, std::move(what), name_, operation,
                                       options_.hash_keys ? shown(key) : std::string(key.substr(0, 64))});
}

std::string Core::shown(std::string_view key) const {
  if (!options_.hash_keys || key.empty()) return std::string(key);
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (std::uint64_t i = 0, bits = hash_key(key); i < 16; ++i, bits >>= 4) text += digits[bits & 15];
  return text;
}

std::unique_ptr<Error> Core::check(const Tags& tags) const {
  if (tags.size() > options_.max_tags)
    return error(Errc::bad_tag,
                 std::to_string(tags.size()) + " tags, over the limit of " + std::to_string(options_.max_tags));
  for (const std::string& tag : tags) {
    if (tag.empty()) return error(Errc::bad_tag, "a tag is empty");
    if (tag.size() > options_.max_tag_bytes)
      return error(Errc::bad_tag, "a tag has " + std::to_string(tag.size()) + " bytes, over the limit of " +
                                      std::to_string(options_.max_tag_bytes));
  }
  return nullptr;
}

std::unique_ptr<Error> Core::failed(std::unique_ptr<Error> error, const char* operation, std::string_view key) {
  error->store = name_;
  if (error->operation.empty()) error->operation = operation;
  if (error->key.empty() || options_.hash_keys) error->key = shown(key);
  switch (error->code) {
    case Errc::unavailable:
    case Errc::timeout:
    case Errc::rejected:
    case Errc::denied:
    case Errc::shut_down:
      counters_.add(Count::store_error);
      if (outage_.load(std::memory_order_relaxed) != Outage::told) {
        Outage before = Outage::none;
        if (!may_tell_outage())
          outage_.compare_exchange_strong(before, Outage::untold, std::memory_order_relaxed);
        else if (outage_.exchange(Outage::told, std::memory_order_relaxed) != Outage::told)
          emit(EventKind::outage, key, nullptr, MissCause::none, error.get());
      }
      emit(EventKind::store_error, key, nullptr, MissCause::none, error.get());
      break;
    default: break;
  }
  return error;
}

void Core::escalate(const Error& error) const {
  if (is_thrown(error.code)) raise(error);
}

bool Core::is_thrown(Errc code) const noexcept {
  switch (code) {
    case Errc::bad_key:
    case Errc::bad_tag:
    case Errc::bad_config:
    case Errc::unsupported: return true;
    case Errc::wrong_type:
    case Errc::schema:
    case Errc::corrupt:
    case Errc::prohibited: return false;
    default: return options_.on_error == OnError::raise;
  }
}

// --- lifetimes

std::optional<Expiry> Core::expiry_of(const Lifetime& life) const {
  const Options* const options = life.options;
  std::optional<Ttl> ttl = life.ttl ? life.ttl : options_.ttl;
  if (options != nullptr && options->until) {
    const auto left = std::chrono::floor<Duration>(*options->until) - clock_->wall();
    ttl = Ttl(left);
  }
  Duration length = ttl ? ttl->length() : Duration::max();
  if (length <= Duration::zero()) return std::nullopt;
  if (length == Duration::max()) return Expiry{};
  if (options == nullptr) return Expiry::at(after(clock_->now(), length));
  if (options->jitter && *options->jitter > Duration::zero()) {
    const auto spread = std::min(*options->jitter, length - Duration(1));
    length -= Duration(static_cast<Duration::rep>(random_below(static_cast<std::uint64_t>(spread.count()) + 1)));
  }
  const Instant fresh_until = after(clock_->now(), length);
  const Duration grace = std::max(
      {options->stale.value_or(Duration::zero()), options->fail_safe.value_or(Duration::zero()), Duration::zero()});
  return Expiry{fresh_until, after(fresh_until, grace)};
}

// --- reading

namespace {

/// What is stored, as the error of who wanted another type tells it.
std::string_view kind_of(const ValueView& value, const Type& as) {
  switch (value.kind) {
    case Kind::none: break;
    case Kind::integer:
    case Kind::unsigned_integer:
      return as.lane == Lane::integer || as.lane == Lane::natural ? "a whole number that does not fit"
                                                                  : "a whole number";
    case Kind::text: return "text";
    case Kind::object: return name_of(*value.type);
    case Kind::bytes: return "a piece of bytes";
  }
  return "nothing";
}

}  // namespace

MissCause Core::count_fault(Errc code) {
  switch (code) {
    case Errc::corrupt: return counters_.add(Count::corrupt), MissCause::corrupt;
    case Errc::schema: return counters_.add(Count::schema), MissCause::schema;
    case Errc::wrong_type: return counters_.add(Count::wrong_type), MissCause::wrong_type;
    default: return MissCause::store_error;
  }
}

Result<bool> Core::found(Result<bool> there, bool fits, bool tagged, const Tags* tags, std::string_view key,
                         const char* operation, const Type* as, std::string_view stored) {
  if (!there.ok()) [[unlikely]] {
    auto why = failed(there.take_error(), operation, key);
    counters_.add(Count::miss);
    emit(EventKind::miss, key, tags, count_fault(why->code), why.get());
    return Result<bool>(std::move(why));
  }
  answered();
  if (*there && fits && tagged) [[likely]] {
    counters_.add(Count::hit);
    emit(EventKind::hit, key, tags);
    return true;
  }
  counters_.add(Count::miss);
  if (*there && tagged) {
    counters_.add(Count::wrong_type);
    emit(EventKind::miss, key, tags, MissCause::wrong_type);
    return Error{Errc::wrong_type, std::string(stored) + " is stored, " + std::string(name_of(*as)) + " was wanted",
                 name_, operation, shown(key)};
  }
  emit(EventKind::miss, key, tags, *there ? MissCause::tags : MissCause::absent);
  return false;
}

Result<bool> Core::get(const Tags* tags, std::string_view text, const Type& as, const Take& take) {
  if (text.size() - 1 >= options_.max_key_bytes) [[unlikely]]
    return Result<bool>(check(text, "get"));
  std::string_view stored = "another type";
  const auto take_or_tell = [&](const ValueView& value) {
    if (take(value)) [[likely]]
      return true;
    stored = kind_of(value, as);
    return false;
  };
  const Take taking = take_or_tell;
  auto got = store_->get_value(Key(text), {as, wanted(tags), taking});
  if (got.ok() && *got == Got::value && outage_.load(std::memory_order_relaxed) == Outage::none) [[likely]] {
    count_hit(text, tags);
    return true;
  }
  return no_plain_hit(got, tags, text, "get", as, stored);
}

bool Core::fetch(const Tags* tags, std::string_view text, const Type& as, const Take& take) {
  if (text.size() - 1 >= options_.max_key_bytes) [[unlikely]]
    return escalate(*check(text, "get")), false;
  auto got = store_->get_value(Key(text), {as, wanted(tags), take});
  if (got.ok() && *got == Got::value && outage_.load(std::memory_order_relaxed) == Outage::none) [[likely]] {
    count_hit(text, tags);
    return true;
  }
  return no_plain_fetch(got, tags, text, as);
}

/// What `get_value` answered, where it was no hit or the first one after an outage.
[[gnu::noinline]] Result<bool> Core::no_plain_hit(Result<Got>& got, const Tags* tags, std::string_view text,
                                                  const char* operation, const Type& as, std::string_view stored) {
  if (!got.ok()) return found(Result<bool>(got.take_error()), false, true, tags, text, operation, &as, stored);
  return found(*got != Got::nothing, *got == Got::value, *got != Got::other_tags, tags, text, operation, &as, stored);
}

/// A function of its own, so that a hit keeps no registers for it.
[[gnu::noinline]] bool Core::no_plain_fetch(Result<Got>& got, const Tags* tags, std::string_view text, const Type& as) {
  return settle(no_plain_hit(got, tags, text, "get", as), false);
}

Result<bool> Core::pull(const Tags* tags, std::string_view text, const Type& as, Take take) {
  if (auto wrong = check(text, "pull")) return Result<bool>(std::move(wrong));
  const Key key(text);
  if (tags != nullptr) {
    auto seen = lives_under(*tags, key);
    if (!seen.ok() || !*seen) return seen;
  }
  bool fits = false;
  std::string_view stored = "another type";
  auto there = store_->pull(key, {.as = &as}, [&](const Entry& entry) {
    fits = take(entry.value);
    if (!fits) stored = kind_of(entry.value, as);
  });
  if (there.ok() && *there) {
    counters_.add(Count::forget);
    emit(EventKind::forget, text, tags);
  }
  return found(std::move(there), fits, true, tags, text, "pull", &as, stored);
}

Result<bool> Core::has(const Tags* tags, std::string_view text) {
  if (auto wrong = check(text, "has")) return Result<bool>(std::move(wrong));
  bool tagged = true;
  const Key key(text);
  auto there = tags == nullptr ? store_->has(key)
                               : store_->get(key, {}, [&](const Entry& entry) { tagged = carries(entry, *tags); });
  if (!there.ok()) return Result<bool>(failed(there.take_error(), "has", text));
  answered();
  return *there && tagged;
}

Result<std::optional<Duration>> Core::expires_in(const Tags* tags, std::string_view text) {
  using Answer = Result<std::optional<Duration>>;
  if (auto wrong = check(text, "expires_in")) return Answer(std::move(wrong));
  std::optional<Duration> left;
  auto there = store_->get(Key(text), {}, [&](const Entry& entry) {
    if (tags != nullptr && !carries(entry, *tags)) return;
    const Instant end = entry.expiry.fresh_until;
    left = end == kNever ? Duration::max() : std::max(end - clock_->now(), Duration::zero());
  });
  if (!there.ok()) return Answer(failed(there.take_error(), "expires_in", text));
  return left;
}

// --- writing

Result<bool> Core::put(const Tags* tags, std::string_view text, const ValueView& value, const Lifetime& life,
                       When when) {
  const char* const operation = when == When::absent ? "add" : "put";
  if (auto wrong = check(text, operation)) return Result<bool>(std::move(wrong));
  std::vector<TagStamp> labels;
  if (tags != nullptr || (life.options != nullptr && !life.options->tags.empty())) {
    if (tags != nullptr)
      if (auto wrong = check(*tags)) return Result<bool>(failed(std::move(wrong), operation, text));
    if (life.options != nullptr)
      if (auto wrong = check(life.options->tags)) return Result<bool>(failed(std::move(wrong), operation, text));
    labels = stamps_of(tags, life.options);
  }
  const Key key(text);
  const auto expiry = expiry_of(life);
  if (!expiry) {
    if (when == When::absent) return false;
    auto removed = store_->forget(key, {});
    if (!removed.ok()) return Result<bool>(failed(removed.take_error(), operation, text));
    emit(EventKind::put, text, tags);
    counters_.add(Count::put);
    return true;
  }
  auto written = store_->put(key, {.value = value, .expiry = *expiry, .tags = labels}, {when});
  if (!written.ok()) [[unlikely]] {
    const Errc code = written.error().code;
    // What cannot be kept leaves nothing: the old value would look like the new one.
    if (when == When::always && (code == Errc::too_large || code == Errc::not_serializable))
      (void)store_->forget(key, {});
    auto why = failed(written.take_error(), operation, text);
    counters_.add(Count::put_failure);
    emit(EventKind::put_failed, text, tags, MissCause::none, why.get());
    return Result<bool>(std::move(why));
  }
  answered();
  if (*written) {
    counters_.add(Count::put);
    emit(EventKind::put, text, tags);
  }
  return written;
}

Result<bool> Core::touch(const Tags* tags, std::string_view text, const Lifetime& life) {
  if (auto wrong = check(text, "touch")) return Result<bool>(std::move(wrong));
  if (tags != nullptr) {
    auto seen = has(tags, text);
    if (!seen.ok() || !*seen) return seen;
  }
  const auto expiry = expiry_of(life);
  const Key key(text);
  auto touched = expiry ? store_->touch(key, *expiry) : store_->forget(key, {});
  if (!touched.ok()) return Result<bool>(failed(touched.take_error(), "touch", text));
  answered();
  return touched;
}

Result<std::int64_t> Core::increment(const Tags* tags, std::string_view text, std::int64_t by, const Lifetime& life) {
  if (auto wrong = check(text, "increment")) return Result<std::int64_t>(std::move(wrong));
  if (tags != nullptr)
    if (auto wrong = check(*tags)) return Result<std::int64_t>(failed(std::move(wrong), "increment", text));
  const auto labels = stamps_of(tags, life.options);
  const Key key(text);
  auto expiry = expiry_of(life);
  if (!expiry) {
    // A counter whose life is over at once: the number is told and nothing is kept.
    expiry = Expiry::at(after(clock_->now(), Duration(1)));
  }
  auto number = store_->increment(key, by, {.expiry = *expiry, .tags = labels});
  if (!number.ok()) return Result<std::int64_t>(failed(number.take_error(), "increment", text));
  answered();
  counters_.add(Count::put);
  emit(EventKind::put, text, tags);
  return number;
}

// --- removing

/// Whether something fresh under all the tags lives there: what lacks one of them must stay. What is merely kept under
/// them, a load's placeholder for one, goes.
Result<bool> Core::lives_under(const Tags& tags, const Key& key) {
  bool tagged = false, fresh = false;
  std::uint64_t version = 0;
  auto there = store_->get(key, {.stale = true}, [&](const Entry& entry) {
    tagged = carries(entry, tags);
    fresh = entry.expiry.is_fresh(clock_->now());
    version = entry.version;
  });
  if (!there.ok()) return Result<bool>(failed(there.take_error(), "forget", key.text()));
  if (tagged && !fresh) (void)store_->forget(key, {version});
  return tagged && fresh;
}

Result<bool> Core::forget(const Tags* tags, std::string_view text) {
  if (auto wrong = check(text, "forget")) return Result<bool>(std::move(wrong));
  const Key key(text);
  if (tags != nullptr) {
    auto seen = lives_under(*tags, key);
    if (!seen.ok() || !*seen) return seen;
  }
  auto removed = store_->forget(key, {});
  if (!removed.ok()) return Result<bool>(failed(removed.take_error(), "forget", text));
  answered();
  if (*removed) {
    counters_.add(Count::forget);
    emit(EventKind::forget, text, tags);
  }
  return removed;
}

Result<bool> Core::flush(const Tags* tags, bool any) {
  if (tags == nullptr && options_.prohibit_flush)
    return Error{Errc::prohibited, "the configuration prohibits a flush of this store", name_, "flush"};
  std::vector<std::string_view> names;
  if (tags != nullptr) {
    if (auto wrong = check(*tags)) return Result<bool>(failed(std::move(wrong), "flush", {}));
    names.assign(tags->begin(), tags->end());
  }
  auto done = store_->flush({names, any});
  if (!done.ok()) return Result<bool>(failed(done.take_error(), "flush", {}));
  counters_.add(Count::flush);
  emit(EventKind::flush, {}, tags);
  return true;
}

Result<bool> Core::flush_space(Space space) {
  std::vector<std::string> keys;
  auto done = store_->scan(space, [&](std::string_view key, const Entry&) {
    keys.emplace_back(key);
    return true;
  });
  if (!done.ok()) return Result<bool>(failed(done.take_error(), "flush", {}));
  for (const std::string& key : keys) {
    auto removed = store_->forget(Key(key, space), {});
    if (!removed.ok()) return Result<bool>(failed(removed.take_error(), "flush", key));
  }
  return true;
}

Result<std::vector<std::string>> Core::keys_of(const std::string& tag) {
  using Answer = Result<std::vector<std::string>>;
  const Tags wanted{tag};
  if (auto wrong = check(wanted)) return Answer(failed(std::move(wrong), "keys_of", {}));
  std::vector<std::string> keys;
  const Instant now = clock_->now();
  auto done = store_->scan(Space::values, [&](std::string_view key, const Entry& entry) {
    if (entry.expiry.is_fresh(now) && carries(entry, wanted)) keys.emplace_back(key);
    return true;
  });
  if (!done.ok()) return Answer(failed(done.take_error(), "keys_of", {}));
  return keys;
}

Result<std::size_t> Core::prune(std::size_t budget) {
  auto gone = store_->prune(budget);
  if (!gone.ok()) return Result<std::size_t>(failed(gone.take_error(), "prune", {}));
  return gone;
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
