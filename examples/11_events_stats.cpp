// examples/11_events_stats.cpp - what happens in a cache: numbers, and a listener that hears each event.
#include <flux/cache.hpp>
#include <flux/cache/patterns/hot_keys.hpp>

#include <atomic>
#include <chrono>
#include <iostream>
#include <string>
#include <thread>

using flux::Cache;
namespace cache = flux::cache;
using namespace std::chrono_literals;

int main() {
  // [listen]
  int heard = 0;
  {
    const cache::Listening listening = Cache::listen([&](const cache::Event& event) {
      std::cout << "  " << event.store << ": " << cache::to_string(event.kind) << ' ' << event.key << '\n';
      ++heard;
    });
    Cache::put("greeting", "hello", 1h);
    Cache::get<std::string>("greeting");
    Cache::get<std::string>("nobody");
    Cache::forget("greeting");
  }  // and no longer
  Cache::put("greeting", "unheard", 1h);
  // [/listen]

  // [background]
  // A slow listener hears behind, in order; what does not fit into its queue is dropped and counted.
  std::atomic<int> heard_behind = 0;
  {
    const cache::Listening behind =
        Cache::listen([&](const cache::Event&) { ++heard_behind; }, {.background = true, .max_queued = 1000});
    Cache::put("greeting", "hello", 1h);
    while (heard_behind == 0) std::this_thread::sleep_for(1ms);
    std::cout << behind.dropped() << " events dropped\n";
  }
  // [/background]

  // [stats]
  for (int i = 0; i < 10; ++i) Cache::remember("answer", 1h, [] { return 42; });
  const cache::Stats stats = Cache::stats();
  std::cout << stats.hits << " hits, " << stats.misses << " misses (" << stats.hit_ratio << " %), " << stats.puts
            << " puts, " << stats.loads << " loads, " << stats.store_errors << " errors of the store\n";
  // [/stats]

  // [load]
  // One load, with where its value came from.
  const auto loaded = Cache::load("answer", {.hours = 1}, [] { return 42; });
  const bool hit = loaded.status == cache::LoadStatus::hit;
  // [/load]

  // [hot]
  // The keys that are asked for most: a bounded list, exact for what stands out.
  cache::HotKeys hot(Cache::store());
  for (int i = 0; i < 1'000; ++i) Cache::get<int>(i % 3 == 0 ? "answer" : "visitor " + std::to_string(i));
  for (const cache::HotKey& one : hot.top(1)) std::cout << one.key << " was asked for " << one.count << " times\n";
  // [/hot]

  return heard == 4 && hot.top(1).front().key == "answer" && stats.hits == 10 && stats.misses == 2 &&
                 stats.loads == 1 && hit && loaded.value == 42
             ? 0
             : 1;
}
