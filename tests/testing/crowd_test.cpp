#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>
#include <flux/cache/testing/crowd.hpp>

#include <atomic>
#include <set>
#include <stdexcept>

namespace flux::cache::testing {

TEST(Crowd, ThreadsRunTheWorkOnceEachAndTheirAnswersAddUp) {
  std::atomic<int> runs{0};
  EXPECT_EQ(run_on_threads(8, [&](int index) { return ++runs, index; }), 0 + 1 + 2 + 3 + 4 + 5 + 6 + 7);
  EXPECT_EQ(runs.load(), 8);
}

TEST(Crowd, WorkWithoutAnAnswerAddsUpToNothing) {
  std::atomic<int> runs{0};
  EXPECT_EQ(run_on_threads(3, [&] { ++runs; }), 0);
  EXPECT_EQ(runs.load(), 3);
}

TEST(Crowd, ThreadsAreThereAtOnce) {
  std::atomic<int> here{0};
  run_on_threads(6, [&] {
    ++here;
    while (here.load() < 6) ::usleep(100);
  });
  EXPECT_EQ(here.load(), 6);
}

TEST(Crowd, ProcessesAreProcesses) {
  const pid_t parent = ::getpid();
  int changed = 0;
  EXPECT_EQ(run_in_processes(4, [&](int index) { return changed = 1, ::getpid() != parent ? 10 + index : 0; }), 46);
  EXPECT_EQ(changed, 0);
}

TEST(Crowd, AChildThatThrowsIsTold) {
  EXPECT_EQ(run_in_processes(2,
                             [](int index) {
                               if (index == 1) throw std::runtime_error("a child's own fault");
                               return 5;
                             }),
            -1);
}

TEST(Crowd, AChildThatDiesIsTold) {
  EXPECT_EQ(run_in_processes(2, [](int index) { return index == 0 ? ::raise(SIGKILL) : 0; }), -1);
}

}  // namespace flux::cache::testing
