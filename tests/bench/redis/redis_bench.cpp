// The redis store beside hiredis on the same server, by turns, over TCP and over a unix socket:
//   bench_redis HOST PORT SOCKET [rounds] [singles | batches | threads]
// The peer is what a careful program would write: one connection, one command, the reply read where it lies.
#include <hiredis/hiredis.h>
#include <flux/cache.hpp>
#include <flux/cache/stores/redis.hpp>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bench/stores/contest.hpp"
#include "bench/stores/raw_burst.hpp"

namespace {

using namespace flux::cache;
using namespace std::chrono_literals;
using flux::bench::Contest;
using flux::bench::RawBurst;

struct Product {
  std::string name = "a lamp";
  std::string maker = "somebody in Delft";
  double price = 12.5;
  int stock = 7;
  std::vector<std::string> labels{"light", "home", "sale"};
};

struct Where {
  std::string host;
  int port = 0;
  std::string socket;
};

class Peer {
 public:
  explicit Peer(const Where& where)
      : context_(where.socket.empty() ? redisConnect(where.host.c_str(), where.port)
                                      : redisConnectUnix(where.socket.c_str())) {
    if (context_ == nullptr || context_->err != 0) std::abort();
  }
  ~Peer() { redisFree(context_); }

  using Reply = std::unique_ptr<redisReply, void (*)(redisReply*)>;
  Reply next() {
    void* reply = nullptr;
    if (redisGetReply(context_, &reply) != REDIS_OK) std::abort();
    return {static_cast<redisReply*>(reply), [](redisReply* one) { freeReplyObject(one); }};
  }
  void append(const std::vector<std::string>& words) {
    std::vector<const char*> text;
    std::vector<std::size_t> size;
    for (const std::string& word : words) text.push_back(word.data()), size.push_back(word.size());
    redisAppendCommandArgv(context_, static_cast<int>(words.size()), text.data(), size.data());
  }
  Reply run(const std::vector<std::string>& words) {
    append(words);
    return next();
  }
  std::string get(const std::string& key) {
    const char* words[] = {"GET", key.data()};
    const std::size_t sizes[] = {3, key.size()};
    redisAppendCommandArgv(context_, 2, words, sizes);
    const Reply reply = next();
    return reply->type == REDIS_REPLY_STRING ? std::string(reply->str, reply->len) : std::string();
  }

 private:
  redisContext* context_;
};

std::string key_of(int i) { return "product_" + std::to_string(i); }

Repository repository(const Where& where, const std::string& serializer, bool shared = false) {
  Config config;
  config.default_store = "redis";
  config.stores = {{"redis", RedisConfig{.connection = "main", .prefix = "bench:", .serializer = serializer}}};
  config.connections = {
      {"main", RedisConnection{
                   .host = where.host, .port = where.port, .socket = where.socket, .timeout = 20s, .shared = shared}}};
  return StoreManager(config).store();
}

void must(bool holds) {
  if (!holds) std::abort();
}

void singles(const Where& where, int rounds) {
  constexpr int kKeys = 100, kBatch = 200;
  Peer peer(where);
  const Repository cache = repository(where, "native");
  const std::string value(100, 'v');
  for (int i = 0; i < kKeys; ++i) {
    must(peer.run({"SET", "peer:" + key_of(i), value})->type == REDIS_REPLY_STATUS);
    must(cache.put(key_of(i), value, 1h));
    must(cache.tags({"a", "b"}).put("tagged_" + key_of(i), value, 1h));
  }
  const auto each = [&](auto work) {
    return [work](int round) {
      for (int i = 0; i < kBatch; ++i) work(key_of((i + round) % kKeys));
    };
  };
  Contest gets("get, 100 B", kBatch);
  gets.enter("hiredis GET", each([&](const std::string& key) { must(peer.get("peer:" + key).size() == 100); }));
  gets.enter("get<std::string>",
             each([&](const std::string& key) { must(cache.get<std::string>(key)->size() == 100); }));
  gets.enter("remember, a hit", each([&](const std::string& key) {
               must(cache.remember(key, 1h, [] { return std::string(); }).size() == 100);
             }));
  gets.enter("get, two tags",
             each([&](const std::string& key) { must(cache.get<std::string>("tagged_" + key)->size() == 100); }));
  gets.enter("has", each([&](const std::string& key) { must(cache.has(key)); }));
  gets.run(rounds);

  Contest puts("put, 100 B, with a lifetime", kBatch);
  puts.enter("hiredis SET PX", each([&](const std::string& key) {
               must(peer.run({"SET", "peer:" + key, value, "PX", "3600000"})->type == REDIS_REPLY_STATUS);
             }));
  puts.enter("put", each([&](const std::string& key) { must(cache.put(key, value, 1h)); }));
  puts.enter("put, two tags", each([&](const std::string& key) {
               must(cache.tags({"a", "b"}).put("tagged_" + key, value, 1h));
             }));
  puts.run(rounds);

  Contest others("counters and the like", kBatch);
  others.enter("hiredis INCRBY", each([&](const std::string& key) {
                 must(peer.run({"INCRBY", "peer:n" + key, "1"})->type == REDIS_REPLY_INTEGER);
               }));
  others.enter("increment", each([&](const std::string& key) { must(cache.increment("n" + key) > 0); }));
  others.enter("add, taken", each([&](const std::string& key) { must(!cache.add("n" + key, 1, 1h)); }));
  others.enter("pull, a miss", each([&](const std::string& key) { must(!cache.pull<int>("none" + key)); }));
  others.enter("lock and unlock", each([&](const std::string& key) {
                 auto lock = cache.lock(key, 10s);
                 must(lock.try_lock());
                 lock.unlock();
               }));
  others.run(rounds);

  const Repository msgpack = repository(where, "msgpack");
  std::string bytes;
  must(msgpack.put("struct", Product{}, 1h));
  if (const auto redis = msgpack.as<RedisStore>())
    (void)redis->get(Key("struct"), {}, [&](const Entry& entry) { bytes = entry.value.text; });
  must(peer.run({"SET", "peer:struct", bytes})->type == REDIS_REPLY_STATUS);
  Contest structs("get of a struct, " + std::to_string(bytes.size()) + " B of msgpack", kBatch);
  structs.enter("hiredis GET, not decoded", each([&](const std::string&) { must(!peer.get("peer:struct").empty()); }));
  structs.enter("get<Product>", each([&](const std::string&) { must(msgpack.get<Product>("struct")->stock == 7); }));
  structs.run(rounds);
}

std::string command(const std::vector<std::string>& words) {
  std::string all = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words) all += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  return all;
}

