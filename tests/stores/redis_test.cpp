// The redis store: the contract, bare and under the layers, on a real server.
#include <flux/cache/stores/redis.hpp>
#include <flux/cache/testing/repository_contract.hpp>
#include <flux/cache/testing/store_contract.hpp>

#include <string>

#include "support/server.hpp"

namespace flux::cache::testing {
namespace {

std::string contract_prefix;

StorePtr open_with(const Clock& clock, bool shared) {
  const SharedServer* const server = shared_redis();
  if (server == nullptr) return nullptr;
  return make_redis(
      {.prefix = contract_prefix, .timeout = std::chrono::seconds(60), .clock = &clock},
      {.host = server->host, .port = server->port, .pool_wait = std::chrono::seconds(60), .shared = shared});
}

StorePtr open_again(const Clock& clock) { return open_with(clock, false); }
StorePtr share_again(const Clock& clock) { return open_with(clock, true); }

StorePtr make_anew(const Clock& clock) {
  contract_prefix = unique_prefix();
  return open_again(clock);
}

StorePtr share_anew(const Clock& clock) {
  contract_prefix = unique_prefix();
  return share_again(clock);
}

/// A server of this program's own, over its unix socket.
StorePtr open_by_socket(const Clock& clock) {
  static const std::unique_ptr<Server> server = Server::redis();
  if (server == nullptr) return nullptr;
  return make_redis({.prefix = contract_prefix, .timeout = std::chrono::seconds(60), .clock = &clock},
                    {.socket = server->socket(), .pool_wait = std::chrono::seconds(60)});
}

StorePtr by_socket_anew(const Clock& clock) {
  contract_prefix = unique_prefix();
  return open_by_socket(clock);
}

const ContractParam kBySocket{.make = by_socket_anew, .again = open_by_socket, .needs = "a redis server"};

INSTANTIATE_TEST_SUITE_P(RedisBySocket, StoreContract, ::testing::Values(kBySocket), pipeline_name);

const ContractParam kRedis{.make = make_anew, .again = open_again, .needs = "a redis server"};

INSTANTIATE_TEST_SUITE_P(Redis, StoreContract, pipelines(kRedis), pipeline_name);
INSTANTIATE_TEST_SUITE_P(Redis, RepositoryContract, repositories(kRedis), repository_name);

/// All threads over one connection.
const ContractParam kShared{.make = share_anew, .again = share_again, .needs = "a redis server"};

INSTANTIATE_TEST_SUITE_P(RedisShared, StoreContract, ::testing::Values(kShared), pipeline_name);
INSTANTIATE_TEST_SUITE_P(RedisShared, RepositoryContract, repositories(kShared), repository_name);

}  // namespace
}  // namespace flux::cache::testing
