// The memcached store, bare and through the whole facade, beside libmemcached, on servers that it starts:
//   bench_memcached [rounds [word of the tables]]
// By TCP and by unix socket. In each table the first line is what the others are compared with.
#include <libmemcached/memcached.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <flux/cache/manager.hpp>
#include <flux/cache/stores/memcached.hpp>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bench/stores/contest.hpp"
#include "bench/stores/raw_burst.hpp"

namespace {

using namespace flux::cache;
using flux::bench::Contest;
using flux::bench::RawBurst;

constexpr int kBatch = 200;
constexpr int kMany = 1000;
constexpr int kKeys = 10'000;
constexpr int kThreads = 8;

struct Product {
  std::int64_t id = 7;
  std::string name = "A lamp of brass, with a shade of green glass";
  double price = 129.95;
  std::vector<std::string> labels{"lamp", "brass", "office"};
  bool is_sold = false;
};

std::string wanted;  // a word of the tables to run; empty: all

void run(Contest& contest, const std::string& title, int rounds) {
  if (title.find(wanted) != title.npos) contest.run(rounds);
}

void must(bool right) {
  if (!right) std::abort();
}

std::vector<std::string> make_names() {
  std::vector<std::string> names;
  for (int i = 0; i < kKeys; ++i) names.push_back("product_" + std::to_string(i));
  return names;
}
const std::vector<std::string> names = make_names();
const std::string& name_of(int i) { return names[static_cast<std::size_t>(i) * 7919 % kKeys]; }

/// A server that ends with this program.
class Running {
 public:
  explicit Running(bool by_socket) {
    if (by_socket) {
      where.host = "/tmp/bench_memcached_" + std::to_string(::getpid());
    } else {
      where.port = free_port();
    }
    const std::string port = std::to_string(where.port);
    child_ = ::fork();
    if (child_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (by_socket) {
        ::execlp("memcached", "memcached", "-s", where.host.c_str(), "-u", "root", "-m", "1024", nullptr);
      } else {
        ::execlp("memcached", "memcached", "-l", "127.0.0.1", "-p", port.c_str(), "-U", "0", "-u", "root", "-m", "1024",
                 nullptr);
      }
      ::_exit(127);
    }
    for (int i = 0; i < 500 && !make_memcached({.servers = {where}})->has(Key("up")).ok(); ++i) ::usleep(10'000);
  }
  ~Running() {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
    if (where.host.starts_with('/')) ::unlink(where.host.c_str());
  }

  MemcachedServer where;

 private:
  static int free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    must(::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
    must(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    ::close(fd);
    return ntohs(address.sin_port);
  }

  ::pid_t child_ = 0;
};

/// libmemcached as a careful programmer would set it up.
class Raw {
 public:
  Raw(const MemcachedServer& where, bool is_binary, bool is_quiet = false) : handle_(memcached_create(nullptr)) {
    memcached_behavior_set(handle_, MEMCACHED_BEHAVIOR_BINARY_PROTOCOL, is_binary);
    memcached_behavior_set(handle_, MEMCACHED_BEHAVIOR_TCP_NODELAY, 1);
    memcached_behavior_set(handle_, MEMCACHED_BEHAVIOR_NOREPLY, is_quiet);
    if (where.host.starts_with('/')) {
      memcached_server_add_unix_socket(handle_, where.host.c_str());
    } else {
      memcached_server_add(handle_, where.host.c_str(), static_cast<in_port_t>(where.port));
    }
  }
  Raw(const Raw&) = delete;
  ~Raw() { memcached_free(handle_); }

  std::string get(const std::string& key) {
    size_t size = 0;
    uint32_t flags = 0;
    memcached_return_t code{};
    char* const value = memcached_get(handle_, key.data(), key.size(), &size, &flags, &code);
    must(code == MEMCACHED_SUCCESS && value != nullptr);
    std::string copy(value, size);
    std::free(value);
    return copy;
  }
  void set(const std::string& key, const std::string& value, time_t life = 0) {
    const auto code = memcached_set(handle_, key.data(), key.size(), value.data(), value.size(), life, 0);
    must(code == MEMCACHED_SUCCESS || code == MEMCACHED_BUFFERED);
  }
  std::map<std::string, std::string> many(const std::vector<std::string>& keys) {
    std::vector<const char*> texts;
    std::vector<size_t> sizes;
    for (const std::string& key : keys) texts.push_back(key.data()), sizes.push_back(key.size());
    must(memcached_mget(handle_, texts.data(), sizes.data(), keys.size()) == MEMCACHED_SUCCESS);
    std::map<std::string, std::string> all;
    memcached_return_t code{};
    memcached_result_st result;
    memcached_result_create(handle_, &result);
    while (memcached_fetch_result(handle_, &result, &code) != nullptr)
      all.emplace_hint(all.end(),
                       std::string(memcached_result_key_value(&result), memcached_result_key_length(&result)),
                       std::string(memcached_result_value(&result), memcached_result_length(&result)));
    memcached_result_free(&result);
    return all;
  }
  /// Waits until the server has done all that it was sent without an answer.
  void settle() { (void)memcached_exist(handle_, "settle", 6); }

 private:
  memcached_st* handle_;
};

/// What `put_many` and `many` send of these names, with bytes that are as many as those of the records.
std::pair<std::string, std::string> bursts(const std::vector<std::string>& some, std::size_t size) {
  constexpr std::size_t kHead = 60, kLine = 64;
  std::string puts, gets = "mg 4gapp: v O0\r\n";
  const std::string record(size + kHead, 'v');
  for (std::size_t i = 0; i < some.size(); ++i) {
    const std::string key = " 4vapp:" + some[i];
    puts += "ms" + key + " " + std::to_string(record.size()) + " T3601 q\r\n" + record + "\r\n";
    if (i % kLine == 0) gets += i == 0 ? "get" : "\r\nget";
    gets += key;
  }
  return {puts + "mg 4gapp: v O0\r\n", gets + "\r\n"};
}

void compare(const MemcachedServer& where, const char* how, int rounds) {
  std::printf("\n== %s\n", how);
  // Values of the peer have its own keys, so that both work on as many.
  Raw raw(where, false), quiet(where, false, true);
  const auto bare = make_memcached({.servers = {where}, .prefix = "bare:"});
  const StoreManager manager(
      Config{.default_store = "main", .stores = {{"main", MemcachedConfig{.servers = {where}, .prefix = "app:"}}}});
  const Repository cache = manager.store();

  for (const std::size_t size : {std::size_t{100}, std::size_t{10'000}}) {
    const std::string value(size, 'v');
    for (const std::string& name : names) {
      quiet.set(name, value);
      must(*bare->put(Key(name), {.value = {.kind = Kind::text, .text = value}}, {}));
      must(cache.put(name, value));
    }
    quiet.settle();
    int at = 0;
    Contest get("get, " + std::to_string(size) + " bytes", kBatch);
    get.enter("libmemcached", [&](int) {
      for (int i = 0; i < kBatch; ++i) must(raw.get(name_of(at++)).size() == size);
    });
    get.enter("the store", [&](int) {
      for (int i = 0; i < kBatch; ++i) {
        std::string copy;
        must(*bare->get(Key(name_of(at++)), {}, [&](const Entry& entry) { copy = entry.value.text; }));
        must(copy.size() == size);
      }
    });
    get.enter("the facade", [&](int) {
      for (int i = 0; i < kBatch; ++i) must(cache.get<std::string>(name_of(at++))->size() == size);
    });
    run(get, "get", rounds);

    Contest set("set, " + std::to_string(size) + " bytes, an hour", kBatch);
    set.enter("libmemcached", [&](int) {
      for (int i = 0; i < kBatch; ++i) raw.set(name_of(at++), value, 3600);
    });
    set.enter("the facade", [&](int) {
      for (int i = 0; i < kBatch; ++i) must(cache.put(name_of(at++), value, std::chrono::hours(1)));
    });
    run(set, "set", rounds);

    std::vector<std::string> some;
    std::map<std::string, std::string> items;
    for (int i = 0; i < kMany; ++i) some.push_back(name_of(i * 3));
    for (const std::string& name : some) items[name] = value;
    const int few = std::max(3, rounds / 10);
    const auto [put_bytes, get_bytes] = bursts(some, size);
    RawBurst get_floor(where.host, where.host.starts_with('/') ? 0 : where.port, get_bytes);
    Contest many("many(1000), " + std::to_string(size) + " bytes, per key", kMany);
    many.enter("libmemcached mget", [&](int) { must(raw.many(some).size() == some.size()); });
    many.enter("the facade", [&](int) { must(cache.many<std::string>(some).size() == some.size()); });
    many.enter("the server alone, for many", [&](int) { get_floor.run(); });
    run(many, "many(", few);

    Contest put_many("put_many(1000), " + std::to_string(size) + " bytes, per key", kMany);
    put_many.enter("libmemcached, noreply", [&](int) {
      for (const auto& [name, text] : items) quiet.set(name, text, 3600);
      quiet.settle();
    });
    put_many.enter("the facade", [&](int) { must(cache.put_many(items, std::chrono::hours(1))); });
    RawBurst put_floor(where.host, where.host.starts_with('/') ? 0 : where.port, put_bytes);
    put_many.enter("the server alone, for put_many", [&](int) { put_floor.run(); });
    run(put_many, "put_many(", few);
  }

  for (const std::string& name : names) must(cache.put(name, Product{}));
  for (const std::string& name : names) quiet.set(name, std::string(100, 'v'));
  quiet.settle();
  int at = 0;
  Contest rest("a struct, and the other verbs", kBatch);
  rest.enter("libmemcached get, 100 bytes", [&](int) {
    for (int i = 0; i < kBatch; ++i) must(raw.get(name_of(at++)).size() == 100);
  });
  rest.enter("facade get of a struct", [&](int) {
    for (int i = 0; i < kBatch; ++i) must(cache.get<Product>(name_of(at++))->id == 7);
  });
  rest.enter("facade has", [&](int) {
    for (int i = 0; i < kBatch; ++i) must(cache.has(name_of(at++)));
  });
  rest.enter("facade increment", [&](int) {
    for (int i = 0; i < kBatch; ++i) must(cache.increment("counter") > 0);
  });
  rest.enter("facade add (there)", [&](int) {
    for (int i = 0; i < kBatch; ++i) must(!cache.add(name_of(at++), 1));
  });
  rest.enter("facade put and pull", [&](int) {
    for (int i = 0; i < kBatch; ++i) must(cache.put("pulled", 1) && cache.pull<int>("pulled") == 1);
  });
  rest.enter("facade remember (there)", [&](int) {
    for (int i = 0; i < kBatch; ++i)
      must(cache.remember(name_of(at++), std::chrono::hours(1), [] { return Product{}; }).id == 7);
  });
  rest.enter("lock and unlock", [&](int) {
    for (int i = 0; i < kBatch; ++i) {
      auto lock = cache.lock("job", std::chrono::seconds(10));
      must(lock.try_lock());
      lock.unlock();
    }
  });
  run(rest, "verbs", rounds);

  // As many in all as one thread does, dealt out to eight.
  std::vector<std::unique_ptr<Raw>> handles;
  for (int i = 0; i < kThreads; ++i) handles.push_back(std::make_unique<Raw>(where, false));
  const auto crowd = [&](const auto& work) {
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t)
      threads.emplace_back([&, t] {
        for (int i = 0; i < kBatch; ++i) work(t, i * kThreads + t);
      });
    for (std::thread& thread : threads) thread.join();
  };
  for (const std::string& name : names) must(cache.put(name, std::string(100, 'v')));
  Contest crowds("eight threads: get, 100 bytes", kBatch * kThreads);
  crowds.enter("libmemcached, a handle each", [&](int) {
    crowd([&](int t, int i) { must(handles[static_cast<std::size_t>(t)]->get(name_of(i)).size() == 100); });
  });
  crowds.enter("the facade",
               [&](int) { crowd([&](int, int i) { must(cache.get<std::string>(name_of(i))->size() == 100); }); });
  run(crowds, "threads", std::max(5, rounds / 10));
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 100;
  if (argc > 2) wanted = argv[2];
  {
    const Running server(false);
    compare(server.where, "TCP", rounds);
  }
  const Running server(true);
  compare(server.where, "unix socket", rounds);
}
