// A list of parts stands as the value of its key, marked in the entry's notes; lifetime, tags and version are its own,
// so every verb but those that hand over the value goes by it alone. Parts are entries beside it, written first. Those
// that a later write has left behind go by their lifetime, or as the servers make room.
#include "chunks.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <utility>

#include "core/random.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::memcached {

namespace {

constexpr std::string_view kMark = "\xff\x01parts\x01";
constexpr std::string_view kPartKey = "\x01part/";
constexpr std::size_t kSmallestPart = 512;

/// What stands under the key instead of the value.
struct List {
  std::array<std::uint64_t, 2> name{};  // of the parts, random
  std::uint64_t length = 0;             // of the value
  std::uint64_t part = 0;               // the length of each but the last

  std::size_t count() const { return static_cast<std::size_t>((length + part - 1) / part); }
  std::string encode() const { return {reinterpret_cast<const char*>(this), sizeof *this}; }
  static std::optional<List> decode(std::string_view text, std::uint64_t most) {
    List list;
    if (text.size() != sizeof list) return std::nullopt;
    std::memcpy(&list, text.data(), sizeof list);
    if (list.part < kSmallestPart || list.length == 0 || list.length > most) return std::nullopt;
    return list;
  }
  std::string key_of(std::size_t index) const {
    std::string key(kPartKey);
    for (const std::uint64_t half : name)
      for (int shift = 60; shift >= 0; shift -= 4) key += "0123456789abcdef"[(half >> shift) & 15];
    return key + '/' + std::to_string(index);
  }
};

/// A value whose parts are still to be fetched.
struct Listed {
  std::size_t index;
  std::string key;
  EntryCopy entry;
};

bool is_listed(const Entry& entry) { return entry.notes.starts_with(kMark); }

class ChunkedStore final : public MemcachedStore {
 public:
  ChunkedStore(std::shared_ptr<MemcachedStore> inner, std::uint64_t most) : inner_(std::move(inner)), most_(most) {}

  Traits traits() const noexcept override {
    Traits traits = inner_->traits();
    traits.max_value_bytes = most_;
    return traits;
  }

  Result<bool> get(const Key& key, const Read& how, Receiver found) override {
    std::optional<EntryCopy> listed;
    auto there = inner_->get(key, how, [&](const Entry& entry) {
      if (!is_listed(entry)) return found(entry);
      listed.emplace(entry);
    });
    if (!listed || !there.ok()) return there;
    return hand_over(key, listed->view(), found);
  }

  Result<bool> pull(const Key& key, const Read& how, Receiver found) override {
    std::optional<EntryCopy> listed;
    auto there = inner_->pull(key, how, [&](const Entry& entry) {
      if (!is_listed(entry)) return found(entry);
      listed.emplace(entry);
    });
    if (!listed || !there.ok()) return there;
    auto handed = hand_over(key, listed->view(), found);
    forget_parts(listed->view());
    return handed;
  }

  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    if (fits(key, entry)) {
      auto written = inner_->put(key, entry, how);
      // A server's limit is known once it was asked.
      if (written.ok() || written.error().code != Errc::too_large || fits(key, entry)) return written;
    }
    auto list = write_parts(key, entry);
    if (!list.ok()) {
      // What could not be replaced must not look as if it had been.
      if (how.when == When::always) (void)inner_->forget(key, {});
      return Result<bool>(list.take_error());
    }
    const std::string text = list->encode();
    const std::string notes = std::string(kMark).append(entry.notes);
    Entry listed = entry;
    listed.value.text = text;
    listed.notes = notes;
    auto written = inner_->put(key, listed, how);
    if (!written.ok() || !*written) forget_parts(*list);
    return written;
  }

  Result<bool> forget(const Key& key, const Forget& how) override { return inner_->forget(key, how); }
  Result<void> flush(const Scope& scope) override { return inner_->flush(scope); }
  Result<bool> has(const Key& key) override { return inner_->has(key); }

  Result<bool> touch(const Key& key, const Expiry& expiry) override {
    std::optional<EntryCopy> listed;
    auto there = inner_->get(key, {}, [&](const Entry& entry) {
      if (is_listed(entry)) listed.emplace(entry);
    });
    if (!there.ok()) return there;
    if (listed)
      if (const auto list = List::decode(listed->view().value.text, most_))
        for (std::size_t i = 0; i < list->count(); ++i) {
          auto touched = inner_->touch(Key(list->key_of(i)), Expiry::at(expiry.keep_until));
          if (!touched.ok()) return touched;
        }
    return inner_->touch(key, expiry);
  }

  Result<std::int64_t> increment(const Key& key, std::int64_t by, const Entry& if_new) override {
    return inner_->increment(key, by, if_new);
  }

  Result<void> get_many(std::span<const Key> keys, const Read& how, BatchReceiver found) override {
    std::vector<Listed> listed;
    const auto take = [&](std::size_t i, const Entry& entry) {
      if (!is_listed(entry)) return found(i, entry);
      listed.push_back({i, std::string(keys[i].text()), EntryCopy(entry)});
    };
    const auto hand_on = [&](std::size_t i, std::unique_ptr<Error> why) { found.unreadable(i, std::move(why)); };
    auto done = inner_->get_many(keys, how, {take, hand_on});
    for (const Listed& one : listed) {
      auto handed = hand_over(keys[one.index], one.entry.view(), [&](const Entry& entry) { found(one.index, entry); });
      if (!handed.ok() && done.ok()) done = Result<void>(handed.take_error());
    }
    return done;
  }

