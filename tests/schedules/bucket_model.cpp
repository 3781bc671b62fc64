// The protocol of a bucket in index.hpp, in a model that relacy runs through all schedules it can think of.
//
// As in epoch_model.cpp, the protocol stands here once more with the operations and orders of the real one: an
// insertion writes the entry, stores its number, then its tag; overwriting stores another number; an erasure clears the
// tag, then the number. Two readers look for a key that is overwritten all the while: they must find it, old or new,
// whole, while the way beside it is filled, emptied and filled with another entry under the same tag. Relacy reports a
// data race if a reader could look at an entry that is not written yet. The second test publishes without release, and
// relacy must find that fault.
#include <relacy/relacy.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

namespace {

constexpr unsigned kTag = 0x5A;  // both keys have it: the worst case
constexpr int kKey = 1, kOther = 2;

template <rl::memory_order kPublish>
struct Protocol : rl::test_suite<Protocol<kPublish>, 3> {
  rl::atomic<unsigned> tags;      // way 0 in the low byte, way 1 in the next
  rl::atomic<unsigned> slots[2];  // numbers of entries, 0: none
  rl::var<int> keys[5], values[5];

  void before() {
    for (int entry = 0; entry < 5; ++entry) keys[entry]($) = values[entry]($) = 0;
    keys[1]($) = kKey;
    values[1]($) = 10;
    slots[0]($).store(1, rl::mo_relaxed);
    slots[1]($).store(0, rl::mo_relaxed);
    tags($).store(kTag, rl::mo_relaxed);
  }

  void write_entry(int entry, int key, int value) {
    keys[entry]($) = key;
    values[entry]($) = value;
  }
  void set_tag(unsigned way, unsigned tag) {
    const unsigned now = tags($).load(rl::mo_relaxed);
    tags($).store((now & ~(0xFFu << (8 * way))) | (tag << (8 * way)), kPublish);
  }
  void insert(unsigned way, unsigned entry) {
    slots[way]($).store(entry, kPublish);
    set_tag(way, kTag);
  }
  void erase(unsigned way) {
    set_tag(way, 0);
    slots[way]($).store(0, kPublish);
  }
  /// The value under the key; 0 where it is not found.
  int find(int key) {
    const unsigned seen = tags($).load(rl::mo_acquire);
    for (unsigned way = 0; way < 2; ++way) {
      if (((seen >> (8 * way)) & 0xFF) != kTag) continue;
      const unsigned entry = slots[way]($).load(rl::mo_acquire);
      if (entry != 0 && static_cast<int>(keys[entry]($)) == key) return values[entry]($);
    }
    return 0;
  }

  void thread(unsigned index) {
    if (index == 0) {
      write_entry(2, kOther, 20);
      insert(1, 2);
      write_entry(3, kKey, 11);
      slots[0]($).store(3, kPublish);  // overwriting: one store
      erase(1);
      write_entry(4, kOther, 21);
      insert(1, 4);
      return;
    }
    const int value = find(kKey);
    RL_ASSERT(value == 10 || value == 11);
    const int other = find(kOther);
    RL_ASSERT(other == 0 || other == 20 || other == 21);
    if (value == 11) RL_ASSERT(find(kKey) == 11);  // no way back
  }
};

/// In a process of its own, because relacy does not clean up after a fault that it has found.
bool finds_the_fault() {
  const pid_t child = ::fork();
  if (child == 0) {
    if (std::freopen("/dev/null", "w", stdout) == nullptr) ::_exit(0);
    rl::test_params params;
    params.iteration_count = 20000;
    ::_exit(rl::simulate<Protocol<rl::mo_relaxed>>(params) ? 0 : 1);
  }
  int status = 0;
  return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

}  // namespace

int main() {
  if (!finds_the_fault()) {
    std::puts("the model that publishes without release must fail");
    return 1;
  }
  rl::test_params params;
  params.iteration_count = 300000;
  return rl::simulate<Protocol<rl::mo_release>>(params) ? 0 : 1;
}
