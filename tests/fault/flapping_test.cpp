// A server that comes and goes every 100 ms, for as long as FLUX_TEST_FLAPPING_SECONDS says: the program never sees an
// exception or another key's value, and is left with no more descriptors, memory or words than one outage costs.
#include <gtest/gtest.h>
#include <malloc.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <flux/cache/testing/chaos_proxy.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "far_stores.hpp"
#include "testing/contract/sanitized.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr int kThreads = 4;
constexpr int kKeys = 64;

int seconds() {
  const char* const asked = std::getenv("FLUX_TEST_FLAPPING_SECONDS");
  return asked != nullptr ? std::clamp(std::atoi(asked), 1, 86'400) : 3;
}

/// A relay in front of a server, in a process of its own, so that its descriptors are not counted with ours.
class Flapper {
 public:
  explicit Flapper(const Server& server) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
    child_ = ::fork();
    if (child_ == 0) {
      ::close(ends[0]);
      relay(server, ends[1]);
      ::_exit(0);
    }
    ::close(ends[1]);
    line_ = ends[0];
    if (::recv(line_, &port_, sizeof port_, MSG_WAITALL) != sizeof port_) port_ = 0;
  }
  Flapper(const Flapper&) = delete;
  ~Flapper() {
    ::close(line_);
    ::waitpid(child_, nullptr, 0);
  }
  std::uint16_t port() const { return port_; }
  void begin() { tell('f'); }
  void stay() { tell('s'); }

 private:
  void tell(char what) const { EXPECT_EQ(::send(line_, &what, 1, MSG_NOSIGNAL), 1); }
  static void relay(const Server& server, int line) {
    ChaosProxy proxy(server.host(), server.port());
    const std::uint16_t port = proxy.port();
    if (::send(line, &port, sizeof port, MSG_NOSIGNAL) != sizeof port) return;
    for (bool flaps = false, is_there = true;;) {
      pollfd asked{line, POLLIN, 0};
      if (::poll(&asked, 1, flaps ? 100 : -1) > 0) {
        char what = 0;
        if (::recv(line, &what, 1, 0) != 1) return;
        flaps = what == 'f';
      }
      is_there = !flaps || !is_there;
      proxy.set(is_there ? ProxyFault::none : ProxyFault::refuse);
    }
  }

  int line_ = -1;
  ::pid_t child_ = 0;
  std::uint16_t port_ = 0;
};

long descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
}
long memory() { return static_cast<long>(::mallinfo2().uordblks); }

