// examples/04_remember.cpp - the loader runs once, however many ask; errors and empty answers are not kept.
#include <flux/cache.hpp>

#include <atomic>
#include <chrono>
#include <iostream>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using flux::Cache;
namespace cache = flux::cache;
using namespace std::chrono_literals;

struct Report {
  int year = 0;
  double total = 0;
};

std::atomic<int> queries = 0;

Report yearly_report(int year) {
  ++queries;
  std::this_thread::sleep_for(50ms);  // a slow query
  return {year, 1234.5};
}

int main() {
  // [stampede]
  std::vector<std::thread> crowd;
  for (int i = 0; i < 16; ++i)
    crowd.emplace_back([] { Cache::remember("report_2029", 1h, [] { return yearly_report(2029); }); });
  for (std::thread& one : crowd) one.join();
  std::cout << "16 threads asked, the query ran " << queries << " time(s)\n";
  // [/stampede]

  // [throwing]
  // What the loader throws reaches its callers untouched; nothing is stored, and the next caller tries again.
  try {
    Cache::remember("rates", 1h, []() -> double { throw std::runtime_error("no connection"); });
  } catch (const std::runtime_error& error) {
    std::cout << "first try: " << error.what() << '\n';
  }
  std::cout << "second try: " << Cache::remember("rates", 1h, [] { return 1.08; }) << '\n';
  // [/throwing]

  // [optional]
  // An empty optional is handed on and not stored: who was not there may come.
  auto find = [](int id) {
    return Cache::remember("user_" + std::to_string(id), 1h, [&]() -> std::optional<std::string> {
      if (id == 7) return "Ada";
      return std::nullopt;
    });
  };
  std::cout << "user 7: " << find(7).value_or("nobody") << ", user 8: " << find(8).value_or("nobody") << '\n';
  // [/optional]

  // [negative]
  // Unless the empty answer itself is given a life: no query for half a minute.
  int looked = 0;
  auto look = [&] {
    return Cache::remember("ghost", {.hours = 1, .negative = 30s}, [&]() -> std::optional<std::string> {
      ++looked;
      return std::nullopt;
    });
  };
  look();
  look();
  std::cout << "looked for the ghost " << looked << " time(s)\n";
  // [/negative]

  // [hand]
  // A loader may decide on the lifetime and the tags from what it loads.
  Cache::remember("token", {}, [](cache::Load<std::string>& load) {
    load.tag("tokens");  // before reading what the tag guards
    std::string token = "t0k3n";
    load.ttl(5min);  // as the issuer said
    return token;
  });
  // [/hand]

  // [lives]
  // Or the call does, by a function of the value: what is nearly sold out is looked at more often.
  const auto lives = [](const int& left) { return left < 10 ? cache::Ttl(1min) : cache::Ttl(1h); };
  Cache::remember("stock_7", lives, [] { return 3; });
  // [/lives]

  // [fallback]
  // Where the load fails and nothing old is at hand, an answer that is not stored.
  const double rate = Cache::remember(
      "rate", {.minutes = 5}, []() -> double { throw std::runtime_error("down"); }, 1.0);
  // [/fallback]

  // [stop]
  // A caller that may be called away, such as one whose own client has gone. The loader is copied: it may outlive the
  // call.
  std::jthread request([](std::stop_token gone) {
    try {
      Cache::remember("long_report", {.hours = 1, .stop = gone}, [](cache::Load<double>& load) {
        double sum = 0;
        for (int year = 0; year < 2029; ++year) {
          if (load.stop_requested()) throw std::runtime_error("nobody waits any more");
          sum += year;
        }
        return sum;
      });
    } catch (const cache::LoadCancelled&) {
    }
  });
  // [/stop]
  request.join();

  // [many]
  // Several keys: one call of the loader, with those that are missing.
  Cache::put("price_1", 10, 1h);
  const auto prices = Cache::remember_many<int>({"price_1", "price_2", "price_3"}, 1h, [](const auto& missing) {
    std::map<std::string, int> found;
    for (const std::string& key : missing) found[key] = 20;
    std::cout << "one query for " << missing.size() << " of 3 prices\n";
    return found;
  });
  // [/many]

  const bool held = queries == 1 && find(7) && Cache::missing("user_8") && looked == 1 &&
                    *Cache::expires_in("token") <= 5min && *Cache::expires_in("stock_7") <= 1min && rate == 1.0 &&
                    Cache::missing("rate") && prices.at("price_1") == 10 && prices.at("price_3") == 20;
  return held ? 0 : 1;
}
