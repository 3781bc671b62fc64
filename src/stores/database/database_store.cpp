#include "database_store.hpp"

#include "core/random.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::database {

// --- rows

Row::Row(const Entry& entry, const Place& place, const Moment& moment)
    : value(entry.value),
      labels(encode_labels(entry)),
      fresh_until(moment.to_row(entry.expiry.fresh_until)),
      keep_until(moment.to_row(entry.expiry.keep_until)),
      version(static_cast<std::int64_t>(random_bits())),
      proof(proof_of(place, value, labels, fresh_until, keep_until)) {}

void Row::bind(Run& run, const Place& place, std::int64_t home, std::string_view key) const {
  run.bind(1, place.id).bind(2, home).bind(3, key);
  run.bind(row_parameter::version, version)
      .bind(row_parameter::fresh_until, fresh_until)
      .bind(row_parameter::keep_until, keep_until)
      .bind(row_parameter::kind, static_cast<std::int64_t>(value.kind))
      .bind(row_parameter::proof, proof);
  const bool number = value.kind == Kind::integer || value.kind == Kind::unsigned_integer;
  const bool bytes = value.kind == Kind::text || value.kind == Kind::bytes;
  number ? run.bind(row_parameter::number, value.number) : run.bind_null(row_parameter::number);
  labels.empty() ? run.bind_null(row_parameter::labels) : run.bind(row_parameter::labels, std::string_view(labels));
  bytes ? run.bind(row_parameter::value, value.text) : run.bind_null(row_parameter::value);
}

void Row::feed(std::vector<Cell>& cells, const Place& place, std::string_view key) const {
  const bool number = value.kind == Kind::integer || value.kind == Kind::unsigned_integer;
  const bool bytes = value.kind == Kind::text || value.kind == Kind::bytes;
  cells.insert(cells.end(),
               {place.id, key, version, fresh_until, keep_until, static_cast<std::int64_t>(value.kind),
                number ? Cell(value.number) : Cell(), proof, labels.empty() ? Cell() : Cell(std::string_view(labels)),
                bytes ? Cell(value.text) : Cell()});
}

bool read_row(Statement& row, const Deadlines& deadlines, const Place& place, const Moment& moment, Entry& entry,
              Labels& labels) {
  const auto [fresh_until, keep_until] = deadlines;
  const std::int64_t kind = row.integer(row_column::kind);
  entry.version = static_cast<std::uint64_t>(row.integer(row_column::version));
  entry.expiry = {moment.from_row(fresh_until), moment.from_row(keep_until)};
  switch (kind) {
    case static_cast<std::int64_t>(Kind::none): entry.value.kind = Kind::none; break;
    case static_cast<std::int64_t>(Kind::integer):
    case static_cast<std::int64_t>(Kind::unsigned_integer):
      entry.value.kind = static_cast<Kind>(kind);
      entry.value.number = row.integer(row_column::value);
      break;
    case static_cast<std::int64_t>(Kind::text):
    case static_cast<std::int64_t>(Kind::bytes):
      entry.value.kind = static_cast<Kind>(kind);
      entry.value.text = row.bytes(row_column::value);
      break;
    default: return false;
  }
  const std::string_view packed = row.is_null(row_column::labels) ? std::string_view{} : row.bytes(row_column::labels);
  if (proof_of(place, entry.value, packed, fresh_until, keep_until) != row.integer(row_column::proof)) return false;
  if (packed.empty()) [[likely]]
    return true;
  if (!decode_labels(packed, labels)) return false;
  entry.tags = labels.tags;
  entry.notes = labels.notes;
  return true;
}

// --- the store

DatabaseStore::DatabaseStore(DatabaseConfig config, std::unique_ptr<Engine> engine, PoolOptions pool,
                             std::unique_ptr<Error> unusable)
    : config_(std::move(config)),
      clock_(config_.clock != nullptr ? *config_.clock : system_clock()),
      max_value_(config_.max_value == 0 ? kMostValueBytes : config_.max_value),
      queries_(config_.table, engine->dialect()),
      private_(engine->is_private()),
      unusable_(std::move(unusable)),
      pool_(std::move(engine), queries_, config_.prefix, pool) {}

