// Real processes on one store, and a store that was handed down through fork.
#include <flux/cache/testing/crowd.hpp>
#include <flux/cache/testing/store_contract.hpp>

#include "anchors.hpp"
#include "sanitized.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_processes() {}

constexpr const char* kNotShared = "other processes do not see the entries of this store";

#define FLUX_CACHE_NEEDS_PROCESSES() FLUX_CACHE_SKIP_UNLESS(traits().shared&& GetParam().again != nullptr, kNotShared)

// A child asserts nothing: what it finds, it answers. Each opens an instance of its own.

TEST_P(StoreContract, AddSucceedsForExactlyOneOfSixteenProcesses) {
  FLUX_CACHE_NEEDS_PROCESSES();
  const int keys = rounds(200);
  const long wins = run_in_processes(16, [&](int process) {
    const StorePtr mine = again();
    long won = 0;
    for (int i = 0; i < keys; ++i) {
      const std::string key = "job " + std::to_string(i);
      const auto answer = mine->put(Key(key), {.value = integer(process)}, {.when = When::absent});
      if (!answer.ok()) return -1'000'000L;
      won += *answer;
    }
    return won;
  });
  EXPECT_EQ(wins, keys);
}

TEST_P(StoreContract, CountersAreExactOverTwoProcessesOfEightThreads) {
  FLUX_CACHE_NEEDS_PROCESSES();
  const int each = rounds(5'000);
  // A crowd this dense may keep one writer out past its limit; whoever is told so asks again. Only a timeout leaves it
  // open whether the write was made.
  constexpr long kOpen = 1, kFault = 1'000'000'000;
  const long told = run_in_processes(2, [&] {
    const StorePtr mine = again();
    return run_on_threads(8, [&] {
      long told = 0;
      for (int i = 0, refused = 0; i < each;) {
        const auto answer = mine->increment(Key("n"), 1, {});
        if (answer.ok()) {
          ++i;
        } else if (!is_transient(answer.error().code) || ++refused > 1'000) {
          return kFault;
        } else if (answer.error().code == Errc::timeout) {
          told += kOpen;
        }
      }
      return told;
    });
  });
  ASSERT_GE(told, 0);
  ASSERT_LT(told, kFault) << "an error that is not transient, or too many that are";
  const std::int64_t counted = increment("n", 0);
  EXPECT_GE(counted, 16 * each);
  EXPECT_LE(counted, 16 * each + told);
}

TEST_P(StoreContract, PullHandsTheValueToExactlyOneOfEightProcesses) {
  FLUX_CACHE_NEEDS_PROCESSES();
  const int keys = rounds(100);
  for (int i = 0; i < keys; ++i) put("k" + std::to_string(i), integer(i));
  const long pulled = run_in_processes(8, [&] {
    const StorePtr mine = again();
    long mine_alone = 0;
    for (int i = 0; i < keys; ++i) {
      const std::string key = "k" + std::to_string(i);
      const auto answer = mine->pull(Key(key), {}, [](const Entry&) {});
      if (!answer.ok()) return -1'000'000L;
      mine_alone += *answer;
    }
    return mine_alone;
  });
  EXPECT_EQ(pulled, keys);
}

TEST_P(StoreContract, NoProcessEverSeesHalfAValue) {
  FLUX_CACHE_NEEDS_PROCESSES();
  const auto pattern = [](int number) {
    return std::string(static_cast<std::size_t>(1 + number * 997 % 20'000), static_cast<char>('a' + number % 26));
  };
  put("k", text(pattern(0)));
  const long faults = run_in_processes(8, [&](int process) {
    const StorePtr mine = again();
    long faults = 0;
    for (int i = 0; i < rounds(400); ++i) {
      if (process % 2 == 0) {
        faults += !mine->put(Key("k"), {.value = text(pattern(process + 2 * i))}, {}).ok();
        continue;
      }
      bool whole = false;
      const auto there = mine->get(Key("k"), {}, [&](const Entry& entry) {
        const std::string_view value = entry.value.text;
        whole = !value.empty() && value.find_first_not_of(value.front()) == std::string_view::npos;
      });
      faults += !there.ok() || (traits().objects ? false : !whole) || !*there;
    }
    return faults;
  });
  EXPECT_EQ(faults, 0);
}

TEST_P(StoreContract, AFlushHoldsForEveryProcess) {
  FLUX_CACHE_NEEDS_PROCESSES();
  const long risen = run_in_processes(4, [&](int process) {
    const StoreProbe mine(again());
    const std::string key = "of " + std::to_string(process);
    long wrong = 0;
    for (int i = 0; i < rounds(100); ++i) {
      mine.put(key, integer(i));
      mine.flush();
      wrong += mine.stale(key) != kMiss;
    }
    return wrong;
  });
  EXPECT_EQ(risen, 0);
}

TEST_P(StoreContract, AFlushOfATagHoldsForEveryProcess) {
  FLUX_CACHE_NEEDS_PROCESSES();
  FLUX_CACHE_SKIP_UNLESS(traits().tags, "this store leaves tags to the layer above it");
  const long wrong = run_in_processes(4, [&](int process) {
    const StoreProbe mine(again());
    const std::string own = "of " + std::to_string(process);
    const TagStamp labels[] = {{"shared", 0}, {own, 0}};
    long wrong = 0;
    for (int i = 0; i < rounds(100); ++i) {
      mine.put(own, {.value = integer(i), .tags = labels});
      if (i % 2 == 0)
        mine.flush_tags({"shared"});
      else
        mine.flush_tags({own, "shared"});
      wrong += mine.stale(own) != kMiss;
    }
    return wrong;
  });
  EXPECT_EQ(wrong, 0);
}

TEST_P(StoreContract, AChildOfForkCanUseTheStoreItInherited) {
  put("before", text("v"));
  const long faults = run_in_processes(2, [&](int process) {
    const std::string key = "child " + std::to_string(process);
    long faults = got("before") != R"(text "v")";
    for (int i = 0; i < 20; ++i) {
      faults += !put(key, integer(i)) || got(key) != "integer " + std::to_string(i);
      faults += increment(key) != i + 1;
    }
    return faults + !forget(key);
  });
  EXPECT_EQ(faults, 0);
  EXPECT_EQ(got("before"), R"(text "v")");
  EXPECT_TRUE(put("after", text("v")));
  EXPECT_EQ(has("child 0"), false);
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
