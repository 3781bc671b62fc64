// docs/stores/ names every option that the configuration reads for a server's store, docs/guide/production.md shows
// configurations that are right, and docs/errors.md has every code.
#include <gtest/gtest.h>
#include <flux/cache/drivers.hpp>

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
void expect_named(const std::string& name) {
  const std::string cells = first_cells(page(name));
  Struct config{};
  const Settings all = detail::Reading::write([&](Fields& fields) { describe(fields, config); });
  ASSERT_GT(all.size(), 5u);
  for (std::size_t i = 0; i < all.size(); ++i)
    if (all.name(i) != "driver") {
      EXPECT_NE(cells.find("`" + all.name(i) + "`"), std::string::npos) << name << " lacks " << all.name(i);
    }
}

TEST(StorePages, NameEveryOption) {
  expect_named<RedisConnection>("stores/redis.md");
  expect_named<RedisConfig>("stores/redis.md");
  expect_named<MemcachedConfig>("stores/memcached.md");
}

TEST(StorePages, ShowConfigurationsThatAreRight) {
  ASSERT_EQ(::setenv("REDIS_PASSWORD", "canary", 0), 0);
  for (const char* const name : {"guide/production.md", "stores/redis.md", "stores/memcached.md"}) {
    const std::string text = page(name);
    int shown = 0;
    for (std::size_t at = text.find("```json\n"); at != text.npos; at = text.find("```json\n", at + 1), ++shown) {
      const std::string block = text.substr(at + 8, text.find("```", at + 8) - at - 8);
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
