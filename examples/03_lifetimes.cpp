// examples/03_lifetimes.cpp - how long a value lives, on a clock that the program turns.
#include <flux/cache.hpp>
#include <flux/cache/testing/fake_clock.hpp>

#include <chrono>
#include <iostream>

using flux::Cache;
namespace cache = flux::cache;
using namespace std::chrono_literals;

int main() {
  cache::testing::FakeClock clock;
  Cache::use(cache::StoreManager({}, clock));

  // [put]
  Cache::put("a", 1, {.minutes = 90});
  Cache::put("b", 1, {.days = 1, .hours = 12});  // units add up, the largest first
  Cache::put("c", 1, 250ms);                     // any std::chrono duration
  Cache::put("d", 1, {.until = std::chrono::system_clock::time_point(clock.wall() + 48h)});
  Cache::forever("e", 1);
  Cache::put("f", 1);                                // the store's own "ttl", else for ever
  Cache::put("g", 1, {.hours = 1, .jitter = 5min});  // 55 to 60 minutes: what is written together ends apart
  // [/put]

  auto show = [] {
    for (const char* key : {"a", "b", "c", "d", "e", "f", "g"}) std::cout << ' ' << (Cache::has(key) ? key : "-");
    std::cout << '\n';
  };
  std::cout << "at once:         ";
  show();
  clock.travel(250ms);
  std::cout << "after 250 ms:    ";
  show();
  clock.travel(2h);
  std::cout << "after two hours: ";
  show();

  // [touch]
  const auto left = Cache::expires_in("b");  // empty: not there; Duration::max(): no end
  Cache::touch("b", 7 * 24h);                // a new lifetime for what is there; false where nothing is
  Cache::put("e", 1, 0s);                    // zero or less: gone at once
  // [/touch]
  clock.travel(72h);
  std::cout << "three days later:";
  show();

  const bool held = left && *left > 33h && *left < 34h && Cache::has("b") && Cache::has("f") && Cache::missing("a") &&
                    Cache::missing("d") && Cache::missing("e") && !Cache::touch("a", 1h);
  return held ? 0 : 1;
}
