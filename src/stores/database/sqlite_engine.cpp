#include "sqlite_engine.hpp"

#include <algorithm>
#include <filesystem>

#include "sqlite_connection.hpp"
#include "sqlite_file.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::database {

namespace {

/// A path as the URI of a file that nobody changes.
std::string immutable_uri(const std::string& path) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string uri = "file:";
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '%' || c == '?' || c == '#' || byte < 0x20 || byte > 0x7e)
      uri += '%', uri += kHex[byte >> 4], uri += kHex[byte & 15];
    else
      uri += c;
  }
  return uri + "?immutable=1";
}

class SqliteEngine final : public Engine {
 public:
  explicit SqliteEngine(SqliteConnection options) : options_(std::move(options)) {
    if (is_private()) return;
    if (options_.database.empty()) options_.database = default_path();
    std::error_code ignored;
    options_.database = std::filesystem::absolute(options_.database, ignored).lexically_normal().string();
  }

  Dialect dialect() const override { return {"INTEGER PRIMARY KEY", "BLOB"}; }
  bool is_private() const noexcept override { return options_.database == ":memory:"; }

  std::unique_ptr<Connection> connect(Duration waiting, Fault& fault) override {
    auto link = open(waiting, fault);
    if (link == nullptr && !fault.message.starts_with(options_.database))
      fault.message = options_.database + ": " + fault.message;
    return link;
  }

  std::string set_aside(const Fault& corrupt) override {
    if (is_private()) return "it was in memory and is made anew";
    if (options_.on_corrupt == OnCorrupt::refuse) return "it is left alone, as configured";
    if (corrupt.shared) return "it is left alone, because it holds tables of others";
    const std::string aside = rename_corrupt(options_.database, corrupt.file);
    return aside.empty() ? "another one has replaced it" : "it was set aside as " + aside + " and is made anew";
  }

 private:
  std::unique_ptr<Connection> open(Duration waiting, Fault& fault) const {
    if (is_private()) {
      auto link = std::make_unique<SqliteLink>();
      link->allow_waiting(waiting);
      if (link->open(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY) && set_up(*link))
        return link;
      fault = link->fault();
      return nullptr;
    }
    if (!make_file(options_.database, fault)) return nullptr;
    if (is_truncated(options_.database)) {
      fault = {Trouble::corrupt, "the file was cut off at its beginning", file_number(options_.database)};
      return nullptr;
    }
    auto link = fresh_link(waiting);
    const bool opened = link->open(options_.database.c_str(), SQLITE_OPEN_READWRITE);
    if (opened && sqlite3_db_readonly(link->database(), "main") == 0 && set_up(*link)) return link;
    fault = link->fault();
    if (opened && sqlite3_db_readonly(link->database(), "main") == 0 && fault.trouble != Trouble::lost &&
        fault.trouble != Trouble::read_only)
      return nullptr;
    return connect_read_only(waiting, fault);
  }

  std::unique_ptr<SqliteLink> fresh_link(Duration waiting) const {
    auto link = std::make_unique<SqliteLink>();
    link->path = options_.database;
    link->file = file_number(options_.database);
    link->allow_waiting(waiting);
    return link;
  }

  /// A log that was not folded in holds entries, and corrections of entries, that such a reader would not see.
  std::unique_ptr<Connection> connect_read_only(Duration waiting, Fault& fault) const {
    if (file_size(options_.database + "-wal") != 0) return nullptr;
    auto link = fresh_link(waiting);
    link->immutable = true;
    if (link->open(immutable_uri(options_.database).c_str(), SQLITE_OPEN_READONLY | SQLITE_OPEN_URI) &&
        link->run("SELECT 1 FROM sqlite_master"))
      return link;
    const Fault second = link->fault();
    if (second.trouble == Trouble::corrupt) fault = second;
    return nullptr;
  }

  bool set_up(SqliteLink& link) const {
    static constexpr const char* kSynchronous[] = {"OFF", "NORMAL", "FULL"};
    // Switching to the log wants the file for itself, and gives up at once where it cannot have it.
    for (int round = 0; !link.run("PRAGMA journal_mode=WAL"); ++round)
      if (link.fault().trouble != Trouble::busy || !link.patience().wait(round)) return false;
    return link.run(std::string("PRAGMA synchronous=") + kSynchronous[static_cast<int>(options_.synchronous)] +
                    ";PRAGMA secure_delete=OFF;PRAGMA trusted_schema=OFF;PRAGMA temp_store=MEMORY;PRAGMA cache_size=-" +
                    std::to_string(options_.cache_bytes / 1024) +
                    ";PRAGMA wal_autocheckpoint=" + std::to_string(options_.checkpoint_pages));
  }

  SqliteConnection options_;
};

}  // namespace

std::unique_ptr<Engine> make_sqlite_engine(SqliteConnection options) {
  return std::make_unique<SqliteEngine>(std::move(options));
}

}  // namespace detail::database
}  // namespace v1
}  // namespace flux::cache
