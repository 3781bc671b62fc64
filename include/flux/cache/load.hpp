// flux/cache/load.hpp - what a loader may say about what it loads, and how a load ended.
#pragma once
#include <flux/cache/convert.hpp>
#include <flux/cache/detail/core.hpp>
#include <flux/cache/options.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace flux::cache {
inline namespace v1 {

/// The wait was over before the loader was; its late result is still stored.
struct FLUX_CACHE_TYPE LoadTimeout : Exception {
  using Exception::Exception;
};
/// `Options::stop` ended the wait; the loader runs on for those who still wait, and its result is stored.
struct FLUX_CACHE_TYPE LoadCancelled : Exception {
  using Exception::Exception;
};
/// A loader asked for the key that it is loading, by itself or through others.
struct FLUX_CACHE_TYPE RecursiveLoad : Exception {
  using Exception::Exception;
};
/// The loader called `fail`.
struct FLUX_CACHE_TYPE LoadFailed : Exception {
  using Exception::Exception;
};

namespace detail {

/// What a loader has said; the part of `Load<T>` that needs no type.
struct LoadSaid {
  std::optional<Ttl> ttl{};
  bool skip_store = false;
  bool not_modified = false;
  std::optional<std::string> failure{};
  FunctionRef<void(std::string_view)> name_tag;  ///< stamps a tag with its epoch as of now
  const Value* stale = nullptr;                  ///< what was kept from before; null: nothing
  const std::atomic<bool>* stop = nullptr;       ///< nobody waits any more; null: cannot be
};

}  // namespace detail

/// The loader's hand on the load: taken by reference, `[](Load<User>& load) { ... }`. Valid inside the loader alone.
template <class T>
class Load {
 public:
  explicit Load(detail::LoadSaid& said) noexcept : said_(said) {}

  /// The lifetime of what is being loaded, instead of the call's. Zero or less: handed on and not stored.
  void ttl(Ttl ttl) noexcept { said_.ttl = ttl; }
  /// Labels the entry. The tag protects from here on, so name it before reading what it guards.
  void tag(std::string_view name) { said_.name_tag(name); }
  /// The answer is handed on and not stored.
  void skip_store() noexcept { said_.skip_store = true; }
  /// The value kept from before, past its lifetime, where there is one.
  std::optional<T> stale() const {
    std::optional<T> out;
    if (said_.stale != nullptr) detail::take(said_.stale->view(), out);
    return out;
  }
  /// The source says that nothing changed: the kept value gets a new lifetime, and what the loader returns is ignored.
  /// Only where `stale()` has a value.
  void not_modified() noexcept { said_.not_modified = true; }
  /// The same as throwing: what the loader returns is ignored, and callers get LoadFailed or a stale value.
  void fail(std::string reason) { said_.failure = std::move(reason); }
  /// Has everybody who waited gone, by `Options::stop`? A long loader asks now and then, from any thread of its own,
  /// and gives up by throwing or `fail`; what it returns all the same is stored. Once true it stays so. One atomic
  /// load.
  bool stop_requested() const noexcept { return said_.stop != nullptr && said_.stop->load(std::memory_order_acquire); }

 private:
  detail::LoadSaid& said_;
};

/// A loaded value with where it came from. Empty: the loader had nothing.
template <class T>
struct Loaded {
  std::optional<T> value;
  LoadStatus status = LoadStatus::miss;
};

namespace detail {

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

/// Converts to a `Load<T>&` of any T: finds out which one a loader takes.
struct AnyLoad {
  template <class T>
  operator Load<T>&() const;
};

template <class F>
struct LoaderOf {
  static constexpr bool takes_load = !std::is_invocable_v<F&>;
  static_assert(std::is_invocable_v<F&> || std::is_invocable_v<F&, AnyLoad>,
                "flux::cache: a loader is called with nothing, or with a flux::cache::Load<T>&");
  using Answer = std::decay_t<
      typename std::conditional_t<takes_load, std::invoke_result<F&, AnyLoad>, std::invoke_result<F&>>::type>;
  static constexpr bool may_be_empty = is_optional<Answer>;
  template <class A>
  struct Inner {
    using type = A;
  };
  template <class A>
  struct Inner<std::optional<A>> {
    using type = A;
  };
  /// The type under which the value is kept.
  using T = stored_t<typename Inner<Answer>::type>;
};

/// What a loader of any shape loads.
template <class F>
using loaded_t = typename LoaderOf<std::remove_cvref_t<F>>::T;

template <class T, class F>
typename LoaderOf<F>::Answer call_loader(F& load, Load<T>& hand) {
  if constexpr (LoaderOf<F>::takes_load)
    return load(hand);
  else
    return load();
}

/// Runs a loader of any shape. An empty Value is the answer that there is nothing.
template <class F>
Value run_loader(F& load, LoadSaid& said) {
  using Of = LoaderOf<F>;
  Load<typename Of::T> hand(said);
  if constexpr (Of::may_be_empty) {
    auto found = call_loader(load, hand);
    return found ? Value(Lent::of(*std::move(found)).view()) : Value();
  } else {
    return Value(Lent::of(call_loader(load, hand)).view());
  }
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
