// The database store, bare and through the whole facade, beside prepared statements on the same schema, the default
// journal, LMDB, LevelDB and RocksDB, on the file system of the given directory:
//   bench_database [directory] [rounds]
// In each table the first line is what the others are compared with. Values are never the same twice: writing equal
// bytes again would leave the page out.
#include <sqlite3.h>
#include <unistd.h>
#include <flux/cache/manager.hpp>
#include <flux/cache/stores/database.hpp>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/stores/contest.hpp"

#ifdef FLUX_BENCH_LMDB
#include <lmdb.h>
#endif
#ifdef FLUX_BENCH_LEVELDB
#include <leveldb/db.h>
#endif
#ifdef FLUX_BENCH_ROCKSDB
#include <rocksdb/db.h>
#endif

namespace {

using namespace flux::cache;
using flux::bench::Contest;

constexpr int kBatch = 100;
constexpr int kMany = 1000;
constexpr int kKeys = 10'000;

void must(bool right) {
  if (!right) std::abort();
}

std::vector<std::string> make_names() {
  std::vector<std::string> names;
  for (int i = 0; i < kKeys; ++i) names.push_back("product_" + std::to_string(i));
  return names;
}
const std::vector<std::string> names = make_names();
const std::string& name_of(int i) { return names[static_cast<std::size_t>(i) * 7919 % kKeys]; }

/// A value that was not there before.
const std::string& fresh_value(std::size_t size) {
  static std::string value;
  static std::uint64_t state = 1;
  value.resize(size);
  for (std::size_t at = 0; at + 8 <= size; at += 8) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    std::memcpy(value.data() + at, &state, 8);
  }
  return value;
}

/// What a careful programmer would write by hand: the schema of the store, one prepared statement, the key compared.
class Bare {
 public:
  Bare(const std::string& path, bool log) {
    must(sqlite3_open_v2(path.c_str(), &database_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                         nullptr) == SQLITE_OK);
    if (log)
      run("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA secure_delete=OFF;"
          "PRAGMA cache_size=-8192; PRAGMA wal_autocheckpoint=4000");
    run("CREATE TABLE cache (id INTEGER PRIMARY KEY, home BIGINT, version BIGINT, fresh_until BIGINT,"
        " keep_until BIGINT, kind BIGINT, number BIGINT, proof BIGINT, key BLOB,"
        " labels BLOB, value BLOB)");
    get_ = prepare("SELECT key, fresh_until, value FROM cache WHERE id=?1");
    get_row_ = prepare(
        "SELECT version,fresh_until,keep_until,kind,number,proof,labels,value,home FROM cache WHERE id BETWEEN ?1 AND "
        "?1+7 AND key=?2");
    put_ = prepare(
        "INSERT INTO cache (id,home,version,fresh_until,keep_until,kind,proof,key,value) VALUES "
        "(?1,?2,?3,?4,?4,5,?5,?6,"
        "?7) ON CONFLICT (id) DO UPDATE SET version=excluded.version,fresh_until=excluded.fresh_until,keep_until="
        "excluded.keep_until,proof=excluded.proof,value=excluded.value");
    count_ = prepare("UPDATE cache SET number=coalesce(number,0)+1 WHERE id=?1 RETURNING number");
    begin_ = prepare("BEGIN IMMEDIATE");
    read_ = prepare("BEGIN");
    commit_ = prepare("COMMIT");
  }
  ~Bare() {
    for (sqlite3_stmt* statement : {get_, get_row_, put_, count_, begin_, read_, commit_}) sqlite3_finalize(statement);
    sqlite3_close(database_);
  }
  Bare(const Bare&) = delete;
  Bare& operator=(const Bare&) = delete;

