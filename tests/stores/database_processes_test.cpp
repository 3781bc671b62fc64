// The database store between threads and processes.
#include <sys/stat.h>
#include <unistd.h>
#include <flux/cache/testing/crowd.hpp>

#include <filesystem>
#include <memory>
#include <set>

#include "support/database_store.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

class DatabaseProcesses : public DatabaseStore {};

TEST_F(DatabaseProcesses, AFlushInOneProcessIsSeenByTheOthersAtOnce) {
  const StorePtr store = open();
  EXPECT_TRUE(put_text(*store, "k", "v"));
  EXPECT_EQ(text_of(*store, "k"), "v");
  EXPECT_EQ(run_in_processes(1, [&] { return store->flush({}).ok() ? 1 : 0; }), 1);
  EXPECT_EQ(text_of(*store, "k"), std::nullopt);
  EXPECT_EQ(run_in_processes(1, [&] { return put_text(*store, "k", "w") ? 1 : 0; }), 1);
  EXPECT_EQ(text_of(*store, "k"), "w");
}

TEST_F(DatabaseProcesses, AChildOfForkOpensItsOwnConnections) {
  const StorePtr store = open();
  EXPECT_TRUE(put_text(*store, "k", "v"));
  for (int round = 0; round < 20; ++round) {
    EXPECT_EQ(run_in_processes(2,
                               [&] {
                                 long right = 0;
                                 for (int i = 0; i < 50; ++i)
                                   right += text_of(*store, "k") == "v" && store->increment(Key("n"), 1, {}).ok();
                                 return right;
                               }),
              100);
    EXPECT_EQ(text_of(*store, "k"), "v");
  }
  EXPECT_EQ(text_of(*store, "n"), "2000");
}

TEST_F(DatabaseProcesses, AChildOfForkWorksWhileTheParentsThreadsAreBusy) {
  const StorePtr store = open();
  EXPECT_TRUE(put_text(*store, "k", "v"));
  std::atomic<bool> stop{false};
  std::atomic<long> wrong{0};
  std::vector<std::thread> busy;
  for (int thread = 0; thread < 3; ++thread)
    busy.emplace_back([&, thread] {
      for (int i = 0; !stop; ++i) {
        if (text_of(*store, "k") != "v") ++wrong;
        if (!put_text(*store, "t" + std::to_string(thread), std::to_string(i))) ++wrong;
      }
    });
  for (int round = 0; round < 30; ++round)
    EXPECT_EQ(
        run_in_processes(1, [&] { return text_of(*store, "k") == "v" && put_text(*store, "child", "c") ? 1 : 0; }), 1);
  stop = true;
  for (auto& thread : busy) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(DatabaseProcesses, AForkInsideAReceiverLeavesTheParentWhole) {
  const StorePtr store = open();
  EXPECT_TRUE(put_text(*store, "k", "v"));
  long child = 0;
  EXPECT_TRUE(*store->get(Key("k"), {}, [&](const Entry&) {
    child = run_in_processes(1, [&] { return text_of(*store, "k") == "<unavailable>" ? 1 : 0; });
  }));
  EXPECT_EQ(child, 1);
  EXPECT_EQ(text_of(*store, "k"), "v");
}

TEST_F(DatabaseProcesses, AReceiverMayReadThroughTheSameStore) {
  const StorePtr store = open();
  EXPECT_TRUE(put_text(*store, "a", "1"));
  EXPECT_TRUE(put_text(*store, "b", "2"));
  std::optional<std::string> inner;
  EXPECT_TRUE(*store->get(Key("a"), {}, [&](const Entry&) { inner = text_of(*store, "b"); }));
  EXPECT_EQ(inner, "2");
}

TEST_F(DatabaseProcesses, MoreThreadsThanConnectionsAllGetTheirTurn) {
  const StorePtr store = make_database({}, {.database = path_, .connections = 2});
  EXPECT_EQ(run_on_threads(24,
                           [&](int index) {
                             long done = 0;
                             for (int i = 0; i < 20; ++i)
                               done += put_text(*store, std::to_string(index), std::to_string(i)) ? 1 : 0;
                             return done;
                           }),
            24 * 20);
}

TEST_F(DatabaseProcesses, WaitsForAConnectionNoLongerThanItMay) {
  const StorePtr store = make_database({}, {.database = path_, .busy_timeout = 30ms, .connections = 1});
  EXPECT_TRUE(put_text(*store, "k", "v"));
  std::optional<std::string> inner;
  EXPECT_TRUE(
      *store->get(Key("k"), {}, [&](const Entry&) { std::thread([&] { inner = text_of(*store, "k"); }).join(); }));
  EXPECT_EQ(inner, "<rejected>");
  EXPECT_EQ(text_of(*store, "k"), "v");
}

TEST_F(DatabaseProcesses, AReceiverThatThrowsGivesTheConnectionBack) {
  const StorePtr store = make_database({}, {.database = path_, .busy_timeout = 30ms, .connections = 1});
  EXPECT_TRUE(put_text(*store, "k", "v"));
  for (int i = 0; i < 3; ++i)
    EXPECT_THROW((void)store->get(Key("k"), {}, [](const Entry&) { throw std::runtime_error("no"); }),
                 std::runtime_error);
  EXPECT_TRUE(put_text(*store, "k", "w"));
  EXPECT_EQ(text_of(*store, "k"), "w");
}

TEST_F(DatabaseProcesses, MixedLoadOfEightProcessesNeverMeetsALock) {
  const StorePtr store = open();
  EXPECT_EQ(*store->increment(Key("n"), 1, {}), 1);
  constexpr int kRounds = 100;
  EXPECT_EQ(
      run_in_processes(8,
                       [&](int index) {
                         long right = 0;
                         const std::string own = "own" + std::to_string(index);
                         for (int i = 0; i < kRounds; ++i) {
                           const std::string now = std::to_string(i);
                           const Item items[] = {{Key("x"), text_entry(now)}, {Key("y"), text_entry(now)}};
                           right += store->put(Key(own), text_entry(now), {}).ok() && text_of(*store, own) == now &&
                                    store->put(Key("add" + now), text_entry(own), {When::absent}).ok() &&
                                    store->increment(Key("n"), 1, {}).ok() && store->put_many(items)->failed.empty() &&
                                    store->forget(Key("add" + std::to_string(i - 5)), {}).ok() && store->prune(10).ok();
                         }
                         return right;
                       }),
      8 * kRounds);
  EXPECT_EQ(text_of(*store, "n"), std::to_string(8 * kRounds + 1));
  EXPECT_EQ(text_of(*store, "x"), text_of(*store, "y"));
}

TEST_F(DatabaseProcesses, AReadNeverWaitsForAWriter) {
  const StorePtr store = make_database({}, {.database = path_, .busy_timeout = 20ms});
  EXPECT_TRUE(put_text(*store, "k", "v"));
  RawDatabase raw(path_);
  raw.run("BEGIN IMMEDIATE");
  EXPECT_EQ(text_of(*store, "k"), "v");
  EXPECT_FALSE(*store->put(Key("k"), text_entry("w"), {When::absent}));
  raw.run("COMMIT");
}

}  // namespace
}  // namespace flux::cache::testing
