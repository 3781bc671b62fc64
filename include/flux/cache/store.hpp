// flux/cache/store.hpp - the contract that every store and every layer keeps.
//
// A store is a place that keeps entries by key. To write one, derive and implement the five pure functions; everything
// else has a correct default built on them, to be overridden where the back end does it in one round trip. The suite
// in `flux/cache/testing/store_contract.hpp` proves the result.
//
// Three rules run through all of it:
//   - An entry past `fresh_until` is gone for `get` without `stale`, `has`, `pull`, `touch`, `forget`'s answer,
//     `increment` and `When::absent`; until `keep_until` it is there for `Read::stale` and `When::unchanged`.
//     Placeholders of loads and remembered empty answers are entries that were never fresh: no further rule is needed.
//   - A miss is an answer, not an error; an `Error` means that the store could not say.
//   - Keys, entries and everything in them are borrowed for the length of a call; a store copies what it keeps.
#pragma once
#include <flux/cache/detail/function_ref.hpp>
#include <flux/cache/entry.hpp>
#include <flux/cache/key.hpp>
#include <flux/cache/result.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace flux::cache {
inline namespace v1 {

/// What a store is and can, for the layers above and for people.
struct Traits {
  std::string_view kind;        ///< "memory", "file", "database"...
  bool objects = false;         ///< keeps live objects; otherwise integers and bytes alone, behind the border
  bool shared = false;          ///< other processes see the same entries
  bool remote = false;          ///< behind a network, so it may be out of reach while the program runs
  bool persistent = false;      ///< entries outlive the process
  bool atomic_batches = false;  ///< `put_many` writes all or nothing
  bool spread = false;          ///< over servers that may be away one by one: it stops asking those by itself
  bool tags = false;            ///< understands tags itself; otherwise a layer does it with records in `Space::tags`
  Duration grain{1};            ///< lifetimes are kept to this exactness
  std::uint64_t max_value_bytes = std::numeric_limits<std::uint64_t>::max();
};

/// How to read.
struct Read {
  const Type* as = nullptr;  ///< the type wanted above the border; null: leave bytes as they are
  bool stale = false;        ///< also hand over what is past `fresh_until` but still kept
};

/// When to write.
enum class When : std::uint8_t {
  always,
  absent,     ///< only where nothing fresh lives under the key
  present,    ///< only where something fresh lives under the key
  unchanged,  ///< only where the kept entry, fresh or not, has `Write::version`; 0: only where none is kept
};

struct Write {
  When when = When::always;
  std::uint64_t version = 0;
};

struct Forget {
  std::uint64_t version = 0;  ///< other than 0: only where the kept entry, fresh or not, has this version
};

/// What `flush` empties: everything of ours in `Space::values`, or what carries the tags.
struct Scope {
  std::span<const std::string_view> tags{};  ///< empty: everything
  bool any = false;                          ///< what carries at least one of the tags, instead of all
};

/// A key with what to write under it.
struct Item {
  Key key;
  Entry entry;
};

/// Takes what a read found. The entry is valid inside the call alone; do not call the store from there. What it throws
/// passes through the store, which is as good as before.
using Receiver = detail::FunctionRef<void(const Entry&)>;
/// Takes a value alone, as `Receiver` takes an entry; false: it is of another type than wanted.
using Take = detail::FunctionRef<bool(const ValueView&)>;
/// Likewise for a walk over a space. False ends the walk.
using Visitor = detail::FunctionRef<bool(std::string_view key, const Entry&)>;

/// Takes what a batch's read found, entry by entry with the index of its key, as `Receiver` takes one. Who cares why a
/// key is missed says also what to do with what was found and cannot be read. A layer that hands the batch on with
/// receivers of its own passes both on; where it passes on entries alone, the unreadable are misses like others.
class BatchReceiver {
 public:
  using Found = detail::FunctionRef<void(std::size_t index, const Entry&)>;
  using Unreadable = detail::FunctionRef<void(std::size_t index, std::unique_ptr<Error> why)>;

  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, BatchReceiver> && std::is_constructible_v<Found, F>)
      BatchReceiver(F&& found)
  noexcept : found_(std::forward<F>(found)), unreadable_(kIgnored) {}
  BatchReceiver(Found found, Unreadable unreadable) noexcept : found_(found), unreadable_(unreadable) {}

  void operator()(std::size_t index, const Entry& entry) const { found_(index, entry); }
  /// For a code of which `is_unreadable` is true; what else goes wrong ends the batch.
  void unreadable(std::size_t index, std::unique_ptr<Error> why) const { unreadable_(index, std::move(why)); }

 private:
  struct Ignore {
    void operator()(std::size_t, const std::unique_ptr<Error>&) const noexcept {}
  };
  static constexpr Ignore kIgnored{};

  Found found_;
  Unreadable unreadable_;
};

