#include <flux/cache/testing/store_probe.hpp>

#include <algorithm>
#include <limits>

#include "read_as.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

namespace {

std::string quoted(std::string_view text) {
  if (text.size() > 80)
    return "of " + std::to_string(text.size()) + " bytes, hash " +
           std::to_string(cache::detail::hash_bytes(text.data(), text.size(), 0));
  return ::testing::PrintToString(std::string(text));
}

/// The answer, or `otherwise` and a failed test.
template <class T, class U>
T settled(Result<T> result, const char* operation, const Key* key, U otherwise) {
  if (result.ok()) return *std::move(result);
  ADD_FAILURE() << operation << (key != nullptr ? " " + quoted(key->text()) : std::string())
                << " was answered by an error: " << result.error().to_string();
  return static_cast<T>(otherwise);
}

std::vector<Key> keys_of(const std::vector<At>& keys) {
  std::vector<Key> all;
  for (const At& at : keys) all.push_back(at.key);
  return all;
}

}  // namespace

std::string show(const ValueView& value) {
  switch (value.kind) {
    case Kind::none: return "none";
    case Kind::integer: return "integer " + std::to_string(value.number);
    case Kind::unsigned_integer: return "unsigned " + std::to_string(static_cast<std::uint64_t>(value.number));
    case Kind::text: return "text " + quoted(value.text);
    case Kind::bytes: return "bytes " + quoted(value.text);
    case Kind::object: return "object of " + std::string(value.type->name);
  }
  return "a kind that is none";
}

std::string show(const Entry& entry) {
  std::string all = show(entry.value);
  for (const TagStamp& tag : entry.tags) all += ", tag " + quoted(tag.name) + " " + std::to_string(tag.epoch);
  if (!entry.notes.empty()) all += ", notes " + quoted(entry.notes);
  return all;
}

bool StoreProbe::put(const At& at, const Entry& entry, const Write& how) const {
  return settled(store().put(at.key, entry, how), "put", &at.key, false);
}

bool StoreProbe::put(const At& at, const ValueView& value, const Expiry& expiry, const Write& how) const {
  return put(at, Entry{.value = value, .expiry = expiry}, how);
}

bool StoreProbe::add(const At& at, const ValueView& value, const Expiry& expiry) const {
  return put(at, value, expiry, {.when = When::absent});
}

std::optional<EntryCopy> StoreProbe::entry(const At& at, bool stale) const {
  std::optional<EntryCopy> copy;
  int calls = 0;
  const bool there = settled(store().get(at.key, {.as = detail::read_as(), .stale = stale},
                                         [&](const Entry& entry) { ++calls, copy.emplace(entry); }),
                             "get", &at.key, false);
  EXPECT_EQ(calls, there ? 1 : 0) << "get " << quoted(at.key.text()) << " answered " << there << " and handed over "
                                  << calls << " entries";
  return copy;
}

std::string StoreProbe::got(const At& at) const {
  const auto copy = entry(at);
  return copy ? show(copy->view().value) : std::string(kMiss);
}

std::string StoreProbe::stale(const At& at) const {
  const auto copy = entry(at, true);
  return copy ? show(copy->view().value) : std::string(kMiss);
}

std::string StoreProbe::raw(const At& at) const {
  std::string shown(kMiss);
  settled(store().get(at.key, {.stale = true}, [&](const Entry& entry) { shown = show(entry); }), "get", &at.key,
          false);
  return shown;
}

std::uint64_t StoreProbe::version(const At& at) const {
  const auto copy = entry(at, true);
  return copy ? copy->view().version : 0;
}

bool StoreProbe::has(const At& at) const { return settled(store().has(at.key), "has", &at.key, false); }

bool StoreProbe::forget(const At& at, std::uint64_t version) const {
  return settled(store().forget(at.key, {.version = version}), "forget", &at.key, false);
}

std::string StoreProbe::pulled(const At& at) const {
  std::string shown(kMiss);
  const bool there =
      settled(store().pull(at.key, {.as = detail::read_as()}, [&](const Entry& entry) { shown = show(entry.value); }),
              "pull", &at.key, false);
  EXPECT_EQ(there, shown != kMiss) << "pull " << quoted(at.key.text()) << " must hand over what it removed";
  return shown;
}

bool StoreProbe::touch(const At& at, const Expiry& expiry) const {
  return settled(store().touch(at.key, expiry), "touch", &at.key, false);
}

std::int64_t StoreProbe::increment(const At& at, std::int64_t by, const Expiry& if_new) const {
  return settled(store().increment(at.key, by, {.expiry = if_new}), "increment", &at.key,
                 std::numeric_limits<std::int64_t>::min());
}

std::vector<std::string> StoreProbe::got_many(const std::vector<At>& keys, bool stale) const {
  std::vector<std::string> shown(keys.size(), std::string(kMiss));
  const auto done = store().get_many(keys_of(keys), {.as = detail::read_as(), .stale = stale},
                                     [&](std::size_t i, const Entry& entry) {
                                       ASSERT_LT(i, shown.size());
                                       EXPECT_EQ(shown[i], kMiss) << "index " << i << " was answered twice";
                                       shown[i] = show(entry.value);
                                     });
  EXPECT_TRUE(done.ok()) << "get_many: " << done.error().to_string();
  return shown;
}

std::vector<std::size_t> StoreProbe::put_many(const std::vector<Item>& items) const {
  auto outcome = store().put_many(items);
  if (!outcome.ok()) {
    ADD_FAILURE() << "put_many was answered by an error: " << outcome.error().to_string();
    return {};
  }
  EXPECT_EQ(outcome->failed.empty(), outcome->error == nullptr) << "a failed item wants a reason, and a reason an item";
  EXPECT_TRUE(std::is_sorted(outcome->failed.begin(), outcome->failed.end())) << "failed indices come ascending";
  return outcome->failed;
}

std::size_t StoreProbe::forget_many(const std::vector<At>& keys) const {
  return settled(store().forget_many(keys_of(keys)), "forget_many", nullptr, 0);
}

void StoreProbe::flush() const {
  const auto done = store().flush({});
  EXPECT_TRUE(done.ok()) << "flush: " << done.error().to_string();
}

void StoreProbe::flush_tags(const std::vector<std::string_view>& tags, bool any) const {
  const auto done = store().flush({tags, any});
  EXPECT_TRUE(done.ok()) << "flush of tags: " << done.error().to_string();
}

std::vector<std::uint64_t> StoreProbe::epochs(const std::vector<std::string_view>& tags) const {
  auto epochs = store().epochs(tags);
  EXPECT_TRUE(epochs.ok()) << "epochs: " << epochs.error().to_string();
  if (epochs.ok() && epochs->size() == tags.size()) return *std::move(epochs);
  EXPECT_FALSE(epochs.ok()) << "one epoch for each tag asked for";
  return std::vector<std::uint64_t>(tags.size(), 0);
}

std::optional<std::vector<std::pair<std::string, std::string>>> StoreProbe::list(Space space) const {
  std::vector<std::pair<std::string, std::string>> all;
  const auto done = store().scan(space, [&](std::string_view key, const Entry& entry) {
    return all.emplace_back(std::string(key), show(entry)), true;
  });
  if (!done.ok()) {
    EXPECT_EQ(done.error().code, Errc::unsupported) << "scan: " << done.error().to_string();
    return std::nullopt;
  }
  std::sort(all.begin(), all.end());
  return all;
}

std::size_t StoreProbe::prune(std::size_t budget) const { return settled(store().prune(budget), "prune", nullptr, 0); }

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
