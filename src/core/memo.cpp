#include <flux/cache/memo.hpp>

namespace flux::cache {
inline namespace v1 {

bool Memo::has(std::string_view key) {
  if (const std::optional<Value>* seen = find(key)) return seen->has_value();
  return repository_.has(key);
}

bool Memo::put_many(std::initializer_list<NamedValue> items, const Options& options) {
  for (const NamedValue& item : items) drop(item.key());
  return repository_.put_many(items, options);
}

bool Memo::touch(std::string_view key, Ttl ttl) {
  drop(key);
  return repository_.touch(key, ttl);
}

bool Memo::forget(std::string_view key) {
  drop(key);
  return repository_.forget(key);
}

std::size_t Memo::forget_many(const Keys& keys) {
  for (const std::string_view key : keys.views()) drop(key);
  return repository_.forget_many(keys);
}

std::int64_t Memo::increment(std::string_view key, std::int64_t by, const Options& options) {
  drop(key);
  return repository_.increment(key, by, options);
}

std::int64_t Memo::decrement(std::string_view key, std::int64_t by, const Options& options) {
  drop(key);
  return repository_.decrement(key, by, options);
}

bool Memo::flush() {
  seen_.clear();
  return repository_.flush();
}

const std::optional<Value>* Memo::find(std::string_view key) const {
  const auto at = seen_.find(key);
  return at != seen_.end() ? &at->second : nullptr;
}

void Memo::drop(std::string_view key) {
  if (const auto at = seen_.find(key); at != seen_.end()) seen_.erase(at);
}

void Memo::keep(std::string_view key, const ValueView* found) {
  std::optional<Value> kept;
  if (found != nullptr) kept.emplace(*found);
  seen_.insert_or_assign(std::string(key), std::move(kept));
}

}  // namespace v1
}  // namespace flux::cache