/// What `get_value` is asked. Passed on as it is: a layer whose reads change nothing costs one indirect call.
struct ValueRead {
  const Type& as;                     ///< the wanted type
  std::span<const std::string> tags;  ///< what it must carry, all of them; none: whatever it carries
  const Take& take;
};

/// How `get_value` ended.
enum class Got : std::uint8_t {
  nothing,       ///< a miss
  value,         ///< taken
  another_type,  ///< something fresh is there, but not what was wanted: `take` answered false
  other_tags,    ///< something fresh is there, which lacks one of the tags
};

/// What became of a batch of writes.
struct BatchWritten {
  std::vector<std::size_t> failed;  ///< indices of what was not written, ascending; empty: all were
  std::unique_ptr<Error> error;     ///< why, for the first of them
};

/// Safe for concurrent use. No function throws but for want of memory.
class FLUX_CACHE_TYPE Store {
 public:
  Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  virtual ~Store();

  virtual Traits traits() const noexcept = 0;
  /// Hands the entry to `found` and answers true, or answers false: a miss.
  virtual Result<bool> get(const Key& key, const Read& how, Receiver found) = 0;
  /// False: `how.when` did not hold, and nothing was written.
  virtual Result<bool> put(const Key& key, const Entry& entry, const Write& how) = 0;
  /// True: something fresh was removed. What was kept past its life is removed as well, and answers false.
  virtual Result<bool> forget(const Key& key, const Forget& how) = 0;
  /// Empties the scope in constant time; never a neighbour's keys, locks or limits. What is flushed is gone when this
  /// returns, whatever a load in flight does later. `Errc::unsupported` for tags where `traits().tags` is false.
  virtual Result<void> flush(const Scope& scope) = 0;

  virtual Result<bool> has(const Key& key);
  /// The value alone of what is fresh and carries all of the tags: what most readers want, and what costs a store of
  /// live objects less than a whole entry. Runs through `get` unless it is overridden.
  virtual Result<Got> get_value(const Key& key, const ValueRead& how);
  /// Reads and removes in one atomic step: of many callers one gets the value. What is kept past its life is removed as
  /// well, and answers false.
  virtual Result<bool> pull(const Key& key, const Read& how, Receiver found);
  /// Gives a fresh entry another expiry; value, tags and notes stay. False where none lives.
  virtual Result<bool> touch(const Key& key, const Expiry& expiry);
  /// Atomic. Answers the new number. What is missing counts from 0 and is written as `if_new` says; others keep their
  /// expiry and tags. `Errc::not_a_number` and `Errc::overflow` change nothing.
  virtual Result<std::int64_t> increment(const Key& key, std::int64_t by, const Entry& if_new);

  /// One that cannot be read does not keep the others from being read.
  virtual Result<void> get_many(std::span<const Key> keys, const Read& how, BatchReceiver found);
  virtual Result<BatchWritten> put_many(std::span<const Item> items);
  /// Answers how many fresh entries went. A repeated key counts once.
  virtual Result<std::size_t> forget_many(std::span<const Key> keys);

  /// The epochs of the tags as they are now: what was stamped with another one of any of its tags is gone.
  /// `Errc::unsupported` where `traits().tags` is false.
  virtual Result<std::vector<std::uint64_t>> epochs(std::span<const std::string_view> tags);

  /// Walks over the kept entries of a space, in no order; what changes meanwhile may be seen or not.
  virtual Result<void> scan(Space space, Visitor visit);
  /// Reclaims expired entries, about `budget` of them at the most; answers how many went.
  virtual Result<std::size_t> prune(std::size_t budget);
};

using StorePtr = std::shared_ptr<Store>;

namespace detail {

/// The rule for counters, in one place: an integer, or text that is one as a whole. `Errc::not_a_number`,
/// `Errc::overflow`.
FLUX_CACHE_API Result<std::int64_t> add_to_counter(const ValueView& value, std::int64_t by);

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
