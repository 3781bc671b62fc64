// tests/bench/memory/memory_bench.cpp - the engine beside its peers, in interleaved rounds.
//
//   memory_bench [rounds=7] [part or contestant ...]
//     parts: hits borrow many share through put tail bytes; none named: all
//     contestants: engine sharded hyper rocks tbb flat; none named: all
//
// Every round runs every contestant once, so that what the machine does meanwhile strikes all alike; the tables show
// medians over the rounds. Each value read is checked against its key; wrong ones are counted and must be 0. At the end
// stands the list of what must be reached, with the ratio that was.
#include "contestants.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <map>
#include <set>

namespace {

using namespace bench;

constexpr std::size_t kCapacity = 100'000;
constexpr std::size_t kUniverse = 1'000'000;
constexpr std::size_t kSequence = 1 << 22;

struct Data {
  std::vector<Key> keys = make_keys(kUniverse);
  std::vector<std::uint32_t> hot = zipf(kCapacity, kSequence, 1);   // all of them fit
  std::vector<std::uint32_t> wide = zipf(kUniverse, kSequence, 2);  // a tenth of them fits
};

const Data& data() {
  static const Data data;
  return data;
}

std::atomic<std::uint64_t> wrong{0};
int rounds = 7;
std::map<std::string, std::map<std::string, std::vector<double>>> results;  // workload -> contestant -> figures

void record(const std::string& workload, const char* contestant, double figure) {
  results[workload][contestant].push_back(figure);
}
double figure(const std::string& workload, const std::string& contestant) {
  return median(results[workload][contestant]);
}

template <class Cache>
void fill(Cache& cache, std::size_t count) {
  char value[kValueSize];
  for (std::size_t id = 0; id < count; ++id) {
    make_value(id, value);
    cache.put(data().keys[id], value);
  }
}

/// Draws near a key that comes up soon: a program that asks a cache has the key at hand, so the wait for the bench's
/// own table of keys is none of the cache's.
void expect(const std::vector<std::uint32_t>& sequence, std::size_t at) {
  const Key& key = data().keys[sequence[(at + 12) % kSequence]];
  __builtin_prefetch(key.bytes);
  __builtin_prefetch(key.bytes + kKeySize - 1);
}

/// A thread's own part of a sequence.
std::size_t start_of(int thread) { return (static_cast<std::size_t>(thread) * 524'309) % kSequence; }

/// Some reads before the clock starts: the contestant before has filled the processor's caches with its own entries,
/// and to fetch them anew is no part of a running cache's work.
template <class Cache>
void warm(Cache& cache, const std::vector<std::uint32_t>& sequence) {
  char out[kValueSize];
  for (std::size_t at = kSequence / 2, left = 250'000; left > 0; --left, ++at) {
    expect(sequence, at);
    (void)cache.get(data().keys[sequence[at]], out);
  }
}
template <class Cache>
void warm_objects(Cache& cache) {
  std::uint64_t seen = 0;
  for (std::size_t at = kSequence / 2, left = 250'000; left > 0; --left, ++at) {
    expect(data().hot, at);
    (void)cache.share(data().keys[data().hot[at]], seen);
  }
}

template <class Cache>
void hits(Cache& cache, const std::string& name, int threads, std::size_t operations) {
  const std::size_t each = operations / static_cast<std::size_t>(threads);
  warm(cache, data().hot);
  const double time = run(threads, [&](int thread) {
    char out[kValueSize];
    std::uint64_t bad = 0;
    for (std::size_t at = start_of(thread), left = each; left > 0; --left, at = (at + 1) % kSequence) {
      expect(data().hot, at);
      const std::uint32_t id = data().hot[at];
      if (cache.get(data().keys[id], out)) bad += !is_value_of(id, out);
    }
    wrong += bad;
  });
  record(name, Cache::kName, double(each) * threads / time / 1e6);
}

template <class Cache>
void borrows(Cache& cache, int threads, std::size_t operations) {
  warm(cache, data().hot);
  const double time = run(threads, [&](int thread) {
    std::uint64_t bad = 0, seen = 0;
    for (std::size_t at = start_of(thread), left = operations; left > 0; --left, at = (at + 1) % kSequence) {
      expect(data().hot, at);
      const std::uint32_t id = data().hot[at];
      if (cache.borrow(data().keys[id], seen)) bad += seen != id;
    }
    wrong += bad;
  });
  record("borrow", Cache::kName, double(operations) / time / 1e6);
}

void batches(Flux& cache, std::size_t size, std::size_t operations) {
  warm(cache, data().hot);
  const std::string name = "many " + std::to_string(size);
  const double time = run(1, [&](int) {
    std::uint64_t bad = 0;
    const Key* keys[32];
    std::uint32_t ids[32];
    char out[kValueSize];
    for (std::size_t done = 0, at = 0; done < operations; done += size) {
      for (std::size_t index = 0; index < size; ++index, at = (at + 1) % kSequence) {
        expect(data().hot, at);
        ids[index] = data().hot[at];
        keys[index] = &data().keys[ids[index]];
      }
      cache.many(keys, size, [&](std::size_t index, const char* value) {
        std::memcpy(out, value, kValueSize);
        bad += !is_value_of(ids[index], out);
      });
    }
    wrong += bad;
  });
  record(name, Flux::kName, double(operations) / time / 1e6);
}

template <class Cache>
void shares(Cache& cache, int threads, std::size_t operations) {
  warm_objects(cache);
  const std::size_t each = operations / static_cast<std::size_t>(threads);
  const double time = run(threads, [&](int thread) {
    std::uint64_t bad = 0, seen = 0;
    for (std::size_t at = start_of(thread), left = each; left > 0; --left, at = (at + 1) % kSequence) {
      expect(data().hot, at);
      const std::uint32_t id = data().hot[at];
      if (cache.share(data().keys[id], seen)) bad += seen != id;
    }
    wrong += bad;
  });
  record("share " + std::to_string(threads), Cache::kName, double(each) * threads / time / 1e6);
}

template <class Cache>
void read_through(Cache& cache, int threads, std::size_t operations) {
  warm(cache, data().wide);
  const std::size_t each = operations / static_cast<std::size_t>(threads);
  std::atomic<std::uint64_t> all_hits{0}, all_gets{0};
  const double time = run(threads, [&](int thread) {
    char out[kValueSize], value[kValueSize];
    std::uint64_t bad = 0, hit = 0, gets = 0;
    static std::atomic<std::size_t> shift{0};
    for (std::size_t at = (start_of(thread) + shift.fetch_add(77'777)) % kSequence, left = each; left > 0;
         --left, at = (at + 1) % kSequence) {
      expect(data().wide, at);
      const std::uint32_t id = data().wide[at];
      const Key& key = data().keys[id];
      if (left % 20 == 0) {
        make_value(id, value);
        cache.put(key, value);
        continue;
      }
      ++gets;
      if (cache.get(key, out)) {
        ++hit;
        bad += !is_value_of(id, out);
      } else {
        make_value(id, value);
        cache.put(key, value);
      }
    }
    wrong += bad;
    all_hits += hit;
    all_gets += gets;
  });
  record("through " + std::to_string(threads), Cache::kName, double(each) * threads / time / 1e6);
  record("ratio " + std::to_string(threads), Cache::kName, double(all_hits) / double(all_gets));
}

template <class Cache>
void puts(Cache& cache, int threads, std::size_t operations) {
  warm(cache, data().hot);
  const std::size_t each = operations / static_cast<std::size_t>(threads);
  const double time = run(threads, [&](int thread) {
    char value[kValueSize];
    for (std::size_t at = start_of(thread), left = each; left > 0; --left, at = (at + 1) % kSequence) {
      expect(data().hot, at);
      const std::uint32_t id = data().hot[at];
      make_value(id, value);
      cache.overwrite(data().keys[id], value);
    }
  });
  record("put " + std::to_string(threads), Cache::kName, double(each) * threads / time / 1e6);
}

enum class Kind { hit, through, put };

template <class Cache>
void tails(Cache& cache, Kind kind, int threads, std::size_t operations) {
  warm(cache, kind == Kind::through ? data().wide : data().hot);
  static constexpr const char* kNames[] = {"hit", "through", "put"};
  const std::string name = std::string(kNames[static_cast<int>(kind)]) + " " + std::to_string(threads);
  std::vector<Histogram> histograms(static_cast<std::size_t>(threads));
  const std::size_t each = operations / static_cast<std::size_t>(threads);
  run(threads, [&](int thread) {
    char out[kValueSize], value[kValueSize];
    Histogram& histogram = histograms[static_cast<std::size_t>(thread)] = {};
    const auto& sequence = kind == Kind::through ? data().wide : data().hot;
    for (std::size_t at = start_of(thread), left = each; left > 0; --left, at = (at + 1) % kSequence) {
      expect(sequence, at);
      const std::uint32_t id = sequence[at];
      const Key& key = data().keys[id];
      make_value(id, value);
      const std::uint64_t from = ticks();
      if (kind == Kind::put) {
        cache.overwrite(key, value);
      } else if (kind == Kind::through && left % 20 == 0) {
        cache.put(key, value);
      } else if (!cache.get(key, out) && kind == Kind::through) {
        cache.put(key, value);
      }
      histogram.add(ticks() - from);
    }
  });
  for (std::size_t index = 1; index < histograms.size(); ++index) histograms[0].merge(histograms[index]);
  record("p50 " + name, Cache::kName, histograms[0].quantile(0.5));
  record("p99 " + name, Cache::kName, histograms[0].quantile(0.99));
  record("p99.9 " + name, Cache::kName, histograms[0].quantile(0.999));
}

/// Memory of the process's own; pages of files, which a child maps anew as its code runs, are left out.
std::uint64_t resident() {
  std::FILE* const file = std::fopen("/proc/self/statm", "r");
  unsigned long long size = 0, pages = 0, of_files = 0;
  if (file != nullptr) {
    if (std::fscanf(file, "%llu %llu %llu", &size, &pages, &of_files) != 3) pages = of_files = 0;
    std::fclose(file);
  }
  return (pages - of_files) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

/// Growth of the process, in a child of its own, divided by the entries; the capacity is what was filled, after three
/// times as many puts, so that everything a running cache needs has come into being.
template <class Cache>
void bytes(std::size_t entries) {
  int ends[2];
  if (::pipe(ends) != 0) return;
  const pid_t child = ::fork();
  if (child == 0) {
    const std::uint64_t before = resident();
    auto cache = std::make_unique<Cache>(entries);
    char value[kValueSize];
    Key key{};
    for (std::size_t id = 0; id < entries * 3; ++id) {
      char text[32];
      std::snprintf(text, sizeof text, "user:%015llu", static_cast<unsigned long long>(id));
      std::memcpy(key.bytes, text, kKeySize);
      make_value(id, value);
      cache->put(key, value);
    }
    const double each = double(resident() - before) / double(entries);
    const bool written = ::write(ends[1], &each, sizeof each) == static_cast<ssize_t>(sizeof each);
    ::_exit(written ? 0 : 1);
  }
  double each = 0;
  ::close(ends[1]);
  if (::read(ends[0], &each, sizeof each) == static_cast<ssize_t>(sizeof each))
    record("bytes " + std::to_string(entries), Cache::kName, each);
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
}

void table(const char* title, const std::vector<std::string>& workloads, const char* format) {
  std::set<std::string> names;
  for (const std::string& workload : workloads)
    for (const auto& [name, figures] : results[workload]) names.insert(name);
  if (names.empty()) return;
  std::printf("\n%s\n%-28s", title, "");
  for (const std::string& workload : workloads) std::printf("%16s", workload.c_str());
  std::printf("\n");
  for (const std::string& name : names) {
    std::printf("%-28s", name.c_str());
    for (const std::string& workload : workloads) {
      if (results[workload].contains(name)) {
        std::printf(format, figure(workload, name));
      } else {
        std::printf("%16s", "-");
      }
    }
    std::printf("\n");
  }
}

double best_peer(const std::string& workload, bool least) {
  double best = 0;
  for (const auto& [name, figures] : results[workload]) {
    if (name == Flux::kName || name == FlatMap::kName || name == "TBB concurrent_lru_cache") continue;
    const double value = median(figures);
    if (best == 0 || (least ? value < best : value > best)) best = value;
  }
  return best;
}

void target(const char* what, double reached, double wanted, bool at_most = false) {
  if (reached == 0 || !std::isfinite(reached)) return;
  const bool ok = at_most ? reached <= wanted : reached >= wanted;
  std::printf("  %-72s %s %8.2f   reached %8.2f   %s\n", what, at_most ? "at most " : "at least", wanted, reached,
              ok ? "yes" : "NO");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) rounds = std::max(1, std::atoi(argv[1]));
  static const std::set<std::string> kParts{"hits", "borrow", "many", "share", "through", "put", "tail", "bytes"};
  static const std::set<std::string> kContestants{"engine", "sharded", "hyper", "rocks", "tbb", "flat"};
  std::set<std::string> parts, contestants;
  for (int index = 2; index < argc; ++index) {
    if (!kParts.contains(argv[index]) && !kContestants.contains(argv[index])) {
      std::fprintf(stderr, "%s: neither a part nor a contestant: %s\n", argv[0], argv[index]);
      return 2;
    }
    (kParts.contains(argv[index]) ? parts : contestants).insert(argv[index]);
  }
  const auto wants = [&](const char* part) { return parts.empty() || parts.contains(part); };
  const auto runs = [&](const char* name) { return contestants.empty() || contestants.contains(name); };

  if (wants("bytes")) {
    for (const std::size_t entries : {std::size_t{100'000}, std::size_t{1'000'000}}) {
      if (runs("engine")) bytes<Flux>(entries);
      if (runs("sharded")) bytes<ShardedLru>(entries);
#if defined(BENCH_ROCKSDB)
      if (runs("hyper")) bytes<RocksDb<true>>(entries);
      if (runs("rocks")) bytes<RocksDb<false>>(entries);
#endif
    }
  }
  data();

  // A tenth of room more where all keys shall fit: every contestant is made of shards that fill unevenly.
  Flux flux(kCapacity + kCapacity / 10), flux_wide(kCapacity), flux_objects(kCapacity + kCapacity / 10);
  ShardedLru sharded(kCapacity + kCapacity / 10), sharded_wide(kCapacity), sharded_objects(kCapacity + kCapacity / 10);
  FlatMap flat(kCapacity);
#if defined(BENCH_ROCKSDB)
  RocksDb<true> hyper(kCapacity + kCapacity / 10), hyper_wide(kCapacity), hyper_objects(kCapacity + kCapacity / 10);
  RocksDb<false> rocks(kCapacity + kCapacity / 10), rocks_wide(kCapacity), rocks_objects(kCapacity + kCapacity / 10);
#endif
  const auto with_all = [&](auto&& f) {
    if (runs("engine")) f(flux);
    if (runs("sharded")) f(sharded);
#if defined(BENCH_ROCKSDB)
    if (runs("hyper")) f(hyper);
    if (runs("rocks")) f(rocks);
#endif
  };
  const auto with_wide = [&](auto&& f) {
    if (runs("engine")) f(flux_wide);
    if (runs("sharded")) f(sharded_wide);
#if defined(BENCH_ROCKSDB)
    if (runs("hyper")) f(hyper_wide);
    if (runs("rocks")) f(rocks_wide);
#endif
  };
  const auto with_objects = [&](auto&& f) {
    if (runs("engine")) f(flux_objects);
    if (runs("sharded")) f(sharded_objects);
#if defined(BENCH_ROCKSDB)
    if (runs("hyper")) f(hyper_objects);
    if (runs("rocks")) f(rocks_objects);
#endif
  };
  with_all([&](auto& cache) { fill(cache, kCapacity); });
  if (runs("flat")) fill(flat, kCapacity);
  if (wants("share")) {
    with_objects([&](auto& cache) {
      for (std::size_t id = 0; id < kCapacity; ++id) {
        auto object = std::make_shared<Record>();
        object->id = id;
        cache.put_object(data().keys[id], std::move(object));
      }
    });
  }
#if defined(BENCH_TBB)
  Tbb tbb(kCapacity);
  if (runs("tbb")) fill(tbb, kCapacity);
#endif
  if (wants("through") || wants("tail")) {
    with_wide([&](auto& cache) { read_through(cache, 1, 4'000'000); });
    results["through 1"].clear();
    results["ratio 1"].clear();
  }

  for (int round = 0; round < rounds; ++round) {
    if (wants("hits")) {
      record("arithmetic", Flux::kName, scaling_of_arithmetic());
      for (const int threads : {1, 2, 8}) {
        const std::string name = "hits " + std::to_string(threads);
        with_all([&](auto& cache) { hits(cache, name, threads, 1'000'000); });
        if (threads == 1 && runs("flat")) hits(flat, name, 1, 1'000'000);
#if defined(BENCH_TBB)
        if (runs("tbb")) hits(tbb, name, threads, 100'000);
#endif
      }
    }
    if (wants("borrow")) {
      with_all([&](auto& cache) { borrows(cache, 1, 1'000'000); });
      if (runs("flat")) borrows(flat, 1, 1'000'000);
    }
    if (wants("many")) {
      if (!wants("hits")) with_all([&](auto& cache) { hits(cache, "hits 1", 1, 1'000'000); });
      if (runs("engine")) {
        batches(flux, 16, 1'280'000);
        batches(flux, 32, 1'280'000);
      }
    }
    if (wants("share"))
      for (const int threads : {1, 2}) with_objects([&](auto& cache) { shares(cache, threads, 1'000'000); });
    if (wants("through"))
      for (const int threads : {1, 2, 8}) with_wide([&](auto& cache) { read_through(cache, threads, 1'000'000); });
    if (wants("put"))
      for (const int threads : {1, 2, 8}) with_all([&](auto& cache) { puts(cache, threads, 1'000'000); });
    if (wants("tail")) {
      with_all([&](auto& cache) { tails(cache, Kind::hit, 1, 500'000); });
      with_all([&](auto& cache) { tails(cache, Kind::hit, 8, 500'000); });
      with_wide([&](auto& cache) { tails(cache, Kind::through, 1, 500'000); });
      with_all([&](auto& cache) { tails(cache, Kind::put, 1, 500'000); });
    }
  }

  table("hits, copied out, Mops/s, by threads", {"hits 1", "hits 2", "hits 8", "borrow", "many 16", "many 32"},
        "%16.2f");
  table("shared objects, Mops/s", {"share 1", "share 2"}, "%16.2f");
  table("read-through 95/5, 100k of 1M, Mops/s", {"through 1", "through 2", "through 8"}, "%16.2f");
  table("its hit ratio", {"ratio 1", "ratio 2", "ratio 8"}, "%16.4f");
  table("put, overwriting, Mops/s", {"put 1", "put 2", "put 8"}, "%16.2f");
  table("latency, ns", {"p50 hit 1", "p99 hit 1", "p99.9 hit 1", "p99 hit 8"}, "%16.0f");
  table("latency, ns", {"p50 through 1", "p99 through 1", "p99.9 through 1"}, "%16.0f");
  table("latency, ns", {"p50 put 1", "p99 put 1", "p99.9 put 1"}, "%16.0f");
  table("resident bytes per entry", {"bytes 100000", "bytes 1000000"}, "%16.0f");

  const std::string us = Flux::kName, clock = "RocksDB HyperClockCache", lru = "16-shard LRU",
                    flat_name = FlatMap::kName;
  const auto over = [&](const std::string& workload, const std::string& peer) {
    return figure(workload, us) / figure(workload, peer);
  };
  std::printf("\nwhat must be reached\n");
  target("hits, 1 thread: x HyperClockCache", over("hits 1", clock), 1.8);
  target("hits, 2 threads: x HyperClockCache", over("hits 2", clock), 2.0);
  target("hits, 1 thread: x flat map without lock and bound", over("hits 1", flat_name), 1.1);
  target("hits: 2 threads x 1 thread", figure("hits 2", us) / figure("hits 1", us), 1.9);
  if (figure("arithmetic", us) > 0)
    std::printf("    of this machine: two threads of plain arithmetic do %.2f x one\n", figure("arithmetic", us));
  target("hits, 8 threads: x HyperClockCache", over("hits 8", clock), 1.8);
  target("hits: p99 of 8 threads x p99 of 1", figure("p99 hit 8", us) / figure("p99 hit 1", us), 1.3, true);
  target("borrowed: x HyperClockCache's hit", figure("borrow", us) / figure("hits 1", clock), 3.0);
  target("many of 16, per key: x HyperClockCache's hit", figure("many 16", us) / figure("hits 1", clock), 5.0);
  target("many of 32, per key: x HyperClockCache's hit", figure("many 32", us) / figure("hits 1", clock), 5.0);
  target("shared object, 1 thread: x best peer", figure("share 1", us) / best_peer("share 1", false), 1.7);
  target("shared object, 2 threads: x best peer", figure("share 2", us) / best_peer("share 2", false), 1.8);
  target("read-through, 1 thread: x best peer", figure("through 1", us) / best_peer("through 1", false), 1.8);
  target("read-through, 2 threads: x best peer", figure("through 2", us) / best_peer("through 2", false), 2.0);
  target("read-through, 8 threads: x best peer", figure("through 8", us) / best_peer("through 8", false), 1.8);
  if (figure("ratio 1", lru) > 0)
    target("read-through: points of hit ratio above LRU", 100 * (figure("ratio 1", us) - figure("ratio 1", lru)), 3.0);
  target("put: x sharded LRU", over("put 1", lru), 1.8);
  target("put: x HyperClockCache", over("put 1", clock), 1.2);
  target("p99 hit: x best peer", figure("p99 hit 1", us) / best_peer("p99 hit 1", true), 0.6, true);
  target("p99 read-through: x best peer", figure("p99 through 1", us) / best_peer("p99 through 1", true), 0.75, true);
  target("p99 put: x best peer", figure("p99 put 1", us) / best_peer("p99 put 1", true), 0.8, true);
  target("p99.9 put, us", figure("p99.9 put 1", us) / 1000, 10, true);
  target("resident bytes per entry, 100k", figure("bytes 100000", us), 175, true);
  target("resident bytes per entry, 1M", figure("bytes 1000000", us), 175, true);
  if (!disturbances.empty())
    std::printf("  of the processors, others took %.1f %% in the median measurement, %.1f %% in the worst\n",
                100 * median(disturbances), 100 * *std::max_element(disturbances.begin(), disturbances.end()));
  std::printf("  wrong values: %llu\n", static_cast<unsigned long long>(wrong.load()));
  return wrong.load() == 0 ? 0 : 1;
}
