// The memcached store: the contract, on one server, on three and over a unix socket, bare and under layers.
#include <flux/cache/stores/memcached.hpp>
#include <flux/cache/testing/repository_contract.hpp>
#include <flux/cache/testing/store_contract.hpp>

#include "support/memcached.hpp"

namespace flux::cache::testing {
namespace {

/// Over all that this program ran on the server that it shares with others.
class NeverFlushed : public ::testing::Environment {
 public:
  void TearDown() override {
    if (!memcached_server()) return;
    const auto stats = make_memcached({.servers = one_memcached()})->stats();
    ASSERT_EQ(stats.size(), 1U);
    EXPECT_EQ(stats[0].values.at("cmd_flush"), "0") << "somebody sent flush_all";
  }
};
[[maybe_unused]] const auto* const kNeverFlushed = ::testing::AddGlobalTestEnvironment(new NeverFlushed);

constexpr const char* kNeeds = "memcached in PATH, or a server named by FLUX_TEST_MEMCACHED";

// The prefix of the store that a test of the contract made last: what `again` finds the same entries by.
std::string contract_prefix;

StorePtr on(const std::vector<MemcachedServer>& servers, const std::string& protocol, bool lists, const Clock& clock) {
  if (servers.empty()) return nullptr;
  return make_memcached({.servers = servers,
                         .prefix = contract_prefix,
                         .timeout = std::chrono::seconds(60),
                         .protocol = protocol,
                         .listing = lists,
                         .clock = &clock});
}
// A walk tells most and not surely all; the suite of stores wants all, that of repositories only empties the locks.
ContractParam param(const std::vector<MemcachedServer>& (*servers)(), const std::string& protocol = "meta",
                    bool lists = false) {
  return {.make =
              [=](const Clock& clock) {
                contract_prefix = unique_prefix();
                return on(servers(), protocol, lists, clock);
              },
          .again = [=](const Clock& clock) { return on(servers(), protocol, lists, clock); },
          .needs = kNeeds};
}

INSTANTIATE_TEST_SUITE_P(Memcached, StoreContract, pipelines(param(one_memcached)), pipeline_name);
INSTANTIATE_TEST_SUITE_P(MemcachedOfThree, StoreContract, ::testing::Values(param(three_memcached)), pipeline_name);
INSTANTIATE_TEST_SUITE_P(MemcachedBySocket, StoreContract, ::testing::Values(param(memcached_socket)), pipeline_name);
INSTANTIATE_TEST_SUITE_P(MemcachedBinary, StoreContract, ::testing::Values(param(three_memcached, "binary")),
                         pipeline_name);
INSTANTIATE_TEST_SUITE_P(Memcached, RepositoryContract, repositories(param(one_memcached, "meta", true)),
                         repository_name);
INSTANTIATE_TEST_SUITE_P(MemcachedBySocket, RepositoryContract, repositories(param(memcached_socket, "meta", true)),
                         repository_name);
INSTANTIATE_TEST_SUITE_P(MemcachedBinary, RepositoryContract, repositories(param(three_memcached, "binary")),
                         repository_name);
INSTANTIATE_TEST_SUITE_P(MemcachedOfThree, RepositoryContract, repositories(param(three_memcached, "meta", true)),
                         repository_name);

}  // namespace
}  // namespace flux::cache::testing
