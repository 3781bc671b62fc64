// The redis store on a real cluster of three primaries and their replicas: the contract, bare and under the layers.
#include <flux/cache/layers/tagged.hpp>
#include <flux/cache/stores/redis.hpp>
#include <flux/cache/testing/repository_contract.hpp>
#include <flux/cache/testing/store_contract.hpp>

#include <string>

#include "support/redis_cluster.hpp"

namespace flux::cache::testing {
namespace {

std::string contract_prefix;

StorePtr open_again(const Clock& clock) {
  RedisCluster* const cluster = RedisCluster::shared();
  if (cluster == nullptr) return nullptr;
  RedisConnection connection = cluster->connection();
  connection.pool_wait = std::chrono::seconds(60);
  return make_redis({.prefix = contract_prefix, .timeout = std::chrono::seconds(60), .clock = &clock}, connection);
}

StorePtr make_anew(const Clock& clock) {
  contract_prefix = unique_prefix();
  return open_again(clock);
}

const ContractParam kCluster{.make = make_anew, .again = open_again, .needs = "a redis server"};

INSTANTIATE_TEST_SUITE_P(RedisCluster, StoreContract, pipelines(kCluster), pipeline_name);
INSTANTIATE_TEST_SUITE_P(RedisCluster, RepositoryContract, repositories(kCluster), repository_name);

}  // namespace
}  // namespace flux::cache::testing
