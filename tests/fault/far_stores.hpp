// The stores behind a network as a program configures them, each over one server that a test may take away.
#pragma once
#include <flux/cache/manager.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <ostream>

#include "support/server.hpp"

namespace flux::cache::testing {

/// One kind of store, and the server that it wants.
struct FarStore {
  const char* name;
  std::unique_ptr<Server> (*start)();
  /// The configuration of a program whose server is at this port of the loopback.
  Config (*over)(std::uint16_t port, Duration timeout);
};
inline void PrintTo(const FarStore& store, std::ostream* out) { *out << store.name; }

inline std::unique_ptr<Server> a_redis() { return Server::redis(); }
inline std::unique_ptr<Server> a_memcached() { return Server::memcached(); }

inline Config over_redis(std::uint16_t port, Duration timeout) {
  Config config;
  config.default_store = "far";
  config.stores["far"] = RedisConfig{.connection = "server"};
  config.connections["server"] = RedisConnection{.port = port, .timeout = timeout};
  return config;
}
inline Config over_shared_redis(std::uint16_t port, Duration timeout) {
  Config config = over_redis(port, timeout);
  config.connections["server"] = RedisConnection{.port = port, .timeout = timeout, .shared = true};
  return config;
}
inline Config over_memcached(std::uint16_t port, Duration timeout) {
  Config config;
  config.default_store = "far";
  config.stores["far"] = MemcachedConfig{.servers = {{.port = port}}, .timeout = timeout};
  return config;
}
/// Two shards on one server.
inline Config over_shards(std::uint16_t port, Duration timeout) {
  Config config = over_redis(port, timeout);
  config.default_store = "shards";
  config.stores["one"] = RedisConfig{.connection = "server", .prefix = "one:"};
  config.stores["two"] = RedisConfig{.connection = "server", .prefix = "two:"};
  config.stores["shards"] = DistributedConfig{.stores = {"one", "two"}, .strategy = "sharding"};
  return config;
}
/// Memory in front of redis, with a backplane over the same server.
inline Config over_tiers(std::uint16_t port, Duration timeout) {
  Config config = over_redis(port, timeout);
  config.default_store = "tiers";
  config.stores["near"] = MemoryConfig{};
  config.stores["tiers"] = TieredConfig{.stores = {"near", "far"}, .backplane = {.connection = "server"}};
  return config;
}

}  // namespace flux::cache::testing
