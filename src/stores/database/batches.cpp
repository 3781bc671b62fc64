#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

#include "database_store.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::database {

namespace {

/// Rows of a walk in one transaction: a longer one would keep the log from being folded in.
constexpr std::int64_t kScanChunk = 256;
/// Rows looked at in one step of a sweep.
constexpr std::size_t kSweepChunk = 1024;
/// Rows written before the looks they owe are paid for, all at once.
constexpr std::size_t kTidyAfter = 64;
/// Rows that one statement of a batch reads or writes: more would not stay in the processor's nearest cache.
constexpr std::size_t kFedAtOnce = 128;

}  // namespace

Result<void> DatabaseStore::get_many(std::span<const Key> keys, const Read& how, BatchReceiver found) {
  if (keys.empty()) return {};
  const Moment moment = now();
  std::size_t next = 0;  // a second run goes on where the first met trouble: nothing is handed over twice
  return perform<void>("get_many", {}, Use::reading, moment, [&](Session& session) -> Answer<void> {
    const Bounds bounds = bounds_of(how, moment);
    std::vector<BrokenRow> broken_rows;  // removed once nothing is being read any more
    {
      Transaction transaction(session, Query::begin_read);
      if (!transaction.is_open()) return std::nullopt;
      const auto there = read_fed(session, keys, bounds, moment, next, broken_rows, found);
      if (!there) return std::nullopt;
      for (; next < keys.size(); ++next) {
        std::int64_t broken = 0;
        if (!read(session, keys[next], bounds, moment, broken, [&](const Entry& entry) { found(next, entry); }))
          return std::nullopt;
        if (broken == 0) [[likely]]
          continue;
        broken_rows.push_back({session.place(keys[next]), broken});
        found.unreadable(next, std::make_unique<Error>(corrupt("get_many", keys[next].text())));
      }
      if (!transaction.commit()) return std::nullopt;
    }
    for (const BrokenRow& row : broken_rows) forget_broken(session, row.place, row.version);
    return Result<void>();
  });
}

std::optional<bool> DatabaseStore::read_fed(Session& session, std::span<const Key> keys, const Bounds& bounds,
                                            const Moment& moment, std::size_t& next, std::vector<BrokenRow>& broken,
                                            BatchReceiver found) {
  std::vector<Place> places;
  std::vector<Cell> cells;
  std::array<std::optional<std::int64_t>, kSpaces> homes;
  for (bool first = true; next < keys.size(); first = false) {
    const std::span<const Key> part = keys.subspan(next, std::min(kFedAtOnce, keys.size() - next));
    places.clear();
    cells.clear();
    for (const Key& key : part) places.push_back(session.place(key)), cells.emplace_back(places.back().id);
    session.connection().feed(cells, 1);
    Run run(session, Query::get_fed);
    Step step = run.step();
    if (first && step != Step::failed) {
      // From here on the transaction sees one state of the database.
      if (session.schema_moved()) return std::nullopt;
      for (const Key& key : keys) {
        auto& home = homes[session.index(key.space())];
        if (!home) home = session.present_home(key.space());
        if (!home) return std::nullopt;
        if (has_rows_beside(*home)) return false;
      }
    }
    const std::size_t start = next;
    for (; step == Step::row; step = run.step()) {
      const auto at = static_cast<std::size_t>(run->integer(row_column::fed));
      const Key& key = part[at];
      next = start + at + 1;
      if (run->integer(row_column::home) != *homes[session.index(key.space())] ||
          run->bytes(row_column::key) != key.text())
        continue;
      std::int64_t version = 0;
      take(session, run, places[at], bounds, moment, version, [&](const Entry& entry) { found(start + at, entry); });
      if (version == 0) [[likely]]
        continue;
      broken.push_back({places[at], version});
      found.unreadable(start + at, std::make_unique<Error>(corrupt("get_many", key.text())));
    }
    if (step == Step::failed) return std::nullopt;
    next = start + part.size();
  }
  return true;
}

