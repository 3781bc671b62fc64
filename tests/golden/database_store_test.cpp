// A database of schema 1, as the first release wrote it; docs/design/database_store.md tells its tables.
//
// It is never rewritten. FLUX_GOLDEN_WRITE=1 writes it where it is missing.
#include <flux/cache/drivers.hpp>
#include <flux/cache/testing/fake_clock.hpp>

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "golden/entries.hpp"
#include "support/scratch_directory.hpp"

namespace flux::cache::testing {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

const fs::path kGolden = fs::path(FLUX_CACHE_SOURCE_DIR) / "tests/golden/database_v1.sqlite";

/// The bare store over the file.
StorePtr open(const std::string& file, const Clock& clock) {
  const Config config = checked(Config::from_json(
      R"({"stores": {"s": {"driver": "database", "prefix": "Golden:"}}, "connections": {"default": {"driver": "sqlite", "database": ")" +
      file + "\"}}}"));
  return drivers().make(DriverContext("s", config, clock, {}));
}

Expiry in(const Clock& clock, Duration life) { return Expiry::at(after(clock.now(), life)); }

void fill(const StoreProbe& store, const Clock& clock) {
  golden::put_entries(store, in(clock, 1h));
  store.put("forgotten", integer(1)), store.forget("forgotten");
}

TEST(DatabaseGolden, AFileOfSchemaOneIsReadByThisRelease) {
  const auto driver = drivers().find("database");
  if (driver == nullptr || !driver->make) GTEST_SKIP() << "built without the database store";
  FakeClock clock;
  if (!fs::exists(kGolden) && std::getenv("FLUX_GOLDEN_WRITE") != nullptr)
    fill(StoreProbe(open(kGolden.string(), clock)), clock);
  ASSERT_TRUE(fs::exists(kGolden));
  const ScratchDirectory directory;
  fs::copy_file(kGolden, directory / "cache.sqlite");
  fs::permissions(directory / "cache.sqlite", fs::perms(0600));
  const StoreProbe store(open(directory / "cache.sqlite", clock));
  EXPECT_EQ(store.got("forgotten"), kMiss);
  golden::expect_entries(store);
  clock.travel(1h);
  EXPECT_EQ(store.got("text"), kMiss) << "deadlines are kept by the wall";
}

}  // namespace
}  // namespace flux::cache::testing
