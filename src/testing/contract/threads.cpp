// Many threads on one store: one winner, exact counts, nothing torn, nothing revived.
#include <flux/cache/testing/crowd.hpp>
#include <flux/cache/testing/store_contract.hpp>

#include <array>
#include <atomic>
#include <thread>

#include "anchors.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_threads() {}

constexpr int kThreads = 8;

namespace {

/// A value that shows whether it is whole: its length and every byte follow from the number.
std::string whole(std::size_t number) {
  return std::string(1 + number * 37 % 3000, static_cast<char>('a' + number % 26)) + std::to_string(number);
}

bool is_whole(std::string_view value) {
  const std::size_t digits = value.find_first_of("0123456789");
  if (digits == std::string_view::npos) return false;
  return value == whole(std::stoul(std::string(value.substr(digits))));
}

}  // namespace

TEST_P(StoreContract, AddSucceedsForExactlyOneOfManyThreads) {
  for (int round = 0; round < rounds(100); ++round) {
    const std::string key = "job " + std::to_string(round);
    EXPECT_EQ(run_on_threads(kThreads, [&](int i) { return add(key, integer(i)); }), 1);
  }
}

TEST_P(StoreContract, OfManySwapsOfOneVersionOneSucceeds) {
  put("k", integer(0));
  for (int round = 0; round < rounds(100); ++round) {
    const std::uint64_t before = version("k");
    EXPECT_EQ(run_on_threads(kThreads, [&](int i) { return put("k", integer(i), {}, {When::unchanged, before}); }), 1);
  }
}

TEST_P(StoreContract, ForgetIsAnsweredTrueToExactlyOneOfManyThreads) {
  for (int round = 0; round < rounds(100); ++round) {
    put("k", integer(round));
    EXPECT_EQ(run_on_threads(kThreads, [&] { return forget("k"); }), 1);
  }
}

TEST_P(StoreContract, PullHandsTheValueToExactlyOneOfManyThreads) {
  for (int round = 0; round < rounds(100); ++round) {
    put("k", integer(round));
    EXPECT_EQ(run_on_threads(kThreads, [&] { return pulled("k") == "integer " + std::to_string(round); }), 1);
    EXPECT_EQ(got("k"), kMiss);
  }
}