  Result<BatchWritten> put_many(std::span<const Item> items) override {
    std::vector<Item> small;
    std::vector<std::size_t> small_at, large_at;
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (fits(items[i].key, items[i].entry)) {
        small.push_back(items[i]);
        small_at.push_back(i);
      } else {
        large_at.push_back(i);
      }
    }
    auto outcome = inner_->put_many(small);
    if (!outcome.ok()) return outcome;
    for (std::size_t& index : outcome->failed) index = small_at[index];
    for (const std::size_t index : large_at) {
      auto written = put(items[index].key, items[index].entry, {});
      if (written.ok()) continue;
      outcome->failed.push_back(index);
      if (!outcome->error) outcome->error = written.take_error();
    }
    std::sort(outcome->failed.begin(), outcome->failed.end());
    return outcome;
  }

  Result<std::size_t> forget_many(std::span<const Key> keys) override { return inner_->forget_many(keys); }
  Result<std::vector<std::uint64_t>> epochs(std::span<const std::string_view> tags) override {
    return inner_->epochs(tags);
  }

  Result<void> scan(Space space, Visitor visit) override {
    std::vector<Listed> listed;
    bool go_on = true;
    auto done = inner_->scan(space, [&](std::string_view key, const Entry& entry) {
      if (key.starts_with(kPartKey)) return true;
      if (is_listed(entry)) {
        listed.push_back({0, std::string(key), EntryCopy(entry)});
        return true;
      }
      go_on = visit(key, entry);
      return go_on;
    });
    for (const Listed& one : listed) {
      if (!go_on || !done.ok()) break;
      auto handed =
          hand_over(Key(one.key, space), one.entry.view(), [&](const Entry& entry) { go_on = visit(one.key, entry); });
      if (!handed.ok()) return Result<void>(handed.take_error());
    }
    return done;
  }
  Result<std::size_t> prune(std::size_t budget) override { return inner_->prune(budget); }

  std::vector<MemcachedServerStats> stats() override { return inner_->stats(); }
  std::size_t server_of(const Key& key) const override { return inner_->server_of(key); }

 private:
  bool fits(const Key& key, const Entry& entry) const {
    return key.space() != Space::values || entry.value.text.size() <= inner_->traits().max_value_bytes;
  }

  Result<List> write_parts(const Key& key, const Entry& entry) const {
    const std::string_view text = entry.value.text;
    if (text.size() > most_)
      return Error{Errc::too_large,
                   "the value has " + std::to_string(text.size()) + " bytes, the limit is " + std::to_string(most_),
                   "memcached", "put", std::string(key.text())};
    List list;
    list.name = {random_bits(), random_bits()};
    list.length = text.size();
    list.part = std::max<std::uint64_t>(inner_->traits().max_value_bytes, kSmallestPart);
    std::vector<std::string> names;
    for (std::size_t i = 0; i < list.count(); ++i) names.push_back(list.key_of(i));
    std::vector<Item> items;
    for (std::size_t i = 0; i < names.size(); ++i)
      items.push_back({Key(names[i]),
                       {.value = {.kind = Kind::bytes, .text = text.substr(i * list.part, list.part)},
                        .expiry = Expiry::at(entry.expiry.keep_until)}});
    auto written = inner_->put_many(items);
    if (!written.ok()) return Result<List>(written.take_error());
    if (written->failed.empty()) return list;
    forget_parts(list);
    return Result<List>(std::move(written->error));
  }

  void forget_parts(const List& list) const {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < list.count(); ++i) names.push_back(list.key_of(i));
    const std::vector<Key> keys(names.begin(), names.end());
    (void)inner_->forget_many(keys);
  }
  void forget_parts(const Entry& listed) const {
    if (const auto list = List::decode(listed.value.text, most_)) forget_parts(*list);
  }

  /// Fetches the parts. Where one is missing the list is of no use to anybody, and goes.
  Result<bool> hand_over(const Key& key, const Entry& listed, Receiver found) const {
    const auto list = List::decode(listed.value.text, most_);
    std::string whole;
    if (list) {
      std::vector<std::string> names;
      for (std::size_t i = 0; i < list->count(); ++i) names.push_back(list->key_of(i));
      const std::vector<Key> keys(names.begin(), names.end());
      std::vector<std::string> parts(keys.size());
      auto read = inner_->get_many(keys, {.stale = true},
                                   [&](std::size_t i, const Entry& part) { parts[i] = part.value.text; });
      if (!read.ok()) return Result<bool>(read.take_error());
      whole.reserve(static_cast<std::size_t>(list->length));
      for (const std::string& part : parts) {
        if (part.empty()) break;
        whole += part;
      }
    }
    if (!list || whole.size() != list->length) {
      (void)inner_->forget(key, {listed.version});
      return false;
    }
    Entry entry = listed;
    entry.value.text = whole;
    entry.notes.remove_prefix(kMark.size());
    found(entry);
    return true;
  }

  const std::shared_ptr<MemcachedStore> inner_;
  const std::uint64_t most_;
};

}  // namespace

std::shared_ptr<MemcachedStore> make_chunked(std::shared_ptr<MemcachedStore> inner, std::uint64_t most) {
  return std::make_shared<ChunkedStore>(std::move(inner), most);
}

}  // namespace detail::memcached
}  // namespace v1
}  // namespace flux::cache
