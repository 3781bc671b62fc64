// What tags, loads and flushes cost on the embedded stores, each beside the same call without them:
//   flux_cache_tags_bench [directory] [rounds] [entries]
// The first figure of a row is the plain call in nanoseconds, the others are ratios to it.
#include <flux/cache/manager.hpp>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <latch>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include "support/scratch_directory.hpp"

namespace {

using namespace flux::cache;
using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

double median(std::vector<double> figures) {
  std::sort(figures.begin(), figures.end());
  return figures[figures.size() / 2];
}

template <class Work>
double per_call(int calls, Work work) {
  const auto begun = Steady::now();
  for (int i = 0; i < calls; ++i) work(i);
  return std::chrono::duration<double, std::nano>(Steady::now() - begun).count() / calls;
}

void must(bool right, const char* what) {
  if (right) return;
  std::fprintf(stderr, "wrong answer: %s\n", what);
  std::exit(1);
}

void hits(const Repository& cache, int rounds, int calls) {
  constexpr int kKeys = 1'000;
  std::vector<std::string> plain, tagged;
  for (int i = 0; i < kKeys; ++i)
    plain.push_back("plain " + std::to_string(i)), tagged.push_back("tagged " + std::to_string(i));
  const std::string value(100, 'v');
  const TagSet under = cache.tags({"users", "shop"});
  for (int i = 0; i < kKeys; ++i) {
    const auto at = static_cast<std::size_t>(i);
    cache.put(plain[at], value, 1h), under.put(tagged[at], value, 1h);
  }
  std::vector<double> get, with_tags, named, remember, put, put_tagged;
  const auto key = [](const auto& keys, int i) -> const std::string& {
    return keys[static_cast<std::size_t>(i) * 7919 % kKeys];
  };
  for (int round = 0; round < rounds; ++round) {
    get.push_back(per_call(calls, [&](int i) { must(cache.get<std::string>(key(plain, i)).has_value(), "get"); }));
    with_tags.push_back(
        per_call(calls, [&](int i) { must(cache.get<std::string>(key(tagged, i)).has_value(), "tagged"); }));
    named.push_back(
        per_call(calls, [&](int i) { must(under.get<std::string>(key(tagged, i)).has_value(), "under tags"); }));
    remember.push_back(per_call(calls, [&](int i) {
      must(cache.remember(key(plain, i), 1h, [] { return std::string(); }).size() == 100, "r");
    }));
    put.push_back(per_call(calls / 10, [&](int i) { must(cache.put(key(plain, i), value, 1h), "put"); }));
    put_tagged.push_back(
        per_call(calls / 10, [&](int i) { must(under.put(key(tagged, i), value, 1h), "put tagged"); }));
  }
  const double base = median(get), base_put = median(put);
  std::printf("  hit %8.0f ns   with two tags %5.2f   asked under them %5.2f   by remember %5.2f (+%.0f ns)\n", base,
              median(with_tags) / base, median(named) / base, median(remember) / base, median(remember) - base);
  std::printf("  put %8.0f ns   under two tags %5.2f\n", base_put, median(put_tagged) / base_put);
}

void flushes(const Repository& cache, int entries) {
  const TagSet under = cache.tags({"many"});
  std::vector<std::string> names;
  std::vector<std::pair<std::string, int>> batch;
  for (int i = 0; i < entries; ++i) {
    batch.emplace_back("entry " + std::to_string(i), i);
    if (batch.size() == 1'000 || i + 1 == entries) under.put_many(batch, 1h), batch.clear();
  }
  must(under.has("entry 0"), "the entries are there");
  const double flush = per_call(1, [&](int) { must(under.flush(), "flush"); });
  double worst = 0;
  for (int i = 0; i < 1'000; ++i)
    worst = std::max(worst, per_call(1, [&](int) { must(!cache.has("entry " + std::to_string(i)), "flushed"); }));
  std::printf("  flush of a tag on %d entries %.3f ms, the slowest of 1,000 calls after it %.3f ms\n", entries,
              flush / 1e6, worst / 1e6);
}

void flights(const Repository& cache, int rounds) {
  constexpr int kCrowd = 64;
  std::vector<double> woken;
  for (int round = 0; round < rounds; ++round) {
    const std::string key = "cold " + std::to_string(round);
    std::latch here(kCrowd);
    std::counting_semaphore<kCrowd> over(0);  // a thread's end costs more than its wake-up, and comes after all answers
    std::atomic<std::int64_t> done{0};
    std::atomic<int> awaited{kCrowd};
    std::vector<Steady::time_point> ends(kCrowd);
    std::vector<std::thread> crowd;
    for (std::size_t i = 0; i < kCrowd; ++i)
      crowd.emplace_back([&, i] {
        here.arrive_and_wait();
        (void)cache.remember(key, 1h, [&] {
          std::this_thread::sleep_for(30ms);
          done = Steady::now().time_since_epoch().count();
          return 1;
        });
        ends[i] = Steady::now();
        if (--awaited == 0) over.release(kCrowd);
        over.acquire();
      });
    for (auto& one : crowd) one.join();
    const auto last = std::max_element(ends.begin(), ends.end())->time_since_epoch().count();
    woken.push_back(static_cast<double>(last - done) / 1e6);
  }
  std::printf("  64 threads on one cold key: the last has its answer %.2f ms after the loader\n", median(woken));
}

}  // namespace

int main(int argc, char** argv) {
  const std::string where = argc > 1 ? argv[1] : std::filesystem::temp_directory_path().string();
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
  const int entries = argc > 3 ? std::atoi(argv[3]) : 100'000;
  const flux::cache::testing::ScratchDirectory scratch(where);
  Config config;
  config.default_store = "memory";
  config.stores["memory"] = MemoryConfig{.max_size = 4'000'000};
  config.stores["file"] = FileConfig{.path = scratch / "files"};
  config.stores["database"] = DatabaseConfig{};
  config.connections["default"] = SqliteConnection{.database = scratch / "cache.sqlite"};
  const StoreManager manager(config);
  for (const char* name : {"memory", "file", "database"}) {
    std::printf("%s\n", name);
    const Repository cache = manager.store(name);
    const bool memory = std::string_view(name) == "memory";
    hits(cache, rounds, memory ? 200'000 : 10'000);
    flushes(cache, memory ? 10 * entries : entries);
    flights(cache, rounds);
  }
}
