// Invalidation against loads that are running, crowds on cold keys, and reads that must not go back in time.
#include <flux/cache/layers/serialized.hpp>
#include <flux/cache/testing/crowd.hpp>
#include <flux/cache/testing/repository_contract.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <thread>

#include "anchors.hpp"
#include "sanitized.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_races() {}

using namespace std::chrono_literals;

namespace {

constexpr int kRounds = kSanitized ? 200 : 1'000;

/// Rounds of one loader against one invalidation: the source changes, then the cache is told. Whatever the two do, once
/// both are over the cache shows what the source has, or nothing. Answers the rounds in which it does not.
int rounds_that_stay_stale(const std::function<std::optional<int>()>& read,
                           const std::function<void(const std::atomic<int>&)>& load,
                           const std::function<void(int)>& invalidate) {
  std::atomic<int> source{0};
  int stale = 0;
  std::barrier both(2);
  std::jthread other([&] {
    for (int round = 0; round < kRounds; ++round) {
      both.arrive_and_wait();
      if (round % 3 == 1) std::this_thread::yield();
      invalidate(++source);
      both.arrive_and_wait();
    }
  });
  for (int round = 0; round < kRounds; ++round) {
    both.arrive_and_wait();
    load(source);
    both.arrive_and_wait();
    // The other side is waiting for the next round, so the source stands still.
    const auto seen = read();
    stale += seen && *seen != source.load();
  }
  return stale;
}

}  // namespace

TEST_P(RepositoryContract, AThousandForgetsAgainstARunningLoad) {
  const Repository& cache = this->cache();
  EXPECT_EQ(rounds_that_stay_stale([&] { return cache.get<int>("k"); },
                                   [&](const auto& source) { cache.remember("k", 60s, [&] { return source.load(); }); },
                                   [&](int) { cache.forget("k"); }),
            0);
}

TEST_P(RepositoryContract, AThousandPutsAgainstARunningLoad) {
  const Repository& cache = this->cache();
  const int stale = rounds_that_stay_stale([&] { return cache.get<int>("k"); },
                                           [&](const auto& source) {
                                             cache.forget("k");
                                             cache.remember("k", 60s, [&] { return source.load(); });
                                           },
                                           [&](int value) { cache.put("k", value, 60s); });
  EXPECT_EQ(stale, 0);
}

TEST_P(RepositoryContract, AThousandPullsAgainstARunningLoad) {
  const Repository& cache = this->cache();
  EXPECT_EQ(rounds_that_stay_stale([&] { return cache.get<int>("k"); },
                                   [&](const auto& source) { cache.remember("k", 60s, [&] { return source.load(); }); },
                                   [&](int) { (void)cache.pull<int>("k"); }),
            0);
}

TEST_P(RepositoryContract, AThousandFlushesAgainstARunningLoad) {
  const Repository& cache = this->cache();
  EXPECT_EQ(rounds_that_stay_stale([&] { return cache.get<int>("k"); },
                                   [&](const auto& source) { cache.remember("k", 60s, [&] { return source.load(); }); },
                                   [&](int) { cache.flush(); }),
            0);
}

TEST_P(RepositoryContract, AThousandFlushesOfATagAgainstARunningLoad) {
  const TagSet red = cache().tags({"red"});
  const TagSet either = cache().tags({"red", "blue"});
  int turn = 0;
  EXPECT_EQ(rounds_that_stay_stale([&] { return red.get<int>("k"); },
                                   [&](const auto& source) { red.remember("k", 60s, [&] { return source.load(); }); },
                                   [&](int) { ++turn % 2 == 0 ? red.flush() : either.flush_any(); }),
            0);
}

