// A lock that is kept alive: as long as its holder, and no longer.
#include <flux/cache/testing/repository_contract.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <thread>

#include "anchors.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_keep_alive() {}

using namespace std::chrono_literals;

namespace {

/// A process that takes a lock, says whether it got it, and holds it until it is killed.
class Holder {
 public:
  explicit Holder(const Repository& cache, Ttl lease) {
    if (::pipe(said_.data()) != 0) return;
    child_ = ::fork();
    if (child_ != 0) return;
    ::alarm(120);
    char got = 'n';
    try {
      Lock lock = cache.lock("held", lease, {.keep_alive = true});
      if (lock.try_lock()) got = 'y';
      if (::write(said_[1], &got, 1) == 1)
        for (;;) ::pause();
    } catch (...) {
    }
    ::_exit(1);
  }
  ~Holder() {
    kill();
    ::close(said_[0]);
    ::close(said_[1]);
  }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;

  bool has_it() const {
    char got = 'n';
    return child_ > 0 && ::read(said_[0], &got, 1) == 1 && got == 'y';
  }
  void kill() {
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
    child_ = -1;
  }

 private:
  std::array<int, 2> said_{-1, -1};
  ::pid_t child_ = -1;
};

}  // namespace

TEST_P(RepositoryContract, ALockKeptAliveOutlivesItsLeaseAndEndsWithItsHolder) {
  if (!cache().traits().shared) GTEST_SKIP() << "other processes do not see the entries of this store";
  // Processes share no clock but the true one.
  const StorePtr store = GetParam().make(system_clock());
  ASSERT_NE(store, nullptr);
  const Repository real(store, {}, "contract");
  constexpr Duration lease = 1s;
  Holder holder(real, Ttl(lease));
  ASSERT_TRUE(holder.has_it());
  for (const auto end = std::chrono::steady_clock::now() + 3 * lease; std::chrono::steady_clock::now() < end;) {
    ASSERT_FALSE(real.lock("held", 60s).try_lock());
    std::this_thread::sleep_for(20ms);
  }
  holder.kill();
  // What is over is seen within 100 ms on a machine that has the time; the rest is for one that has not.
  EXPECT_TRUE(real.lock("held", 60s).try_lock_for(lease + cache().traits().grain + 1s));
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