Result<BatchWritten> DatabaseStore::put_many(std::span<const Item> items) {
  BatchWritten outcome;
  if (items.empty()) return outcome;
  const auto fail_all = [&](std::unique_ptr<Error> error) {
    outcome.failed.resize(items.size());
    std::iota(outcome.failed.begin(), outcome.failed.end(), std::size_t{0});
    outcome.error = std::move(error);
  };
  for (const Item& item : items)
    if (auto error = refuse(item.key, item.entry, "put_many")) {
      fail_all(std::make_unique<Error>(*std::move(error)));
      return outcome;
    }
  const Moment moment = now();
  auto done = perform<void>("put_many", {}, Use::writing, moment, [&](Session& session) -> Answer<void> {
    // In the order of their rows, so that neighbours meet in one page; the last of a repeated key stays the last.
    std::vector<std::pair<std::int64_t, std::size_t>> order(items.size());
    for (std::size_t i = 0; i < items.size(); ++i) order[i] = {session.place(items[i].key).id, i};
    std::sort(order.begin(), order.end());
    Transaction transaction(session, Query::begin_write);
    if (!transaction.is_open()) return std::nullopt;
    session.begin_writing();
    std::vector<Row> rows;
    std::vector<Cell> cells;
    for (std::size_t next = 0; next < order.size(); next += rows.size()) {
      const Space space = items[order[next].second].key.space();
      rows.clear();
      cells.clear();
      for (std::size_t at = next; at < order.size() && rows.size() < kFedAtOnce; ++at) {
        const Item& item = items[order[at].second];
        if (item.key.space() != space) break;
        rows.emplace_back(item.entry, session.place(item.key), moment);
      }
      const auto part = std::span(order).subspan(next, rows.size());
      for (std::size_t at = 0; at < rows.size(); ++at)
        rows[at].feed(cells, session.place(items[part[at].second].key), items[part[at].second].key.text());
      const auto written = write_fed(session, space, cells, rows.size(), moment);
      if (!written) return std::nullopt;
      for (std::size_t at = 0; at < rows.size() && !*written; ++at) {
        auto one = write(session, items[part[at].second].key, rows[at], Moment::kForEver, moment, false);
        if (!one) return std::nullopt;
        if (!one->ok()) return Result<void>(one->take_error());
      }
    }
    const bool tags =
        std::any_of(items.begin(), items.end(), [](const Item& item) { return item.key.space() == Space::tags; });
    if (tags && !session.move_tag_clock()) return std::nullopt;
    if (!transaction.commit()) return std::nullopt;
    session.end_writing();
    tidy(session, items.size(), moment);
    return Result<void>();
  });
  if (!done.ok()) fail_all(done.take_error());
  return outcome;
}

std::optional<bool> DatabaseStore::write_fed(Session& session, Space space, std::span<const Cell> cells,
                                             std::size_t rows, const Moment& moment) {
  const auto home = session.present_home(space);
  if (!home) return std::nullopt;
  if (has_rows_beside(*home)) return false;
  session.connection().feed(cells, kFedColumns);
  Run run(session, Query::put_fed);
  const std::int64_t written = run.bind(2, *home).bind(12, moment.in_rows()).bind(14, Moment::kForEver).write();
  if (written < 0) return std::nullopt;
  return static_cast<std::size_t>(written) == rows;
}

Result<std::size_t> DatabaseStore::forget_many(std::span<const Key> keys) {
  if (keys.empty()) return std::size_t{0};
  const Moment moment = now();
  return perform<std::size_t>("forget_many", {}, Use::writing, moment, [&](Session& session) -> Answer<std::size_t> {
    std::size_t gone = 0, removed = 0;
    Transaction transaction(session, Query::begin_write);
    if (!transaction.is_open()) return std::nullopt;
    for (const Key& key : keys) {
      Run run(session, Query::forget);
      run.bind(1, session.place(key).id).bind(2, session.index(key.space())).bind(3, key.text());
      Step step = run.bind(4, 0).step();
      if (step == Step::row) ++removed, gone += run->integer(0) > moment.in_rows(), step = run.step();
      if (step == Step::failed) return std::nullopt;
    }
    const bool tags = std::any_of(keys.begin(), keys.end(), [](const Key& key) { return key.space() == Space::tags; });
    if (tags && !session.move_tag_clock()) return std::nullopt;
    if (!transaction.commit() || (removed == 0 && session.schema_moved())) return std::nullopt;
    return Result<std::size_t>(gone);
  });
}

