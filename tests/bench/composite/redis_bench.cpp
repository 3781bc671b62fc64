// Composites over real servers and between processes, beside their parts:
//   bench_composite_redis HOST:PORT HOST:PORT HOST:PORT [rounds]
// The first server holds what is tiered and carries the backplane; all three are the shards. `with_servers` starts
// them. A far hit is measured twice: over a near tier that a flush has just emptied, where room is free and what was
// flushed is given back by the way; and over one that is full, as in life, where each fill evicts something.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <flux/cache.hpp>
#include <flux/cache/layers/serialized.hpp>
#include <flux/cache/stores/distributed.hpp>
#include <flux/cache/stores/memory.hpp>
#include <flux/cache/stores/redis.hpp>
#include <flux/cache/stores/redis/backplane.hpp>
#include <flux/cache/stores/tiered.hpp>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "bench/stores/contest.hpp"

namespace cache = flux::cache;
using namespace std::chrono_literals;
using flux::bench::Contest;
using std::chrono::steady_clock;

namespace {

std::uint64_t sink = 0;
const std::string value(100, 'v');

cache::RedisConnection at(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  return {.host = address.substr(0, colon), .port = std::atoi(address.c_str() + colon + 1)};
}
cache::StorePtr redis(const std::string& address) {
  return cache::make_serialized(cache::make_redis({.prefix = "bench:"}, at(address)));
}
cache::StorePtr memory() { return cache::make_memory({.max_size = 200'000}); }
cache::StorePtr tiered(const std::string& address, cache::StorePtr near) {
  return cache::make_tiered({std::move(near), redis(address)},
                            {.backplane = cache::make_redis_backplane(at(address)), .name = "bench"});
}
std::vector<std::string> names(int count) {
  std::vector<std::string> all;
  for (int i = 0; i < count; ++i) all.push_back("user_" + std::to_string(i));
  return all;
}
cache::Entry text() { return {.value = {.kind = cache::Kind::text, .text = value}}; }
const cache::Read kText{.as = &cache::type_of<std::string>()};
const auto take = [](const cache::Entry& entry) { sink += entry.value.text.size(); };

/// Hears of changes, once this returns.
void settle(const cache::StorePtr& store, const cache::StorePtr& near) {
  (void)store->put(cache::Key("settled"), text(), {});
  for (bool is_near = false; !is_near; is_near = *near->has(cache::Key("settled"))) {
    std::this_thread::sleep_for(1ms);
    (void)store->get(cache::Key("settled"), kText, take);
  }
}

void hits(const std::string& address, int rounds) {
  const auto keys = names(2'000);
  const auto alone = memory(), near = memory(), far = redis(address);
  const auto both = tiered(address, near);
  settle(both, near);
  for (const std::string& key : keys)
    (void)alone->put(cache::Key(key), text(), {}), (void)both->put(cache::Key(key), text(), {});
  const auto read = [&](const cache::Repository& store) {
    for (const std::string& key : keys) sink += store.get<std::string>(key)->size();
  };
  const cache::Repository of_alone(alone), of_both(both), of_far(far);
  Contest nearby("a near hit of 100 bytes", 2'000);
  nearby.enter("memory alone", [&](int) { read(of_alone); });
  nearby.enter("tiered over redis, with a backplane", [&](int) { read(of_both); });
  nearby.run(rounds * 5);
  Contest farther("a far hit of 100 bytes", 2'000);
  farther.enter("redis alone", [&](int) { read(of_far); });
  farther.enter("tiered over redis, the near tier empty", [&](int) { (void)near->flush({}), read(of_both); });
  farther.run(rounds);
}

/// Keys in rotation, forty times as many as fit near, where the oldest leaves: none is met there again, and each fill
/// evicts.
void hits_behind_a_full_tier(const std::string& address, int rounds) {
  constexpr std::size_t kBatch = 2'000, kFit = 5'000;
  const auto keys = names(40 * kFit);
  const auto near = cache::make_memory({.max_size = kFit, .policy = "fifo"}), far = redis(address);
  const auto both = tiered(address, near);
  settle(both, near);
  std::vector<cache::Item> items;
  for (const std::string& key : keys) items.push_back({cache::Key(key), text()});
  for (std::size_t from = 0; from < items.size(); from += kBatch)
    (void)both->put_many(std::span(items).subspan(from, kBatch));
  const cache::Repository of_both(both), of_far(far);
  // Half a turn apart, so that neither finds warm what the other has just read.
  const auto read = [&](const cache::Repository& store, int round, std::size_t from) {
    from += static_cast<std::size_t>(round) * kBatch;
    for (std::size_t i = from; i < from + kBatch; ++i) sink += store.get<std::string>(keys[i % keys.size()])->size();
  };
  Contest farther("a far hit of 100 bytes", kBatch);
  farther.enter("redis alone", [&](int round) { read(of_far, round, 0); });
  farther.enter("tiered over redis, the near tier full", [&](int round) { read(of_both, round, keys.size() / 2); });
  farther.run(rounds);
  const auto is_near = [&](const cache::Item& item) { return *near->has(item.key); };
  const auto next = (keys.size() / 2 + static_cast<std::size_t>(rounds + 1) * kBatch) % keys.size();
  const auto batch = std::span(items).subspan(std::min(next, keys.size() - kBatch), kBatch);
  std::printf("  of the keys that would come next, %td lie near\n", std::count_if(batch.begin(), batch.end(), is_near));
}

void batches(const std::vector<std::string>& addresses, int rounds) {
  std::vector<cache::StorePtr> nodes;
  for (const std::string& address : addresses) nodes.push_back(redis(address));
  const auto sharded = cache::make_sharded(nodes, {.nodes = {"a", "b", "c"}});
  const auto all = names(1'000);
  const std::vector<cache::Key> keys(all.begin(), all.end());
  for (const cache::Key& key : keys) (void)sharded->put(key, text(), {});
  std::vector<std::vector<cache::Key>> own(nodes.size());
  for (const cache::Key& key : keys)
    for (std::size_t i = 0; i < nodes.size(); ++i)
      if (*nodes[i]->has(key)) own[i].push_back(key);
  std::size_t slowest = 0;
  for (std::size_t i = 0; i < own.size(); ++i)
    if (own[i].size() > own[slowest].size()) slowest = i;
  const auto count = [](std::size_t, const cache::Entry&) { ++sink; };
  Contest contest("many(1000) over 3 servers", 1);
  contest.enter("the largest shard alone", [&](int) { (void)nodes[slowest]->get_many(own[slowest], kText, count); });
  contest.enter("one server after another", [&](int) {
    for (std::size_t i = 0; i < nodes.size(); ++i) (void)nodes[i]->get_many(own[i], kText, count);
  });
  contest.enter("sharded", [&](int) { (void)sharded->get_many(keys, kText, count); });
  contest.run(rounds * 20);
}

struct Board {
  std::atomic<std::int64_t> seen{0};  // steady time in ns when the other process had dropped the key
  std::atomic<int> round{0}, ready{0};
  std::atomic<bool> stop{false};
};

std::int64_t nanoseconds() { return steady_clock::now().time_since_epoch().count(); }

long resident_kib(::pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmRSS:")) return std::atol(line.c_str() + 6);
  return 0;
}

void told(const std::string& address) {
  auto* const board =
      new (::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Board;
  const ::pid_t other = ::fork();
  if (other == 0) {
    const auto near = memory();
    const auto node = tiered(address, near);
    settle(node, near);
    const cache::Key key("told");
    for (int round = 1; !board->stop; ++round) {
      while (board->round < round && !board->stop) std::this_thread::sleep_for(100us);
      while (!*near->has(key) && !board->stop) (void)node->get(key, kText, take);
      board->ready = round;
      while (*near->has(key) && !board->stop) std::this_thread::yield();
      board->seen = nanoseconds();
    }
    ::_exit(0);
  }
  const auto near = memory();
  const auto node = tiered(address, near);
  settle(node, near);
  const cache::Key key("told");
  std::vector<std::int64_t> from_call, from_return;
  (void)node->put(key, text(), {});
  for (int round = 1; round <= 500; ++round) {
    board->round = round;
    while (board->ready < round) std::this_thread::sleep_for(100us);
    std::this_thread::sleep_for(1ms);
    board->seen = 0;
    const std::int64_t begun = nanoseconds();
    (void)node->put(key, text(), {});
    const std::int64_t returned = nanoseconds();
    while (board->seen == 0) std::this_thread::yield();
    from_call.push_back(board->seen - begun), from_return.push_back(board->seen - returned);
  }
  std::sort(from_call.begin(), from_call.end()), std::sort(from_return.begin(), from_return.end());
  std::printf(
      "a put reaches another process's near tier: median %.0f us after its call, p99 %.0f us; %.0f us after it "
      "has returned\n",
      static_cast<double>(from_call[250]) / 1e3, static_cast<double>(from_call[495]) / 1e3,
      static_cast<double>(from_return[250]) / 1e3);

  const auto keys = names(100'000);
  const std::vector<cache::Key> all(keys.begin(), keys.end());
  for (const std::size_t batch : {std::size_t{1}, std::size_t{100}}) {
    const long before = resident_kib(other);
    const auto begun = steady_clock::now();
    std::uint64_t told = 0;
    for (std::size_t from = 0; steady_clock::now() - begun < 5s; from = (from + batch) % all.size(), told += batch)
      (void)node->forget_many(std::span(all).subspan(from, batch));
    // The other has dropped a key that is told last: so all before it.
    board->round = board->round + 1;
    const std::chrono::duration<double> took = steady_clock::now() - begun;
    while (board->ready < board->round) std::this_thread::sleep_for(100us);
    board->seen = 0;
    const auto last = steady_clock::now();
    (void)node->put(key, text(), {});
    while (board->seen == 0) std::this_thread::yield();
    const std::chrono::duration<double, std::milli> behind = steady_clock::now() - last;
    std::printf(
        "forget_many of %zu by one thread: %.0f invalidations a second; the next is heard after %.1f ms; the "
        "other process grew by %ld KiB\n",
        batch, static_cast<double>(told) / took.count(), behind.count(), resident_kib(other) - before);
  }
  board->stop = true;
  ::waitpid(other, nullptr, 0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fputs("usage: bench_composite_redis HOST:PORT HOST:PORT HOST:PORT [rounds]\n", stderr);
    return 2;
  }
  const std::vector<std::string> addresses(argv + 1, argv + 4);
  const int rounds = argc > 4 ? std::atoi(argv[4]) : 21;
  hits(addresses[0], rounds);
  hits_behind_a_full_tier(addresses[0], rounds);
  batches(addresses, rounds);
  told(addresses[0]);
  return sink == 0;
}
