// A server that is not there when the program starts, or goes away while it runs: the program goes on without it, is
// told once, pays next to nothing, and has it back soon after it returns. Bounds on time are several times what is
// promised: what is proved is that nothing hangs.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "far_stores.hpp"
#include "testing/contract/sanitized.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

/// What a call may take beyond its deadline on a busy machine.
constexpr auto kSlack = 2s;

template <class Work>
Duration time_of(Work&& work) {
  const auto begun = steady_clock::now();
  work();
  return std::chrono::duration_cast<Duration>(steady_clock::now() - begun);
}

/// Counts what a repository says of its store.
struct Heard {
  std::atomic<int> outages{0}, recoveries{0};
  Listening to(const Repository& cache) {
    return cache.listen([this](const Event& event) {
      outages += event.kind == EventKind::outage;
      recoveries += event.kind == EventKind::recovered;
    });
  }
};

/// A port whose queue of connections is full: who calls gets no answer at all, as behind a firewall that says nothing.
class NobodyAnswers {
 public:
  NobodyAnswers() : listener_(socket()) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address_;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address_), size) != 0 || ::listen(listener_, 0) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address_), &size) != 0)
      std::abort();
    for (int& one : waiting_) {
      one = socket();
      (void)::connect(one, reinterpret_cast<const sockaddr*>(&address_), sizeof address_);
    }
  }
  NobodyAnswers(const NobodyAnswers&) = delete;
  ~NobodyAnswers() {
    for (const int one : waiting_) ::close(one);
    ::close(listener_);
  }
  std::uint16_t port() const { return ntohs(address_.sin_port); }

 private:
  static int socket() { return ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); }

  int listener_;
  int waiting_[4]{};
  sockaddr_in address_{};
};

class Absence : public ::testing::TestWithParam<FarStore> {
 protected:
  void SetUp() override {
    server_ = GetParam().start();
    if (server_ == nullptr) GTEST_SKIP() << "no server: " << Server::why_not();
  }
  void goes_on_without(std::uint16_t port, Duration timeout) {
    std::optional<StoreManager> manager;
    std::optional<Repository> cache;
    const Duration construction = time_of([&] {
      manager.emplace(GetParam().over(port, timeout));
      cache.emplace(manager->store());
    });
    EXPECT_LT(construction, kSlack);
    Heard heard;
    const Listening listening = heard.to(*cache);
    for (int i = 0; i < 3; ++i) {
      std::optional<int> got = 1;
      EXPECT_LT(time_of([&] { got = cache->get<int>("k"); }), timeout + kSlack);
      EXPECT_EQ(got, std::nullopt);
    }
    int runs = 0;
    EXPECT_EQ(cache->remember("k", 60s, [&] { return ++runs, 7; }), 7);
    EXPECT_EQ(runs, 1);
    const Duration many = time_of([&] {
      for (int i = 0; i < 200; ++i) {
        EXPECT_FALSE(cache->get<int>("k"));
        (void)cache->put("k", i);
        EXPECT_EQ(cache->remember("k", 0s, [] { return 8; }), 8);
        (void)cache->forget("k"), (void)cache->flush();
      }
    });
    EXPECT_LT(many, timeout * 20 + kSlack) << "1,000 calls cost a few deadlines, not one each";
    EXPECT_EQ(heard.outages, 1) << "one warning, not one for each call";
    EXPECT_EQ(heard.recoveries, 0);
    EXPECT_GT(cache->stats().store_errors, 200u);
  }

  std::unique_ptr<Server> server_;
};

TEST_P(Absence, AServerThatRefusesFromTheStartCostsNothingAndIsToldOnce) {
  server_->kill();
  goes_on_without(server_->port(), 500ms);
}

TEST_P(Absence, AServerThatNeverAnswersFromTheStartCostsItsDeadlineAndIsToldOnce) {
  const NobodyAnswers nobody;
  goes_on_without(nobody.port(), 200ms);
}

TEST_P(Absence, AServerThatComesLaterIsFound) {
  server_->kill();
  const StoreManager manager(GetParam().over(server_->port(), 500ms));
  const Repository cache = manager.store();
  Heard heard;
  const Listening listening = heard.to(cache);
  EXPECT_FALSE(cache.get<int>("k"));
  ASSERT_TRUE(server_->restart());
  bool is_back = false;
  for (const auto end = steady_clock::now() + 10s; !is_back && steady_clock::now() < end;
       std::this_thread::sleep_for(5ms))
    is_back = cache.put("k", 1);
  EXPECT_TRUE(is_back);
  EXPECT_EQ(cache.get<int>("k"), 1);
  EXPECT_EQ(heard.outages, 1);
  EXPECT_EQ(heard.recoveries, 1);
}