TEST_P(StoreContract, CountersAreExactOverManyThreads) {
  const int each = rounds(5'000);
  run_on_threads(kThreads, [&] {
    for (int i = 0; i < each; ++i) increment("n", 1);
  });
  EXPECT_EQ(got("n"), "integer " + std::to_string(kThreads * each));
}

TEST_P(StoreContract, EachIncrementAnswersANumberOfItsOwn) {
  const int each = rounds(200);
  std::vector<std::atomic<int>> seen(static_cast<std::size_t>(kThreads * each) + 1);
  run_on_threads(kThreads, [&] {
    for (int i = 0; i < each; ++i) {
      const std::int64_t number = increment("n", 1);
      if (number > 0 && static_cast<std::size_t>(number) < seen.size()) ++seen[static_cast<std::size_t>(number)];
    }
  });
  for (std::size_t number = 1; number < seen.size(); ++number) ASSERT_EQ(seen[number].load(), 1) << number;
}

TEST_P(StoreContract, UpAndDownMeetAtZero) {
  const int each = rounds(1'000);
  run_on_threads(kThreads, [&](int i) {
    for (int n = 0; n < each; ++n) increment("n", i % 2 == 0 ? 3 : -3);
  });
  EXPECT_EQ(increment("n", 0), 0);
}

TEST_P(StoreContract, AReaderNeverSeesHalfAValue) {
  put("k", text(whole(0)));
  std::atomic<int> writing{kThreads / 2};
  std::atomic<int> broken{0};
  run_on_threads(kThreads, [&](int i) {
    if (i % 2 == 0) {
      for (int n = 0; n < rounds(400); ++n) put("k", text(whole(static_cast<std::size_t>(n * kThreads + i))));
      --writing;
      return;
    }
    do {
      const auto copy = entry("k");
      if (!copy || !is_whole(copy->view().value.text)) ++broken;
    } while (writing.load() > 0);
  });
  EXPECT_EQ(broken.load(), 0);
}

TEST_P(StoreContract, NoReadAnswersAnotherKeysValue) {
  std::atomic<int> wrong{0};
  run_on_threads(kThreads, [&](int i) {
    for (int n = 0; n < rounds(500); ++n) {
      const std::string key = "key " + std::to_string((n * 31 + i) % 40);
      if (n % 3 == 0) put(key, text(key + "|" + whole(static_cast<std::size_t>(n))));
      if (n % 17 == 0) forget(key);
      const auto copy = entry(key);
      if (copy && copy->view().value.text.substr(0, key.size() + 1) != key + "|") ++wrong;
    }
  });
  EXPECT_EQ(wrong.load(), 0);
}

TEST_P(StoreContract, TouchDoesNotBringBackWhatWasForgotten) {
  for (int round = 0; round < rounds(100); ++round) {
    put("k", text("v"));
    run_on_threads(4, [&](int i) {
      if (i == 0)
        forget("k");
      else
        for (int n = 0; n < 5; ++n) touch("k", in(Duration(60'000'000)));
    });
    ASSERT_FALSE(has("k"));
  }
}

TEST_P(StoreContract, AfterAFlushNothingPutBeforeItIsVisible) {
  constexpr int kWriters = 4;
  std::array<std::atomic<std::int64_t>, kWriters> done{};
  std::atomic<bool> stop{false};
  std::atomic<int> risen{0};
  run_on_threads(kWriters + 1, [&](int i) {
    if (i < kWriters) {
      const std::string key = "writer " + std::to_string(i);
      for (std::int64_t n = 1; !stop.load(); ++n) {
        put(key, integer(n));
        done[static_cast<std::size_t>(i)].store(n);
      }
      return;
    }
    for (int round = 0; round < rounds(200); ++round) {
      std::array<std::int64_t, kWriters> before{};
      for (std::size_t w = 0; w < kWriters; ++w) before[w] = done[w].load();
      flush();
      for (std::size_t w = 0; w < kWriters; ++w) {
        const auto copy = entry("writer " + std::to_string(w), true);
        if (copy && copy->view().value.number <= before[w]) ++risen;
      }
    }
    stop.store(true);
  });
  EXPECT_EQ(risen.load(), 0);
}

TEST_P(StoreContract, APutThatBeginsAfterAFlushIsVisible) {
  std::atomic<bool> stop{false};
  std::atomic<int> lost{0};
  run_on_threads(3, [&](int i) {
    if (i > 0) {
      const std::string key = "neighbour " + std::to_string(i);
      while (!stop.load()) put(key, text("v")), forget(key);
      return;
    }
    for (int round = 0; round < rounds(200); ++round) {
      flush();
      put("k", integer(round));
      if (got("k") != "integer " + std::to_string(round)) ++lost;
    }
    stop.store(true);
  });
  EXPECT_EQ(lost.load(), 0);
}

TEST_P(StoreContract, AllOperationsAtOnceLeaveAStoreThatWorks) {
  run_on_threads(kThreads, [&](int i) {
    std::uint32_t state = static_cast<std::uint32_t>(i) + 1;
    for (int n = 0; n < rounds(1'000); ++n) {
      state = state * 1664525u + 1013904223u;
      const std::string key = "k" + std::to_string((state >> 8) % 16), counter = "n" + std::to_string((state >> 8) % 4);
      switch ((state >> 24) % 11) {
        case 0: put(key, text(whole(state % 1000)), in(Duration(60'000'000))); break;
        case 1: add(key, integer(n)); break;
        case 2: forget(key); break;
        case 3: pulled(key); break;
        case 4: touch(key, {}); break;
        case 5: increment(counter); break;
        case 6: put_many({{Key(key), {.value = text("a")}}, {Key("k0"), {.value = text("b")}}}); break;
        case 7: got_many({key, "k0", "k1", counter}); break;
        case 8: forget_many({key, "k1", key}); break;
        case 9: state % 16 == 0 ? flush() : void(prune(10)); break;
        default: got(key); break;
      }
    }
  });
  put("k", text("v"));
  EXPECT_EQ(got("k"), R"(text "v")");
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