  void put(const std::string& key, const std::string& value) {
    sqlite3_bind_int64(put_, 1, id_of(key));
    sqlite3_bind_int64(put_, 2, 12345678901234);
    sqlite3_bind_int64(put_, 3, ++version_ * 7919);
    sqlite3_bind_int64(put_, 4, INT64_MAX);
    sqlite3_bind_int64(put_, 5, version_ * 104'729'000'000'007);
    sqlite3_bind_blob(put_, 6, key.data(), static_cast<int>(key.size()), SQLITE_STATIC);
    sqlite3_bind_blob(put_, 7, value.data(), static_cast<int>(value.size()), SQLITE_STATIC);
    finish(put_);
  }
  /// A string of its own, as the facade answers one.
  std::string get(const std::string& key) {
    std::string value;
    get(key, value);
    return value;
  }
  void get(const std::string& key, std::string& into) {
    sqlite3_bind_int64(get_, 1, id_of(key));
    must(sqlite3_step(get_) == SQLITE_ROW);
    must(static_cast<std::size_t>(sqlite3_column_bytes(get_, 0)) == key.size() &&
         std::memcmp(sqlite3_column_blob(get_, 0), key.data(), key.size()) == 0 && sqlite3_column_int64(get_, 1) > 0);
    into.assign(static_cast<const char*>(sqlite3_column_blob(get_, 2)),
                static_cast<std::size_t>(sqlite3_column_bytes(get_, 2)));
    sqlite3_reset(get_);
  }
  /// With what the store's promises ask for: the whole row, at any place of its bucket. Nothing is checked.
  std::string get_row(const std::string& key) {
    std::string value;
    sqlite3_bind_int64(get_row_, 1, id_of(key));
    sqlite3_bind_blob(get_row_, 2, key.data(), static_cast<int>(key.size()), SQLITE_STATIC);
    must(sqlite3_step(get_row_) == SQLITE_ROW);
    for (const int column : {0, 1, 2, 3, 5, 8})
      seen_ += static_cast<std::uint64_t>(sqlite3_column_int64(get_row_, column));
    must(sqlite3_column_type(get_row_, 6) == SQLITE_NULL);
    value.assign(static_cast<const char*>(sqlite3_column_blob(get_row_, 7)),
                 static_cast<std::size_t>(sqlite3_column_bytes(get_row_, 7)));
    sqlite3_reset(get_row_);
    return value;
  }
  void count(const std::string& key) {
    sqlite3_bind_int64(count_, 1, id_of(key));
    must(sqlite3_step(count_) == SQLITE_ROW);
    finish(count_);
  }
  void begin(bool writing) { finish(writing ? begin_ : read_); }
  void commit() { finish(commit_); }

 private:
  static std::int64_t id_of(const std::string& key) {
    return static_cast<std::int64_t>(std::hash<std::string>()(key) & ~std::size_t{7});
  }
  sqlite3_stmt* prepare(const char* sql) {
    sqlite3_stmt* statement = nullptr;
    must(sqlite3_prepare_v3(database_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr) == SQLITE_OK);
    return statement;
  }
  void run(const char* sql) { must(sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) == SQLITE_OK); }
  static void finish(sqlite3_stmt* statement) {
    must(sqlite3_step(statement) == SQLITE_DONE);
    sqlite3_reset(statement);
  }

  sqlite3* database_ = nullptr;
  sqlite3_stmt *get_, *get_row_, *put_, *count_, *begin_, *read_, *commit_;
  std::int64_t version_ = 0;
  std::uint64_t seen_ = 0;
};

#ifdef FLUX_BENCH_LMDB
/// Not synced: like the others, it may lose the last writes with the machine, though here the file may suffer too.
class Lmdb {
 public:
  explicit Lmdb(const std::string& path) {
    std::filesystem::create_directory(path);
    must(mdb_env_create(&environment_) == 0 && mdb_env_set_mapsize(environment_, std::size_t{1} << 32) == 0 &&
         mdb_env_open(environment_, path.c_str(), MDB_NOSYNC, 0600) == 0);
    MDB_txn* transaction = begin(0);
    must(mdb_dbi_open(transaction, nullptr, MDB_CREATE, &table_) == 0 && mdb_txn_commit(transaction) == 0);
  }
  ~Lmdb() { mdb_env_close(environment_); }
  Lmdb(const Lmdb&) = delete;
  Lmdb& operator=(const Lmdb&) = delete;

  MDB_txn* begin(unsigned flags) {
    MDB_txn* transaction = nullptr;
    must(mdb_txn_begin(environment_, nullptr, flags, &transaction) == 0);
    return transaction;
  }
  void put(MDB_txn* transaction, const std::string& key, const std::string& value) {
    MDB_val k = view(key), v = view(value);
    must(mdb_put(transaction, table_, &k, &v, 0) == 0);
  }
  void get(MDB_txn* transaction, const std::string& key, std::string& into) {
    MDB_val k = view(key), v{};
    must(mdb_get(transaction, table_, &k, &v) == 0);
    into.assign(static_cast<const char*>(v.mv_data), v.mv_size);
  }

 private:
  static MDB_val view(const std::string& text) { return {text.size(), const_cast<char*>(text.data())}; }