/// Threads that use a cache as a program does that knows nothing of servers.
class Program {
 public:
  Program(const Repository& cache, int threads) {
    for (int i = 0; i < threads; ++i)
      threads_.emplace_back([this, cache](const std::stop_token& stop) { run(cache, stop); });
  }
  /// How long each `get` took since this was asked last.
  std::vector<Duration> times() {
    const std::scoped_lock lock(mutex_);
    return std::exchange(times_, {});
  }
  long exceptions() const { return exceptions_; }
  long wrong() const { return wrong_; }

 private:
  void run(const Repository& cache, const std::stop_token& stop) {
    for (int i = 0; !stop.stop_requested(); ++i, std::this_thread::sleep_for(1ms)) {
      const std::string key = "k" + std::to_string(i % 50), value = "of " + key;
      try {
        std::optional<std::string> read;
        const Duration took = time_of([&] { read = cache.get<std::string>(key); });
        wrong_ += read && *read != value;
        wrong_ += cache.remember(key, 60s, [&] { return value; }) != value;
        (void)cache.tags({"t"}).put(key, value, 60s), (void)cache.has(key), (void)cache.many<std::string>({key, "x"});
        if (i % 10 == 0) (void)cache.forget(key), (void)cache.tags({"t"}).flush();
        const std::scoped_lock lock(mutex_);
        times_.push_back(took);
      } catch (...) {
        ++exceptions_;
      }
    }
  }

  std::atomic<long> exceptions_{0}, wrong_{0};
  std::mutex mutex_;
  std::vector<Duration> times_;
  std::vector<std::jthread> threads_;
};

Duration of_hundred(std::vector<Duration> times, std::size_t nth) {
  if (times.empty()) return Duration(0);
  std::sort(times.begin(), times.end());
  return times[times.size() * nth / 100];
}

TEST_P(Absence, AServerKilledInMidRunIsNoExceptionCostsNextToNothingAndIsBackSoonAfterItReturns) {
  const StoreManager manager(GetParam().over(server_->port(), 500ms));
  const Repository cache = manager.store();
  Heard heard;
  const Listening listening = heard.to(cache);
  ASSERT_EQ(cache.increment("n"), 1);
  Program program(cache, 4);
  std::this_thread::sleep_for(300ms);
  const Duration usual = of_hundred(program.times(), 99);
  for (int round = 1; round <= 2; ++round) {
    server_->kill();
    std::this_thread::sleep_for(300ms);  // so that the breaker is open
    (void)program.times();
    std::this_thread::sleep_for(1'200ms);
    const std::vector<Duration> away = program.times();
    EXPECT_GT(away.size(), 20u) << "or nothing is proved";
    const Duration worst = of_hundred(away, 99);
    std::printf("99 of 100 gets within %lld us, %lld us while the server is away\n",
                static_cast<long long>(usual / 1us), static_cast<long long>(worst / 1us));
    EXPECT_LT(worst, usual + 1ms * (kSanitized ? 100 : 10));
    EXPECT_GE(heard.outages, round);
    // Once; and once more for each other thread whose answer, under way, overtakes the first failure or the first
    // success.
    EXPECT_LE(heard.outages, (1 + 3 + 3) * round);

    ASSERT_TRUE(server_->restart());
    const Duration back = time_of([&] {
      for (int i = 0; i < 2'000 && !cache.try_get<std::string>("k").ok(); ++i) std::this_thread::sleep_for(5ms);
    });
    EXPECT_LT(back, 1s + 1s + kSlack) << "the breaker's longest pause, and a second";
    // A server that begins anew knows no script: they are sent again.
    EXPECT_EQ(cache.increment("n of " + std::to_string(round)), 1);
    EXPECT_TRUE(cache.tags({"t"}).put("tagged", 1, 60s));
    EXPECT_TRUE(cache.lock("l", 60s).try_lock());
  }
  EXPECT_EQ(program.exceptions(), 0);
  EXPECT_EQ(program.wrong(), 0);
}

INSTANTIATE_TEST_SUITE_P(Far, Absence,
                         ::testing::Values(FarStore{"Redis", a_redis, over_redis},
                                           FarStore{"SharedRedis", a_redis, over_shared_redis},
                                           FarStore{"Memcached", a_memcached, over_memcached}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace flux::cache::testing
