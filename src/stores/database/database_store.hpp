// database/database_store.hpp - the verbs as statements. The single verbs stand in database_store.cpp, those that may
// need a second look in counters.cpp, many rows at a time in batches.cpp.
#pragma once
#include <flux/cache/stores/database.hpp>

#include <atomic>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pool.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::database {

/// The time that rows carry: wall time where they may outlive the process, and the steady line's own otherwise. Moments
/// of the process are told from it by one look at both clocks, once one is wanted.
class Moment {
 public:
  Moment(const Clock& clock, bool steady_rows) noexcept
      : clock_(clock),
        row_((steady_rows ? clock.now().time_since_epoch() : clock.wall().time_since_epoch()).count()),
        has_offset_(steady_rows) {}

  std::int64_t in_rows() const noexcept { return row_; }
  std::int64_t to_row(Instant moment) const noexcept {
    std::int64_t time = 0;
    if (moment == kNever || __builtin_add_overflow(moment.time_since_epoch().count(), offset(), &time)) return kForEver;
    return time;
  }
  Instant from_row(std::int64_t time) const noexcept {
    std::int64_t moment = 0;
    if (time == kForEver || __builtin_sub_overflow(time, offset(), &moment)) return kNever;
    return Instant(Duration(moment));
  }

  static constexpr std::int64_t kForEver = std::numeric_limits<std::int64_t>::max();

 private:
  std::int64_t offset() const noexcept {
    if (!has_offset_) {
      const Duration steady = clock_.now().time_since_epoch();
      offset_ = (clock_.wall().time_since_epoch() - steady).count();
      has_offset_ = true;
    }
    return offset_;
  }

  const Clock& clock_;
  std::int64_t row_;
  mutable std::int64_t offset_ = 0;
  mutable bool has_offset_;
};

/// After the last deadline there is: a bound that every row passes.
inline constexpr std::int64_t kAnyTime = std::numeric_limits<std::int64_t>::min();

/// The deadlines that a row must be past, for a read.
struct Bounds {
  std::int64_t fresh_after;
  std::int64_t kept_after;
};
inline Bounds bounds_of(const Read& how, const Moment& moment) noexcept {
  return how.stale ? Bounds{kAnyTime, moment.in_rows()} : Bounds{moment.in_rows(), kAnyTime};
}

/// An entry as it is written.
struct Row {
  Row(const Entry& entry, const Place& place, const Moment& moment);
  /// The same, for `Query::put_fed`.
  void feed(std::vector<Cell>& cells, const Place& place, std::string_view key) const;
  /// Binds columns and place to any query that writes a row.
  void bind(Run& run, const Place& place, std::int64_t home, std::string_view key) const;

  ValueView value;
  std::string labels;
  std::int64_t fresh_until;
  std::int64_t keep_until;
  std::int64_t version;
  std::int64_t proof;
};

/// A row that does not check out.
struct BrokenRow {
  Place place;
  std::int64_t version;
};

/// What a body answers: the result, or nothing where the database met trouble, which the session has noted.
template <class T>
using Answer = std::optional<Result<T>>;

/// The longest value; SQLite itself ends at 10^9 bytes for a row.
inline constexpr std::uint64_t kMostValueBytes = 900'000'000;

class DatabaseStore final : public Store {
 public:
  DatabaseStore(DatabaseConfig config, std::unique_ptr<Engine> engine, PoolOptions pool,
                std::unique_ptr<Error> unusable);

  Traits traits() const noexcept override;
  Result<bool> get(const Key& key, const Read& how, Receiver found) override;
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override;
  Result<bool> forget(const Key& key, const Forget& how) override;
  Result<void> flush(const Scope& scope) override;
  Result<bool> has(const Key& key) override;
  Result<bool> pull(const Key& key, const Read& how, Receiver found) override;
  Result<bool> touch(const Key& key, const Expiry& expiry) override;
  Result<std::int64_t> increment(const Key& key, std::int64_t by, const Entry& if_new) override;
  Result<void> get_many(std::span<const Key> keys, const Read& how, BatchReceiver found) override;
  Result<BatchWritten> put_many(std::span<const Item> items) override;
  Result<std::size_t> forget_many(std::span<const Key> keys) override;
  Result<void> scan(Space space, Visitor visit) override;
  Result<std::size_t> prune(std::size_t budget) override;

 private:
  Moment now() const noexcept { return Moment(clock_, private_); }

  enum class Use : std::uint8_t { reading, writing };

  /// Runs `body(session)` on a connection; again where tables had to be made or found anew. A body may run twice, but
  /// the run before has changed nothing then.
  template <class T, class Body>
  Result<T> perform(const char* operation, std::string_view key, Use use, const Moment& moment, Body&& body);
  Error error_of(Fault fault, const char* operation, std::string_view key);
  std::optional<Error> refuse(const Key& key, const Entry& entry, const char* operation) const;

