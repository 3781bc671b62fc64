// flux/cache/local.hpp - the memory engine alone, typed: the fastest door, header-only, nothing to link.
//
//   flux::cache::Local<std::string, User> users({.max_items = 100'000});
//   users.put("ann", User{...});
//   if (auto user = users.get_shared("ann")) ...          // the same object, no copy
//   users.with("ann", [](const User& user) { ... });      // borrowed, not even a count
//
// It has the engine's bounds, lifetimes, eviction and listeners, and none of the contract: no prefixes, no tags, no
// fail-safe, no configuration. Small trivially copyable values and strings lie in the entry itself; everything else is
// one shared, immutable object. Keys are strings, integers, enumerations, pairs and tuples of those, or any type that
// `LocalKey` is specialised for.
#pragma once
#include <flux/cache/engine/engine.hpp>

#include <concepts>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace flux::cache {
inline namespace v1 {

/// How a key becomes bytes: `template <class F> static auto with(const K&, F&& f)` calls `f(std::string_view)`. Equal
/// keys must give equal bytes, different keys different ones. Specialise it for key types of your own.
template <class K>
struct LocalKey;

template <class K>
requires std::convertible_to<const K&, std::string_view>
struct LocalKey<K> {
  template <class F>
  static auto with(std::string_view key, F&& f) {
    return f(key);
  }
};

template <class K>
requires((std::is_integral_v<K> ||
          std::is_enum_v<K>)&&!std::convertible_to<const K&, std::string_view>) struct LocalKey<K> {
  template <class F>
  static auto with(const K& key, F&& f) {
    return f(std::string_view(reinterpret_cast<const char*>(&key), sizeof key));
  }
};

namespace detail {
/// One part of a composite key behind its length, so that ("a", "bc") and ("ab", "c") stay two keys.
template <class K>
void append_key(std::string& bytes, const K& key) {
  LocalKey<K>::with(key, [&](std::string_view part) {
    const std::uint32_t size = static_cast<std::uint32_t>(part.size());
    bytes.append(reinterpret_cast<const char*>(&size), sizeof size);
    bytes.append(part);
    return 0;
  });
}

template <class V>
const Type& local_type() noexcept {
  static constexpr Type type{.name = {}, .weigh = [](const void*) noexcept { return sizeof(V) + 16; }};
  return type;
}
}  // namespace detail

template <class A, class B>
struct LocalKey<std::pair<A, B>> {
  template <class F>
  static auto with(const std::pair<A, B>& key, F&& f) {
    std::string bytes;
    detail::append_key(bytes, key.first);
    detail::append_key(bytes, key.second);
    return f(std::string_view(bytes));
  }
};

template <class... Parts>
struct LocalKey<std::tuple<Parts...>> {
  template <class F>
  static auto with(const std::tuple<Parts...>& key, F&& f) {
    std::string bytes;
    std::apply([&](const Parts&... parts) { (detail::append_key(bytes, parts), ...); }, key);
    return f(std::string_view(bytes));
  }
};

/// How a `Local` is set up; every default is safe.
struct LocalOptions {
  std::uint64_t max_items = 0;                       ///< entries at most; 0: no bound
  std::uint64_t max_bytes = 0;                       ///< bytes at most; 0: no bound
  Duration ttl = Duration::max();                    ///< life of an entry whose put names none; the default: for ever
  engine::Policy policy = engine::Policy::adaptive;  ///< who leaves when room is needed
  const Clock* clock = nullptr;                      ///< null: the machine's steady clock
  engine::Listener listener{};                       ///< hears each removal; keys come as bytes
};

/// A typed cache in memory. Safe for concurrent use; reads take no lock. Not copyable.
template <class K, class V>
class Local {
 public:
  /// Text or plain bytes lie in the entry; anything else is a shared object.
  static constexpr bool kText = std::is_same_v<V, std::string>;
  static constexpr bool kPlain =
      std::is_trivially_copyable_v<V> && std::is_default_constructible_v<V> && sizeof(V) <= 256 && alignof(V) <= 16;
  /// What a key is taken as: a view for strings, so that no string is built for a call.
  using KeyView = std::conditional_t<std::is_convertible_v<const K&, std::string_view>, std::string_view, const K&>;

  explicit Local(const LocalOptions& options = {})
      : ttl_(options.ttl),
        engine_(engine::Options{.max_items = options.max_items,
                                .max_bytes = options.max_bytes,
                                .policy = options.policy,
                                .shards = 0,
                                .clock = options.clock,
                                .listener = options.listener}) {}

  /// A copy of the value; empty on a miss.
  std::optional<V> get(KeyView key) {
    std::optional<V> found;
    with(key, [&found](const V& value) { found.emplace(value); });
    return found;
  }
  /// The object itself, shared: no copy of the value where it lives as an object.
  std::shared_ptr<const V> get_shared(KeyView key) {
    if constexpr (kText || kPlain) {
      std::shared_ptr<const V> found;
      with(key, [&found](const V& value) { found = std::make_shared<const V>(value); });
      return found;
    } else {
      Object found;
      visit(key, [&found](const engine::View& view) { found = view.share(); });
      const auto* const object = static_cast<const V*>(found.get());
      return std::shared_ptr<const V>(std::move(found), object);
    }
  }
  /// Calls `f(const V&)` on the value in place; false on a miss. For strings, `f` may take a `std::string_view`
  /// instead, and nothing is copied. `f` should be short: memory is not reclaimed meanwhile.
  template <class F>
  bool with(KeyView key, F&& f) {
    return visit(key, [&f](const engine::View& view) { lend(view, f); });
  }
  bool has(KeyView key) {
    return visit(key, [](const engine::View&) {});
  }
  /// Calls `f(index, const V&)` for each key that is there, waiting for memory once for many; the number of hits.
  template <class F>
  std::size_t many(std::span<const K> keys, F&& f) {
    std::size_t hits = 0;
    if constexpr (std::is_convertible_v<const K&, std::string_view>) {
      constexpr std::size_t kBatch = 32;
      engine::Probe probes[kBatch];
      for (std::size_t from = 0; from < keys.size(); from += kBatch) {
        const std::size_t count = keys.size() - from < kBatch ? keys.size() - from : kBatch;
        for (std::size_t at = 0; at < count; ++at) {
          const std::string_view key = keys[from + at];
          probes[at] = {key, detail::hash_key(key)};
        }
        hits += engine_.visit_many({probes, count}, [&](std::size_t at, const engine::View& view) {
          const auto lent = [&](const V& value) { f(from + at, value); };
          lend(view, lent);
        });
      }
    } else {
      for (std::size_t at = 0; at < keys.size(); ++at) hits += with(keys[at], [&](const V& value) { f(at, value); });
    }
    return hits;
  }

  /// Keeps `value` under `key`; false where it is too large.
  bool put(KeyView key, V value) { return put(key, std::move(value), ttl_); }
  /// The same for a life of `ttl`; zero or less removes.
  bool put(KeyView key, V value, Duration ttl) {
    if (ttl <= Duration::zero()) return forget(key), true;
    return as_draft(std::move(value), ttl, [&](const engine::Draft& draft) {
      return LocalKey<K>::with(
          key, [&](std::string_view bytes) { return engine_.put(bytes, detail::hash_key(bytes), draft); });
    });
  }
  /// Keeps an object that exists already, without a copy; only for values that live as objects.
  bool put_shared(KeyView key, std::shared_ptr<const V> value) requires(!kText && !kPlain) {
    engine::Draft draft = engine::Draft::of(Object(std::move(value)), detail::local_type<V>());
    draft.until(deadline(ttl_));
    return LocalKey<K>::with(
        key, [&](std::string_view bytes) { return engine_.put(bytes, detail::hash_key(bytes), draft); });
  }
  /// Writes only where nothing lives; of many callers one gets true.
  bool add(KeyView key, V value) {
    return as_draft(std::move(value), ttl_, [&](const engine::Draft& draft) {
      return LocalKey<K>::with(key, [&](std::string_view bytes) {
        return engine_.update(bytes, detail::hash_key(bytes), [&](const engine::View* view) {
          return view == nullptr ? engine::Change::write(draft) : engine::Change::keep();
        }) == engine::Outcome::done;
      });
    });
  }
  /// Takes the value out; of many callers one gets it.
  std::optional<V> pull(KeyView key) {
    std::optional<V> found;
    LocalKey<K>::with(key, [&](std::string_view bytes) {
      return engine_.update(bytes, detail::hash_key(bytes), [&](const engine::View* view) {
        if (view == nullptr) return engine::Change::keep();
        const auto copy = [&found](const V& value) { found.emplace(value); };
        lend(*view, copy);
        return engine::Change::remove();
      });
    });
    return found;
  }
  /// Gives what lives another life; false on a miss.
  bool touch(KeyView key, Duration ttl) {
    if (ttl <= Duration::zero()) return forget(key);
    const Instant until = deadline(ttl);
    return LocalKey<K>::with(key, [&](std::string_view bytes) {
      return engine_.update(bytes, detail::hash_key(bytes), [&](const engine::View* view) {
        return view != nullptr ? engine::Change::retime(until, until) : engine::Change::keep();
      }) == engine::Outcome::done;
    });
  }
  /// True where something live was removed.
  bool forget(KeyView key) {
    return LocalKey<K>::with(key,
                             [&](std::string_view bytes) { return engine_.erase(bytes, detail::hash_key(bytes)); });
  }
  /// The value, loaded by `load()` on a miss and kept. Callers of one cold key may load it several times at once; the
  /// facade's `remember` lets them share one load.
  template <class Load>
  V get_or(KeyView key, Load&& load) {
    if (std::optional<V> found = get(key)) return *std::move(found);
    V value = std::forward<Load>(load)();
    put(key, value);
    return value;
  }

  /// Everything is gone at once; constant time, reclaimed behind.
  void flush() { engine_.clear(); }
  std::uint64_t size() { return engine_.figures().entries; }
  engine::Figures figures() { return engine_.figures(); }
  /// Does what is due: what expired, what was flushed, what its last reader has left. Nobody has to call it.
  bool maintain() { return engine_.maintain(); }
  /// The machine below, for what this door does not show.
  engine::Engine& machine() noexcept { return engine_; }

 private:
  template <class F>
  bool visit(KeyView key, F&& f) {
    return LocalKey<K>::with(key,
                             [&](std::string_view bytes) { return engine_.visit(bytes, detail::hash_key(bytes), f); });
  }
  template <class F>
  static void lend(const engine::View& view, F& f) {
    if constexpr (kText) {
      if constexpr (std::is_invocable_v<F&, std::string_view> && !std::is_invocable_v<F&, const std::string&>) {
        f(view.text());
      } else {
        f(std::string(view.text()));
      }
    } else if constexpr (kPlain) {
      V value;
      std::memcpy(&value, view.text().data(), sizeof value);
      f(static_cast<const V&>(value));
    } else {
      f(*static_cast<const V*>(view.object()));
    }
  }
  Instant deadline(Duration ttl) const noexcept {
    return ttl == Duration::max() ? kNever : after(engine::to_instant(engine_.now().exact()), ttl);
  }
  template <class F>
  bool as_draft(V value, Duration ttl, F&& f) {
    engine::Draft draft;
    if constexpr (kText) {
      draft = engine::Draft::of(std::string_view(value));
    } else if constexpr (kPlain) {
      draft = engine::Draft::of(std::string_view(reinterpret_cast<const char*>(&value), sizeof value));
    } else {
      draft = engine::Draft::of(Object(std::make_shared<const V>(std::move(value))), detail::local_type<V>());
    }
    draft.until(deadline(ttl));
    return f(draft);
  }

  Duration ttl_;
  engine::Engine engine_;
};

}  // namespace v1
}  // namespace flux::cache