Traits DatabaseStore::traits() const noexcept {
  return {.kind = "database",
          .objects = false,
          .shared = !private_,
          .persistent = !private_,
          .atomic_batches = true,
          .tags = false,
          .grain = Duration(1),
          .max_value_bytes = max_value_};
}

Error DatabaseStore::error_of(Fault fault, const char* operation, std::string_view key) {
  Errc code = Errc::unavailable;
  switch (fault.trouble) {
    case Trouble::none: code = Errc::rejected, fault.message = "all connections stayed in use"; break;
    case Trouble::busy: code = Errc::timeout; break;
    case Trouble::foreign: code = Errc::bad_config; break;
    case Trouble::too_large: code = Errc::too_large; break;
    case Trouble::corrupt:
      code = Errc::corrupt;
      fault.message += ": " + pool_.set_aside(fault);
      break;
    default: break;
  }
  return {code, std::move(fault.message), "database", operation, std::string(key)};
}

Error DatabaseStore::corrupt(const char* operation, std::string_view key) const {
  return {Errc::corrupt, "the row does not agree with its check word", "database", operation, std::string(key)};
}

std::optional<Error> DatabaseStore::refuse(const Key& key, const Entry& entry, const char* operation) const {
  const ValueView& value = entry.value;
  if (value.kind == Kind::object)
    return Error{Errc::not_serializable,
                 "objects of type " + std::string(value.type->name) + " have to be turned into bytes first", "database",
                 operation, std::string(key.text())};
  if (value.text.size() > max_value_)
    return Error{Errc::too_large,
                 "the value has " + std::to_string(value.text.size()) + " bytes, over the limit of " +
                     std::to_string(max_value_),
                 "database", operation, std::string(key.text())};
  return std::nullopt;
}

// --- reading

std::optional<bool> DatabaseStore::read(Session& session, const Key& key, const Bounds& bounds, const Moment& moment,
                                        std::int64_t& broken, Receiver found) {
  const Place place = session.place(key);
  {
    Run run(session, Query::get_first);
    const Step step = run.bind(1, place.id).step();
    if (step == Step::failed || (step == Step::done && session.schema_moved())) return std::nullopt;
    // Where there is no row, the home may be a later one than the look at the row; then the flush came between, and
    // nothing was there after it.
    const auto home = session.present_home(key.space());
    if (!home) return std::nullopt;
    if (step == Step::row && run->integer(row_column::home) == *home && run->bytes(row_column::key) == key.text())
        [[likely]]
      return take(session, run, place, bounds, moment, broken, found);
    if (!has_rows_beside(*home)) [[likely]]
      return false;
  }
  Run run(session, Query::get);
  run.bind(1, place.id).bind(2, key.text());
  const auto there = find(session, run, key.space(), bounds, row_column::home);
  if (!there || !*there) return there;
  return take(session, run, place, bounds, moment, broken, found);
}

bool DatabaseStore::take(Session& session, Run& run, const Place& place, const Bounds& bounds, const Moment& moment,
                         std::int64_t& broken, Receiver found) {
  const Deadlines deadlines(*run.statement());
  if (!deadlines.pass(bounds)) return false;
  Entry entry;
  Labels labels;
  if (!read_row(*run.statement(), deadlines, place, moment, entry, labels)) [[unlikely]] {
    broken = run->integer(row_column::version);
    return false;
  }
  if (!entry.tags.empty()) entry.tag_clock = session.tag_clock();
  found(entry);
  return true;
}

void DatabaseStore::forget_broken(Session& session, const Place& place, std::int64_t version) {
  Run(session, Query::forget_row).bind(1, place.id).bind(2, version).step();
  session.clear_fault();  // where it cannot be removed it will be found broken again
}