  // Steps inside a body; nothing: trouble.
  /// `broken` becomes the version of a row that does not check out, which is a miss.
  std::optional<bool> read(Session& session, const Key& key, const Bounds& bounds, const Moment& moment,
                           std::int64_t& broken, Receiver found);
  std::optional<bool> find(Session& session, Run& run, Space space, const Bounds& bounds, int home_column);
  /// Hands a live row of the right key over, if it checks out.
  bool take(Session& session, Run& run, const Place& place, const Bounds& bounds, const Moment& moment,
            std::int64_t& broken, Receiver found);
  std::optional<bool> is_there(Session& session, const Key& key, const Bounds& bounds);
  /// One upsert, at the first number of the bucket. Answers the rows written; -1: trouble.
  std::int64_t insert(Session& session, const Key& key, const Row& row, std::int64_t overwrite, const Moment& moment,
                      bool alone);
  /// Writes where nothing fresher than `overwrite` stands. `alone`: outside a transaction.
  Answer<bool> write(Session& session, const Key& key, const Row& row, std::int64_t overwrite, const Moment& moment,
                     bool alone);
  /// Writes only where nothing is kept, fresh or not.
  Answer<bool> write_if_vacant(Session& session, const Key& key, const Row& row, const Moment& moment);
  Answer<bool> write_beside(Session& session, const Key& key, const Row& row, std::int64_t overwrite,
                            const Moment& moment);
  Answer<bool> rewrite(Session& session, const Key& key, const Row& row, const Bounds& bounds, std::uint64_t version);
  /// Reads a batch by a statement for many rows at a time; `next`: keys before it are done. False: keys may stand
  /// beside their places, and the rest has to be read one by one.
  std::optional<bool> read_fed(Session& session, std::span<const Key> keys, const Bounds& bounds, const Moment& moment,
                               std::size_t& next, std::vector<BrokenRow>& broken, BatchReceiver found);
  /// Writes rows of one space by one statement. False: some or all were not written, and have to be one by one.
  std::optional<bool> write_fed(Session& session, Space space, std::span<const Cell> cells, std::size_t rows,
                                const Moment& moment);
  Answer<bool> put_tag(Session& session, const Key& key, const Entry& entry, const Write& how, const Moment& moment);
  /// Counts up what stands and is an integer: nothing inside, and nothing written, where it is anything else.
  std::optional<std::optional<std::int64_t>> count(Session& session, const Key& key, std::int64_t by,
                                                   const Moment& moment);
  Answer<std::int64_t> increment_slowly(Session& session, const Key& key, std::int64_t by, const Entry& if_new,
                                        const Moment& moment);
  void forget_broken(Session& session, const Place& place, std::int64_t version);
  Error corrupt(const char* operation, std::string_view key) const;

  /// Counts rows written and now and then pays for the looks at others that they owe.
  void tidy(Session& session, std::size_t written, const Moment& moment);
  /// Looks at `looks` rows behind the cursor and reclaims at most `most` dead ones. `ended`: the table's end was
  /// reached.
  std::optional<std::size_t> sweep(Session& session, std::size_t looks, std::size_t most, const Moment& moment,
                                   bool& ended);

  const DatabaseConfig config_;
  const Clock& clock_;
  const std::uint64_t max_value_;
  const Queries queries_;
  const bool private_;
  const std::unique_ptr<Error> unusable_;  // the configuration's error
  std::atomic<std::int64_t> cursor_{std::numeric_limits<std::int64_t>::min()};
  std::atomic<std::size_t> owed_{0};
  Pool pool_;
};

/// Deadlines of a row, as they stand in it.
struct Deadlines {
  explicit Deadlines(Statement& row)
      : fresh_until(row.integer(row_column::fresh_until)), keep_until(row.integer(row_column::keep_until)) {}
  bool pass(const Bounds& bounds) const noexcept {
    return fresh_until > bounds.fresh_after && keep_until > bounds.kept_after;
  }

  std::int64_t fresh_until, keep_until;
};

/// Reads the columns of a row into an entry and proves them. False: the row does not check out. The entry borrows from
/// the statement and from `labels`.
bool read_row(Statement& row, const Deadlines& deadlines, const Place& place, const Moment& moment, Entry& entry,
              Labels& labels);

template <class T, class Body>
Result<T> DatabaseStore::perform(const char* operation, std::string_view key, Use use, const Moment& moment,
                                 Body&& body) {
  if (unusable_ != nullptr) return *unusable_;
  Fault fault;
  Lease lease = pool_.acquire(Instant(Duration(moment.in_rows())), fault);
  if (!lease) return error_of(std::move(fault), operation, key);
  for (int settled = 0;; ++settled) {
    Answer<T> answer = body(*lease);
    if (answer) [[likely]]
      return *std::move(answer);
    fault = lease->fault();
    if (settled == 2 || (fault.trouble != Trouble::missing && fault.trouble != Trouble::constraint)) break;
    if (lease->settle()) continue;
    fault = lease->fault();
    break;
  }
  if (fault.trouble == Trouble::read_only && use == Use::reading) {
    if constexpr (std::is_void_v<T>)
      return {};
    else
      return T{};  // there is no table, and none can be made
  }
  fault.shared = lease->is_shared();
  Error error = error_of(fault, operation, key);
  if (fault.trouble == Trouble::corrupt || fault.trouble == Trouble::lost) lease.drop();
  return error;
}

}  // namespace detail::database
}  // namespace v1
}  // namespace flux::cache
