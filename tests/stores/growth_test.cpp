// What comes and goes leaves nothing behind where the back end keeps it: files, rows and keys, counted without the
// store.
//
// FLUX_TEST_GROWTH_CYCLES=1000000 makes it the long run.
#include <gtest/gtest.h>
#include <flux/cache/layers/serialized.hpp>
#include <flux/cache/layers/tagged.hpp>
#include <flux/cache/repository.hpp>
#include <flux/cache/stores/memcached.hpp>
#include <flux/cache/stores/redis.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "support/database.hpp"
#include "support/file_cache.hpp"
#include "support/server.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

constexpr long kShort = 2'000;
constexpr long kBatch = 250;

long cycles() {
  const char* const asked = std::getenv("FLUX_TEST_GROWTH_CYCLES");
  return asked != nullptr ? std::max(std::atol(asked), kShort) : kShort;
}

/// A store with nobody else on its back end, and how many things that back end keeps.
struct Ground {
  StorePtr store;
  std::function<long()> things;
};

StorePtr whole(StorePtr store, const Clock& clock) {
  if (!store->traits().objects) store = make_serialized(std::move(store));
  if (!store->traits().tags) store = make_tagged(std::move(store), {.clock = &clock});
  return store;
}

Ground on_files(const Clock& clock) {
  const auto scratch = std::make_shared<ScratchDirectory>(memory_backed_directory());
  const std::string path = *scratch / "cache";
  return {whole(make_file({.path = path, .clock = &clock}), clock), [scratch, path] {
            long files = 0;
            for (const auto& entry : std::filesystem::recursive_directory_iterator(path))
              files += !entry.is_directory();
            return files;
          }};
}

Ground on_rows(const Clock& clock) {
  const auto scratch = std::make_shared<ScratchDirectory>(memory_backed_directory());
  const std::string path = *scratch / "cache.sqlite";
  return {whole(make_database({.clock = &clock}, {.database = path}), clock), [scratch, path] {
            RawDatabase raw(path);
            long rows = 0;
            const std::string tables = raw.text("SELECT group_concat(name) FROM sqlite_master WHERE type='table'");
            for (std::size_t at = 0; at < tables.size();) {
              const std::size_t end = std::min(tables.find(',', at), tables.size());
              rows += raw.number("SELECT count(*) FROM \"" + tables.substr(at, end - at) + "\"");
              at = end + 1;
            }
            return rows;
          }};
}

Ground on_redis(const Clock& clock) {
  std::shared_ptr<Server> server = Server::redis();
  if (server == nullptr) return {};
  const auto redis = make_redis({.prefix = unique_prefix(), .timeout = 60s, .clock = &clock},
                                {.host = server->host(), .port = server->port()});
  return {whole(redis, clock), [server, redis] {
            const auto size = redis->command({"DBSIZE"});
            return size.ok() ? static_cast<long>(size->integer) : -1;
          }};
}

Ground on_memcached(const Clock& clock) {
  std::shared_ptr<Server> server = Server::memcached();
  if (server == nullptr) return {};
  const auto memcached = make_memcached({.servers = {{.host = server->host(), .port = server->port()}},
                                         .prefix = unique_prefix(),
                                         .timeout = 60s,
                                         .clock = &clock});
  return {whole(memcached, clock), [server, memcached]() -> long {
            const auto stats = memcached->stats();
            if (stats.empty() || !stats.front().values.contains("curr_items")) return -1;
            return std::atol(stats.front().values.at("curr_items").c_str());
          }};
}

struct Kind {
  const char* name;
  Ground (*make)(const Clock& clock);
  long bare;      ///< what an empty store keeps for itself at most; negative: the server ends lives by its own clock
  bool reclaims;  ///< what has expired goes by `prune`; otherwise the server drops it at its leisure, by its own clock
};
void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

class Growth : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    ground_ = GetParam().make(clock_);
    if (ground_.store == nullptr) GTEST_SKIP() << "no server: " << Server::why_not();
    cache_ = std::make_unique<Repository>(ground_.store, RepositoryOptions{.clock = &clock_}, "growth");
  }
  /// The things that are kept after a tenth of the cycles and at the end.
  template <class Cycle>
  std::pair<long, long> run(Cycle cycle) {
    const auto count = [&] {
      clock_.travel(1s);
      while (cache_->prune(100'000).value_or(0) > 0) {
      }
      return ground_.things();
    };
    const long all = cycles();
    long early = 0;
    for (long i = 0; i < all; ++i) {
      if (i == all / 10) early = count();
      cycle(i);
    }
    const long late = count();
    if (all > kShort)
      std::printf("%s: %ld after %ld cycles, %ld after %ld\n", GetParam().name, early, all / 10, late, all);
    return {early, late};
  }

  FakeClock clock_;
  Ground ground_;
  std::unique_ptr<Repository> cache_;
};

}  // namespace

TEST_P(Growth, WhatIsPutUnderTagsAndExpiresIsKeptNowhere) {
  if (!GetParam().reclaims) GTEST_SKIP() << "this server drops what has expired by its own clock";
  const auto [early, late] = run([&](long i) {
    const std::string tag = "tag " + std::to_string(i % 10);
    ASSERT_TRUE(cache_->tags({tag, "all"}).put("k" + std::to_string(i), i, 1s));
    if (i % kBatch == 0) {
      clock_.travel(1s);
      (void)cache_->prune(10 * kBatch);
    }
  });
  EXPECT_GT(early, 0) << "the records of eleven tags, at least";
  EXPECT_LE(late, early + 10);
  EXPECT_LE(late, 30);
  // Nor is anything left of the tags, once their records have outlived what they guard.
  clock_.travel(std::chrono::hours(1));
  while (cache_->prune(100'000).value_or(0) > 0) {
  }
  if (GetParam().bare >= 0) {
    EXPECT_LE(ground_.things(), GetParam().bare);
  }
}

TEST_P(Growth, FlushesOfOneTagAreKeptNowhere) {
  const auto [early, late] = run([&](long i) {
    if (i % kBatch == 0) cache_->tags({"red"}).put("k", i, 60s);
    ASSERT_TRUE(cache_->tags({"red"}).flush());
  });
  EXPECT_GE(early, 0);
  EXPECT_LE(late, early + 2);
  EXPECT_LE(late, 20);
}

INSTANTIATE_TEST_SUITE_P(Stores, Growth,
                         ::testing::Values(Kind{"File", on_files, 1, true}, Kind{"Database", on_rows, 8, true},
                                           Kind{"Redis", on_redis, -1, true},
                                           Kind{"Memcached", on_memcached, -1, false}),
                         [](const ::testing::TestParamInfo<Kind>& info) { return std::string(info.param.name); });

}  // namespace flux::cache::testing
