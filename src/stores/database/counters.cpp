#include <flux/cache/store.hpp>

#include "core/random.hpp"
#include "database_store.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::database {

namespace {

/// After a counter that somebody else wrote at the same moment, so many calls do not try `recount`.
constexpr int kContended = 16;

}  // namespace

Result<std::int64_t> DatabaseStore::increment(const Key& key, std::int64_t by, const Entry& if_new) {
  using Number = Result<std::int64_t>;
  using Limits = std::numeric_limits<std::int64_t>;
  if (auto error = refuse(key, if_new, "increment")) return *std::move(error);
  const Moment moment = now();
  return perform<std::int64_t>("increment", key.text(), Use::writing, moment,
                               [&](Session& session) -> Answer<std::int64_t> {
                                 if (contended_.load(std::memory_order_relaxed) <= 0) {
                                   const auto counted = recount(session, key, by, moment);
                                   if (!counted) return std::nullopt;
                                   if (*counted) {
                                     tidy(session, 1, moment);
                                     return Number(**counted);
                                   }
                                 } else {
                                   contended_.fetch_sub(1, std::memory_order_relaxed);
                                 }
                                 const Place place = session.place(key);
                                 Entry first = if_new;
                                 first.value = {.kind = Kind::integer, .number = by};
                                 const Row row(first, place, moment);
                                 std::int64_t number = 0;
                                 bool whole = true;
                                 Step step = Step::failed;
                                 bool counted = false;
                                 {
                                   Run run(session, Query::increment);
                                   row.bind(run, place, session.home(key.space()), key.text());
                                   run.bind(12, moment.in_rows()).bind(13, by);
                                   step = run.bind(14, by < 0 ? Limits::min() - by : Limits::min())
                                              .bind(15, by > 0 ? Limits::max() - by : Limits::max())
                                              .step();
                                   counted = step == Step::row;
                                   if (counted) {
                                     Entry entry;
                                     Labels labels;
                                     whole = read_row(*run.statement(), place, moment, entry, labels);
                                     number = entry.value.number;
                                     step = run.step();
                                   }
                                 }
                                 if (step == Step::failed) return std::nullopt;
                                 if (!counted) return increment_slowly(session, key, by, if_new, moment);
                                 if (!whole) {
                                   // A row that was damaged before it was counted up still is.
                                   forget_broken(session, place, row.version);
                                   return Number(corrupt("increment", key.text()));
                                 }
                                 tidy(session, 1, moment);
                                 return Number(number);
                               });
}

// One statement can decide and tell all of it, as `increment` does where this ends without an answer; but what a
// statement tells of the rows it wrote goes through a table of its own, which costs more than reading first.
std::optional<std::optional<std::int64_t>> DatabaseStore::recount(Session& session, const Key& key, std::int64_t by,
                                                                  const Moment& moment) {
  const Place place = session.place(key);
  std::int64_t version = 0, number = 0, proof = 0, sum = 0;
  {
    Run run(session, Query::get);
    run.bind(1, place.id).bind(2, key.text());
    const auto there = find(session, run, key.space(), bounds_of({}, moment), row_column::home);
    if (!there) return std::nullopt;
    if (!*there) return std::optional<std::int64_t>();
    Entry entry;
    Labels labels;
    if (!read_row(*run.statement(), place, moment, entry, labels) || entry.value.kind != Kind::integer ||
        __builtin_add_overflow(entry.value.number, by, &sum))
      return std::optional<std::int64_t>();
    version = static_cast<std::int64_t>(entry.version);
    number = entry.value.number;
    proof = run->integer(row_column::proof);
  }
  Run update(session, Query::recount);
  update.bind(1, place.id).bind(2, session.home(key.space())).bind(3, key.text());
  update.bind(4, static_cast<std::int64_t>(random_bits())).bind(5, sum).bind(6, proof ^ number ^ sum).bind(7, version);
  const std::int64_t written = update.write();
  if (written < 0) return std::nullopt;
  if (written == 0) {
    contended_.store(kContended, std::memory_order_relaxed);
    return std::optional<std::int64_t>();
  }
  return std::optional<std::int64_t>(sum);
}

/// All that one statement does not decide: text, what is no number, the limits, an expired row, a foreign key in the
/// way.
Answer<std::int64_t> DatabaseStore::increment_slowly(Session& session, const Key& key, std::int64_t by,
                                                     const Entry& if_new, const Moment& moment) {
  using Number = Result<std::int64_t>;
  Transaction transaction(session, Query::begin_write);
  if (!transaction.is_open()) return std::nullopt;
  std::int64_t broken = 0;
  EntryCopy copy;
  const auto there =
      read(session, key, bounds_of({}, moment), moment, broken, [&](const Entry& entry) { copy = EntryCopy(entry); });
  if (!there) return std::nullopt;
  if (broken != 0) {
    forget_broken(session, session.place(key), broken);
    if (!transaction.commit()) return std::nullopt;
    return Number(corrupt("increment", key.text()));
  }
  Entry entry = *there ? copy.view() : if_new;
  std::int64_t number = by;
  if (*there) {
    auto sum = add_to_counter(entry.value, by);
    if (!sum.ok()) {
      sum.error().store = "database", sum.error().operation = "increment", sum.error().key = key.text();
      return sum;
    }
    number = *sum;
  }
  entry.value = {.kind = Kind::integer, .number = number};
  const Row row(entry, session.place(key), moment);
  auto written = write(session, key, row, Moment::kForEver, moment, false);
  if (!written) return std::nullopt;
  if (!written->ok()) return Number(written->take_error());
  if (!transaction.commit()) return std::nullopt;
  return Number(number);
}

}  // namespace detail::database
}  // namespace v1
}  // namespace flux::cache