/// Steps to the row that was not flushed and is alive.
std::optional<bool> DatabaseStore::find(Session& session, Run& run, Space space, const Bounds& bounds,
                                        int home_column) {
  for (;;) {
    switch (run.step()) {
      case Step::failed: return std::nullopt;
      case Step::done: return session.schema_moved() ? std::nullopt : std::optional<bool>(false);
      case Step::row: break;
    }
    const auto home = session.present_home(space);
    if (!home) return std::nullopt;
    if (run->integer(home_column) == *home) [[likely]]
      return run->integer(row_column::fresh_until) > bounds.fresh_after &&
             run->integer(row_column::keep_until) > bounds.kept_after;
  }
}

std::optional<bool> DatabaseStore::is_there(Session& session, const Key& key, const Bounds& bounds) {
  Run run(session, Query::has);
  run.bind(1, session.place(key).id).bind(2, key.text());
  return find(session, run, key.space(), bounds, 3);
}

Result<bool> DatabaseStore::get(const Key& key, const Read& how, Receiver found) {
  const Moment moment = now();
  return perform<bool>("get", key.text(), Use::reading, moment, [&](Session& session) -> Answer<bool> {
    std::int64_t broken = 0;
    const auto there = read(session, key, bounds_of(how, moment), moment, broken, found);
    if (!there) return std::nullopt;
    if (broken == 0) [[likely]]
      return Result<bool>(*there);
    forget_broken(session, session.place(key), broken);
    return Result<bool>(corrupt("get", key.text()));
  });
}

Result<bool> DatabaseStore::has(const Key& key) {
  const Moment moment = now();
  return perform<bool>("has", key.text(), Use::reading, moment, [&](Session& session) -> Answer<bool> {
    const auto there = is_there(session, key, bounds_of({}, moment));
    if (!there) return std::nullopt;
    return Result<bool>(*there);
  });
}

// --- writing

std::int64_t DatabaseStore::insert(Session& session, const Key& key, const Row& row, std::int64_t overwrite,
                                   const Moment& moment, bool alone) {
  if (session.had_rows_beside(key.space())) [[unlikely]]
    return 0;
  session.begin_writing();
  Run run(session, Query::put);
  row.bind(run, session.place(key), session.index(key.space()), key.text());
  const std::int64_t written = run.bind(12, moment.in_rows()).bind(14, overwrite).write();
  if (written < 0) return session.had_rows_beside(key.space()) ? (session.clear_fault(), 0) : -1;
  if (alone) session.end_writing();
  return written;
}

Answer<bool> DatabaseStore::write(Session& session, const Key& key, const Row& row, std::int64_t overwrite,
                                  const Moment& moment, bool alone) {
  const std::int64_t written = insert(session, key, row, overwrite, moment, alone);
  if (written < 0) return std::nullopt;
  if (written > 0) return Result<bool>(true);
  // Something stands there, the same key, too fresh to be overwritten, or another key of the same bucket; or the key
  // may stand elsewhere.
  if (!alone) return write_beside(session, key, row, overwrite, moment);
  Transaction transaction(session, Query::begin_write);
  if (!transaction.is_open()) return std::nullopt;
  auto answer = write_beside(session, key, row, overwrite, moment);
  if (answer && !transaction.commit()) return std::nullopt;
  return answer;
}

Answer<bool> DatabaseStore::write_if_vacant(Session& session, const Key& key, const Row& row, const Moment& moment) {
  Transaction transaction(session, Query::begin_write);
  if (!transaction.is_open()) return std::nullopt;
  const auto stands = is_there(session, key, {kAnyTime, moment.in_rows()});
  if (!stands) return std::nullopt;
  if (*stands) return Result<bool>(false);
  auto answer = write(session, key, row, Moment::kForEver, moment, false);
  if (answer && !transaction.commit()) return std::nullopt;
  return answer;
}

