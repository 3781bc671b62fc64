// Composites over real servers pass what their parts pass: bare, for what is under the layers is no other than above.
#include <flux/cache/stores/memcached.hpp>
#include <flux/cache/stores/redis.hpp>

#include "compose.hpp"
#include "support/memcached.hpp"

namespace flux::cache::testing {
namespace {

/// A second redis server: the one that the run was given, or one of this program's own. Empty: there is none.
const std::optional<Address>& second_redis() {
  static std::unique_ptr<Server> own;
  static const std::optional<Address> address = []() -> std::optional<Address> {
    if (auto given = address_from("FLUX_TEST_SECOND_REDIS")) return given;
    own = Server::redis();
    return own == nullptr ? std::nullopt : std::optional(Address{own->host(), own->port()});
  }();
  return address;
}

StorePtr redis_at(const std::string& host, std::uint16_t port, const std::string& prefix, const Clock& clock) {
  return make_redis({.prefix = prefix, .timeout = std::chrono::seconds(60), .clock = &clock},
                    {.host = host, .port = port, .pool_wait = std::chrono::seconds(60)});
}

/// Of the kinds redis, redis2 (on another server) and memcached.
StorePtr on_server(const std::string& kind, const std::string& prefix, const Clock& clock) {
  if (kind == "redis") {
    const SharedServer* const server = shared_redis();
    return server == nullptr ? nullptr : redis_at(server->host, server->port, prefix, clock);
  }
  if (kind == "redis2") {
    const auto& server = second_redis();
    return server ? redis_at(server->host, server->port, prefix, clock) : nullptr;
  }
  const auto& servers = one_memcached();
  if (servers.empty()) return nullptr;
  return make_memcached(
      {.servers = servers, .prefix = prefix, .timeout = std::chrono::seconds(60), .listing = true, .clock = &clock});
}

const Parts kRedisAndMemcached{"RedisAndMemcached", {"redis", "memcached"}, on_server};
const Parts kTwoRedisAndMemcached{"TwoRedisAndMemcached", {"redis", "redis2", "memcached"}, on_server};
const Parts kMemoryAndRedis{"MemoryAndRedis", {"memory", "redis"}, on_server};
const Parts kTwoRedis{"TwoRedis", {"redis", "redis2"}, on_server};

#define FLUX_CACHE_COMPOSITE_ON_SERVERS(name, ...)                                                  \
  INSTANTIATE_TEST_SUITE_P(name, StoreContract, ::testing::Values(of(__VA_ARGS__)), pipeline_name); \
  INSTANTIATE_TEST_SUITE_P(name, RepositoryContract, repositories(of(__VA_ARGS__)), repository_name)

FLUX_CACHE_COMPOSITE_ON_SERVERS(ReplicatedOnServers, kRedisAndMemcached, replicated, true);
FLUX_CACHE_COMPOSITE_ON_SERVERS(ShardedOnServers, kTwoRedisAndMemcached, sharded, true);
FLUX_CACHE_COMPOSITE_ON_SERVERS(PrimaryOnServers, kTwoRedis, primary);
FLUX_CACHE_COMPOSITE_ON_SERVERS(TieredOnServers, kMemoryAndRedis, tiered);

}  // namespace
}  // namespace flux::cache::testing
