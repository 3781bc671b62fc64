// docs/stores/ names every option that the configuration reads, and it and docs/guide/production.md show configurations
// that are right; docs/errors.md has every code.
#include <gtest/gtest.h>
#include <flux/cache/drivers.hpp>
#include <flux/cache/stores/null.hpp>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include "config/known_drivers.hpp"
#include "config/reading.hpp"

namespace flux::cache {
namespace {

std::string page(const std::string& name) {
  std::ifstream file(FLUX_CACHE_SOURCE_DIR "/docs/" + name);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The first cells of the tables' rows: where options and codes stand.
std::string first_cells(const std::string& text) {
  std::istringstream lines(text);
  std::string cells;
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("| ")) cells += line.substr(0, line.find(" |", 2)) + "\n";
  return cells;
}

template <class Struct>
Settings all_of() {
  Struct config{};
  return detail::Reading::write([&](Fields& fields) { describe(fields, config); });
}

template <class Struct>
void expect_named(const std::string& name) {
  const std::string cells = first_cells(page(name));
  const Settings all = all_of<Struct>();
  ASSERT_GT(all.size(), 5u);
  for (std::size_t i = 0; i < all.size(); ++i)
    if (all.name(i) != "driver") {
      EXPECT_NE(cells.find("`" + all.name(i) + "`"), std::string::npos) << name << " lacks " << all.name(i);
    }
}

/// Likewise but for what every store may be told, which stands in the guide and is all that the null store has.
template <class Struct>
void expect_own_named(const std::string& name) {
  const std::string cells = first_cells(page(name));
  const Settings all = all_of<Struct>(), common = all_of<NullConfig>();
  int own = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (common.find(all.name(i)) != nullptr) continue;
    ++own;
    EXPECT_NE(cells.find("`" + all.name(i) + "`"), std::string::npos) << name << " lacks " << all.name(i);
  }
  EXPECT_GT(own, 0) << name;
}

TEST(StorePages, NameEveryOption) {
  expect_named<RedisConnection>("stores/redis.md");
  expect_named<RedisConfig>("stores/redis.md");
  expect_named<MemcachedConfig>("stores/memcached.md");
  expect_own_named<MemoryConfig>("stores/memory.md");
  expect_own_named<FileConfig>("stores/file.md");
  expect_own_named<DatabaseConfig>("stores/database.md");
  expect_own_named<SqliteConnection>("stores/database.md");
  expect_own_named<DistributedConfig>("stores/distributed.md");
  expect_own_named<TieredConfig>("stores/tiered.md");
}

TEST(StorePages, ShowConfigurationsThatAreRight) {
  ASSERT_EQ(::setenv("REDIS_PASSWORD", "canary", 0), 0);
  for (const char* const name : {"guide/production.md", "stores/redis.md", "stores/memcached.md", "stores/memory.md",
                                 "stores/file.md", "stores/database.md", "stores/null.md"}) {
    const std::string text = page(name);
    int shown = 0;
    for (std::size_t at = text.find("```json\n"); at != text.npos; at = text.find("```json\n", at + 1), ++shown) {
      std::string block = text.substr(at + 8, text.find("```", at + 8) - at - 8);
      if (block.starts_with("{\"driver\"")) block = "{\"stores\": {\"one\": " + block + "}}";
      Config config;
      ASSERT_NO_THROW(config = Config::from_json(block)) << name << "\n" << block;
      if (!config.stores.empty()) {
        EXPECT_NO_THROW(validate(config)) << name << "\n" << block;
      }
    }
    EXPECT_GT(shown, 0) << name;
  }
}

TEST(ErrorsPage, HasEveryCode) {
  const std::string cells = first_cells(page("errors.md"));
  for (int code = 1; to_string(static_cast<Errc>(code)) != "unknown"; ++code)
    EXPECT_NE(cells.find("| `" + std::string(to_string(static_cast<Errc>(code))) + "`\n"), std::string::npos)
        << to_string(static_cast<Errc>(code));
}

}  // namespace
}  // namespace flux::cache