Answer<bool> DatabaseStore::write_beside(Session& session, const Key& key, const Row& row, std::int64_t overwrite,
                                         const Moment& moment) {
  const auto stands = is_there(session, key, {overwrite, kAnyTime});
  if (!stands) return std::nullopt;
  if (*stands) return Result<bool>(false);
  const std::int64_t first = session.place(key).id;
  std::int64_t slot = first;
  {
    Run bucket(session, Query::bucket);
    bucket.bind(1, first).bind(2, moment.in_rows());
    Step step = bucket.step();
    for (; step == Step::row && bucket->integer(0) == slot && bucket->integer(1) == 0; step = bucket.step()) ++slot;
    if (step == Step::failed) return std::nullopt;
  }
  if (slot == first + kBucket)
    return Result<bool>(
        Error{Errc::unavailable, "eight other keys have the same hash", "database", "put", std::string(key.text())});
  if (slot != first && !session.let_stand_beside(key.space())) return std::nullopt;
  const auto home = session.present_home(key.space());
  if (!home) return std::nullopt;
  Run run(session, Query::put_beside);
  row.bind(run, session.place(key), *home, key.text());
  const std::int64_t written = run.bind(12, moment.in_rows()).bind(13, slot).bind(14, overwrite).write();
  if (written < 0) return std::nullopt;
  return Result<bool>(written > 0);
}

Answer<bool> DatabaseStore::rewrite(Session& session, const Key& key, const Row& row, const Bounds& bounds,
                                    std::uint64_t version) {
  Run run(session, Query::update);
  row.bind(run, session.place(key), session.index(key.space()), key.text());
  const std::int64_t written =
      run.bind(12, bounds.fresh_after).bind(13, bounds.kept_after).bind(14, static_cast<std::int64_t>(version)).write();
  if (written < 0 || (written == 0 && session.schema_moved())) return std::nullopt;
  return Result<bool>(written > 0);
}

/// A tag's record, and with it the number that tells everyone that tags have changed.
Answer<bool> DatabaseStore::put_tag(Session& session, const Key& key, const Entry& entry, const Write& how,
                                    const Moment& moment) {
  Transaction transaction(session, Query::begin_write);
  if (!transaction.is_open()) return std::nullopt;
  const Row row(entry, session.place(key), moment);
  Answer<bool> answer;
  if (how.when == When::present) {
    answer = rewrite(session, key, row, {moment.in_rows(), kAnyTime}, 0);
  } else if (how.when == When::unchanged && how.version != 0) {
    answer = rewrite(session, key, row, {kAnyTime, moment.in_rows()}, how.version);
  } else {
    const bool any = how.when == When::always;
    const auto stands =
        any ? std::optional<bool>(false)
            : is_there(session, key,
                       how.when == When::absent ? bounds_of({}, moment) : bounds_of({.stale = true}, moment));
    if (!stands) return std::nullopt;
    answer = *stands ? Result<bool>(false) : write(session, key, row, Moment::kForEver, moment, false);
  }
  if (!answer || !answer->ok() || !**answer) return answer;
  if (!session.move_tag_clock() || !transaction.commit()) return std::nullopt;
  return answer;
}

Result<bool> DatabaseStore::put(const Key& key, const Entry& entry, const Write& how) {
  if (auto error = refuse(key, entry, "put")) return *std::move(error);
  const Moment moment = now();
  if (key.space() == Space::tags)
    return perform<bool>("put", key.text(), Use::writing, moment,
                         [&](Session& session) { return put_tag(session, key, entry, how, moment); });
  return perform<bool>("put", key.text(), Use::writing, moment, [&](Session& session) -> Answer<bool> {
    if (how.when == When::absent) {
      // Most who come second only read: no wait for the writers' lock.
      const auto there = is_there(session, key, bounds_of({}, moment));
      if (!there) return std::nullopt;
      if (*there) return Result<bool>(false);
    }
    const Row row(entry, session.place(key), moment);
    Answer<bool> answer;
    switch (how.when) {
      case When::always: answer = write(session, key, row, Moment::kForEver, moment, true); break;
      case When::absent: answer = write(session, key, row, moment.in_rows(), moment, true); break;
      case When::present: answer = rewrite(session, key, row, {moment.in_rows(), kAnyTime}, 0); break;
      case When::unchanged:
        answer = how.version == 0 ? write_if_vacant(session, key, row, moment)
                                  : rewrite(session, key, row, {kAnyTime, moment.in_rows()}, how.version);
        break;
    }
    if (answer && answer->ok() && **answer) tidy(session, 1, moment);
    return answer;
  });
}

