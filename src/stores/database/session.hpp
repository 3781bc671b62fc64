// database/session.hpp - one connection with its statements, its view of the schema, and the hash that goes with it.
#pragma once
#include <flux/cache/key.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine.hpp"
#include "queries.hpp"
#include "row.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::database {

inline constexpr std::size_t kSpaces = 4;

/// 47 random bits, which an engine stores in six bytes: a home must only differ from those before it that still have
/// rows. Below 0: no row stands beside its place.
std::int64_t new_home() noexcept;

/// Whether a row of this home may stand elsewhere in its bucket than at the first number.
inline bool has_rows_beside(std::int64_t home) noexcept { return home > 0; }

/// What `Query::count` is to do, and what came of it.
struct Counting {
  Place place{};
  std::int64_t now = 0;
  std::int64_t by = 0;
  std::int64_t number = 0;  ///< after it
  std::int64_t proof = 0;
};

/// For one thread at a time.
class Session final : private Respondent {
 public:
  Session(std::unique_ptr<Connection> connection, const Queries& queries, std::string_view prefix)
      : queries_(queries), prefix_(prefix), connection_(std::move(connection)) {
    connection_->ask(*this);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Connection& connection() noexcept { return *connection_; }

  /// Makes the tables, brings them to the present schema, and learns seed and homes, whichever is needed. False:
  /// `fault`.
  bool settle();

  static std::size_t index(Space space) noexcept { return static_cast<std::size_t>(space); }
  Place place(const Key& key) const noexcept { return place_of(key.text(), seeds_[index(key.space())]); }
  /// The row of `<table>_meta` where a space's home stands.
  std::int64_t home_row(Space space) const noexcept { return homes_[index(space)].id; }
  /// The home that rows of a space must have now, in the eyes of the read that goes on. Looked up once after each
  /// change of the database, whoever made it. Nothing: a fault.
  std::optional<std::int64_t> present_home(Space space) {
    Present& present = present_[index(space)];
    const std::uint64_t version = connection_->data_version();
    if (present.version != version && !look_up(space, version)) [[unlikely]]
      return std::nullopt;
    return present.home;
  }
  /// What this space's home said when it was last looked up.
  bool had_rows_beside(Space space) const noexcept { return has_rows_beside(present_[index(space)].home); }
  /// From now on rows of this space may stand beside their place; inside a transaction that writes one there.
  bool let_stand_beside(Space space);
  /// What was looked up in a transaction that is undone.
  void forget_homes() noexcept { present_ = {}; }

  /// Around a transaction that writes and asks for homes, a statement of its own or more. Where nobody else wrote, the
  /// homes are known to be as they were, and the next one does not look them up.
  void begin_writing() noexcept { wrote_in_ = 0; }
  void end_writing() noexcept {
    if (wrote_in_ == 0) return;
    const std::uint64_t version = connection_->data_version();
    if (version == wrote_in_ + 1)
      for (Present& present : present_)
        if (present.version == wrote_in_) present.version = version;
  }

  Counting counting{};

  /// See Entry::tag_clock; likewise looked up once after each change of the database. 0: nothing to be had.
  std::uint64_t tag_clock();
  /// Another number from now on; inside the transaction that writes the tag.
  bool move_tag_clock();

  /// Null: see `fault`.
  Statement* statement(Query query);
  bool run(Query query);

  /// The first failure since the last `clear_fault`.
  const Fault& fault() const noexcept { return fault_; }
  /// Keeps what the engine says of a failure; a rollback would wash it away.
  void note_failure() {
    if (fault_.trouble == Trouble::none) fault_ = connection_->fault();
  }
  /// For what the engine does not hold for a failure.
  void set_fault(Trouble trouble, std::string message) {
    if (fault_.trouble == Trouble::none) fault_ = {trouble, std::move(message)};
  }
  /// True, and a fault, where the tables changed under a statement that found nothing: it may have looked in the wrong
  /// place.
  bool schema_moved() {
    if (!connection_->schema_moved()) [[likely]]
      return false;
    set_fault(Trouble::missing, "the tables were made anew");
    return true;
  }
  void clear_fault() noexcept { fault_.trouble = Trouble::none; }
  bool is_shared() const noexcept { return shared_; }

  // The pool's notes.
  Instant checked{};             ///< when it was last seen to be current
  std::uint64_t generation = 0;  ///< see Pool
  bool retired = false;          ///< to be closed

 private:
  std::optional<std::int64_t> home(std::int64_t space, bool sole) noexcept override;
  bool may_count(const Counter& counter) noexcept override;
  std::int64_t counted_proof() noexcept override { return counting.proof; }

  enum class Meta : std::uint8_t { found, absent, failed };
  /// A row of `<table>_meta`.
  struct Named {
    std::string name;
    std::int64_t id;
  };
  /// A home, and the database's version when it was read.
  struct Present {
    std::uint64_t version = 0;
    std::int64_t home = 0;
  };

  bool look_up(Space space, std::uint64_t version);
  Meta read_meta(const Named& what, std::int64_t& number);
  bool write_meta(const Named& what, std::int64_t number);
  bool create();
  bool create_inside();
  /// From an older schema to this one.
  bool move_on();
  bool fits_queries();
  void forget_statements() noexcept;
  bool learn(bool& complete);
  void name_homes(std::uint64_t seed);
  static Named named(std::string name, std::uint64_t seed = 0);

  const Queries& queries_;
  std::string_view prefix_;
  std::unique_ptr<Connection> connection_;
  std::array<std::unique_ptr<Statement>, kQueries> statements_;
  std::array<Named, kSpaces> homes_;
  std::array<std::uint64_t, kSpaces> seeds_{};
  std::array<Present, kSpaces> present_{};
  Named tag_clock_;
  Present tags_now_{};
  std::uint64_t wrote_in_ = 0;  // the database's version in the transaction that asked for homes last
  Fault fault_;
  bool shared_ = false;
};

/// A run of a prepared statement; reset at the end.
class Run {
 public:
  Run(Session& session, Query query) : session_(session), statement_(session.statement(query)) {}
  ~Run() { reset(); }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  template <class T>
  Run& bind(int parameter, T value) noexcept {
    if (statement_ != nullptr) {
      if constexpr (std::is_convertible_v<T, std::string_view>)
        statement_->bind(parameter, std::string_view(value));
      else
        statement_->bind(parameter, static_cast<std::int64_t>(value));
    }
    return *this;
  }
  Run& bind_null(int parameter) noexcept {
    if (statement_ != nullptr) statement_->bind_null(parameter);
    return *this;
  }
  Step step() {
    const Step outcome = statement_ != nullptr ? statement_->step() : Step::failed;
    if (outcome == Step::failed) [[unlikely]]
      session_.note_failure();
    return outcome;
  }
  /// Rows that the statement, run to its end, wrote; -1: it failed.
  std::int64_t write() {
    Step outcome = Step::row;
    while (outcome == Step::row) outcome = step();
    return outcome == Step::done ? session_.connection().changes() : -1;
  }
  void reset() noexcept {
    if (statement_ != nullptr) statement_->reset();
  }
  Statement* operator->() noexcept { return statement_; }
  Statement* statement() noexcept { return statement_; }

 private:
  Session& session_;
  Statement* statement_;
};

/// A transaction; rolled back at the end unless it was committed.
class Transaction {
 public:
  Transaction(Session& session, Query begin) : session_(session), open_(session.run(begin)) {}
  ~Transaction() {
    if (!open_ || committed_) return;
    if (session_.connection().in_transaction()) session_.run(Query::rollback);
    session_.forget_homes();  // also where the engine itself has rolled back
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  bool is_open() const noexcept { return open_; }
  bool commit() { return committed_ = session_.run(Query::commit); }

 private:
  Session& session_;
  bool open_;
  bool committed_ = false;
};

}  // namespace detail::database
}  // namespace v1
}  // namespace flux::cache
