// The redis store on a real cluster of three primaries and their replicas: the contract, bare and under the layers.
#include <flux/cache/layers/tagged.hpp>
#include <flux/cache/stores/redis.hpp>
#include <flux/cache/testing/repository_contract.hpp>
#include <flux/cache/testing/store_contract.hpp>

#include <string>

#include "support/redis_cluster.hpp"

namespace flux::cache::testing {
namespace {

/// Over all that this program ran on the cluster.
class NeverSentToNodes : public ::testing::Environment {
 public:
  void TearDown() override {
    const RedisCluster* const cluster = RedisCluster::shared_so_far();
    for (int node = 0; cluster != nullptr && node < 2 * RedisCluster::kPrimaries; ++node) {
      const std::string all = cluster->tell(node, {"INFO", "commandstats"}).text;
      EXPECT_NE(all.find("cmdstat_ping:"), all.npos);
      for (const std::string never : {"keys", "flushall", "flushdb", "config", "debug", "save", "bgsave"})
        EXPECT_EQ(all.find("cmdstat_" + never + ":") & all.find("cmdstat_" + never + "|"), all.npos) << never;
    }
  }
};
[[maybe_unused]] const auto* const kNeverSent = ::testing::AddGlobalTestEnvironment(new NeverSentToNodes);

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