/// What `put_many` and `many` send of these keys, but for the generation.
std::pair<std::string, std::string> bursts(const Repository& cache, const std::vector<std::string>& keys) {
  const auto redis = cache.as<RedisStore>();
  std::string puts = command({"CLIENT", "REPLY", "OFF"}) + command({"MULTI"}), gets;
  std::vector<std::string> mget{"MGET"};
  for (const std::string& key : keys) {
    mget.push_back(redis->stored_key(Key(key)));
    auto record = redis->command({"GET", mget.back()});
    puts += command({"PSETEX", mget.back(), "3601000", record->text});
    if (mget.size() > 250) gets += command(mget), mget.resize(1);
  }
  if (mget.size() > 1) gets += command(mget);
  return {puts + command({"EXEC"}) + command({"CLIENT", "REPLY", "ON"}), gets};
}

void batches(const Where& where, std::size_t size, int rounds) {
  constexpr int kMany = 1000;
  Peer peer(where);
  const Repository cache = repository(where, "native");
  const std::string value(size, 'w');
  std::vector<std::string> keys;
  std::vector<std::pair<std::string, std::string>> items;
  std::vector<std::string> mget{"MGET"}, mset{"MSET"};
  std::vector<std::string> script{
      "EVAL", "for i = 1, #KEYS do redis.call('SET', KEYS[i], ARGV[i + 1], 'PX', ARGV[1]) end", std::to_string(kMany)};
  for (int i = 0; i < kMany; ++i) {
    keys.push_back("many_" + key_of(i));
    items.emplace_back(keys.back(), value);
    mget.push_back("peer:" + keys.back());
    mset.push_back("peer:" + keys.back()), mset.push_back(value);
    script.push_back("peer:" + keys.back());
  }
  script.push_back("3600000");
  for (int i = 0; i < kMany; ++i) script.push_back(value);
  must(peer.run(mset)->type == REDIS_REPLY_STATUS);

  const std::string what = std::to_string(size) + " B, a key";
  Contest puts("put_many(1000), " + what, kMany);
  puts.enter("hiredis, a script that loops", [&](int) { (void)peer.run(script); });
  puts.enter("hiredis, SET PX in a pipeline", [&](int) {
    for (int i = 0; i < kMany; ++i)
      peer.append({"SET", "peer:" + keys[static_cast<std::size_t>(i)], value, "PX", "3600000"});
    for (int i = 0; i < kMany; ++i) (void)peer.next();
  });
  puts.enter("hiredis MSET, without lifetimes", [&](int) { (void)peer.run(mset); });
  puts.enter("put_many", [&](int) { must(cache.put_many(items, 1h)); });
  must(cache.put_many(items, 1h));
  const auto [put_bytes, get_bytes] = bursts(cache, keys);
  const bool by_socket = !where.socket.empty();
  RawBurst put_floor(by_socket ? where.socket : where.host, by_socket ? 0 : where.port, put_bytes);
  RawBurst get_floor(by_socket ? where.socket : where.host, by_socket ? 0 : where.port, get_bytes);
  puts.enter("the server alone, for put_many", [&](int) { put_floor.run(); });
  puts.run(rounds);

  Contest gets("many(1000), " + what, kMany);
  gets.enter("hiredis MGET", [&](int) { must(peer.run(mget)->elements == kMany); });
  gets.enter("many<std::string>", [&](int) { must(cache.many<std::string>(keys).size() == kMany); });
  gets.enter("the server alone, for many", [&](int) { get_floor.run(); });
  gets.run(rounds);
}

