// flux/cache/verbs.hpp - what one says to a cache: get, put, remember, pull, increment, many...
//
// Two rules for every verb. The plain form never fails because of the store: a read misses, a write answers false (a
// repository configured with `on_error: throw` throws StoreUnavailable instead; counters always do). The `try_` form
// answers a Result that tells what happened. A caller's own mistake, such as an empty key, is thrown by the plain form.
//
// All verbs are thread-safe.
#pragma once
#include <flux/cache/detail/core.hpp>
#include <flux/cache/detail/load_request.hpp>
#include <flux/cache/load.hpp>
#include <flux/cache/many.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace flux::cache {
inline namespace v1 {

/// Every verb, for whoever says on which store (`core`) and under which tags (`tags`, null for none).
template <class Self>
class Verbs {
 public:
  // --- reading

  /// The value, or nothing: on a miss, and where another type was stored. An integer is read at any width that fits,
  /// and text that is an integer reads as one.
  template <class T>
  std::optional<detail::stored_t<T>> get(std::string_view key) const {
    std::optional<detail::stored_t<T>> out;
    core().fetch(tags(), key, type_of<detail::stored_t<T>>(),
                 [&](const ValueView& value) { return detail::take(value, out); });
    return out;
  }
  /// The value or the default, whose type says what is read. A callable default runs on a miss alone; its answer is
  /// not stored.
  template <class D>
  auto get(std::string_view key, D&& otherwise) const {
    if constexpr (std::is_invocable_v<D&>) {
      using T = detail::stored_t<std::invoke_result_t<D&>>;
      auto found = get<T>(key);
      return found ? *std::move(found) : T(std::forward<D>(otherwise)());
    } else {
      using T = detail::stored_t<D>;
      auto found = get<T>(key);
      return found ? *std::move(found) : T(std::forward<D>(otherwise));
    }
  }
  /// The value or nothing; or why the store could not say, or that another type was stored.
  template <class T>
  Result<std::optional<detail::stored_t<T>>> try_get(std::string_view key) const {
    std::optional<detail::stored_t<T>> out;
    auto there = read(key, out);
    if (!there.ok()) return Result<std::optional<detail::stored_t<T>>>(there.take_error());
    return out;
  }
  /// The very object where the store holds live ones: no copy, and immutable. Null on a miss. Small integers and text
  /// are kept as bytes, and come back as objects of their own.
  template <class T>
  std::shared_ptr<const detail::stored_t<T>> get_shared(std::string_view key) const {
    std::shared_ptr<const detail::stored_t<T>> out;
    core().fetch(tags(), key, type_of<detail::stored_t<T>>(),
                 [&](const ValueView& value) { return detail::share(value, out); });
    return out;
  }
  /// Lends the value to `look` for the length of the call: nothing is copied where the store holds live objects. False
  /// on a miss. `look` must be short and must not use the cache.
  template <class T, class F>
  bool with(std::string_view key, F&& look) const {
    return core().fetch(tags(), key, type_of<detail::stored_t<T>>(),
                        [&](const ValueView& value) { return detail::lend<detail::stored_t<T>>(value, look); });
  }
  /// Something fresh lives under the key. The value is not read.
  bool has(std::string_view key) const { return core().settle(core().has(tags(), key), false); }
  bool missing(std::string_view key) const { return !has(key); }
  Result<bool> try_has(std::string_view key) const { return core().has(tags(), key); }
  /// What is left of the life: nothing where no entry lives, `Duration::max()` where it has no end.
  std::optional<Duration> expires_in(std::string_view key) const {
    return core().settle(core().expires_in(tags(), key), std::optional<Duration>());
  }

  // --- writing

  /// Stores, whatever was there: value, lifetime and tags are replaced together. Without a lifetime the store's own
  /// holds. A lifetime of zero or less removes, and answers true.
  template <class V>
  bool put(std::string_view key, V&& value) const {
    return core().settle(write(key, std::forward<V>(value), {}, When::always), false);
  }
  template <class V>
  bool put(std::string_view key, V&& value, Ttl ttl) const {
    return core().settle(write(key, std::forward<V>(value), {ttl}, When::always), false);
  }
  template <class V>
  bool put(std::string_view key, V&& value, const Options& options) const {
    return core().settle(write(key, std::forward<V>(value), life(options), When::always), false);
  }
  template <class V>
  Result<bool> try_put(std::string_view key, V&& value, Ttl ttl) const {
    return write(key, std::forward<V>(value), {ttl}, When::always);
  }
  template <class V>
  Result<bool> try_put(std::string_view key, V&& value, const Options& options = {}) const {
    return write(key, std::forward<V>(value), life(options), When::always);
  }
  /// Stores without an end.
  template <class V>
  bool forever(std::string_view key, V&& value) const {
    return put(key, std::forward<V>(value), Ttl::forever());
  }
  /// Stores only where nothing lives; atomic: of many callers one is told true.
  template <class V>
  bool add(std::string_view key, V&& value) const {
    return core().settle(write(key, std::forward<V>(value), {}, When::absent), false);
  }
  template <class V>
  bool add(std::string_view key, V&& value, Ttl ttl) const {
    return core().settle(write(key, std::forward<V>(value), {ttl}, When::absent), false);
  }
  template <class V>
  bool add(std::string_view key, V&& value, const Options& options) const {
    return core().settle(write(key, std::forward<V>(value), life(options), When::absent), false);
  }
  template <class V>
  Result<bool> try_add(std::string_view key, V&& value, const Options& options = {}) const {
    return write(key, std::forward<V>(value), life(options), When::absent);
  }
  /// Another lifetime for what lives; false where nothing does. Revives nothing; zero or less removes.
  bool touch(std::string_view key, Ttl ttl) const { return core().settle(core().touch(tags(), key, {ttl}), false); }
  bool touch(std::string_view key, const Options& options) const {
    return core().settle(core().touch(tags(), key, life(options)), false);
  }
  Result<bool> try_touch(std::string_view key, Ttl ttl) const { return core().touch(tags(), key, {ttl}); }

  // --- loading

  /// The value; on a miss, what the loader answers, stored for the lifetime. However many ask at once, one runs the
  /// loader and all get its answer: in this process, and where the store is shared across processes. What is forgotten,
  /// put or flushed while the loader runs stays so: the answer then goes to those who waited and to nobody else.
  /// An empty std::optional of the loader is handed on, and stored only under `.negative`. The loader's own exception
  /// passes through and stores nothing. Throws RecursiveLoad, LoadTimeout, LoadCancelled. The loader may take a
  /// `Load<T>&`. Loaders are copied where `.stale`, `.eager` or a timeout may leave them running behind the call.
  template <class F>
  auto remember(std::string_view key, Ttl ttl, F&& load) const {
    return remembered(key, {ttl}, std::forward<F>(load));
  }
  template <class F>
  auto remember(std::string_view key, const Options& options, F&& load) const {
    return remembered(key, life(options), std::forward<F>(load));
  }
  /// Likewise; `lives` is called with the loaded value and answers its lifetime.
  template <class L, class F>
  requires std::is_invocable_r_v < Ttl, L&, const detail::loaded_t<F>
  & > auto remember(std::string_view key, L lives, F load) const {
    using T = detail::loaded_t<F>;
    return remembered(key, {}, [lives = std::move(lives), load = std::move(load)](Load<T>& hand) mutable {
      auto answer = detail::call_loader<T>(load, hand);
      if constexpr (!detail::is_optional<decltype(answer)>)
        hand.ttl(lives(answer));
      else if (answer)
        hand.ttl(lives(*answer));
      return answer;
    });
  }
  /// Likewise, but where the load fails and nothing stale can be served, the answer is `fallback`, which is not stored.
  template <class F, class D>
  auto remember(std::string_view key, const Options& options, F&& load, D&& fallback) const
      -> decltype(this->remember(key, options, std::forward<F>(load))) {
    try {
      return remember(key, options, std::forward<F>(load));
    } catch (const RecursiveLoad&) {
      throw;  // a mistake in the program
    } catch (...) {
      return std::forward<D>(fallback);
    }
  }
  template <class F>
  auto remember_forever(std::string_view key, F&& load) const {
    return remembered(key, {Ttl::forever()}, std::forward<F>(load));
  }

  /// Likewise, with where the value came from.
  template <class F>
  auto load(std::string_view key, const Options& options, F&& load) const {
    return loaded(key, life(options), load);
  }
  /// Fresh for the first lifetime; until the second, stale is served at once and refreshed behind. Throws
  /// std::invalid_argument where the second is shorter than the first.
  template <class F>
  auto flexible(std::string_view key, Fresh lives, F&& load) const {
    const Options options = detail::flexible_options(lives);
    return remembered(key, life(options), std::forward<F>(load));
  }
  /// Several keys, and one call of the loader with those that are missing. The loader answers pairs of key and value:
  /// what it leaves out stays missing, what it adds is stored where nothing lives.
  template <class T, class F>
  Many<detail::stored_t<T>> remember_many(const Keys& keys, const Options& options, F&& load) const {
    using U = detail::stored_t<T>;
    detail::AskedKeys asked(keys.views());
    auto answers = detail::misses<U>(asked);
    core().load_many(
        {.tags = tags(),
         .keys = asked.keys(),
         .as = type_of<U>(),
         .life = life(options),
         .take = [&](std::size_t i, const ValueView& value) { return detail::take(value, answers[i].second); },
         .load =
             [&](const std::vector<std::string>& missing, detail::BatchAnswer answer) {
               for (auto&& [key, value] : load(missing)) answer(key, detail::Lent::of(value).view());
             }});
    return Many<U>(std::move(asked), std::move(answers));
  }
  template <class T, class F>
  Many<detail::stored_t<T>> remember_many(const Keys& keys, Ttl ttl, F&& load) const {
    return remember_many<T>(keys, Options{.ttl = ttl}, std::forward<F>(load));
  }

  // --- removing

  /// True where something live was removed.
  bool forget(std::string_view key) const { return core().settle(core().forget(tags(), key), false); }
  Result<bool> try_forget(std::string_view key) const { return core().forget(tags(), key); }
  /// How many live entries went.
  std::size_t forget_many(const Keys& keys) const { return core().settle(try_forget_many(keys), std::size_t{0}); }
  Result<std::size_t> try_forget_many(const Keys& keys) const { return core().forget_many(tags(), keys.views()); }
  /// Reads and removes in one atomic step: of many callers one gets the value.
  template <class T>
  std::optional<detail::stored_t<T>> pull(std::string_view key) const {
    return core().settle(try_pull<T>(key), std::optional<detail::stored_t<T>>());
  }
  template <class D>
  auto pull(std::string_view key, D&& otherwise) const {
    if constexpr (std::is_invocable_v<D&>) {
      using T = detail::stored_t<std::invoke_result_t<D&>>;
      auto found = pull<T>(key);
      return found ? *std::move(found) : T(std::forward<D>(otherwise)());
    } else {
      using T = detail::stored_t<D>;
      auto found = pull<T>(key);
      return found ? *std::move(found) : T(std::forward<D>(otherwise));
    }
  }
  template <class T>
  Result<std::optional<detail::stored_t<T>>> try_pull(std::string_view key) const {
    std::optional<detail::stored_t<T>> out;
    auto there = core().pull(tags(), key, type_of<detail::stored_t<T>>(),
                             [&](const ValueView& value) { return detail::take(value, out); });
    if (!there.ok()) return Result<std::optional<detail::stored_t<T>>>(there.take_error());
    return out;
  }
  /// Empties the store, or on a tag set what carries all its tags; never a neighbour's keys, never locks or limits.
  bool flush() const { return core().settle(core().flush(tags(), false), false); }
  Result<bool> try_flush() const { return core().flush(tags(), false); }

  // --- counters: atomic on every store; a store that cannot answer is an exception, since no number can be guessed

  /// The new number. What is missing counts from 0, with the lifetime given here or else the store's; what is there
  /// keeps its own. Throws NotANumber, Overflow, StoreUnavailable; then nothing has changed.
  std::int64_t increment(std::string_view key, std::int64_t by = 1) const { return try_increment(key, by).value(); }
  std::int64_t increment(std::string_view key, std::int64_t by, Ttl ttl) const {
    return core().increment(tags(), key, by, {ttl}).value();
  }
  std::int64_t increment(std::string_view key, std::int64_t by, const Options& options) const {
    return try_increment(key, by, options).value();
  }
  std::int64_t decrement(std::string_view key, std::int64_t by = 1) const { return try_decrement(key, by).value(); }
  std::int64_t decrement(std::string_view key, std::int64_t by, Ttl ttl) const {
    return try_decrement(key, by, {.ttl = ttl}).value();
  }
  std::int64_t decrement(std::string_view key, std::int64_t by, const Options& options) const {
    return try_decrement(key, by, options).value();
  }
  Result<std::int64_t> try_increment(std::string_view key, std::int64_t by = 1, const Options& options = {}) const {
    return core().increment(tags(), key, by, life(options));
  }
  Result<std::int64_t> try_decrement(std::string_view key, std::int64_t by = 1, const Options& options = {}) const {
    if (by == std::numeric_limits<std::int64_t>::min())
      return Error{Errc::overflow, "the amount has no negative in 64 bits", core().name(), "decrement",
                   core().shown(key)};
    return core().increment(tags(), key, -by, life(options));
  }

  // --- several at once: one round trip per node

  /// The values of one type, in the order asked, each key once.
  template <class T>
  Many<detail::stored_t<T>> many(const Keys& keys) const {
    auto answers = try_many<T>(keys);
    if (answers.ok()) [[likely]]
      return *std::move(answers);
    core().escalate(answers.error());
    return none<detail::stored_t<T>, Many<detail::stored_t<T>>>(keys);
  }
  template <class T>
  Result<Many<detail::stored_t<T>>> try_many(const Keys& keys) const {
    using U = detail::stored_t<T>;
    detail::AskedKeys asked(keys.views());
    auto answers = detail::misses<U>(asked);
    auto done = core().get_many(tags(), asked.keys(), &type_of<U>(), [&](std::size_t i, const ValueView& value) {
      return detail::take(value, answers[i].second);
    });
    if (!done.ok()) return Result<Many<U>>(done.take_error());
    return Many<U>(std::move(asked), std::move(answers));
  }
  /// Values of any types, each read by its own `get<T>`.
  Many<void> many(const Keys& keys) const {
    auto answers = try_many(keys);
    if (answers.ok()) [[likely]]
      return *std::move(answers);
    core().escalate(answers.error());
    return none<Value, Many<void>>(keys);
  }
  Result<Many<void>> try_many(const Keys& keys) const {
    detail::AskedKeys asked(keys.views());
    auto answers = detail::misses<Value>(asked);
    auto done = core().get_many(tags(), asked.keys(), nullptr, [&](std::size_t i, const ValueView& value) {
      answers[i].second.emplace(value);
      return true;
    });
    if (!done.ok()) return Result<Many<void>>(done.take_error());
    return Many<void>(std::move(asked), std::move(answers));
  }
  /// Stores all under one lifetime. True: every one was written.
  bool put_many(std::initializer_list<NamedValue> items, Ttl ttl) const { return all(put_rows(items, {ttl})); }
  bool put_many(std::initializer_list<NamedValue> items, const Options& options = {}) const {
    return all(put_rows(items, life(options)));
  }
  /// Likewise from a map, or any range of pairs.
  template <class Range>
  requires requires(const Range& range) { NamedValue(range.begin()->first, range.begin()->second); }
  bool put_many(const Range& items, Ttl ttl) const { return all(put_rows(named(items), {ttl})); }
  template <class Range>
  requires requires(const Range& range) { NamedValue(range.begin()->first, range.begin()->second); }
  bool put_many(const Range& items, const Options& options = {}) const {
    return all(put_rows(named(items), life(options)));
  }
  /// The keys that could not be written; empty: all were.
  Result<std::vector<std::string>> try_put_many(std::initializer_list<NamedValue> items,
                                                const Options& options = {}) const {
    return put_rows(items, life(options));
  }
  template <class Range>
  requires requires(const Range& range) { NamedValue(range.begin()->first, range.begin()->second); }
  Result<std::vector<std::string>> try_put_many(const Range& items, const Options& options = {}) const {
    return put_rows(named(items), life(options));
  }

 private:
  detail::Core& core() const { return static_cast<const Self&>(*this).core(); }
  const Tags* tags() const { return static_cast<const Self&>(*this).tags_of_call(); }
  static detail::Lifetime life(const Options& options) noexcept { return {options.lifetime(), &options}; }

  template <class T>
  Result<bool> read(std::string_view key, std::optional<T>& out) const {
    return core().get(tags(), key, type_of<T>(), [&](const ValueView& value) { return detail::take(value, out); });
  }
  template <class V>
  Result<bool> write(std::string_view key, V&& value, const detail::Lifetime& life, When when) const {
    const auto lent = detail::Lent::of(std::forward<V>(value));
    return core().put(tags(), key, lent.view(), life, when);
  }
  template <class F>
  auto loaded(std::string_view key, const detail::Lifetime& life, F& load) const {
    using Of = detail::LoaderOf<std::remove_const_t<F>>;
    using T = typename Of::T;
    Loaded<T> out;
    out.status = core().load({.tags = tags(),
                              .key = key,
                              .as = type_of<T>(),
                              .life = life,
                              .may_be_empty = Of::may_be_empty,
                              .take = [&](const ValueView& value) { return detail::take(value, out.value); },
                              .load = [&](detail::LoadSaid& said) { return detail::run_loader(load, said); },
                              .own = [&]() -> detail::OwnedLoader {
                                auto kept = std::make_shared<std::decay_t<F>>(load);
                                return [kept](detail::LoadSaid& said) { return detail::run_loader(*kept, said); };
                              }});
    return out;
  }
  template <class F>
  auto remembered(std::string_view key, const detail::Lifetime& life, F&& load) const {
    auto answer = loaded(key, life, load);
    if constexpr (detail::LoaderOf<std::remove_cvref_t<F>>::may_be_empty)
      return std::move(answer.value);
    else
      return *std::move(answer.value);
  }
  template <class T, class Answers>
  static Answers none(const Keys& keys) {
    detail::AskedKeys asked(keys.views());
    auto rows = detail::misses<T>(asked);
    return Answers(std::move(asked), std::move(rows));
  }
  template <class Range>
  static std::vector<NamedValue> named(const Range& items) {
    std::vector<NamedValue> named;
    if constexpr (requires { items.size(); }) named.reserve(static_cast<std::size_t>(items.size()));
    for (const auto& [key, value] : items) named.emplace_back(key, value);
    return named;
  }
  template <class Items>
  Result<std::vector<std::string>> put_rows(const Items& items, const detail::Lifetime& life) const {
    return core().put_many(tags(), {std::data(items), items.size()}, life);
  }
  bool all(Result<std::vector<std::string>> failed) const {
    const bool asked = failed.ok();
    return core().settle(std::move(failed), std::vector<std::string>{}).empty() && asked;
  }
};

}  // namespace v1
}  // namespace flux::cache
