// The file store beside the usual layout of file caches, LMDB and LevelDB, on the file system of the given directory:
//   bench_file [directory] [rounds]
// Each reads as far as it takes to hand the value over: into a buffer, or lent from where it lies (LMDB's pages are not
// touched). ext4 finds inodes slowly for some minutes after many were freed: let a while pass between runs.
#include <flux/cache/stores/file.hpp>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "bench/stores/contest.hpp"
#include "bench/stores/usual_files.hpp"

#ifdef FLUX_BENCH_LMDB
#include <lmdb.h>
#endif
#ifdef FLUX_BENCH_LEVELDB
#include <leveldb/db.h>
#endif

namespace {

using namespace flux::cache;
using flux::bench::Contest;

std::string key_of(int i) { return "product_" + std::to_string(i); }

#ifdef FLUX_BENCH_LMDB
class Lmdb {
 public:
  explicit Lmdb(const std::string& path) {
    mdb_env_create(&environment_);
    mdb_env_set_mapsize(environment_, std::size_t{1} << 32);
    if (mdb_env_open(environment_, path.c_str(), MDB_NOSYNC, 0600) != 0) std::abort();
    MDB_txn* transaction = nullptr;
    mdb_txn_begin(environment_, nullptr, 0, &transaction);
    mdb_dbi_open(transaction, nullptr, MDB_CREATE, &table_);
    mdb_txn_commit(transaction);
  }
  ~Lmdb() { mdb_env_close(environment_); }
  void put(std::string key, std::string value) {
    MDB_txn* transaction = nullptr;
    MDB_val k{key.size(), key.data()}, v{value.size(), value.data()};
    if (mdb_txn_begin(environment_, nullptr, 0, &transaction) != 0 || mdb_put(transaction, table_, &k, &v, 0) != 0 ||
        mdb_txn_commit(transaction) != 0)
      std::abort();
  }
  bool get(std::string key, std::size_t size) {
    MDB_txn* transaction = nullptr;
    MDB_val k{key.size(), key.data()}, v{};
    mdb_txn_begin(environment_, nullptr, MDB_RDONLY, &transaction);
    const bool found = mdb_get(transaction, table_, &k, &v) == 0 && v.mv_size == size;
    mdb_txn_abort(transaction);
    return found;
  }

 private:
  MDB_env* environment_ = nullptr;
  MDB_dbi table_ = 0;
};
#endif

void measure(const std::string& root, std::size_t size, int keys, int batch, int rounds) {
  const std::string here = root + '/' + std::to_string(size);
  std::filesystem::create_directories(here);
  const std::string value(size, 'v');
  const flux::bench::UsualFiles usual(here + "/usual");
  const StorePtr store = make_file({.path = here + "/flux"});
  const auto put = [&](const std::string& key) {
    if (!store->put(Key(key), {.value = {.kind = Kind::bytes, .text = value}}, {}).ok()) std::abort();
  };
  std::vector<std::pair<std::string, std::function<void(const std::string&)>>> puts, gets;
  std::string into;
  puts.emplace_back("usual layout", [&](const std::string& key) { usual.put(key, value); });
  puts.emplace_back("file store", put);
  gets.emplace_back("usual layout", [&](const std::string& key) {
    if (!usual.get(key, into)) std::abort();
  });
  gets.emplace_back("file store", [&](const std::string& key) {
    std::size_t seen = 0;
    auto there = store->get(Key(key), {}, [&](const Entry& entry) { seen = entry.value.text.size(); });
    if (!there.ok() || seen != size) std::abort();
  });
#ifdef FLUX_BENCH_LMDB
  std::filesystem::create_directory(here + "/lmdb");
  Lmdb lmdb(here + "/lmdb");
  puts.emplace_back("LMDB, not synced", [&](const std::string& key) { lmdb.put(key, value); });
  gets.emplace_back("LMDB, not synced", [&](const std::string& key) {
    if (!lmdb.get(key, size)) std::abort();
  });
#endif
#ifdef FLUX_BENCH_LEVELDB
  leveldb::DB* opened = nullptr;
  leveldb::Options options;
  options.create_if_missing = true;
  if (!leveldb::DB::Open(options, here + "/leveldb", &opened).ok()) std::abort();
  const std::unique_ptr<leveldb::DB> leveldb(opened);
  puts.emplace_back("LevelDB", [&](const std::string& key) {
    if (!leveldb->Put({}, key, value).ok()) std::abort();
  });
  gets.emplace_back("LevelDB", [&](const std::string& key) {
    if (!leveldb->Get({}, key, &into).ok()) std::abort();
  });
#endif

  for (const auto& [name, call] : puts) {
    for (int i = 0; i < keys; ++i) call(key_of(i));
  }
  const std::string bytes = ", " + std::to_string(size) + " bytes";
  const auto contest = [&](const std::string& title, const auto& contestants, const auto& key) {
    Contest contest(title + bytes, batch);
    for (const auto& [name, call] : contestants) {
      contest.enter(name, [&key, &call = call, batch](int round) {
        for (int i = 0; i < batch; ++i) call(key(round * batch + i));
      });
    }
    contest.run(rounds);
  };
  contest("get", gets, [keys](int i) { return key_of(i * 7 % keys); });
  contest("put over an old value", puts, [keys](int i) { return key_of(i * 7 % keys); });
  contest("put of a new key", puts, [keys](int i) { return key_of(keys + i); });
}

}  // namespace

int main(int argc, char** argv) {
  const std::string where = argc > 1 ? argv[1] : std::filesystem::temp_directory_path().string();
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 200;
  const std::string root = where + "/flux-bench-" + std::to_string(::getpid());
  measure(root, 100, 2000, 20, rounds);
  measure(root, 10'000, 500, 20, rounds);
  measure(root, std::size_t{1} << 20, 10, 2, rounds / 10);
  std::filesystem::remove_all(root);
}