  MDB_env* environment_ = nullptr;
  MDB_dbi table_ = 0;
};
#endif

using Call = std::function<void(int)>;
using Contestants = std::vector<std::pair<std::string, Call>>;

/// Each call `each` times a batch; a call works on `width` keys.
void contest(const std::string& title, const Contestants& contestants, int rounds, int each, int width) {
  Contest contest(title, each * width);
  for (const auto& [name, call] : contestants)
    contest.enter(name, [each, width, &call = call](int round) {
      for (int i = 0; i < each; ++i) call((round * each + i) * width);
    });
  contest.run(rounds);
}

void measure(const std::string& here, std::size_t size, int rounds) {
  std::filesystem::create_directories(here);
  Bare journal(here + "/journal.sqlite", false), bare(here + "/bare.sqlite", true), rows(here + "/rows.sqlite", true);
  const StorePtr store = make_database({}, {.database = here + "/store.sqlite"});
  const StoreManager manager(
      Config{.default_store = "database",
             .stores = {{"database", DatabaseConfig{}}},
             .connections = {{"default", SqliteConnection{.database = here + "/facade.sqlite"}}}});
  const Repository facade = manager.store();
  std::string into;

  Contestants gets, puts, batches, manys, counts;
  puts.emplace_back("prepared statement, default journal", [&](int i) { journal.put(name_of(i), fresh_value(size)); });
  puts.emplace_back("prepared statement, log", [&](int i) { bare.put(name_of(i), fresh_value(size)); });
  gets.emplace_back("prepared statement, log", [&](int i) { into = bare.get(name_of(i)); });
  gets.emplace_back("the same, the whole row", [&](int i) { into = rows.get_row(name_of(i)); });
  counts.emplace_back("prepared statement, log", [&](int i) { bare.count(name_of(i % 100)); });
  batches.emplace_back("prepared statement, log", [&](int i) {
    bare.begin(true);
    for (int k = i; k < i + kMany; ++k) bare.put(name_of(k), fresh_value(size));
    bare.commit();
  });
  // As `many` does, it has all values at the end.
  manys.emplace_back("prepared statement, log", [&](int i) {
    std::vector<std::string> all;
    all.reserve(kMany);
    bare.begin(false);
    for (int k = i; k < i + kMany; ++k) all.push_back(bare.get(name_of(k)));
    bare.commit();
    must(all.size() == kMany);
  });
  manys.emplace_back("the same, each over the last", [&](int i) {
    bare.begin(false);
    for (int k = i; k < i + kMany; ++k) bare.get(name_of(k), into);
    bare.commit();
  });

  const auto entry = [&] { return Entry{.value = {.kind = Kind::bytes, .text = fresh_value(size)}}; };
  puts.emplace_back("database store", [&](int i) { must(*store->put(Key(name_of(i)), entry(), {})); });
  gets.emplace_back("database store", [&](int i) {
    must(*store->get(Key(name_of(i)), {}, [&](const Entry& found) { into.assign(found.value.text); }));
  });
  counts.emplace_back("database store",
                      [&](int i) { must(store->increment(Key("count_" + std::to_string(i % 100)), 1, {}).ok()); });
  std::vector<std::string> values(kMany);
  batches.emplace_back("database store", [&](int i) {
    std::vector<Item> items;
    for (int k = 0; k < kMany; ++k) {
      values[static_cast<std::size_t>(k)] = fresh_value(size);
      Entry one{.value = {.kind = Kind::bytes, .text = values[static_cast<std::size_t>(k)]}};
      items.push_back({Key(name_of(i + k)), one});
    }
    must(store->put_many(items)->failed.empty());
  });
  manys.emplace_back("database store", [&](int i) {
    std::vector<Key> keys;
    for (int k = i; k < i + kMany; ++k) keys.emplace_back(name_of(k));
    int found = 0;
    must(store->get_many(keys, {}, [&](std::size_t, const Entry& one) { into.assign(one.value.text), ++found; }).ok());
    must(found == kMany);
  });

  puts.emplace_back("whole facade", [&](int i) { must(facade.put(name_of(i), fresh_value(size))); });
  gets.emplace_back("whole facade", [&](int i) { into = *facade.get<std::string>(name_of(i)); });
  counts.emplace_back("whole facade", [&](int i) { facade.increment("count_" + std::to_string(i % 100)); });
  batches.emplace_back("whole facade", [&](int i) {
    std::vector<std::pair<std::string_view, std::string_view>> items;
    for (int k = 0; k < kMany; ++k)
      items.emplace_back(name_of(i + k), values[static_cast<std::size_t>(k)] = fresh_value(size));
    must(facade.put_many(items));
  });
  manys.emplace_back("whole facade", [&](int i) {
    std::vector<std::string_view> keys;
    for (int k = i; k < i + kMany; ++k) keys.emplace_back(name_of(k));
    const auto found = facade.many<std::string>(keys);
    must(found.size() == kMany);
  });

#ifdef FLUX_BENCH_LMDB
  Lmdb lmdb(here + "/lmdb");
  puts.emplace_back("LMDB, not synced", [&](int i) {
    MDB_txn* const transaction = lmdb.begin(0);
    lmdb.put(transaction, name_of(i), fresh_value(size));
    must(mdb_txn_commit(transaction) == 0);
  });
  gets.emplace_back("LMDB, not synced", [&](int i) {
    MDB_txn* const transaction = lmdb.begin(MDB_RDONLY);
    lmdb.get(transaction, name_of(i), into);
    mdb_txn_abort(transaction);
  });
  batches.emplace_back("LMDB, not synced", [&](int i) {
    MDB_txn* const transaction = lmdb.begin(0);
    for (int k = i; k < i + kMany; ++k) lmdb.put(transaction, name_of(k), fresh_value(size));
    must(mdb_txn_commit(transaction) == 0);
  });
#endif
#ifdef FLUX_BENCH_LEVELDB
  leveldb::DB* level_opened = nullptr;
  leveldb::Options level_options;
  level_options.create_if_missing = true;
  must(leveldb::DB::Open(level_options, here + "/leveldb", &level_opened).ok());
  const std::unique_ptr<leveldb::DB> level(level_opened);
  puts.emplace_back("LevelDB", [&](int i) { must(level->Put({}, name_of(i), fresh_value(size)).ok()); });
  gets.emplace_back("LevelDB", [&](int i) { must(level->Get({}, name_of(i), &into).ok()); });
#endif
#ifdef FLUX_BENCH_ROCKSDB
  rocksdb::DB* rocks_opened = nullptr;
  rocksdb::Options rocks_options;
  rocks_options.create_if_missing = true;
  must(rocksdb::DB::Open(rocks_options, here + "/rocksdb", &rocks_opened).ok());
  const std::unique_ptr<rocksdb::DB> rocks(rocks_opened);
  puts.emplace_back("RocksDB", [&](int i) { must(rocks->Put({}, name_of(i), fresh_value(size)).ok()); });
  gets.emplace_back("RocksDB", [&](int i) { must(rocks->Get({}, name_of(i), &into).ok()); });
#endif

  // Its table is filled as theirs are, but is its own: what the line before has read would be in the page cache.
  const auto fill_rows = [&](int i) {
    rows.begin(true);
    for (int k = i; k < i + kMany; ++k) rows.put(name_of(k), fresh_value(size));
    rows.commit();
  };
  for (int i = 0; i < kKeys; i += kMany) fill_rows(i);
  for (int i = 0; i < kKeys; ++i) rows.put(name_of(i), fresh_value(size));
  for (const auto& [name, call] : batches)
    for (int i = 0; i < kKeys; i += kMany) call(i);
  for (const auto& [name, call] : puts)
    if (name != puts.front().first)
      for (int i = 0; i < kKeys; ++i) call(i);
  journal.begin(true);
  for (int i = 0; i < kKeys; ++i) journal.put(name_of(i), fresh_value(size));
  journal.commit();

  const std::string bytes = ", " + std::to_string(size) + " bytes";
  contest("get" + bytes, gets, rounds, kBatch, 1);
  contest("many(1000), a key" + bytes, manys, rounds, 1, kMany);
  contest("put over an old value" + bytes, puts, std::max(rounds / 4, 5), kBatch, 1);
  contest("put_many(1000), a row" + bytes, batches, std::max(rounds / 4, 5), 1, kMany);
  contest("increment", counts, rounds, kBatch, 1);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string where = argc > 1 ? argv[1] : std::filesystem::temp_directory_path().string();
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 60;
  const std::string root = where + "/flux-bench-" + std::to_string(::getpid());
  for (const std::size_t size : {std::size_t{100}, std::size_t{10'000}})
    measure(root + '/' + std::to_string(size), size, rounds);
  std::filesystem::remove_all(root);
}
