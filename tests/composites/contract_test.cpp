// The composites pass what their parts pass.
#include <flux/cache/testing/repository_contract.hpp>

#include "parts.hpp"

namespace flux::cache::testing {
namespace {

using Compose = StorePtr (*)(std::vector<StorePtr> parts, const Clock& clock);

ContractParam of(const Parts& parts, Compose compose, bool is_shared = false) {
  const auto over = [compose](std::vector<StorePtr> stores, const Clock& clock) {
    return stores.empty() ? nullptr : compose(std::move(stores), clock);
  };
  ContractParam param{.make = [=](const Clock& clock) { return over(parts.make(clock), clock); },
                      .needs = "a redis server and memcached"};
  if (is_shared) param.again = [=](const Clock& clock) { return over(parts.again(clock), clock); };
  return param;
}

StorePtr replicated(std::vector<StorePtr> parts, const Clock& clock) {
  return make_replicated(std::move(parts), WritePolicy::all, {.clock = &clock});
}
StorePtr sharded(std::vector<StorePtr> parts, const Clock& clock) {
  ShardingOptions shards;
  for (std::size_t i = 0; i < parts.size(); ++i) shards.nodes.push_back("shard " + std::to_string(i));
  return make_sharded(std::move(parts), shards, {.clock = &clock});
}
StorePtr primary(std::vector<StorePtr> parts, const Clock& clock) {
  return make_primary(std::move(parts), {.clock = &clock});
}
StorePtr tiered(std::vector<StorePtr> parts, const Clock& clock) {
  return make_tiered(std::move(parts), {.clock = &clock});
}

const Parts kMemories{"Memories", {"memory", "memory", "memory"}};
const Parts kMixed{"MemoryAndFile", {"memory", "file"}};
const Parts kFiles{"Files", {"file", "file"}};

#define FLUX_CACHE_COMPOSITE(name, ...)                                                     \
  INSTANTIATE_TEST_SUITE_P(name, StoreContract, pipelines(of(__VA_ARGS__)), pipeline_name); \
  INSTANTIATE_TEST_SUITE_P(name, RepositoryContract, repositories(of(__VA_ARGS__)), repository_name)

FLUX_CACHE_COMPOSITE(ReplicatedMemories, kMemories, replicated);
FLUX_CACHE_COMPOSITE(ReplicatedMixed, kMixed, replicated);
FLUX_CACHE_COMPOSITE(ReplicatedFiles, kFiles, replicated, true);
FLUX_CACHE_COMPOSITE(ShardedMemories, kMemories, sharded);
FLUX_CACHE_COMPOSITE(ShardedFiles, kFiles, sharded, true);
FLUX_CACHE_COMPOSITE(PrimaryMixed, kMixed, primary);
FLUX_CACHE_COMPOSITE(TieredMemories, kMemories, tiered);
FLUX_CACHE_COMPOSITE(TieredMixed, kMixed, tiered);

// Over real servers, bare: what is under the layers is no other than above.
const Parts kRedisAndMemcached{"RedisAndMemcached", {"redis", "memcached"}};
const Parts kTwoRedisAndMemcached{"TwoRedisAndMemcached", {"redis", "redis2", "memcached"}};
const Parts kMemoryAndRedis{"MemoryAndRedis", {"memory", "redis"}};
const Parts kTwoRedis{"TwoRedis", {"redis", "redis2"}};

#define FLUX_CACHE_COMPOSITE_ON_SERVERS(name, ...)                                                    \
  INSTANTIATE_TEST_SUITE_P(name, StoreContract, ::testing::Values(of(__VA_ARGS__)), pipeline_name); \
  INSTANTIATE_TEST_SUITE_P(name, RepositoryContract, repositories(of(__VA_ARGS__)), repository_name)

FLUX_CACHE_COMPOSITE_ON_SERVERS(ReplicatedOnServers, kRedisAndMemcached, replicated, true);
FLUX_CACHE_COMPOSITE_ON_SERVERS(ShardedOnServers, kTwoRedisAndMemcached, sharded, true);
FLUX_CACHE_COMPOSITE_ON_SERVERS(PrimaryOnServers, kTwoRedis, primary);
FLUX_CACHE_COMPOSITE_ON_SERVERS(TieredOnServers, kMemoryAndRedis, tiered);

}  // namespace
}  // namespace flux::cache::testing
