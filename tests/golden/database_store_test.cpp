// A database of schema 1, as the first release wrote it; docs/design/database_store.md tells its tables.
//
// It is never rewritten. FLUX_GOLDEN_WRITE=1 writes it where it is missing.
#include <flux/cache/drivers.hpp>
#include <flux/cache/testing/fake_clock.hpp>
#include <flux/cache/testing/store_probe.hpp>

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "support/scratch_directory.hpp"

namespace flux::cache::testing {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

const fs::path kGolden = fs::path(FLUX_CACHE_SOURCE_DIR) / "tests/golden/database_v1.sqlite";

const TagStamp kTags[] = {{"users", 0x0123456789abcdef}, {"team 3", 7}};

/// The bare store over the file.
StorePtr open(const std::string& file, const Clock& clock) {
  const Config config = checked(Config::from_json(
      R"({"stores": {"s": {"driver": "database", "prefix": "Golden:"}}, "connections": {"default": {"driver": "sqlite", "database": ")" +
      file + "\"}}}"));
  return drivers().make(DriverContext("s", config, clock, {}));
}

Expiry in(const Clock& clock, Duration life) { return Expiry::at(after(clock.now(), life)); }

void fill(const StoreProbe& store, const Clock& clock) {
  store.put("integer", integer(-7));
  store.put("unsigned", unsigned_integer(UINT64_MAX));
  store.put("placeholder", ValueView{});
  store.put("text", text(std::string("any\0bytes\xff", 10)), in(clock, 1h));
  store.put("overwritten", text("the older value"));
  store.put("overwritten", {.value = bytes("the newer value"), .tags = kTags, .notes = "some notes"});
  store.put({"lock", Space::locks}, text("owner"));
  store.put(std::string(5000, 'k'), text(std::string(5000, 'v')));
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
  EXPECT_EQ(store.got("integer"), show(integer(-7)));
  EXPECT_EQ(store.got("unsigned"), show(unsigned_integer(UINT64_MAX)));
  EXPECT_EQ(store.stale("placeholder"), show(ValueView{}));
  EXPECT_EQ(store.got("text"), show(text(std::string("any\0bytes\xff", 10))));
  EXPECT_EQ(store.got({"lock", Space::locks}), show(text("owner")));
  EXPECT_EQ(store.got(std::string(5000, 'k')), show(text(std::string(5000, 'v'))));
  EXPECT_EQ(store.got("forgotten"), kMiss);
  const Entry wanted{.value = bytes("the newer value"), .tags = kTags, .notes = "some notes"};
  const auto seen = store.entry("overwritten");
  ASSERT_TRUE(seen.has_value());
  EXPECT_EQ(show(seen->view()), show(wanted));
  EXPECT_EQ(store.increment("integer"), -6);
  EXPECT_TRUE(store.put("overwritten", text("again")));
  EXPECT_EQ(store.got("overwritten"), show(text("again")));
  clock.travel(1h);
  EXPECT_EQ(store.got("text"), kMiss) << "deadlines are kept by the wall";
}

}  // namespace
}  // namespace flux::cache::testing