Result<void> DatabaseStore::scan(Space space, Visitor visit) {
  const Moment moment = now();
  std::int64_t after = std::numeric_limits<std::int64_t>::min();
  return perform<void>("scan", {}, Use::reading, moment, [&](Session& session) -> Answer<void> {
    for (;;) {
      Run run(session, Query::scan);
      run.bind(1, after).bind(2, session.home_row(space)).bind(3, moment.in_rows()).bind(4, kScanChunk);
      std::int64_t rows = 0;
      for (;; ++rows) {
        const Step step = run.step();
        if (step == Step::failed) return std::nullopt;
        if (step == Step::done) break;
        after = run->integer(row_column::id);
        const std::string_view key = run->bytes(row_column::key);
        Entry entry;
        Labels labels;
        if (!read_row(*run.statement(), Deadlines(*run.statement()), session.place(Key(key, space)), moment, entry,
                      labels))
          continue;
        if (!visit(key, entry)) return Result<void>();
      }
      if (rows < kScanChunk) return Result<void>();
    }
  });
}

Result<std::size_t> DatabaseStore::prune(std::size_t budget) {
  if (budget == 0) return std::size_t{0};
  const Moment moment = now();
  std::size_t gone = 0;
  return perform<std::size_t>("prune", {}, Use::writing, moment, [&](Session& session) -> Answer<std::size_t> {
    // Once around the table at the most, from where the last sweep stopped.
    const std::int64_t start = cursor_.load(std::memory_order_relaxed);
    for (bool wrapped = false;;) {
      bool ended = false;
      const auto swept = sweep(session, kSweepChunk, std::min(budget - gone, kSweepChunk), moment, ended);
      if (!swept) return std::nullopt;
      gone += *swept;
      if (gone >= budget) break;
      if (ended && std::exchange(wrapped, true)) break;
      if (wrapped && !ended && cursor_.load(std::memory_order_relaxed) >= start) break;
    }
    return Result<std::size_t>(gone);
  });
}

std::optional<std::size_t> DatabaseStore::sweep(Session& session, std::size_t looks, std::size_t most,
                                                const Moment& moment, bool& ended) {
  const std::int64_t after = cursor_.load(std::memory_order_relaxed);
  std::int64_t last = after;
  std::size_t seen = 0, dead = 0;
  {
    // Other numbers stand among the homes, and a home may be another a moment later: what is reclaimed is looked at
    // again.
    std::vector<std::int64_t> homes;
    Run known(session, Query::homes);
    Step step = known.step();
    for (; step == Step::row; step = known.step()) homes.push_back(known->integer(0));
    if (step == Step::failed) return std::nullopt;
    std::sort(homes.begin(), homes.end());
    Run run(session, Query::look);
    run.bind(1, after);
    for (; dead < most && seen < looks; ++seen) {
      step = run.step();
      if (step == Step::failed) return std::nullopt;
      if (step == Step::done) break;
      last = run->integer(0);
      dead += run->integer(1) <= moment.in_rows() || !std::binary_search(homes.begin(), homes.end(), run->integer(2));
    }
  }
  std::int64_t gone = 0;
  if (dead > 0) {
    gone = Run(session, Query::reclaim).bind(1, after).bind(2, last).bind(3, moment.in_rows()).write();
    if (gone < 0) return std::nullopt;
  }
  ended = dead < most && seen < looks;
  cursor_.store(ended ? std::numeric_limits<std::int64_t>::min() : last, std::memory_order_relaxed);
  return static_cast<std::size_t>(gone);
}

void DatabaseStore::tidy(Session& session, std::size_t written, const Moment& moment) {
  if (config_.sweep == 0) return;
  if (owed_.fetch_add(written, std::memory_order_relaxed) + written < kTidyAfter) return;
  std::size_t looks = std::min(owed_.exchange(0, std::memory_order_relaxed), kSweepChunk) * config_.sweep;
  for (bool ended = false; looks > 0 && !ended; looks -= std::min(looks, kSweepChunk)) {
    const std::size_t chunk = std::min(looks, kSweepChunk);
    if (!sweep(session, chunk, chunk, moment, ended)) break;
  }
  session.clear_fault();  // the write that paid for it stands, whatever became of this
}

}  // namespace detail::database
}  // namespace v1
}  // namespace flux::cache
