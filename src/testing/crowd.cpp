#include <flux/cache/testing/crowd.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <latch>
#include <thread>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace testing {
namespace detail {

namespace {

constexpr unsigned kSecondsPerChild = 120;

struct Pipe {
  std::array<int, 2> ends{-1, -1};
  Pipe() { open = ::pipe(ends.data()) == 0; }
  ~Pipe() { close_end(0), close_end(1); }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void close_end(int which) {
    if (ends[which] >= 0) ::close(ends[which]);
    ends[which] = -1;
  }
  bool open = false;
};

[[noreturn]] void be_child(int index, Pipe& start, Pipe& answers, cache::detail::FunctionRef<long(int)> work) {
  ::alarm(kSecondsPerChild);
  start.close_end(1);
  char nothing;
  while (::read(start.ends[0], &nothing, 1) > 0) {
  }
  try {
    const long answer = work(index);
    // At most PIPE_BUF bytes: never mixed with another child's.
    ::_exit(::write(answers.ends[1], &answer, sizeof answer) == sizeof answer ? 0 : 1);
  } catch (...) {
    ::_exit(2);
  }
}

}  // namespace

long run_threads(int count, cache::detail::FunctionRef<long(int)> work) {
  std::latch ready(count);
  std::vector<long> answers(static_cast<std::size_t>(count), 0);
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i)
    threads.emplace_back([&, i] {
      ready.arrive_and_wait();
      answers[static_cast<std::size_t>(i)] = work(i);
    });
  for (std::thread& thread : threads) thread.join();
  long sum = 0;
  for (const long answer : answers) sum += answer;
  return sum;
}

long run_processes(int count, cache::detail::FunctionRef<long(int)> work) {
  Pipe start, answers;
  if (!start.open || !answers.open) return -1;
  std::vector<pid_t> children;
  for (int i = 0; i < count; ++i) {
    const pid_t child = ::fork();
    if (child == 0) be_child(i, start, answers, work);
    if (child > 0) children.push_back(child);
  }
  start.close_end(0), start.close_end(1);  // the end of that pipe is the signal to begin
  answers.close_end(1);
  long sum = 0;
  long answer = 0;
  while (::read(answers.ends[0], &answer, sizeof answer) == sizeof answer) sum += answer;
  bool well = children.size() == static_cast<std::size_t>(count);
  for (const pid_t child : children) {
    int status = 0;
    well &= ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  return well ? sum : -1;
}

}  // namespace detail
}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