void threads(const Where& where, int rounds) {
  constexpr int kThreads = 8, kEach = 500;
  const Repository cache = repository(where, "native");
  must(cache.put("shared", std::string(100, 'v'), 1h));
  std::vector<std::unique_ptr<Peer>> peers;
  for (int i = 0; i < kThreads; ++i) peers.push_back(std::make_unique<Peer>(where));
  must(peers.front()->run({"SET", "peer:shared", std::string(100, 'v')})->type == REDIS_REPLY_STATUS);
  const auto crowd = [&](auto work) {
    return [work](int) {
      std::vector<std::thread> all;
      for (int t = 0; t < kThreads; ++t)
        all.emplace_back([work, t] {
          for (int i = 0; i < kEach; ++i) work(t);
        });
      for (std::thread& one : all) one.join();
    };
  };
  Contest contest("get, 100 B, 8 threads", kThreads * kEach);
  contest.enter("hiredis, a connection each",
                crowd([&](int t) { must(peers[static_cast<std::size_t>(t)]->get("peer:shared").size() == 100); }));
  contest.enter("get<std::string>", crowd([&](int) { must(cache.get<std::string>("shared")->size() == 100); }));
  const Repository shared = repository(where, "native", true);
  contest.enter("get<std::string>, one connection",
                crowd([&](int) { must(shared.get<std::string>("shared")->size() == 100); }));
  contest.run(std::max(rounds / 8, 5));

  // What the server pays, by its own account: the least of some rounds each, by turns.
  const auto server = cache.as<RedisStore>();
  const auto spent = [&] {
    const auto facts = server->info("cpu");
    must(facts.ok());
    return (std::atof(facts->at("used_cpu_user").c_str()) + std::atof(facts->at("used_cpu_sys").c_str())) * 1e6;
  };
  const std::vector<std::pair<const char*, std::function<void(int)>>> crowds{
      {"hiredis, a connection each",
       crowd([&](int t) { must(peers[static_cast<std::size_t>(t)]->get("peer:shared").size() == 100); })},
      {"get<std::string>", crowd([&](int) { must(cache.get<std::string>("shared")->size() == 100); })},
      {"get<std::string>, one connection",
       crowd([&](int) { must(shared.get<std::string>("shared")->size() == 100); })}};
  std::vector<double> least(crowds.size(), 1e9);
  for (int round = 0; round < std::max(rounds / 8, 5); ++round)
    for (std::size_t i = 0; i < crowds.size(); ++i) {
      const double before = spent();
      crowds[i].second(round);
      least[i] = std::min(least[i], (spent() - before) / (kThreads * kEach));
    }
  std::printf("%-36s %12s %9s\n", "the server's processor, a get", "us", "x");
  for (std::size_t i = 0; i < crowds.size(); ++i)
    std::printf("  %-34s %12.2f %9.2f\n", crowds[i].first, least[i], least[0] / least[i]);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "bench_redis HOST PORT SOCKET [rounds] [singles | batches | threads]\n");
    return 2;
  }
  const int rounds = argc > 4 ? std::atoi(argv[4]) : 200;
  const std::string part = argc > 5 ? argv[5] : "";
  const auto wanted = [&](const char* name) { return part.empty() || part == name; };
  const Where tcp{argv[1], std::atoi(argv[2]), ""}, local{"127.0.0.1", 1, argv[3]};
  for (const Where& where : {tcp, local}) {
    std::printf("\n%s\n", where.socket.empty() ? "TCP" : "unix socket");
    if (wanted("singles")) singles(where, rounds);
    if (wanted("batches")) {
      batches(where, 100, std::max(rounds / 4, 10));
      batches(where, 10'000, std::max(rounds / 20, 5));
    }
    if (wanted("threads")) threads(where, rounds);
  }
}
