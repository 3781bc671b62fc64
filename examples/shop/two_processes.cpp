#include "two_processes.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <flux/cache/stores/redis.hpp>
#include <flux/cache/stores/tiered.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <iostream>
#include <thread>
#include <vector>

#include "report.hpp"
#include "service.hpp"

namespace shop {

namespace cache = flux::cache;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

/// Memory in front of redis; what one process changes, the others' memory forgets.
cache::StoreManager tiered_over_redis(const Options& options) {
  return cache::StoreManager(cache::Config{
      .default_store = "shop",
      .stores = {{"near", cache::MemoryConfig{.max_size = 100'000}},
                 {"far", cache::RedisConfig{.connection = "server", .prefix = "shop:"}},
                 {"shop", cache::TieredConfig{.stores = {"near", "far"}, .backplane = {.connection = "server"}}}},
      .connections = {{"server",
                       cache::RedisConnection{.host = host_of(options.redis), .port = port_of(options.redis)}}},
  });
}

/// The other process, with a line to it.
class Office {
 public:
  explicit Office(const Options& options) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
      throw std::runtime_error("no socket to be had");
    process_ = ::fork();
    if (process_ == 0) {
      ::dup2(ends[1], STDIN_FILENO);
      ::dup2(ends[1], STDOUT_FILENO);
      ::execl("/proc/self/exe", "shop", "--office", "--redis", options.redis.c_str(), "--data", options.data.c_str(),
              nullptr);
      ::_exit(127);
    }
    ::close(ends[1]);
    line_ = ends[0];
  }
  Office(const Office&) = delete;
  Office& operator=(const Office&) = delete;
  ~Office() {
    ::close(line_);  // the end of its input is the end of it
    if (process_ > 0) ::waitpid(process_, nullptr, 0);
  }

  /// False where it does not answer.
  bool set_price(Id product, std::int64_t cents) const {
    const std::string order = std::to_string(product) + ' ' + std::to_string(cents) + '\n';
    if (::send(line_, order.data(), order.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(order.size())) return false;
    std::string answer;
    for (char next = 0; answer.find('\n') == answer.npos; answer += next)
      if (::recv(line_, &next, 1, 0) != 1) return false;
    return answer == "done\n";
  }

 private:
  int line_ = -1;
  ::pid_t process_ = 0;
};

}  // namespace

int run_office(const Options& options) {
  Database database(options.data + "/shop.sqlite");
  const cache::StoreManager manager = tiered_over_redis(options);
  Service service(database, manager.store(), std::nullopt);
  Id product = 0;
  for (std::int64_t cents = 0; std::cin >> product >> cents;)
    std::cout << (service.set_price(product, cents) ? "done" : "no such product") << std::endl;
  return 0;
}

bool show_two_processes(Database& database, const Options& options) {
  const cache::StoreManager manager = tiered_over_redis(options);
  Service service(database, manager.store(), std::nullopt);
  manager.store().flush();
  const Office office(options);
  const Product product = service.product(1).value();

  constexpr int kChanges = 25;
  std::vector<cache::Duration> delays;
  std::uint64_t asked = 0, again = 0;
  for (int change = 1; change <= kChanges; ++change) {
    const std::int64_t cents = product.cents + change;
    for (int i = 0; i < 100; ++i) (void)service.product(product.id);  // in this process's memory
    if (!office.set_price(product.id, cents)) return false;
    const auto changed = steady_clock::now();
    while (service.product(product.id)->cents != cents) {
      if (steady_clock::now() - changed > 5s) return false;
      std::this_thread::yield();
    }
    delays.push_back(std::chrono::duration_cast<cache::Duration>(steady_clock::now() - changed));
    for (int i = 0; i < 1'000; ++i, ++asked) again += service.product(product.id)->cents != cents;
  }
  office.set_price(product.id, product.cents);
  std::sort(delays.begin(), delays.end());
  say("  The office, another process, changed the price of " + product.name + " " + std::to_string(kChanges) +
      " times.\n  The shop saw it " + std::to_string(delays[delays.size() / 2].count()) +
      " us after the office's call had returned (median; at most " + std::to_string(delays.back().count()) +
      " us),\n  and " + grouped(again) + " of " + grouped(asked) + " times the old price again.");
  return again == 0;
}

}  // namespace shop
