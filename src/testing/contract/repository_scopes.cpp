// Memo, deferred invalidations, and listeners behind.
#include <flux/cache/deferred.hpp>
#include <flux/cache/memo.hpp>
#include <flux/cache/testing/repository_contract.hpp>

#include <atomic>
#include <latch>
#include <mutex>
#include <stdexcept>

#include "anchors.hpp"
#include "eventually.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_scopes() {}

using namespace std::chrono_literals;

TEST_P(RepositoryContract, AMemoAsksForEachKeyOnce) {
  cache().put("k", 1);
  Memo memo(cache());
  EXPECT_EQ(memo.get<int>("k"), 1);
  EXPECT_EQ(memo.get<int>("absent"), std::nullopt);
  cache().put("k", 2);
  cache().put("absent", 3);
  const Stats before = cache().stats();
  EXPECT_EQ(memo.get<int>("k"), 1);
  EXPECT_EQ(memo.get<int>("absent"), std::nullopt) << "a miss is remembered too";
  EXPECT_EQ(memo.get("absent", 9), 9);
  EXPECT_EQ(cache().stats().hits + cache().stats().misses, before.hits + before.misses) << "nothing was asked";
  EXPECT_EQ(Memo(cache()).get<int>("k"), 2) << "another scope";
}

TEST_P(RepositoryContract, WhatAMemoWritesItSees) {
  Memo memo(cache());
  const auto seen = [&] { return memo.get<int>("k"); };
  EXPECT_EQ(seen(), std::nullopt);
  memo.put("k", 1);
  EXPECT_EQ(seen(), 1);
  memo.increment("k");
  EXPECT_EQ(seen(), 2);
  memo.put_many({{"k", 5}, {"l", 6}});
  EXPECT_EQ(seen(), 5);
  memo.touch("k", 60s);
  EXPECT_EQ(seen(), 5);
  memo.forget("k");
  EXPECT_EQ(seen(), std::nullopt);
  memo.put("k", 7);
  EXPECT_EQ(seen(), 7);
  memo.flush();
  EXPECT_EQ(seen(), std::nullopt);
}

TEST_P(RepositoryContract, ManyThroughAMemoFetchesOnlyWhatIsUnknown) {
  cache().put_many({{"a", 1}, {"b", 2}});
  Memo memo(cache());
  EXPECT_EQ(memo.get<int>("a"), 1);
  cache().put_many({{"a", 10}, {"b", 20}});
  const auto found = memo.many<int>({"a", "b", "c"});
  EXPECT_EQ(found.at("a"), 1);
  EXPECT_EQ(found.at("b"), 20);
  EXPECT_FALSE(found.at("c"));
  cache().put("c", 3);
  EXPECT_EQ(memo.get<int>("c"), std::nullopt);
}

TEST_P(RepositoryContract, DeferredWorkHappensAtTheCommitAndInOrder) {
  cache().put("k", 1);
  cache().tags({"red"}).put("tagged", 1);
  {
    Deferred later(cache());
    later.forget("k");
    later.put("k", 2, 60s);
    later.tags({"red"}).flush();
    EXPECT_EQ(later.size(), 3u);
    EXPECT_EQ(cache().get<int>("k"), 1);
    EXPECT_TRUE(later.commit());
    EXPECT_EQ(later.size(), 0u);
  }
  EXPECT_EQ(cache().get<int>("k"), 2);
  EXPECT_FALSE(cache().has("tagged"));
  {
    Deferred never(cache());
    never.flush();
    never.forget_many({"k"});
  }
  EXPECT_EQ(cache().get<int>("k"), 2) << "without a commit nothing happens";
}

TEST_P(RepositoryContract, AListenerBehindHearsEverythingInOrderInAnotherThread) {
  std::mutex mutex;
  std::vector<std::string> heard;
  std::atomic<bool> in_the_call{false};
  const auto caller = std::this_thread::get_id();
  const Listening listening = cache().listen(
      [&](const Event& event) {
        const std::scoped_lock guard(mutex);
        if (std::this_thread::get_id() == caller) in_the_call = true;
        heard.push_back(std::string(to_string(event.kind)) + " " + std::string(event.key) +
                        (event.tags != nullptr ? " " + event.tags->front() : ""));
        if (heard.size() % 2 == 0) throw std::domain_error("contained");
      },
      {.background = true});
  cache().put("k", 1);
  cache().get<int>("k");
  cache().tags({"red"}).get<int>("gone");
  cache().forget("k");
  EXPECT_TRUE(eventually([&] {
    const std::scoped_lock guard(mutex);
    return heard.size() == 4;
  }));
  EXPECT_EQ(heard, (std::vector<std::string>{"put k", "hit k", "miss gone red", "forget k"}));
  EXPECT_FALSE(in_the_call);
  EXPECT_EQ(listening.dropped(), 0u);
}

TEST_P(RepositoryContract, AListenerBehindThatIsTooSlowMissesAndCounts) {
  std::latch open(1);
  std::atomic<int> heard{0};
  Listening listening = cache().listen(
      [&](const Event&) {
        open.wait();
        ++heard;
      },
      {.background = true, .max_queued = 3});
  for (int i = 0; i < 10; ++i) cache().put("k", i);
  EXPECT_GE(listening.dropped(), 6u);
  open.count_down();
  EXPECT_TRUE(eventually([&] { return heard + static_cast<int>(listening.dropped()) == 10; }));
  listening = Listening();
  const int before = heard;
  cache().put("k", 1);
  EXPECT_EQ(heard.load(), before) << "nobody listens any more";
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
