#include <flux/cache/store.hpp>

#include "core/random.hpp"
#include "database_store.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::database {

Result<std::int64_t> DatabaseStore::increment(const Key& key, std::int64_t by, const Entry& if_new) {
  using Number = Result<std::int64_t>;
  using Limits = std::numeric_limits<std::int64_t>;
  if (auto error = refuse(key, if_new, "increment")) return *std::move(error);
  const Moment moment = now();
  return perform<std::int64_t>(
      "increment", key.text(), Use::writing, moment, [&](Session& session) -> Answer<std::int64_t> {
        const auto standing = count(session, key, by, moment);
        if (!standing) return std::nullopt;
        if (*standing) {
          tidy(session, 1, moment);
          return Number(**standing);
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
          row.bind(run, place, session.index(key.space()), key.text());
          run.bind(12, moment.in_rows()).bind(13, by);
          step = run.bind(14, by < 0 ? Limits::min() - by : Limits::min())
                     .bind(15, by > 0 ? Limits::max() - by : Limits::max())
                     .step();
          counted = step == Step::row;
          if (counted) {
            Entry entry;
            Labels labels;
            whole = read_row(*run.statement(), Deadlines(*run.statement()), place, moment, entry, labels);
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

// The statement shows what it found and is told whether and what to write: what it answers by RETURNING would go
// through a table of its own, which costs half as much again.
std::optional<std::optional<std::int64_t>> DatabaseStore::count(Session& session, const Key& key, std::int64_t by,
                                                                const Moment& moment) {
  session.counting = {.place = session.place(key), .now = moment.in_rows(), .by = by};
  session.begin_writing();
  Run run(session, Query::count);
  run.bind(1, session.counting.place.id).bind(2, session.index(key.space())).bind(3, key.text());
  const std::int64_t written = run.bind(4, static_cast<std::int64_t>(random_bits())).bind(5, by).write();
  if (written < 0) return std::nullopt;
  if (written == 0) return std::optional<std::int64_t>();
  session.end_writing();
  return std::optional<std::int64_t>(session.counting.number);
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
