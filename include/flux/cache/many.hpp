// flux/cache/many.hpp - several keys in one call: what goes in, what comes out.
#pragma once
#include <flux/cache/convert.hpp>

#include <concepts>
#include <initializer_list>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace flux::cache {
inline namespace v1 {

/// Keys of a batch, borrowed: braces, or any container of strings.
class Keys {
 public:
  Keys(std::initializer_list<std::string_view> keys) : keys_(keys) {}
  template <class Range>
  requires requires(const Range& range) {
    { *range.begin() } -> std::convertible_to<std::string_view>;
  } &&(!std::is_convertible_v<const Range&, std::string_view>)Keys(const Range& range)
      : keys_(range.begin(), range.end()) {
  }

  std::span<const std::string_view> views() const noexcept { return {keys_.data(), keys_.size()}; }

 private:
  std::vector<std::string_view> keys_;
};

/// A key with a value of any type: `{"key", 2}`. Text and keys are borrowed for the length of the call.
class NamedValue {
 public:
  template <class V>
  NamedValue(std::string_view key, V&& value) : key_(key), value_(detail::Lent::of(std::forward<V>(value))) {}

  std::string_view key() const noexcept { return key_; }
  ValueView value() const noexcept { return value_.view(); }

 private:
  std::string_view key_;
  detail::Lent value_;
};

/// A map, or any range of pairs of text and value.
template <class Range>
concept PairsOfValues = requires(const Range& range) {
  NamedValue(range.begin()->first, range.begin()->second);
};

namespace detail {

/// The distinct keys of a call, in its order.
FLUX_CACHE_API std::vector<std::string_view> collapse(std::span<const std::string_view> keys);
/// Spelled out, since the conversion that span offers makes every file weigh the concepts of ranges.
inline std::span<const std::string_view> span_of(const std::vector<std::string_view>& keys) noexcept {
  return {keys.data(), keys.size()};
}
[[noreturn]] FLUX_CACHE_API void raise_not_asked(std::string_view key);

/// The place of `key` among the results; small batches are the rule, so the search is linear from the last place found.
template <class Row>
const Row* find_row(const std::vector<Row>& rows, std::string_view key, std::size_t& hint) noexcept {
  for (std::size_t n = 0; n < rows.size(); ++n) {
    const std::size_t i = (hint + n) % rows.size();
    if (rows[i].first == key) return hint = i + 1, &rows[i];
  }
  return nullptr;
}

}  // namespace detail

/// The answers to a batch, in the order asked, each key once. Reads like a map; a miss is an empty optional.
template <class T>
class Many {
 public:
  using Row = std::pair<std::string, std::optional<T>>;

  Many() = default;
  explicit Many(std::vector<Row> rows) : rows_(std::move(rows)) {}

  /// The answer for a key that was asked for; throws std::out_of_range for one that was not.
  const std::optional<T>& at(std::string_view key) const {
    const Row* const row = detail::find_row(rows_, key, hint_);
    if (row == nullptr) detail::raise_not_asked(key);
    return row->second;
  }
  /// The answer, or `otherwise`.
  T value_or(std::string_view key, T otherwise) const {
    const std::optional<T>& answer = at(key);
    return answer ? *answer : std::move(otherwise);
  }
  bool has(std::string_view key) const {
    const Row* const row = detail::find_row(rows_, key, hint_);
    return row != nullptr && row->second.has_value();
  }

  auto begin() const noexcept { return rows_.begin(); }
  auto end() const noexcept { return rows_.end(); }
  std::size_t size() const noexcept { return rows_.size(); }
  bool empty() const noexcept { return rows_.empty(); }

 private:
  std::vector<Row> rows_;
  mutable std::size_t hint_ = 0;
};

/// Answers of any types: each is read by `get<T>`.
template <>
class Many<void> {
 public:
  using Row = std::pair<std::string, std::optional<Value>>;

  Many() = default;
  explicit Many(std::vector<Row> rows) : rows_(std::move(rows)) {}

  /// Empty on a miss, and where the value is of another type. Throws std::out_of_range for a key that was not asked
  /// for.
  template <class T>
  std::optional<detail::stored_t<T>> get(std::string_view key) const {
    const Row* const row = detail::find_row(rows_, key, hint_);
    if (row == nullptr) detail::raise_not_asked(key);
    std::optional<detail::stored_t<T>> out;
    if (row->second) {
      const Value live = detail::opened(*row->second, type_of<detail::stored_t<T>>());
      detail::take(live.view(), out);
    }
    return out;
  }
  bool has(std::string_view key) const {
    const Row* const row = detail::find_row(rows_, key, hint_);
    return row != nullptr && row->second.has_value();
  }
  std::size_t size() const noexcept { return rows_.size(); }

 private:
  std::vector<Row> rows_;
  mutable std::size_t hint_ = 0;
};

}  // namespace v1
}  // namespace flux::cache
