// flux/cache/testing/store_probe.hpp - a store spoken to in one line; an error it answers fails the test.
//
// Needs GoogleTest. What a test expects to be refused, it asks of `store()` itself.
#pragma once
#include <gtest/gtest.h>
#include <flux/cache/store.hpp>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace testing {

// Values to put. Text and bytes are borrowed.
inline ValueView text(std::string_view text) { return {.kind = Kind::text, .text = text}; }
inline ValueView bytes(std::string_view bytes) { return {.kind = Kind::bytes, .text = bytes}; }
inline ValueView integer(std::int64_t number) { return {.kind = Kind::integer, .number = number}; }
inline ValueView unsigned_integer(std::uint64_t number) {
  return {.kind = Kind::unsigned_integer, .number = static_cast<std::int64_t>(number)};
}

/// Kind and value in words, such as `text "v"` or `integer 7`; long ones by length and hash.
std::string show(const ValueView& value);
/// Value, tags and notes; the deadlines and the version are left out.
std::string show(const Entry& entry);

/// A key, said in short: text, text and its space, or a Key.
struct At {
  At(const char* text, Space space = Space::values) : key(text, space) {}
  At(std::string_view text, Space space = Space::values) : key(text, space) {}
  At(const std::string& text, Space space = Space::values) : key(text, space) {}
  At(const Key& key) : key(key) {}
  Key key;
};

/// What a read that finds nothing shows.
inline constexpr std::string_view kMiss = "miss";

class StoreProbe {
 public:
  StoreProbe() = default;
  explicit StoreProbe(StorePtr store) : store_(std::move(store)) {}

  Store& store() const { return *store_; }
  const StorePtr& share() const { return store_; }
  void watch(StorePtr store) { store_ = std::move(store); }

  bool put(const At& at, const Entry& entry, const Write& how = {}) const;
  bool put(const At& at, const ValueView& value, const Expiry& expiry = {}, const Write& how = {}) const;
  bool add(const At& at, const ValueView& value, const Expiry& expiry = {}) const;
  /// The fresh entry, or with `stale` the kept one.
  std::optional<EntryCopy> entry(const At& at, bool stale = false) const;
  /// The fresh value in words, or "miss".
  std::string got(const At& at) const;
  /// The kept value in words, fresh or not, or "miss".
  std::string stale(const At& at) const;
  /// The kept entry in words as it is below the border, with its tags and notes, or "miss".
  std::string raw(const At& at) const;
  /// The version of the kept entry; 0 where there is none.
  std::uint64_t version(const At& at) const;
  bool has(const At& at) const;
  bool forget(const At& at, std::uint64_t version = 0) const;
  /// The value that was removed in words, or "miss".
  std::string pulled(const At& at) const;
  bool touch(const At& at, const Expiry& expiry) const;
  /// The new number, or the lowest of all where the store refused.
  std::int64_t increment(const At& at, std::int64_t by = 1, const Expiry& if_new = {}) const;
  /// The values of a batch in words, by index.
  std::vector<std::string> got_many(const std::vector<At>& keys, bool stale = false) const;
  /// The indices that were not written.
  std::vector<std::size_t> put_many(const std::vector<Item>& items) const;
  std::size_t forget_many(const std::vector<At>& keys) const;
  void flush() const;
  /// Flushes what carries all of the tags, or with `any` at least one.
  void flush_tags(const std::vector<std::string_view>& tags, bool any = false) const;
  /// The epochs of the tags as they are now; as many as were asked for.
  std::vector<std::uint64_t> epochs(const std::vector<std::string_view>& tags) const;
  /// The kept keys of a space with their entries as `raw` shows them, in the keys' order; nothing where the store
  /// cannot list.
  std::optional<std::vector<std::pair<std::string, std::string>>> list(Space space = Space::values) const;
  std::size_t prune(std::size_t budget = 1'000'000) const;

 private:
  StorePtr store_;
};

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