template <class Done>
bool comes_true(Done done) {
  for (const auto end = steady_clock::now() + 20s; steady_clock::now() < end;) {
    if (done()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return done();
}

struct Flaps {
  FarStore store;
  const char* how;
  Duration pause;  ///< between two calls of a thread: a server that is asked seldom is away less often than its breaker
};
void PrintTo(const Flaps& flaps, std::ostream* out) { *out << flaps.store.name << flaps.how; }

/// What the threads of a program that goes on have seen.
struct Seen {
  std::atomic<long> exceptions{0}, wrong{0}, done{0}, refused{0};
};

void go_on(const Repository& cache, Seen& seen, const std::atomic<Duration>& pause, const std::stop_token& stop) {
  for (int i = 0; !stop.stop_requested(); ++i, std::this_thread::sleep_for(pause.load())) {
    const std::string key = "k" + std::to_string(i % kKeys), value = "of " + key;
    try {
      (cache.tags({"t"}).put(key, value, 60s) ? seen.done : seen.refused)++;
      const auto read = cache.get<std::string>(key);
      seen.wrong += read && *read != value;
      seen.wrong += cache.remember("r" + key, 60s, [&] { return value; }) != value;
      if (i % 16 == 0) (void)cache.forget(key);
      if (i % 64 == 0) (void)cache.tags({"t"}).flush();
    } catch (...) {
      ++seen.exceptions;
    }
  }
}

class Flapping : public ::testing::TestWithParam<Flaps> {};

TEST_P(Flapping, CostsNoExceptionNoDescriptorsNoMemoryAndFewWords) {
  const auto server = GetParam().store.start();
  if (server == nullptr) GTEST_SKIP() << "no server: " << Server::why_not();
  const long before = descriptors();
  {
    Flapper flapper(*server);
    const StoreManager manager(GetParam().store.over(flapper.port(), 500ms));
    const Repository cache = manager.store();
    std::atomic<long> outages{0}, recoveries{0};
    const Listening listening = cache.listen([&](const Event& event) {
      outages += event.kind == EventKind::outage;
      recoveries += event.kind == EventKind::recovered;
    });
    ASSERT_TRUE(comes_true([&] { return cache.put("k", "v"); }));

    Seen seen;
    std::atomic<Duration> pause{1ms};
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i)
      threads.emplace_back([&](const std::stop_token& stop) { go_on(cache, seen, pause, stop); });
    // In full use of a server that is there: a connection for each thread, and what the store has for itself.
    long most = 0, in_use = 0;
    for (const auto settled = steady_clock::now() + 500ms; steady_clock::now() < settled;) {
      std::this_thread::sleep_for(10ms);
      in_use = std::max(in_use, descriptors());
    }
    pause = GetParam().pause;
    flapper.begin();
    const auto begun = steady_clock::now();
    const auto end = begun + std::chrono::seconds(seconds());
    long memory_before = 0;
    while (steady_clock::now() < end) {
      std::this_thread::sleep_for(30ms);
      most = std::max(most, descriptors());
      if (memory_before == 0 && steady_clock::now() > begun + (end - begun) / 3) memory_before = memory();
    }
    const long memory_after = memory();
    flapper.stay();
    EXPECT_TRUE(comes_true([&] { return cache.put("k", "v") && cache.get<std::string>("k") == "v"; }));
    threads.clear();

    RecordProperty("outages", std::to_string(outages));
    std::printf(
        "%ld calls done, %ld refused, %ld outages and %ld recoveries told; descriptors: %ld before, %ld in full use, "
        "%ld "
        "at most; memory %+ld\n",
        seen.done.load(), seen.refused.load(), outages.load(), recoveries.load(), before, in_use, most,
        memory_after - memory_before);
    EXPECT_EQ(seen.exceptions, 0);
    EXPECT_EQ(seen.wrong, 0);
    EXPECT_GT(seen.done, 0);
    EXPECT_GT(outages, 0) << "or nothing was proved";
    EXPECT_LE(most, in_use + 2);
    // In a minute less than 200, as long as nobody asks for less than that in a shorter time.
    EXPECT_LE(outages + recoveries, 2 * (16 + seconds() + 2));
    if (!kSanitized) {
      EXPECT_LT(memory_after - memory_before, 256 * 1024);
    }
  }
  EXPECT_TRUE(comes_true([&] { return std::abs(descriptors() - before) <= 2; })) << descriptors() << " of " << before;
}

constexpr FarStore kRedis{"Redis", a_redis, over_redis}, kSharedRedis{"SharedRedis", a_redis, over_shared_redis},
    kMemcached{"Memcached", a_memcached, over_memcached}, kTiered{"Tiered", a_redis, over_tiers};

INSTANTIATE_TEST_SUITE_P(Far, Flapping,
                         ::testing::Values(Flaps{kRedis, "Often", 1ms}, Flaps{kRedis, "Seldom", 45ms},
                                           Flaps{kSharedRedis, "Often", 1ms}, Flaps{kMemcached, "Often", 1ms},
                                           Flaps{kMemcached, "Seldom", 45ms}, Flaps{kTiered, "Often", 1ms}),
                         [](const auto& info) { return std::string(info.param.store.name) + info.param.how; });

}  // namespace
}  // namespace flux::cache::testing
