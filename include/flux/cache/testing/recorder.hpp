// flux/cache/testing/recorder.hpp - a store that writes down what it is asked, to count round trips.
//
// Forwards every function as it is, so that a batch stays one call. Thread-safe.
#pragma once
#include <flux/cache/decorator.hpp>

#include <algorithm>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace testing {

/// One call that reached the store.
struct Recorded {
  std::string operation;          ///< the function's name, such as "get_many"
  std::vector<std::string> keys;  ///< in the order of the call; of `epochs` and `flush`, the tags
  Space space = Space::values;    ///< of the first key
  bool ok = true;                 ///< false: answered by an error
};

class Recorder final : public Decorator {
 public:
  using Decorator::Decorator;

  /// All calls since the start or the last `clear`, in the order in which they ended.
  std::vector<Recorded> calls() const {
    const std::scoped_lock guard(mutex_);
    return calls_;
  }
  /// How many calls there were; with a name, of that function.
  std::size_t count(std::string_view operation = {}) const {
    const std::scoped_lock guard(mutex_);
    return static_cast<std::size_t>(std::count_if(calls_.begin(), calls_.end(), [&](const Recorded& call) {
      return operation.empty() || call.operation == operation;
    }));
  }
  /// The calls' names in a row, such as "get put".
  std::string story() const {
    std::string all;
    for (const Recorded& call : calls()) all += (all.empty() ? "" : " ") + call.operation;
    return all;
  }
  void clear() {
    const std::scoped_lock guard(mutex_);
    calls_.clear();
  }

  Traits traits() const noexcept override { return inner().traits(); }
  Result<bool> get(const Key& key, const Read& how, Receiver found) override {
    return note("get", {&key, 1}, inner().get(key, how, found));
  }
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    return note("put", {&key, 1}, inner().put(key, entry, how));
  }
  Result<bool> forget(const Key& key, const Forget& how) override {
    return note("forget", {&key, 1}, inner().forget(key, how));
  }
  Result<void> flush(const Scope& scope) override { return note("flush", scope.tags, inner().flush(scope)); }
  Result<bool> has(const Key& key) override { return note("has", {&key, 1}, inner().has(key)); }
  Result<bool> pull(const Key& key, const Read& how, Receiver found) override {
    return note("pull", {&key, 1}, inner().pull(key, how, found));
  }
  Result<bool> touch(const Key& key, const Expiry& expiry) override {
    return note("touch", {&key, 1}, inner().touch(key, expiry));
  }
  Result<std::int64_t> increment(const Key& key, std::int64_t by, const Entry& if_new) override {
    return note("increment", {&key, 1}, inner().increment(key, by, if_new));
  }
  Result<void> get_many(std::span<const Key> keys, const Read& how, BatchReceiver found) override {
    return note("get_many", keys, inner().get_many(keys, how, found));
  }
  Result<BatchWritten> put_many(std::span<const Item> items) override {
    std::vector<Key> keys;
    for (const Item& item : items) keys.push_back(item.key);
    return note("put_many", keys, inner().put_many(items));
  }
  Result<std::size_t> forget_many(std::span<const Key> keys) override {
    return note("forget_many", keys, inner().forget_many(keys));
  }
  Result<std::vector<std::uint64_t>> epochs(std::span<const std::string_view> tags) override {
    return note("epochs", tags, inner().epochs(tags));
  }
  Result<void> scan(Space space, Visitor visit) override {
    return add({"scan", {}, space, true}, inner().scan(space, visit));
  }
  Result<std::size_t> prune(std::size_t budget) override {
    return add({"prune", {}, Space::values, true}, inner().prune(budget));
  }

 private:
  template <class T>
  Result<T> add(Recorded call, Result<T> answer) {
    call.ok = answer.ok();
    const std::scoped_lock guard(mutex_);
    calls_.push_back(std::move(call));
    return answer;
  }
  template <class T>
  Result<T> note(const char* operation, std::span<const Key> keys, Result<T> answer) {
    Recorded call{operation, {}, keys.empty() ? Space::values : keys.front().space(), true};
    for (const Key& key : keys) call.keys.emplace_back(key.text());
    return add(std::move(call), std::move(answer));
  }
  template <class T>
  Result<T> note(const char* operation, std::span<const std::string_view> tags, Result<T> answer) {
    return add({operation, {tags.begin(), tags.end()}, Space::tags, true}, std::move(answer));
  }

  mutable std::mutex mutex_;
  std::vector<Recorded> calls_;
};

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
