// The contract's defaults: correct on any store that keeps the five, with compare-and-swap where they must be atomic.
#include <flux/cache/store.hpp>

#include <algorithm>
#include <charconv>
#include <limits>

#include "labels.hpp"

namespace flux::cache {
inline namespace v1 {

namespace {

/// Competing writers may make a compare-and-swap fail; each failure means that another one got through.
constexpr int kMaxSwapAttempts = 10'000;

Error contended(std::string_view operation, const Key& key) {
  return {Errc::unavailable, "too many writers on one key", {}, std::string(operation), std::string(key.text())};
}

/// The first of each repeated key.
std::vector<Key> distinct(std::span<const Key> keys) {
  std::vector<Key> sorted(keys.begin(), keys.end());
  std::sort(sorted.begin(), sorted.end(), [](const Key& a, const Key& b) {
    return a.hash() != b.hash() ? a.hash() < b.hash() : a.text() < b.text();
  });
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  return sorted;
}

/// Kept out of the reader's path, whose registers it would take.
[[gnu::noinline]] bool carries_all(const Entry& entry, std::span<const std::string> tags) {
  return detail::carries(entry, tags);
}

}  // namespace

Store::~Store() = default;

Result<bool> Store::has(const Key& key) {
  return get(key, {}, [](const Entry&) {});
}

Result<Got> Store::get_value(const Key& key, const ValueRead& how) {
  Got got = Got::nothing;
  auto there = get(key, {.as = &how.as}, [&](const Entry& entry) {
    if (!how.tags.empty() && !carries_all(entry, how.tags)) [[unlikely]]
      got = Got::other_tags;
    else
      got = how.take(entry.value) ? Got::value : Got::another_type;
  });
  return there.ok() ? Result<Got>(got) : Result<Got>(there.take_error());
}

Result<bool> Store::pull(const Key& key, const Read& how, Receiver found) {
  for (int attempt = 0; attempt < kMaxSwapAttempts; ++attempt) {
    EntryCopy copy;
    auto there = get(key, {.as = how.as}, [&](const Entry& entry) { copy = EntryCopy(entry); });
    if (!there.ok()) return there;
    if (!*there) {
      // What is kept goes as well, a placeholder for one; over when nothing is.
      auto kept = get(key, {.stale = true}, [&](const Entry& entry) { copy = EntryCopy(entry); });
      if (!kept.ok() || !*kept) return kept;
    }
    auto removed = forget(key, {.version = copy.view().version});
    if (!removed.ok()) return removed;
    if (*there && *removed) return found(copy.view()), true;
  }
  return contended("pull", key);
}

Result<bool> Store::touch(const Key& key, const Expiry& expiry) {
  for (int attempt = 0; attempt < kMaxSwapAttempts; ++attempt) {
    EntryCopy copy;
    auto there = get(key, {}, [&](const Entry& entry) { copy = EntryCopy(entry); });
    if (!there.ok() || !*there) return there;
    Entry entry = copy.view();
    entry.expiry = expiry;
    auto written = put(key, entry, {When::unchanged, entry.version});
    if (!written.ok() || *written) return written;
  }
  return contended("touch", key);
}

Result<std::int64_t> Store::increment(const Key& key, std::int64_t by, const Entry& if_new) {
  for (int attempt = 0; attempt < kMaxSwapAttempts; ++attempt) {
    EntryCopy copy;
    auto there = get(key, {}, [&](const Entry& entry) { copy = EntryCopy(entry); });
    if (!there.ok()) return Result<std::int64_t>(there.take_error());
    Entry entry = *there ? copy.view() : if_new;
    std::int64_t number = by;
    if (*there) {
      auto sum = detail::add_to_counter(entry.value, by);
      if (!sum.ok()) return sum;
      number = *sum;
    }
    entry.value = {.kind = Kind::integer, .number = number};
    const Write how = *there ? Write{When::unchanged, entry.version} : Write{When::absent};
    auto written = put(key, entry, how);
    if (!written.ok()) return Result<std::int64_t>(written.take_error());
    if (*written) return number;
  }
  return contended("increment", key);
}

Result<void> Store::get_many(std::span<const Key> keys, const Read& how, BatchReceiver found) {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    auto there = get(keys[i], how, [&](const Entry& entry) { found(i, entry); });
    if (there.ok()) continue;
    if (!is_unreadable(there.error().code)) return Result<void>(there.take_error());
    found.unreadable(i, there.take_error());
  }
  return {};
}

Result<BatchWritten> Store::put_many(std::span<const Item> items) {
  BatchWritten outcome;
  for (std::size_t i = 0; i < items.size(); ++i) {
    auto written = put(items[i].key, items[i].entry, {});
    if (written.ok() && *written) continue;
    outcome.failed.push_back(i);
    if (!written.ok() && !outcome.error) outcome.error = written.take_error();
  }
  return outcome;
}

Result<std::size_t> Store::forget_many(std::span<const Key> keys) {
  std::size_t gone = 0;
  for (const Key& key : distinct(keys)) {
    auto removed = forget(key, {});
    if (!removed.ok()) return Result<std::size_t>(removed.take_error());
    gone += *removed;
  }
  return gone;
}

Result<std::vector<std::uint64_t>> Store::epochs(std::span<const std::string_view>) {
  return Error{Errc::unsupported, "this store knows no tags", std::string(traits().kind), "epochs", {}};
}

Result<void> Store::scan(Space, Visitor) {
  return Error{Errc::unsupported, "this store cannot list its entries", std::string(traits().kind), "scan", {}};
}

Result<std::size_t> Store::prune(std::size_t) { return std::size_t{0}; }

namespace detail {

Result<std::int64_t> add_to_counter(const ValueView& value, std::int64_t by) {
  std::int64_t number = value.number;
  switch (value.kind) {
    case Kind::integer: break;
    case Kind::unsigned_integer: return Error{Errc::overflow, "the counter is above the range of a signed integer"};
    case Kind::text: {
      const char* const end = value.text.data() + value.text.size();
      const auto [stop, fault] = std::from_chars(value.text.data(), end, number);
      if (fault == std::errc::result_out_of_range && stop == end)
        return Error{Errc::overflow, "the text is an integer outside the range of 64 bits"};
      if (fault != std::errc{} || stop != end) return Error{Errc::not_a_number, "the text is no integer"};
      break;
    }
    default: return Error{Errc::not_a_number, "the value is no integer"};
  }
  std::int64_t sum = 0;
  if (__builtin_add_overflow(number, by, &sum)) return Error{Errc::overflow, "the counter would leave 64 bits"};
  return sum;
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
