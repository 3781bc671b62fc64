#include "session.hpp"

#include "core/random.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::database {

namespace {

constexpr const char* kSchemaName = "schema";
constexpr const char* kSeedName = "seed";

}  // namespace

// As many bits as SQLite keeps in six bytes.
std::int64_t new_home() noexcept { return -static_cast<std::int64_t>(random_bits() >> 17) - 2; }

Statement* Session::statement(Query query) {
  std::unique_ptr<Statement>& slot = statements_[static_cast<std::size_t>(query)];
  if (slot == nullptr) [[unlikely]]
    slot = connection_->prepare(queries_.text[static_cast<std::size_t>(query)]);
  return slot.get();
}

bool Session::run(Query query) { return Run(*this, query).step() == Step::done; }

Session::Named Session::named(std::string name, std::uint64_t seed) {
  const auto id = static_cast<std::int64_t>(stable_hash64(name, seed));
  return {std::move(name), id};
}

Session::Meta Session::read_meta(const Named& what, std::int64_t& number) {
  Run meta(*this, Query::meta);
  switch (meta.bind(1, what.id).step()) {
    case Step::row: break;
    case Step::done: return Meta::absent;
    default: return Meta::failed;
  }
  if (meta->bytes(1) != what.name) {
    // Under a random seed of 64 bits this is a damaged row, not chance.
    set_fault(Trouble::foreign, "the table \"" + queries_.meta_table + "\" holds another name where ours belongs");
    return Meta::failed;
  }
  number = meta->integer(0);
  return Meta::found;
}

bool Session::look_up(Space space, std::uint64_t version) {
  Present& present = present_[index(space)];
  present.version = 0;
  const Meta there = read_meta(homes_[index(space)], present.home);
  if (there == Meta::absent) set_fault(Trouble::missing, "the prefix is not known");
  if (there != Meta::found) return false;
  present.version = version;
  return true;
}

std::optional<std::int64_t> Session::home(std::int64_t space, bool sole) noexcept {
  const auto present = present_home(static_cast<Space>(space));
  if (present) wrote_in_ = present_[static_cast<std::size_t>(space)].version;
  return present && sole && has_rows_beside(*present) ? std::nullopt : present;
}

bool Session::may_count(const Counter& counter) noexcept {
  const auto integer = static_cast<std::int64_t>(Kind::integer);
  if (counter.kind != integer || counter.fresh_until <= counting.now ||
      __builtin_add_overflow(counter.number, counting.by, &counting.number))
    return false;
  const ValueView value{.kind = Kind::integer, .number = counter.number};
  if (proof_of(counting.place, value, counter.labels, counter.fresh_until, counter.keep_until) != counter.proof)
    return false;
  counting.proof = counter.proof ^ counter.number ^ counting.number;
  return true;
}

// The rows that stand follow, so that whoever still goes by the number before writes what nobody sees.
bool Session::let_stand_beside(Space space) {
  const auto before = present_home(space);
  if (!before) return false;
  if (has_rows_beside(*before)) return true;
  const std::int64_t after = -new_home();
  if (Run(*this, Query::rehome).bind(1, *before).bind(2, after).write() < 0) return false;
  if (Run(*this, Query::flush).bind(1, home_row(space)).bind(2, after).write() < 0) return false;
  forget_homes();
  return true;
}

std::uint64_t Session::tag_clock() {
  const std::uint64_t version = connection_->data_version();
  if (tags_now_.version != version) {
    tags_now_ = {};
    const Meta there = read_meta(tag_clock_, tags_now_.home);
    if (there == Meta::failed) return clear_fault(), 0;  // then nobody counts on it
    if (there == Meta::found) tags_now_.version = version;
  }
  return static_cast<std::uint64_t>(tags_now_.home);
}

bool Session::move_tag_clock() {
  const auto number = static_cast<std::int64_t>(random_bits() | 1);
  return Run(*this, Query::meta_always)
             .bind(1, tag_clock_.id)
             .bind(2, std::string_view(tag_clock_.name))
             .bind(3, number)
             .step() == Step::done;
}

bool Session::write_meta(const Named& what, std::int64_t number) {
  return Run(*this, Query::meta_if_new).bind(1, what.id).bind(2, std::string_view(what.name)).bind(3, number).step() ==
         Step::done;
}

