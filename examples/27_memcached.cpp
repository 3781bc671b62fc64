// examples/27_memcached.cpp - the same cache on memcached servers; without one, the program says so and ends.
#include <flux/cache.hpp>
#include <flux/cache/stores/memcached.hpp>

#include <cstdlib>
#include <iostream>
#include <string>

namespace cache = flux::cache;
using namespace std::chrono_literals;

int main() {
  const char* const given = std::getenv("FLUX_TEST_MEMCACHED");
  if (given == nullptr || cache::drivers().find("memcached")->make == nullptr) {
    std::cout << "SKIPPED: FLUX_TEST_MEMCACHED names no server (host:port), or this build has no memcached store\n";
    return 77;
  }
  const std::string address = given;
  const std::string host = address.substr(0, address.rfind(':'));
  const int port = std::stoi(address.substr(address.rfind(':') + 1));
  // [setup]
  cache::Config config;
  config.default_store = "memcached";
  config.stores = {{"memcached", cache::MemcachedConfig{.servers = {{.host = host, .port = port, .weight = 2}},
                                                        .prefix = "example:",
                                                        .timeout = 500ms}}};
  const cache::StoreManager manager(config);
  const cache::Repository memcached = manager.store();
  // [/setup]
  memcached.flush();
  int runs = 0;
  for (int i = 0; i < 3; ++i) memcached.remember("answer", 1h, [&] { return ++runs, 42; });

  // [as]
  if (const auto servers = memcached.as<cache::MemcachedStore>()) {
    for (const cache::MemcachedServerStats& server : servers->stats()) {
      std::cout << server.server << (server.is_up ? " is up" : " is down");
      if (server.is_up) std::cout << ", holds " << server.values.at("curr_items") << " items";
      std::cout << '\n';
    }
  }
  // [/as]
  return runs == 1 && memcached.get<int>("answer") == 42 ? 0 : 1;
}
