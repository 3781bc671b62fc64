// The verbs on many keys: each key checked and counted, and one call of the store's.
#include <flux/cache/detail/core.hpp>
#include <flux/cache/many.hpp>

#include <algorithm>

#include "counting.hpp"
#include "labels.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail {

Result<void> Core::get_many(const Tags* tags, std::span<const Key> keys, const Type* as, BatchTake take) {
  if (keys.empty()) return {};
  for (const Key& key : keys)
    if (auto wrong = check(key.text(), "many")) return Result<void>(std::move(wrong));
  enum class Row : std::uint8_t { absent, lacks_tags, wrong_type, unreadable, hit };
  std::vector<Row> rows(keys.size(), Row::absent);
  std::vector<std::unique_ptr<Error>> faults;  // of the unreadable
  const auto receive = [&](std::size_t i, const Entry& entry) {
    if (tags != nullptr && !carries(entry, *tags))
      rows[i] = Row::lacks_tags;
    else
      rows[i] = take(i, entry.value) ? Row::hit : Row::wrong_type;
  };
  const auto note = [&](std::size_t i, std::unique_ptr<Error> fault) {
    if (faults.empty()) faults.resize(keys.size());
    rows[i] = Row::unreadable;
    faults[i] = std::move(fault);
  };
  auto done = store_->get_many(keys, {.as = as}, {receive, note});
  std::unique_ptr<Error> why = done.ok() ? nullptr : failed(done.take_error(), "many", {});
  if (!why) answered();
  const auto hits = static_cast<std::uint64_t>(std::count(rows.begin(), rows.end(), Row::hit));
  if (hits > 0) counters_.add(Count::hit, hits);
  if (hits < keys.size()) counters_.add(Count::miss, keys.size() - hits);
  const bool is_heard = listening_.load(std::memory_order_relaxed) != 0;
  if (hits == keys.size() && !is_heard) [[likely]]
    return why ? Result<void>(std::move(why)) : Result<void>();
  std::size_t grave = keys.size();  // the first fault for which `get` would throw
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::string_view key = keys[i].text();
    const Error* error = why.get();
    MissCause cause = MissCause::none;
    switch (rows[i]) {
      case Row::hit: emit(EventKind::hit, key, tags); continue;
      case Row::absent: cause = error != nullptr ? count_fault(error->code) : MissCause::absent; break;
      case Row::lacks_tags: cause = MissCause::tags; break;
      case Row::wrong_type: cause = count_fault(Errc::wrong_type); break;
      case Row::unreadable:
        faults[i] = failed(std::move(faults[i]), "many", key);
        error = faults[i].get();
        cause = count_fault(error->code);
        if (!why && grave == keys.size() && is_thrown(error->code)) grave = i;
        break;
    }
    emit(EventKind::miss, key, tags, cause, rows[i] == Row::absent || rows[i] == Row::unreadable ? error : nullptr);
  }
  if (!why && grave < keys.size()) why = std::move(faults[grave]);
  return why ? Result<void>(std::move(why)) : Result<void>();
}

Result<std::vector<std::string>> Core::put_many(const Tags* tags, std::span<const NamedValue> named,
                                                const Lifetime& life) {
  using Answer = Result<std::vector<std::string>>;
  if (named.empty()) return std::vector<std::string>{};
  for (const NamedValue& each : named)
    if (auto wrong = check(each.key(), "put_many")) return Answer(std::move(wrong));
  if (tags != nullptr)
    if (auto wrong = check(*tags)) return Answer(failed(std::move(wrong), "put_many", {}));
  if (life.options != nullptr)
    if (auto wrong = check(life.options->tags)) return Answer(failed(std::move(wrong), "put_many", {}));
  const auto expiry = expiry_of(life);
  if (!expiry) {
    std::vector<std::string_view> keys;
    for (const NamedValue& each : named) keys.push_back(each.key());
    auto removed = forget_many(tags, keys);
    return removed.ok() ? Answer(std::vector<std::string>{}) : Answer(removed.take_error());
  }
  const auto labels = stamps_of(tags, life.options);
  std::vector<Item> items;
  items.reserve(named.size());
  for (const NamedValue& each : named)
    items.push_back({Key(each.key()), {.value = each.value(), .expiry = *expiry, .tags = labels}});
  auto written = store_->put_many(items);
  if (!written.ok()) {
    auto why = failed(written.take_error(), "put_many", {});
    counters_.add(Count::put_failure, named.size());
    for (const NamedValue& each : named) emit(EventKind::put_failed, each.key(), tags, MissCause::none, why.get());
    return Answer(std::move(why));
  }
  auto why = written->error ? failed(std::move(written->error), "put_many", {}) : nullptr;
  if (!why) answered();
  std::vector<std::string> failures;
  failures.reserve(written->failed.size());
  for (const std::size_t i : written->failed) failures.emplace_back(named[i].key());
  if (!failures.empty()) counters_.add(Count::put_failure, failures.size());
  if (failures.size() < named.size()) counters_.add(Count::put, named.size() - failures.size());
  auto next = written->failed.begin();
  for (std::size_t i = 0; i < named.size() && listening_.load(std::memory_order_relaxed) != 0; ++i) {
    const bool lost = next != written->failed.end() && *next == i;
    if (lost) ++next;
    emit(lost ? EventKind::put_failed : EventKind::put, named[i].key(), tags, MissCause::none,
         lost ? why.get() : nullptr);
  }
  return failures;
}

Result<std::size_t> Core::forget_many(const Tags* tags, std::span<const std::string_view> keys) {
  using Answer = Result<std::size_t>;
  if (keys.empty()) return std::size_t{0};
  std::vector<Key> hashed;
  hashed.reserve(keys.size());
  for (const std::string_view key : keys) {
    if (auto wrong = check(key, "forget_many")) return Answer(std::move(wrong));
    if (tags != nullptr) {
      auto seen = lives_under(*tags, Key(key));
      if (!seen.ok()) return Answer(seen.take_error());
      if (!*seen) continue;
    }
    hashed.emplace_back(key);
  }
  auto gone = store_->forget_many(hashed);
  if (!gone.ok()) return Answer(failed(gone.take_error(), "forget_many", {}));
  answered();
  counters_.add(Count::forget, *gone);
  for (const Key& key : hashed) emit(EventKind::forget, key.text(), tags);
  return gone;
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
