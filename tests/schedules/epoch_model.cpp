// The protocol of epoch.hpp and of a bucket's slot, in a model that relacy runs through all schedules it can think of.
//
// Under relacy every atomic is its own, so the protocol is written here once more with the same operations in the same
// order as where the kernel's barrier is missing and fences stand in for it. A reader announces itself, follows the
// slot's number and reads the entry; a writer swaps the number, stamps the old slot, advances the epoch and writes into
// the slot again once it is safe. Relacy reports a data race if a reader could ever look at a slot while it is written
// anew. The second test leaves the margin out, and relacy must find the fault: a proof that the first one looks where
// faults are.
#include <relacy/relacy.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

namespace {

template <int kMargin>
struct Protocol : rl::test_suite<Protocol<kMargin>, 3> {
  rl::atomic<unsigned> epoch;
  rl::atomic<unsigned> safe;
  rl::atomic<unsigned> section[2];
  rl::atomic<unsigned> number;  // which of the slots the bucket names
  rl::var<int> slot[2];

  void before() {
    epoch($).store(8, rl::mo_relaxed);
    safe($).store(0, rl::mo_relaxed);
    section[0]($).store(0, rl::mo_relaxed);
    section[1]($).store(0, rl::mo_relaxed);
    slot[0]($) = 1;
    slot[1]($) = 0;
    number($).store(0, rl::mo_relaxed);
  }

  void advance() {
    epoch($).fetch_add(1, rl::mo_seq_cst);
    rl::atomic_thread_fence(rl::mo_seq_cst, $);
    unsigned oldest = epoch($).fetch_add(1, rl::mo_seq_cst) + 1;
    for (int reader = 0; reader < 2; ++reader) {
      const unsigned announced = section[reader]($).load(rl::mo_acquire);
      if (announced != 0 && announced < oldest) oldest = announced;
    }
    safe($).store(oldest - (kMargin - 1), rl::mo_release);
  }

  void thread(unsigned index) {
    if (index < 2) {
      section[index]($).store(epoch($).load(rl::mo_acquire), rl::mo_release);
      rl::atomic_thread_fence(rl::mo_seq_cst, $);
      const unsigned at = number($).load(rl::mo_acquire);
      const int seen = slot[at]($);
      RL_ASSERT(seen == 1 || seen == 2);
      section[index]($).store(0, rl::mo_release);
      return;
    }
    // The writer: a new entry in slot 1, then slot 0 is retired and, once safe, written anew.
    slot[1]($) = 2;
    number($).store(1, rl::mo_release);
    rl::atomic_thread_fence(rl::mo_seq_cst, $);
    const unsigned stamp = epoch($).load(rl::mo_acquire);
    advance();
    if (stamp < safe($).load(rl::mo_acquire)) slot[0]($) = 3;
  }
};

/// In a process of its own, because relacy does not clean up after a fault that it has found.
bool finds_the_fault() {
  const pid_t child = ::fork();
  if (child == 0) {
    if (std::freopen("/dev/null", "w", stdout) == nullptr) ::_exit(0);
    rl::test_params params;
    params.iteration_count = 20000;
    ::_exit(rl::simulate<Protocol<-8>>(params) ? 0 : 1);
  }
  int status = 0;
  return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

}  // namespace

int main() {
  if (!finds_the_fault()) {
    std::puts("the model without a margin must fail");
    return 1;
  }
  rl::test_params params;
  params.iteration_count = 50000;
  return rl::simulate<Protocol<2>>(params) ? 0 : 1;
}
