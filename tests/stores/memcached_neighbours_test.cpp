// Several users of one memcached server: a flush ends the entries of its own prefix, and nothing else that is there.
#include <gtest/gtest.h>
#include <flux/cache/testing/store_probe.hpp>

#include <memory>
#include <string>
#include <vector>

#include "support/memcached.hpp"
#include "support/scripted_server.hpp"

namespace flux::cache::testing {
namespace {

class MemcachedNeighbours : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    server_ = Server::memcached();
    if (server_ == nullptr) GTEST_SKIP() << Server::why_not();
  }
  StoreProbe under(const std::string& prefix) const {
    return StoreProbe(make_memcached({.servers = {address_of(*server_)},
                                      .prefix = prefix,
                                      .timeout = std::chrono::seconds(10),
                                      .protocol = GetParam()}));
  }

  std::unique_ptr<Server> server_;
};

TEST_P(MemcachedNeighbours, AFlushOfOnePrefixLeavesTheOthersAlone) {
  ASSERT_EQ(ask(address_of(*server_), "set foreign 0 0 1\r\nf\r\n"), "STORED\r\n");
  const std::string long_prefix(120, 'p');
  const std::vector<std::string> prefixes{"app", "app2:",     "app:",           "ap", "app/v", "3vapp",
                                          "",    long_prefix, long_prefix + "q"};
  std::vector<StoreProbe> stores;
  for (const std::string& prefix : prefixes) stores.push_back(under(prefix));
  const std::vector<std::string> keys{"k", "p2:k", "p:k", "a key with spaces", std::string(300, 'k')};
  for (std::size_t flushed = 0; flushed < stores.size(); ++flushed) {
    for (std::size_t i = 0; i < stores.size(); ++i)
      for (const std::string& key : keys) ASSERT_TRUE(stores[i].put(key, text(prefixes[i] + key)));
    stores[flushed].flush();
    for (std::size_t i = 0; i < stores.size(); ++i)
      for (const std::string& key : keys)
        ASSERT_EQ(stores[i].got(key), i == flushed ? std::string(kMiss) : show(text(prefixes[i] + key)))
            << "\"" << prefixes[i] << "\" after a flush of \"" << prefixes[flushed] << '"';
  }
  EXPECT_EQ(ask(address_of(*server_), "mg foreign v\r\n"), "VA 1\r\n");
  const auto stats = make_memcached({.servers = {address_of(*server_)}})->stats();
  EXPECT_EQ(stats.at(0).values.at("cmd_flush"), "0");
}

INSTANTIATE_TEST_SUITE_P(Protocol, MemcachedNeighbours, ::testing::Values("meta", "binary"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace flux::cache::testing
