// C++ structs are read as strictly as JSON, and come back as they went in.
#include "config.hpp"

#include <flux/cache/stores/null.hpp>

#include <utility>
#include <vector>

namespace flux::cache {
namespace {

using namespace std::chrono_literals;

TEST(Config, ReadsStructsAsStrictlyAsJson) {
  EXPECT_EQ(refusal(Config{.stores = {{"a", MemoryConfig{.max_size = 0}}}}),
            "/stores/a/max_size: a memory store needs a bound: max_size or max_bytes above 0");
  EXPECT_EQ(refusal(Config{.stores = {{"a", RedisConfig{.prefix = "a b"}}}}),
            "/stores/a/prefix: a prefix holds no spaces and no control characters");
  EXPECT_EQ(refusal(Config{.stores = {{"a", MemoryConfig{.ttl = -1s}}}}),
            "/stores/a/ttl: expected a lifetime above zero: seconds, or text such as \"90s\", \"5m\", \"forever\", "
            "found text");
  EXPECT_EQ(refusal(Config{.connections = {{"c", RedisConnection{.port = 70'000}}}}),
            "/connections/c/port: expected an integer from 1 to 65535, found 70000");
  EXPECT_TRUE(holds(refusal(Config{.stores = {{"a", StoreConfig{}}}}), "/stores/a/driver: missing"));
  EXPECT_TRUE(holds(refusal(Config{.default_store = "b", .stores = {{"a", NullConfig{}}}}),
                    "/default: there is no store \"b\""));
  EXPECT_TRUE(holds(refusal(Config{.serialize = {.algorithm = "rar"}}), "rar"));
  EXPECT_TRUE(holds(refusal(Config{.stores = {{"a", MemoryConfig{.policy = ""}}}}), "/stores/a/policy"));
}

template <class Struct>
class ConfigStruct : public testing::Test {};
using Structs = testing::Types<MemoryConfig, FileConfig, DatabaseConfig, RedisConfig, MemcachedConfig,
                               DistributedConfig, TieredConfig, NullConfig, SqliteConnection, RedisConnection>;
TYPED_TEST_SUITE(ConfigStruct, Structs);

TYPED_TEST(ConfigStruct, SaysNothingButItsDriverWhereAllIsDefault) {
  const Settings settings = to_settings(TypeParam{});
  ASSERT_EQ(settings.size(), 1u) << settings.to_json();
  EXPECT_EQ(settings.name(0), "driver");
}

TEST(ConfigStructs, ComeBackAsTheyWentIn) {
  const RedisConnection given{.host = "h",
                              .port = 1,
                              .database = 2,
                              .username = "u",
                              .password = "p",
                              .socket = "/s",
                              .url = "",
                              .client_name = "n",
                              .timeout = 1234us,
                              .pool_size = 3};
  const auto back = from_settings<RedisConnection>(to_settings(given));
  EXPECT_EQ(back.host, "h");
  EXPECT_EQ(back.port, 1);
  EXPECT_EQ(back.database, 2);
  EXPECT_EQ(back.username, "u");
  EXPECT_EQ(back.password, "p");
  EXPECT_EQ(back.socket, "/s");
  EXPECT_EQ(back.client_name, "n");
  EXPECT_EQ(back.timeout, 1234us);
  EXPECT_EQ(back.pool_size, 3);

  const auto cached = from_settings<MemcachedConfig>(to_settings(
      MemcachedConfig{.servers = {{.host = "x", .port = 1, .weight = 2}, {}}, .options = {.compression = "gzip"}}));
  ASSERT_EQ(cached.servers.size(), 2u);
  EXPECT_EQ(cached.servers[0].host, "x");
  EXPECT_EQ(cached.servers[0].weight, 2);
  EXPECT_EQ(cached.servers[1].port, 11211);
  EXPECT_EQ(cached.options.compression, "gzip");

  const auto tiered = from_settings<TieredConfig>(
      to_settings(TieredConfig{.stores = {"a", "b", "c"}, .ttl = {2s, std::nullopt, Ttl::forever()}}));
  EXPECT_EQ(tiered.stores, (std::vector<std::string>{"a", "b", "c"}));
  ASSERT_EQ(tiered.ttl.size(), 3u);
  EXPECT_EQ(tiered.ttl[0]->length(), 2s);
  EXPECT_FALSE(tiered.ttl[1].has_value());
  EXPECT_TRUE(tiered.ttl[2]->is_forever());
}

TEST(ConfigStructs, SayTheSameAsTheirJson) {
  EXPECT_EQ(to_settings(MemoryConfig{.max_size = 10, .max_bytes = 1 << 20, .ttl = 90s}),
            Settings::parse(R"({"driver": "memory", "max_size": 10, "max_bytes": 1048576, "ttl": "90s"})"));
  EXPECT_EQ(to_settings(DistributedConfig{.stores = {"a"}, .strategy = "sharding"}),
            Settings::parse(R"({"driver": "distributed", "stores": ["a"], "strategy": "sharding"})"));
}

}  // namespace
}  // namespace flux::cache