TEST_P(RepositoryContract, AThousandFlushesOfATagThatTheLoaderNames) {
  const Repository& cache = this->cache();
  std::atomic<int> source{0};
  int stale = 0;
  std::barrier both(2);
  std::jthread other([&] {
    for (int round = 0; round < kRounds; ++round) {
      both.arrive_and_wait();
      ++source;
      cache.tags({"named"}).flush();
      both.arrive_and_wait();
    }
  });
  for (int round = 0; round < kRounds; ++round) {
    both.arrive_and_wait();
    cache.remember("k", 60s, [&](Load<int>& load) {
      load.tag("named");
      return source.load();
    });
    both.arrive_and_wait();
    const auto seen = cache.get<int>("k");
    stale += seen && *seen != source.load();
  }
  EXPECT_EQ(stale, 0);
}

TEST_P(RepositoryContract, OfAThousandCallersOnOneColdKeyOneLoads) {
  std::atomic<int> runs{0};
  const int callers = kSanitized ? 100 : 1'000;
  const long sum = run_on_threads(callers, [&] {
    return cache().remember("cold", 60s, [&] {
      std::this_thread::sleep_for(20ms);
      ++runs;
      return 7;
    });
  });
  EXPECT_EQ(runs.load(), 1);
  EXPECT_EQ(sum, 7L * callers);
}

TEST_P(RepositoryContract, OfAThousandCallersOnOneColdKeyOneLoadsWhateverTheCodec) {
  const int callers = kSanitized ? 100 : 1'000;
  const std::vector<std::string> value(30, "the same words again and again");
  std::string missing;
  for (const char* const format : {"native", "msgpack", "json"}) {
    for (const char* const compressor : {"none", "zstd", "gzip"}) {
      const std::string codec = std::string(format) + " and " + compressor;
      SCOPED_TRACE(codec);
      const bool compresses = compressor != std::string_view("none");
      FrameOptions frame{.format = formats().find(format), .compress_from = 64};
      if (compresses) frame.compressor = compressors().find(compressor);
      if (frame.format == nullptr || (compresses && frame.compressor == nullptr)) {
        missing += (missing.empty() ? "" : ", ") + codec;
        continue;
      }
      const RepositoryOptions options{.clock = &clock()};
      const Repository coded(make_serialized(cache().store(), frame), options, "coded");
      std::atomic<int> runs{0};
      const long equal = run_on_threads(callers, [&] {
        return coded.remember("cold under " + codec, 60s, [&] {
          std::this_thread::sleep_for(20ms);
          return ++runs, value;
        }) == value;
      });
      EXPECT_EQ(runs.load(), 1);
      EXPECT_EQ(equal, callers);
      EXPECT_EQ(coded.get<std::vector<std::string>>("cold under " + codec), value) << "and it was stored";
    }
  }
  if (!missing.empty()) std::printf("not in this build: %s\n", missing.c_str());
}

namespace {

/// Asks for all keys from four processes of so many threads; answers the keys whose loader did not run just once.
int keys_not_loaded_once(const Repository& cache, int threads, int keys, Duration load) {
  const std::size_t bytes = static_cast<std::size_t>(keys) * sizeof(std::atomic<int>);
  void* const page = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return -1;
  auto* const runs = static_cast<std::atomic<int>*>(page);
  const long sum = run_in_processes(4, [&] {
    return run_on_threads(threads, [&] {
      long sum = 0;
      for (int i = 0; i < keys; ++i)
        sum += cache.remember("cold " + std::to_string(i), 60s, [&] {
          std::this_thread::sleep_for(load);
          ++runs[i];
          return i + 1;
        });
      return sum;
    });
  });
  EXPECT_EQ(sum, 4L * threads * keys * (keys + 1) / 2);
  int wrong = 0;
  for (int i = 0; i < keys; ++i) wrong += runs[i] != 1;
  ::munmap(page, bytes);
  return wrong;
}

}  // namespace

TEST_P(RepositoryContract, OfFourProcessesOnColdKeysOneLoadsEach) {
  if (!cache().store()->traits().shared) GTEST_SKIP() << "other processes do not see the entries of this store";
  EXPECT_EQ(keys_not_loaded_once(cache(), 16, kSanitized ? 10 : 100, 5ms), 0);
}

