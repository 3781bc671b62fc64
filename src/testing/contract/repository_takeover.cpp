// Holders that die: what they held is free for others when its lease ends, and not before.
#include <flux/cache/decorator.hpp>
#include <flux/cache/testing/crowd.hpp>
#include <flux/cache/testing/repository_contract.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "anchors.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_takeover() {}

using namespace std::chrono_literals;

namespace {

/// Renewed every third of it, on time even where many programs want the processors.
constexpr Duration kShortLease = 4s;

/// A child that says when it is where the test wants it, and then stays there until it is killed.
class Victim {
 public:
  /// `work` gets what it calls once it is there; that call never returns.
  template <class Work>
  explicit Victim(Work work) {
    if (::pipe(ends_) != 0) return;
    pid_ = ::fork();
    if (pid_ != 0) return;
    ::alarm(120);
    work([this] {
      (void)!::write(ends_[1], "x", 1);
      for (;;) ::pause();
    });
    ::_exit(1);
  }
  ~Victim() {
    kill();
    ::close(ends_[0]), ::close(ends_[1]);
  }
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;

  /// False: it never got there.
  bool is_there() {
    ::close(std::exchange(ends_[1], -1));
    char byte = 0;
    return pid_ > 0 && ::read(ends_[0], &byte, 1) == 1;
  }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(std::exchange(pid_, -1), nullptr, 0);
  }

 private:
  int ends_[2]{-1, -1};
  pid_t pid_ = -1;
};

/// Lets something happen between the look at an entry and the claim to refresh it.
class BeforeTheClaim final : public Decorator {
 public:
  using Decorator::Decorator;
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    if (key.space() == Space::locks && how.when == When::absent && then) std::exchange(then, nullptr)();
    return inner().put(key, entry, how);
  }
  std::function<void()> then;
};

constexpr Duration kLease = 3s;

/// Time goes by, on the machine and on a fake clock.
template <class Advance>
void pass(Duration length, Advance advance) {
  const auto start = std::chrono::steady_clock::now();
  for (auto now = start, last = start; now - start < length; last = now) {
    std::this_thread::sleep_for(20ms);
    now = std::chrono::steady_clock::now();
    advance(std::chrono::duration_cast<Duration>(now - last));
  }
}

/// What each process does under the lock; FLUX_TEST_LOCK_TURNS=625 makes it the long run, of 10,000 in all.
int turns() {
  const char* const asked = std::getenv("FLUX_TEST_LOCK_TURNS");
  return asked != nullptr ? std::max(std::atoi(asked), 1) : 12;
}

}  // namespace

TEST_P(RepositoryContract, ALoadWhoseProcessIsKilledIsTakenOverWhenItsLeaseEnds) {
  if (!cache().store()->traits().shared) GTEST_SKIP() << "other processes do not see the entries of this store";
  const Repository leased = with({.load_lease = kLease});
  Victim victim([&](auto here) { leased.remember("k", 60s, [&] { return here(), 1; }); });
  ASSERT_TRUE(victim.is_there());
  victim.kill();
  int runs = 0;
  const auto load = [&runs] { return ++runs + 10; };
  if (!GetParam().real_time) {
    advance(kLease - 1ms);
    EXPECT_THROW(leased.remember("k", {.ttl = Ttl(60s), .hard_timeout = 20ms}, load), LoadTimeout);
    EXPECT_EQ(runs, 0) << "the lease is trusted to its end";
    advance(1ms);
  }
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(leased.remember("k", 60s, load), 11);
  const auto took = std::chrono::steady_clock::now() - begun;
  EXPECT_LT(took, kLease + 2s) << "what is left of the lease, and a pause of 50 ms at most";
  EXPECT_EQ(leased.get<int>("k"), 11);
}

TEST_P(RepositoryContract, ALoadThatOutlastsItsLeaseIsNotRunTwice) {
  const Repository mine = with({.load_lease = kShortLease}),
                   theirs = with({.load_lease = kShortLease});  // flights of their own
  std::atomic<int> runs{0};
  std::atomic<bool> begun{false};
  const auto slow = [&] {
    begun = true;
    pass(kShortLease + 1'500ms, [&](Duration part) {
      if (!GetParam().real_time) advance(part);
    });
    return ++runs;
  };
  const auto next = [&] { return ++runs + 10; };
  std::thread loading([&] { EXPECT_EQ(mine.remember("k", 60s, slow), 1); });
  while (!begun) std::this_thread::yield();
  EXPECT_EQ(theirs.remember("k", 60s, next), 1) << "somebody else ran the loader beside one at work";
  loading.join();
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(theirs.get<int>("k"), 1) << "the answer came too late to be stored";
}

