// flux/cache/memo.hpp - within a scope, ask for each key once.
//
// For a request that reads the same keys again and again: the first answer, a miss included, holds for the scope,
// whatever happens in the store. What the scope itself writes, it sees. Served answers are no events and no statistics.
#pragma once
#include <flux/cache/repository.hpp>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace flux::cache {
inline namespace v1 {

/// The verbs with a memory. For one thread at a time; keep it as long as the request. Its size is that of what it read.
class FLUX_CACHE_API Memo {
 public:
  explicit Memo(Repository repository) : repository_(std::move(repository)) {}

  template <class T>
  std::optional<detail::stored_t<T>> get(std::string_view key) {
    using U = detail::stored_t<T>;
    if (const std::optional<Value>* seen = find(key)) {
      std::optional<U> out;
      if (!*seen || detail::take((*seen)->view(), out)) return out;
    }
    std::optional<U> out = repository_.template get<U>(key);
    keep(key, out);
    return out;
  }
  template <class D>
  auto get(std::string_view key, D&& otherwise) {
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
  /// Fetches what is not known yet in one batch.
  template <class T>
  Many<detail::stored_t<T>> many(const Keys& keys) {
    using U = detail::stored_t<T>;
    detail::AskedKeys asked(keys.views());
    auto rows = detail::misses<U>(asked);
    std::vector<std::string_view> unknown;
    for (auto& [key, value] : rows) {
      const std::optional<Value>* const seen = find(key);
      if (seen == nullptr || (*seen && !detail::take((*seen)->view(), value))) unknown.push_back(key);
    }
    if (!unknown.empty()) {
      const Many<U> fetched = repository_.template many<U>(unknown);
      for (auto& [key, value] : rows)
        if (fetched.has(key)) value = fetched.at(key);
      for (const auto& [key, value] : fetched) keep(key, value);
    }
    return Many<U>(std::move(asked), std::move(rows));
  }
  bool has(std::string_view key);
  bool missing(std::string_view key) { return !has(key); }

  template <class V>
  bool put(std::string_view key, V&& value) {
    drop(key);
    return repository_.put(key, std::forward<V>(value));
  }
  template <class V>
  bool put(std::string_view key, V&& value, Ttl ttl) {
    drop(key);
    return repository_.put(key, std::forward<V>(value), ttl);
  }
  template <class V>
  bool put(std::string_view key, V&& value, const Options& options) {
    drop(key);
    return repository_.put(key, std::forward<V>(value), options);
  }
  template <class V>
  bool add(std::string_view key, V&& value, const Options& options = {}) {
    drop(key);
    return repository_.add(key, std::forward<V>(value), options);
  }
  template <class V>
  bool forever(std::string_view key, V&& value) {
    drop(key);
    return repository_.forever(key, std::forward<V>(value));
  }
  bool put_many(std::initializer_list<NamedValue> items, const Options& options = {});
  bool touch(std::string_view key, Ttl ttl);
  bool forget(std::string_view key);
  std::size_t forget_many(const Keys& keys);
  template <class T>
  std::optional<detail::stored_t<T>> pull(std::string_view key) {
    drop(key);
    return repository_.template pull<T>(key);
  }
  std::int64_t increment(std::string_view key, std::int64_t by = 1, const Options& options = {});
  std::int64_t decrement(std::string_view key, std::int64_t by = 1, const Options& options = {});
  /// A miss that was seen does not keep the loader from running.
  template <class F>
  auto remember(std::string_view key, const Options& options, F&& load) {
    using T = typename detail::LoaderOf<std::remove_cvref_t<F>>::T;
    using Answer = decltype(repository_.remember(key, options, load));
    std::optional<T> out;
    if (const std::optional<Value>* seen = find(key); seen != nullptr && *seen && detail::take((*seen)->view(), out))
      return Answer(*std::move(out));
    Answer answer = repository_.remember(key, options, std::forward<F>(load));
    drop(key);
    return answer;
  }
  template <class F>
  auto remember(std::string_view key, Ttl ttl, F&& load) {
    return remember(key, Options{.ttl = ttl}, std::forward<F>(load));
  }
  /// Empties the store, and the memory.
  bool flush();

 private:
  const std::optional<Value>* find(std::string_view key) const;
  void drop(std::string_view key);
  void keep(std::string_view key, const ValueView* found);
  template <class T>
  void keep(std::string_view key, const std::optional<T>& found) {
    if (!found) return keep(key, nullptr);
    const auto lent = detail::Lent::of(*found);
    const ValueView view = lent.view();
    keep(key, &view);
  }

  Repository repository_;
  std::map<std::string, std::optional<Value>, std::less<>> seen_;
};

}  // namespace v1
}  // namespace flux::cache
