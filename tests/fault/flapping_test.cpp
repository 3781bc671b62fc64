// A server that comes and goes every 100 ms, for as long as FLUX_TEST_FLAPPING_SECONDS says: the program never sees an
// exception or another key's value, and is left with no more descriptors, memory or words than one outage costs.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <flux/cache/testing/chaos_proxy.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "far_stores.hpp"
#include "flapping.hpp"
#include "testing/contract/sanitized.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr int kThreads = 4;

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

struct Flaps {
  FarStore store;
  const char* how;
  Duration pause;  ///< between two calls of a thread: a server that is asked seldom is away less often than its breaker
};
void PrintTo(const Flaps& flaps, std::ostream* out) { *out << flaps.store.name << flaps.how; }

class Flapping : public ::testing::TestWithParam<Flaps> {};

TEST_P(Flapping, CostsNoExceptionNoDescriptorsNoMemoryAndFewWords) {
  const auto server = GetParam().store.start();
  if (server == nullptr) GTEST_SKIP() << "no server: " << Server::why_not();
  const long before = open_descriptors();
  {
    Flapper flapper(*server);
    const StoreManager manager(GetParam().store.over(flapper.port(), 500ms));
    const Repository cache = manager.store();
    std::atomic<long> outages{0}, recoveries{0};
    const Listening listening = cache.listen([&](const Event& event) {
      outages += event.kind == EventKind::outage;
      recoveries += event.kind == EventKind::recovered;
    });
    ASSERT_TRUE(comes_true_soon([&] { return cache.put("k", "v"); }));

    Seen seen;
    std::atomic<Duration> pause{1ms};
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i)
      threads.emplace_back([&](const std::stop_token& stop) { go_on(cache, seen, pause, stop); });
    // In full use of a server that is there: a connection for each thread, and what the store has for itself.
    long most = 0, in_use = 0;
    for (const auto settled = steady_clock::now() + 500ms; steady_clock::now() < settled;) {
      std::this_thread::sleep_for(10ms);
      in_use = std::max(in_use, open_descriptors());
    }
    pause = GetParam().pause;
    flapper.begin();
    const auto begun = steady_clock::now();
    const auto end = begun + std::chrono::seconds(flapping_seconds());
    long memory_before = 0;
    while (steady_clock::now() < end) {
      std::this_thread::sleep_for(30ms);
      most = std::max(most, open_descriptors());
      if (memory_before == 0 && steady_clock::now() > begun + (end - begun) / 3) memory_before = bytes_allocated();
    }
    const long memory_after = bytes_allocated();
    flapper.stay();
    EXPECT_TRUE(comes_true_soon([&] { return cache.put("k", "v") && cache.get<std::string>("k") == "v"; }));
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
    // Not all threads need have been at it at once, where the machine has something else to do.
    EXPECT_LE(most, std::max(in_use, before + 2 * kThreads) + 2);
    EXPECT_LE(outages + recoveries, most_told(steady_clock::now() - begun));
    if (!kSanitized) {
      EXPECT_LT(memory_after - memory_before, 256 * 1024);
    }
  }
  EXPECT_TRUE(comes_true_soon([&] { return std::abs(open_descriptors() - before) <= 2; }))
      << open_descriptors() << " of " << before;
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