TEST_P(RepositoryContract, ARefreshThatOutlastsItsLeaseIsNotRunTwice) {
  if (!cache().store()->traits().shared) GTEST_SKIP() << "no other process refreshes what this store keeps";
  if (GetParam().real_time) GTEST_SKIP() << "this store cannot take a clock, and the fresh life here is long";
  const Repository mine = with({.load_lease = kShortLease}), theirs = with({.load_lease = kShortLease});
  const Options options{.ttl = Ttl(5s), .stale = 3600s};
  mine.put("k", 1, options);
  advance(5s);
  std::atomic<bool> begun{false}, ends_soon{false}, done{false};
  const auto slow = [&] {
    begun = true;
    pass(kShortLease + 1s, [&](Duration part) { advance(part); });
    // Who looks before the end and claims after it may load once more, which is not what is asked here.
    ends_soon = true;
    pass(500ms, [&](Duration part) { advance(part); });
    done = true;
    return 2;
  };
  std::atomic<int> others{0};
  EXPECT_EQ(mine.remember("k", options, slow), 1) << "the old value, while somebody loads behind";
  while (!begun) std::this_thread::yield();
  while (!ends_soon) {
    theirs.remember("k", options, [&] { return ++others; });
    std::this_thread::sleep_for(50ms);
  }
  while (!done) std::this_thread::yield();
  EXPECT_EQ(others, 0) << "somebody else refreshed beside one at work";
}

TEST_P(RepositoryContract, WhoClaimsARefreshThatIsJustDoneTakesItsValue) {
  if (!cache().store()->traits().shared) GTEST_SKIP() << "no other process refreshes what this store keeps";
  if (GetParam().real_time) GTEST_SKIP() << "this store cannot take a clock, and the fresh life here is long";
  const Options options{.ttl = Ttl(5s), .fail_safe = 3600s};
  cache().put("k", 1, options);
  advance(5s);
  const auto late_store = std::make_shared<BeforeTheClaim>(cache().store());
  const Repository late(late_store, {.clock = &clock()});
  late_store->then = [&] { EXPECT_EQ(cache().remember("k", options, [] { return 2; }), 2); };
  EXPECT_EQ(late.remember("k", options, [] { return 3; }), 2);
  EXPECT_FALSE(late_store->then) << "nothing came between";
}

TEST_P(RepositoryContract, ARefreshWhoseProcessIsKilledIsTakenOverWhenItsLeaseEnds) {
  if (!cache().store()->traits().shared) GTEST_SKIP() << "other processes do not see the entries of this store";
  if (GetParam().real_time) GTEST_SKIP() << "this store cannot take a clock, and leases here take minutes";
  const Repository leased = with({.load_lease = 30s});
  const Options options{.ttl = Ttl(5s), .fail_safe = 3600s};
  leased.put("k", 1, options);
  advance(5s);
  Victim victim([&](auto here) { leased.remember("k", options, [&] { return here(), 2; }); });
  ASSERT_TRUE(victim.is_there());
  victim.kill();
  int runs = 0;
  const auto load = [&runs] { return ++runs + 10; };
  EXPECT_EQ(leased.remember("k", {.ttl = Ttl(5s), .stale = 3600s}, load), 1) << "the old value, while somebody loads";
  EXPECT_EQ(runs, 0);
  advance(30s);
  EXPECT_EQ(leased.remember("k", options, load), 11);
}

TEST_P(RepositoryContract, ALockGuardsWhatManyProcessesReadAndWrite) {
  if (!cache().store()->traits().shared) GTEST_SKIP() << "other processes do not see the entries of this store";
  if (cache().store()->traits().kind == "tiered")
    GTEST_SKIP() << "a near tier may be behind what another process has just put, whoever holds a lock";
  constexpr int kProcesses = 16;
  const int each = turns();
  cache().put("sum", 0);
  const long ran = run_in_processes(kProcesses, [&] {
    long turns = 0;
    for (int i = 0; i < each; ++i)
      turns += cache()
                   .lock("guard", 60s)
                   .run(
                       [&] {
                         const int seen = cache().get("sum", -1'000'000);
                         return cache().put("sum", seen + 1) ? 1 : 0;
                       },
                       100s);
    return turns;
  });
  EXPECT_EQ(ran, kProcesses * each);
  EXPECT_EQ(cache().get<int>("sum"), kProcesses * each);
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