Result<bool> DatabaseStore::forget(const Key& key, const Forget& how) {
  const Moment moment = now();
  return perform<bool>("forget", key.text(), Use::writing, moment, [&](Session& session) -> Answer<bool> {
    std::optional<Transaction> transaction;
    if (key.space() == Space::tags && !transaction.emplace(session, Query::begin_write).is_open()) return std::nullopt;
    bool fresh = false, removed = false;
    {
      Run run(session, Query::forget);
      run.bind(1, session.place(key).id).bind(2, session.index(key.space())).bind(3, key.text());
      Step step = run.bind(4, static_cast<std::int64_t>(how.version)).step();
      removed = step == Step::row;
      if (removed) fresh = run->integer(0) > moment.in_rows(), step = run.step();
      if (step == Step::failed || (!removed && session.schema_moved())) return std::nullopt;
    }
    if (transaction && (!session.move_tag_clock() || !transaction->commit())) return std::nullopt;
    return Result<bool>(fresh);
  });
}

Result<bool> DatabaseStore::pull(const Key& key, const Read&, Receiver found) {
  const Moment moment = now();
  EntryCopy copy;
  auto pulled = perform<bool>("pull", key.text(), Use::writing, moment, [&](Session& session) -> Answer<bool> {
    const Place place = session.place(key);
    Run run(session, Query::pull);
    Step step = run.bind(1, place.id).bind(2, session.index(key.space())).bind(3, key.text()).step();
    const bool there = step == Step::row;
    bool whole = true, fresh = false;
    if (there) {
      // Handed over only once the removal stands, hence the copy.
      Entry entry;
      Labels labels;
      whole = read_row(*run.statement(), Deadlines(*run.statement()), place, moment, entry, labels);
      fresh = whole && entry.expiry.is_fresh(clock_.now());
      if (fresh) copy = EntryCopy(entry);
      step = run.step();
    }
    if (step == Step::failed || (!there && session.schema_moved())) return std::nullopt;
    if (!whole) return Result<bool>(corrupt("pull", key.text()));
    return Result<bool>(fresh);
  });
  if (pulled.ok() && *pulled) found(copy.view());
  return pulled;
}

Result<bool> DatabaseStore::touch(const Key& key, const Expiry& expiry) {
  const Moment moment = now();
  return perform<bool>("touch", key.text(), Use::writing, moment, [&](Session& session) -> Answer<bool> {
    const std::int64_t fresh_until = moment.to_row(expiry.fresh_until);
    const std::int64_t keep_until = moment.to_row(expiry.keep_until);
    Run run(session, Query::touch);
    run.bind(1, session.place(key).id).bind(2, session.index(key.space())).bind(3, key.text());
    run.bind(4, static_cast<std::int64_t>(random_bits())).bind(5, fresh_until).bind(6, keep_until);
    run.bind(7, static_cast<std::int64_t>(proof_of_deadlines(fresh_until, keep_until))).bind(8, moment.in_rows());
    const std::int64_t written = run.write();
    if (written < 0 || (written == 0 && session.schema_moved())) return std::nullopt;
    return Result<bool>(written > 0);
  });
}

Result<void> DatabaseStore::flush(const Scope& scope) {
  if (!scope.tags.empty()) return Error{Errc::unsupported, "tags are kept by the layer above", "database", "flush", {}};
  const Moment moment = now();
  return perform<void>("flush", {}, Use::writing, moment, [&](Session& session) -> Answer<void> {
    Run run(session, Query::flush);
    const std::int64_t written = run.bind(1, session.home_row(Space::values)).bind(2, new_home()).write();
    if (written == 0) session.set_fault(Trouble::missing, "the prefix is not known");
    if (written <= 0) return std::nullopt;
    return Result<void>();
  });
}

}  // namespace detail::database
}  // namespace v1
}  // namespace flux::cache
