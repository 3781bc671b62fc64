// examples/19_warming.cpp - fill the cache before anybody asks.
#include <flux/cache.hpp>

#include <chrono>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

using flux::Cache;
namespace cache = flux::cache;
using namespace std::chrono_literals;

int main() {
  // [warming]
  cache::Warmer warmer;
  warmer.add("active_users", 1h, [] { return 12; });
  warmer.add("popular_posts", 6h, [] { return std::vector<int>{3, 1, 2}; }, {"posts"});
  warmer.add("unreachable", 1h, []() -> int { throw std::runtime_error("the service is down"); });
  const auto bar = [](const cache::WarmProgress& now) {
    const std::size_t full = 20 * now.done / now.total;
    std::cout << "\r[" << std::string(full, '#') << std::string(20 - full, ' ') << "] " << now.key << "   ";
  };
  const cache::WarmReport report = warmer.run({.parallel = 2, .progress = bar});
  // [/warming]
  std::cout << '\n' << report.warmed << " warmed, " << report.failed << " failed\n";
  for (const auto& failure : report.errors) std::cout << "  " << failure.key << ": " << failure.message << '\n';

  // [schedule]
  // Now and then every hour, by one process of many, until `hourly` goes out of scope.
  const auto hourly = warmer.every(1h, {.leader_lock = "warm-the-shop"});
  const auto daily = warmer.every(24h, {.only_missing = true, .leader_lock = "warm-the-shop-daily"});
  // [/schedule]
  return report.warmed == 2 && report.failed == 1 && Cache::get<int>("active_users") == 12 ? 0 : 1;
}