void Session::name_homes(std::uint64_t seed) {
  present_ = {};
  for (std::size_t space = 0; space < kSpaces; ++space) {
    // The seed is part of the name: tables made anew have another, and their homes are not taken for those before.
    std::string name(1, 'h');
    name += static_cast<char>(space);
    for (int shift = 0; shift < 64; shift += 8) name += static_cast<char>(seed >> shift);
    name += prefix_;
    homes_[space] = named(std::move(name), seed);
    seeds_[space] = static_cast<std::uint64_t>(homes_[space].id);
  }
  tag_clock_ = named("c" + homes_[0].name, seed);
  tags_now_ = {};
}

bool Session::learn(bool& complete) {
  complete = false;
  std::int64_t seed = 0;
  const Meta there = read_meta(named(kSeedName), seed);
  if (there != Meta::found) return there == Meta::absent;
  name_homes(static_cast<std::uint64_t>(seed));
  for (const Named& home : homes_) {
    std::int64_t number = 0;
    const Meta known = read_meta(home, number);
    if (known != Meta::found) return known == Meta::absent;
  }
  complete = true;
  return true;
}

bool Session::settle() {
  clear_fault();
  forget_statements();
  shared_ = connection_->is_shared();
  std::int64_t schema = 0;
  const Meta there = read_meta(named(kSchemaName), schema);
  if (there == Meta::failed && fault_.trouble != Trouble::missing) return false;
  if (there == Meta::found && schema > kSchema) {
    set_fault(Trouble::foreign, "the table \"" + queries_.table + "\" was made by a later version of this library");
    return false;
  }
  bool complete = false;
  if (there == Meta::found && schema == kSchema) {
    // Whatever is missing now was taken away by somebody else.
    const bool fits = fits_queries();
    if (fits && learn(complete) && complete) return true;
    if (fault_.trouble != Trouble::none && fault_.trouble != Trouble::missing) return false;
  }
  clear_fault();
  return create() && learn(complete) && complete;
}

void Session::forget_statements() noexcept {
  for (auto& statement : statements_) statement.reset();
}

bool Session::fits_queries() {
  if (statement(Query::get) != nullptr && statement(Query::put) != nullptr) return true;
  note_failure();
  return false;
}

bool Session::create() {
  Transaction transaction(*this, Query::begin_write);
  if (transaction.is_open() && create_inside() && transaction.commit()) return true;
  note_failure();
  return false;
}

// Rows and homes stand as they are: homes of the first schema do not say that no row stands beside its place. Whoever
// has the tables open and would not know of the others is made to look again, by a table that comes and goes.
bool Session::move_on() {
  for (const std::string& sql : queries_.stir)
    if (!connection_->run(sql)) return false;
  const Named schema = named(kSchemaName);
  return Run(*this, Query::meta_always)
             .bind(1, schema.id)
             .bind(2, std::string_view(schema.name))
             .bind(3, kSchema)
             .step() == Step::done;
}

bool Session::create_inside() {
  const int rows = connection_->table_exists(queries_.table);
  const int meta = connection_->table_exists(queries_.meta_table);
  if (rows < 0 || meta < 0) return false;
  std::int64_t schema = 0;
  const Meta there = meta > 0 ? read_meta(named(kSchemaName), schema) : Meta::absent;
  const bool ours = there == Meta::found || (rows > 0 && connection_->prepare(queries_.probe) != nullptr);
  clear_fault();
  if (!ours && rows + meta > 0) {
    set_fault(Trouble::foreign, "there is a table \"" + (rows > 0 ? queries_.table : queries_.meta_table) +
                                    "\" already, and it is not one of ours");
    return false;
  }
  // Rows of another shape, or whose homes are lost: a cache may start cold.
  const bool anew = rows + meta > 0 && (there != Meta::found || schema < kFirstSchema || (rows > 0 && !fits_queries()));
  clear_fault();
  if (!anew && there == Meta::found && schema < kSchema && !move_on()) return false;
  if (anew) {
    forget_statements();
    for (const std::string& sql : queries_.drop)
      if (!connection_->run(sql)) return false;
  }
  if ((rows == 0 || anew) && !connection_->run(queries_.create[0])) return false;
  if ((meta == 0 || anew) && !connection_->run(queries_.create[1])) return false;
  if (!write_meta(named(kSchemaName), kSchema)) return false;
  if (!write_meta(named(kSeedName), static_cast<std::int64_t>(random_bits()))) return false;
  std::int64_t seed = 0;
  if (read_meta(named(kSeedName), seed) != Meta::found) return false;
  name_homes(static_cast<std::uint64_t>(seed));
  for (const Named& home : homes_)
    if (!write_meta(home, new_home())) return false;
  return true;
}

}  // namespace detail::database
}  // namespace v1
}  // namespace flux::cache
