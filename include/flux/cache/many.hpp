// flux/cache/many.hpp - several keys in one call: what goes in, what comes out.
#pragma once
#include <flux/cache/convert.hpp>
#include <flux/cache/detail/asked_keys.hpp>

#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <span>
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

/// A key among answers: a view of text that the answers hold. A copy is made wherever a std::string is wanted.
class KeyText : public std::string_view {
 public:
  explicit KeyText(std::string_view text) noexcept : std::string_view(text) {}
  operator std::string() const { return std::string(data(), size()); }
};

/// The answers to a batch, in the order asked, each key once. Reads like a map; a miss is an empty optional. Any thread
/// may read it while none writes.
template <class T>
class Many {
 public:
  using Row = std::pair<KeyText, std::optional<T>>;

  Many() = default;
  /// A row for each key.
  Many(detail::AskedKeys keys, std::vector<Row> rows) : keys_(std::move(keys)), rows_(std::move(rows)) {}

  /// The answer for a key that was asked for; throws std::out_of_range for one that was not.
  const std::optional<T>& at(std::string_view key) const { return rows_[keys_.at(key)].second; }
  /// The answer, or `otherwise`.
  T value_or(std::string_view key, T otherwise) const {
    const std::optional<T>& answer = at(key);
    return answer ? *answer : std::move(otherwise);
  }
  bool has(std::string_view key) const {
    const std::size_t place = keys_.find(key);
    return place != keys_.kNone && rows_[place].second.has_value();
  }

  auto begin() const noexcept { return rows_.begin(); }
  auto end() const noexcept { return rows_.end(); }
  std::size_t size() const noexcept { return rows_.size(); }
  bool empty() const noexcept { return rows_.empty(); }

 private:
  detail::AskedKeys keys_;
  std::vector<Row> rows_;
};

/// Answers of any types: each is read by `get<T>`.
template <>
class Many<void> {
 public:
  using Row = std::pair<KeyText, std::optional<Value>>;

  Many() = default;
  Many(detail::AskedKeys keys, std::vector<Row> rows) : keys_(std::move(keys)), rows_(std::move(rows)) {}

  /// Empty on a miss, and where the value is of another type. Throws std::out_of_range for a key that was not asked
  /// for.
  template <class T>
  std::optional<detail::stored_t<T>> get(std::string_view key) const {
    const std::optional<Value>& answer = rows_[keys_.at(key)].second;
    std::optional<detail::stored_t<T>> out;
    if (answer) {
      const Value live = detail::opened(*answer, type_of<detail::stored_t<T>>());
      detail::take(live.view(), out);
    }
    return out;
  }
  bool has(std::string_view key) const {
    const std::size_t place = keys_.find(key);
    return place != keys_.kNone && rows_[place].second.has_value();
  }
  std::size_t size() const noexcept { return rows_.size(); }

 private:
  detail::AskedKeys keys_;
  std::vector<Row> rows_;
};

namespace detail {

/// Every key of a batch, each with nothing yet.
template <class T>
std::vector<std::pair<KeyText, std::optional<T>>> misses(const AskedKeys& keys) {
  std::vector<std::pair<KeyText, std::optional<T>>> rows;
  rows.reserve(keys.size());
  for (const Key& key : keys.keys()) rows.emplace_back(key.text(), std::nullopt);
  return rows;
}
/// Spelled out, since the conversion that span offers makes every file weigh the concepts of ranges.
inline std::span<const std::string_view> span_of(const std::vector<std::string_view>& keys) noexcept {
  return {keys.data(), keys.size()};
}

}  // namespace detail

}  // namespace v1
}  // namespace flux::cache
