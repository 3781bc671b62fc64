// examples/10_stale_values.cpp - an old value is often better than a late one, or than none.
#include <flux/cache.hpp>
#include <flux/cache/testing/fake_clock.hpp>

#include <atomic>
#include <chrono>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>

using flux::Cache;
namespace cache = flux::cache;
using namespace std::chrono_literals;

int main() {
  cache::testing::FakeClock clock;
  Cache::use(cache::StoreManager({}, clock));

  // [fail-safe]
  // Kept a day past its hour, and served if the loader fails.
  bool down = false;
  auto rate = [&] {
    return Cache::remember("rate", {.hours = 1, .fail_safe = 24h}, [&] {
      if (down) throw std::runtime_error("the bank does not answer");
      return 1.08;
    });
  };
  // [/fail-safe]
  const double before = rate();
  down = true;
  clock.travel(2h);
  const bool gone = Cache::missing("rate");  // past its hour it is gone for everyone but its own loads
  const double during = rate();
  std::cout << "the bank is down, the rate is " << during << '\n';

  // [flexible]
  // Fresh for a minute. Until ten have passed: served at once, while one caller refreshes behind.
  std::atomic<int> version = 0;
  auto feed = [&] { return Cache::flexible("feed", {1min, 10min}, [&] { return ++version; }); };
  // [/flexible]
  const int first = feed();
  clock.travel(2min);
  const int second = feed();  // does not wait
  while (version < 2) std::this_thread::sleep_for(1ms);
  int third = feed();
  while (third < 2) {  // the refreshed value is written a moment after it was computed
    std::this_thread::sleep_for(1ms);
    third = feed();
  }
  std::cout << "feed: version " << first << ", then " << second << " (stale, at once), then " << third << '\n';

  // [soft-timeout]
  // With an old value at hand, nobody waits longer than 20 ms for a new one. The loader ends in the background.
  auto slow = [&](int answer, std::chrono::milliseconds takes) {
    return Cache::remember("slow", {.minutes = 1, .fail_safe = 1h, .soft_timeout = 20ms}, [answer, takes] {
      std::this_thread::sleep_for(takes);
      return answer;
    });
  };
  // [/soft-timeout]
  slow(1, 0ms);
  clock.travel(2min);
  const int kept = slow(2, 200ms);
  while (Cache::get("slow", 0) != 2) std::this_thread::sleep_for(1ms);
  std::cout << "slow: " << kept << " while it is being loaded, then " << Cache::get("slow", 0) << '\n';

  // [not-modified]
  // A loader may look at the old value and say that nothing changed: it gets a new lifetime.
  auto page = [&] {
    return Cache::remember("page", {.minutes = 1, .fail_safe = 1h}, [](cache::Load<std::string>& load) -> std::string {
      if (load.stale()) {  // such as a 304 of HTTP
        load.not_modified();
        return {};
      }
      return "<html>";
    });
  };
  // [/not-modified]
  page();
  clock.travel(2min);
  const std::string again = page();
  std::cout << "page: " << again << ", good for another minute\n";

  const bool held = before == 1.08 && gone && during == 1.08 && first == 1 && second == 1 && kept == 1 &&
                    again == "<html>" && Cache::has("page");
  return held ? 0 : 1;
}