TEST_P(RepositoryContract, OfAThousandCallersInFourProcessesOneLoads) {
  if (!cache().store()->traits().shared) GTEST_SKIP() << "other processes do not see the entries of this store";
  EXPECT_EQ(keys_not_loaded_once(cache(), kSanitized ? 25 : 250, 1, 50ms), 0);
}

// Writers change the source and tell the cache, each in its own way; readers load. Whatever a reader is given must not
// be older than the last change of which the cache had been told before the read began, nor newer than the source is
// once the read is over: the last completed write, or one that overlapped the read.
//
// FLUX_TEST_ORACLE_SECONDS=120 makes it the long run.
TEST_P(RepositoryContract, NoReadGoesBackBehindAnInvalidationThatWasOver) {
  struct Truth {
    std::atomic<int> source{0};
    std::atomic<int> told{0};
  };
  constexpr int kKeys = 3;
  Truth truths[kKeys];
  std::atomic<bool> over{false};
  std::atomic<long> reads{0}, changes{0}, behind{0}, ahead{0};
  const auto name = [](int key) { return "oracle " + std::to_string(key); };
  const Tags tags{"of all"};
  const TagSet tagged = cache().tags(tags);
  const Options always_early{.ttl = Ttl(60s), .beta = std::numeric_limits<double>::infinity()};

  const auto read = [&](int key, unsigned way) -> std::optional<int> {
    const auto load = [&] { return truths[key].source.load(); };
    switch (way) {
      case 0: return cache().get<int>(name(key));
      case 1: return cache().many<int>({name(key), "absent"}).at(name(key));
      case 2: return tagged.remember(name(key), always_early, load);
      default: return tagged.remember(name(key), 60s, load);
    }
  };
  const auto reader = [&](int seed) {
    unsigned random = static_cast<unsigned>(seed) * 2654435761u + 1;
    while (!over) {
      random = random * 1664525u + 1013904223u;
      const int key = static_cast<int>(random >> 16) % kKeys;
      const int told = truths[key].told.load();
      const std::optional<int> seen = read(key, (random >> 8) % 8);
      ++reads;
      if (seen && *seen < told) ++behind;
      if (seen && *seen > truths[key].source.load()) ++ahead;
    }
  };
  const auto writer = [&](int key) {
    unsigned random = static_cast<unsigned>(key) + 77;
    for (int change = 1; !over; ++change) {
      random = random * 1664525u + 1013904223u;
      Truth& truth = truths[key];
      truth.source = change;
      switch ((random >> 16) % 8) {
        case 0: cache().put(name(key), change, {.ttl = Ttl(60s), .tags = tags}); break;
        case 1: tagged.flush(); break;
        case 2: cache().flush(); break;
        case 3: (void)cache().pull<int>(name(key)); break;
        case 4: tagged.flush_any(); break;
        case 5: tagged.put_many({{name(key), change}}, 60s); break;
        case 6: (void)cache().forget_many({name(key)}); break;
        default: cache().forget(name(key)); break;
      }
      truth.told = change;
      ++changes;
      if (change % 4 == 0) std::this_thread::yield();
    }
  };

  const char* const seconds = std::getenv("FLUX_TEST_ORACLE_SECONDS");
  const auto length = seconds != nullptr ? std::chrono::milliseconds(1000L * std::atol(seconds)) : 300ms;
  {
    std::vector<std::jthread> crowd;
    for (int i = 0; i < 3; ++i) crowd.emplace_back(reader, i);
    for (int key = 0; key < kKeys; ++key) crowd.emplace_back(writer, key);
    std::this_thread::sleep_for(length);
    over = true;
  }
  EXPECT_GT(reads.load(), 0);
  EXPECT_EQ(behind.load(), 0) << "of " << reads.load() << " reads and " << changes.load() << " changes";
  EXPECT_EQ(ahead.load(), 0) << "of " << reads.load() << " reads and " << changes.load() << " changes";
  if (seconds != nullptr) std::printf("%ld reads, %ld changes\n", reads.load(), changes.load());
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
