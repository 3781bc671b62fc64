// docs/guide/configuration.md has every key that the configuration reads, in the section of its driver.
#include <gtest/gtest.h>
#include <flux/cache/drivers.hpp>
#include <flux/cache/stores/null.hpp>

#include <fstream>
#include <iterator>
#include <string>

#include "config/known_drivers.hpp"
#include "config/reading.hpp"

namespace flux::cache {
namespace {

std::string section(const std::string& heading) {
  static const std::string page = [] {
    std::ifstream file(FLUX_CACHE_SOURCE_DIR "/docs/guide/configuration.md");
    return std::string(std::istreambuf_iterator<char>(file), {});
  }();
  const std::size_t begin = page.find("\n" + heading + "\n");
  if (begin == std::string::npos) return {};
  return page.substr(begin, page.find("\n#", begin + heading.size()) - begin);
}

template <class Struct>
void expect_documented(const std::string& heading, const std::string& in_common = {}) {
  const std::string own = section(heading), common = section(in_common);
  ASSERT_NE(own, "") << heading;
  Struct config{};
  const Settings all = detail::Reading::write([&](Fields& fields) { describe(fields, config); });
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all.name(i) == "driver") continue;
    const std::string row = "\n| `" + all.name(i) + "` |";
    EXPECT_TRUE(own.find(row) != std::string::npos || common.find(row) != std::string::npos)
        << heading << ": " << all.name(i);
  }
}

TEST(ConfigurationPage, HasEveryKeyOfEveryDriver) {
  const std::string common = "## What every store may be told";
  expect_documented<MemoryConfig>("### `memory`", common);
  expect_documented<FileConfig>("### `file`", common);
  expect_documented<DatabaseConfig>("### `database`", common);
  expect_documented<RedisConfig>("### `redis`", common);
  expect_documented<MemcachedConfig>("### `memcached`", common);
  expect_documented<DistributedConfig>("### `distributed`", common);
  expect_documented<TieredConfig>("### `tiered`", common);
  expect_documented<NullConfig>("### `null`", common);
}

TEST(ConfigurationPage, HasEveryKeyOfEveryConnection) {
  expect_documented<SqliteConnection>("### Connection `sqlite`");
  expect_documented<RedisConnection>("### Connection `redis`");
}

TEST(ConfigurationPage, HasEveryKeyOfTheTop) {
  expect_documented<SerializeConfig>("### `serialize`");
  expect_documented<LimitsConfig>("### `limits`");
  for (const char* key : {"default", "stores", "connections", "prefix", "serialize", "limits"})
    EXPECT_NE(section("## The top").find("\n| `" + std::string(key) + "` |"), std::string::npos) << key;
}

TEST(ConfigurationPage, OpensWithAConfigurationThatIsRight) {
  std::ifstream file(FLUX_CACHE_SOURCE_DIR "/docs/guide/configuration.md");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  const std::size_t begin = text.find("```json\n") + 8;
  EXPECT_NO_THROW(validate(Config::from_json(text.substr(begin, text.find("```", begin) - begin))));
}

}  // namespace
}  // namespace flux::cache
