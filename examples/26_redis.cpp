// examples/26_redis.cpp - the same cache on a redis server; without one, the program says so and ends.
#include <flux/cache.hpp>
#include <flux/cache/stores/redis.hpp>

#include <cstdlib>
#include <iostream>
#include <string>

namespace cache = flux::cache;
using namespace std::chrono_literals;

int main() {
  const char* const given = std::getenv("FLUX_TEST_REDIS");
  if (given == nullptr || cache::drivers().find("redis")->make == nullptr) {
    std::cout << "SKIPPED: FLUX_TEST_REDIS names no server (host:port), or this build has no redis store\n";
    return 77;
  }
  // [setup]
  const std::string url = std::string("redis://") + given;
  cache::Config config;
  config.default_store = "redis";
  config.stores = {{"redis", cache::RedisConfig{.connection = "main", .prefix = "example:"}}};
  config.connections = {{"main", cache::RedisConnection{.url = url, .timeout = 500ms}}};
  const cache::StoreManager manager(config);
  const cache::Repository redis = manager.store();
  // [/setup]
  redis.flush();
  int runs = 0;
  for (int i = 0; i < 3; ++i) redis.remember("answer", 1h, [&] { return ++runs, 42; });

  // [as]
  if (const auto server = redis.as<cache::RedisStore>()) {
    const auto facts = server->info("server");
    if (facts.ok()) std::cout << "redis " << facts->at("redis_version") << '\n';
    const auto length = server->command({"STRLEN", server->stored_key(cache::Key("answer"))});
    if (length.ok()) std::cout << "an answer takes " << length->integer << " bytes\n";
  }
  // [/as]
  return runs == 1 && redis.get<int>("answer") == 42 ? 0 : 1;
}
