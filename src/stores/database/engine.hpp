// database/engine.hpp - all that the store asks of a database engine.
//
// The store brings its own SQL (queries.hpp), written in what SQLite and PostgreSQL share; parameters are spelled ?1,
// ?2... An engine opens connections, runs statements, and sorts its errors into what the store can do about them.
#pragma once
#include <flux/cache/clock.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace flux::cache {
inline namespace v1 {
namespace detail::database {

/// What kind of failure it is: what to do about it.
enum class Trouble : std::uint8_t {
  none,
  busy,        ///< another writer held the database until the deadline
  full,        ///< no room; come back later
  read_only,   ///< it can be read, but not written
  missing,     ///< a table or a column is not there: look at the schema again
  constraint,  ///< a value that must be there was not
  foreign,     ///< the table is not one of ours, or of a later version
  too_large,   ///< over the engine's limit
  corrupt,     ///< the database cannot be read
  lost,        ///< the connection is of no more use
  other,
};

struct Fault {
  Trouble trouble = Trouble::none;
  std::string message{};   ///< the engine's own words
  std::uint64_t file = 0;  ///< which file it was about, where the engine knows; see `set_aside`
  bool shared = false;     ///< tables of others were seen in it
};

/// Where engines spell things differently.
struct Dialect {
  std::string row_key;  ///< the type of a row's number, its primary key
  std::string bytes;    ///< the type of byte strings
};

/// A value of a row that is fed to a statement. Bytes are borrowed.
struct Cell {
  enum class Type : std::uint8_t { null, number, bytes };

  Cell() = default;
  Cell(std::int64_t value) noexcept : type(Type::number), number(value) {}
  Cell(std::string_view value) noexcept : type(Type::bytes), bytes(value) {}

  Type type = Type::null;
  std::int64_t number = 0;
  std::string_view bytes{};
};
/// Columns of the table `flux_cache_fed_rows`, which holds what `Connection::feed` was given: c0, c1...
inline constexpr std::size_t kFedColumns = 10;

/// A counter as it stands, in the eyes of the statement that is about to change it.
struct Counter {
  std::int64_t fresh_until, keep_until, kind, number, proof;
  std::string_view labels;
};

/// Answers what statements ask while they run, inside their transaction, by functions of these names.
class Respondent {
 public:
  /// `flux_home(space)`: the number that its rows have to carry; where there is none, the statement fails.
  /// `flux_sole_home(space)`: likewise, and it fails where a key's row may stand elsewhere than at the first number of
  /// its bucket.
  virtual std::optional<std::int64_t> home(std::int64_t space, bool sole) noexcept = 0;
  /// `flux_may_count(fresh_until, keep_until, kind, number, proof, labels)`
  virtual bool may_count(const Counter& counter) noexcept = 0;
  /// `flux_counted_proof()`, after `may_count` agreed
  virtual std::int64_t counted_proof() noexcept = 0;

 protected:
  ~Respondent() = default;
};

enum class Step : std::uint8_t { row, done, failed };

/// A prepared statement, used again and again by one thread at a time. What is bound is borrowed until `reset`.
class Statement {
 public:
  virtual ~Statement() = default;
  virtual void bind(int parameter, std::int64_t number) noexcept = 0;
  virtual void bind(int parameter, std::string_view bytes) noexcept = 0;
  virtual void bind_null(int parameter) noexcept = 0;
  virtual Step step() noexcept = 0;
  /// Ends the run; a statement outside a transaction lets its lock go here.
  virtual void reset() noexcept = 0;

  virtual bool is_null(int column) noexcept = 0;
  virtual std::int64_t integer(int column) noexcept = 0;
  /// The engine's own buffer, valid until the next step or reset.
  virtual std::string_view bytes(int column) noexcept = 0;
};

class Connection {
 public:
  virtual ~Connection() = default;
  /// Null: see `fault`.
  virtual std::unique_ptr<Statement> prepare(const std::string& sql) = 0;
  /// Runs a statement that neither takes nor gives values.
  virtual bool run(const std::string& sql) = 0;
  /// What the last step or call that failed met.
  virtual Fault fault() const = 0;
  /// Rows written by the last statement.
  virtual std::int64_t changes() const noexcept = 0;
  virtual bool in_transaction() const noexcept = 0;
  /// Who answers the statements of this connection; for as long as it lives.
  virtual void ask(Respondent& respondent) noexcept = 0;
  /// The rows that statements read from `flux_cache_fed_rows`, from now on: `columns` cells each. Borrowed while they
  /// run.
  virtual void feed(std::span<const Cell> cells, std::size_t columns) noexcept = 0;
  /// As of the transaction that goes on, or of the last one: another number whenever anything was written, by anyone,
  /// since a read that was told this one. A transaction of this connection that wrote raises it by 1 as it ends, one
  /// of somebody else's by 1 as it is first seen; so where it is higher by 1 alone after a transaction of one's own,
  /// there was no other. Never 0; an engine that cannot tell answers a number higher by 2 each time.
  virtual std::uint64_t data_version() noexcept = 0;
  /// True once after the schema changed under the prepared statements.
  virtual bool schema_moved() noexcept = 0;
  /// -1: see `fault`.
  virtual int table_exists(std::string_view table) = 0;
  /// True where the same database holds tables of others.
  virtual bool is_shared() noexcept = 0;
  /// The time that calls may still wait for others, from now until it is set again.
  virtual void allow_waiting(Duration length) noexcept = 0;
  /// Whether this is still the database that its address names, and as usable as it could be.
  virtual bool is_current() noexcept = 0;
  /// Closes with as little work as can be; for the moment before a fork.
  virtual void close_quickly() noexcept = 0;
};

/// Where connections come from. Thread-safe.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual Dialect dialect() const = 0;
  /// Null: `fault` says why.
  virtual std::unique_ptr<Connection> connect(Duration waiting, Fault& fault) = 0;
  /// Takes the database that `corrupt` is about out of the way: once, whoever asks first. Answers what became of it, in
  /// words.
  virtual std::string set_aside(const Fault& corrupt) = 0;

  /// Lives in this process alone and ends with its one connection.
  virtual bool is_private() const noexcept = 0;
};

}  // namespace detail::database
}  // namespace v1
}  // namespace flux::cache
