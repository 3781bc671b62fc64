// examples/29_redis_backplane.cpp - memory in each process, redis behind, and a word to the others at each change.
//
// Without a redis server the program says so and ends.
#include <flux/cache.hpp>
#include <flux/cache/manager.hpp>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>

namespace cache = flux::cache;
using namespace std::chrono_literals;

namespace {

std::string configuration(const std::string& server) {
  // [configuration]
  return R"({
    "default": "both",
    "stores": {
      "near": {"driver": "memory", "max_size": 100000},
      "far":  {"driver": "redis", "connection": "server", "prefix": "example_29:"},
      "both": {"driver": "tiered", "stores": ["near", "far"], "ttl": ["5m", null],
               "backplane": {"connection": "server"}}
    },
    "connections": {"server": {"driver": "redis", "url": ")" +
         server + R"("}}
  })";
  // [/configuration]
}

}  // namespace

int main() {
  const char* const given = std::getenv("FLUX_TEST_REDIS");
  if (given == nullptr || cache::drivers().find("redis")->make == nullptr) {
    std::cout << "SKIPPED: FLUX_TEST_REDIS names no server (host:port), or this build has no redis store\n";
    return 77;
  }

  // Two managers stand for two processes here; the shop in examples/shop has real ones.
  const auto config = cache::Config::from_json(configuration(std::string("redis://") + given));
  const cache::StoreManager shop_manager(config), office_manager(config);
  const cache::Repository shop = shop_manager.store(), office = office_manager.store();

  shop.put("price_7", 1999);
  std::cout << "the office sees " << office.get<int>("price_7").value_or(0) << '\n';
  office.put("price_7", 1799);
  int late = 0;
  for (; shop.get<int>("price_7") != 1799 && late < 1'000; ++late) std::this_thread::sleep_for(1ms);
  std::cout << "the shop sees " << shop.get<int>("price_7").value_or(0) << ", " << late << " ms later\n";
  office.forget("price_7");
  return late < 1'000 ? 0 : 1;
}
