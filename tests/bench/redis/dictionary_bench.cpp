// A struct behind a zstd dictionary on redis, beside hiredis on the same bytes and the same struct without one:
//   bench_redis_dictionary HOST PORT SOCKET [rounds]
#include <hiredis/hiredis.h>
#include <unistd.h>
#include <flux/cache.hpp>
#include <flux/cache/compressor.hpp>
#include <flux/cache/format.hpp>
#include <flux/cache/stores/redis.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "bench/stores/contest.hpp"

namespace {

using namespace flux::cache;
using namespace std::chrono_literals;
using flux::bench::Contest;

struct Price {
  double amount = 0;
  std::string currency = "EUR";
};
/// Some 300 bytes of msgpack, and much the same from one to the next.
struct Product {
  int id = 0;
  std::string name;
  std::string maker = "somebody in Delft";
  std::string description = "delivered within two days, to be returned within thirty";
  Price price;
  int stock = 7;
  std::vector<std::string> labels{"light", "home", "sale"};
  std::string picture;
};

Product product(int i) {
  return {.id = i,
          .name = "a lamp of the series " + std::to_string(i % 97),
          .price = {.amount = 1.25 * (i % 389)},
          .stock = i % 53,
          .picture = "pictures/products/" + std::to_string(i * 7919 % 100'003) + "/large.jpeg"};
}

void must(bool holds) {
  if (!holds) std::abort();
}

std::string bytes_of(const Repository& cache, const std::string& key) {
  std::string bytes;
  (void)cache.as<RedisStore>()->get(Key(key), {}, [&](const Entry& entry) { bytes = entry.value.text; });
  return bytes;
}

Repository repository(const RedisConnection& connection, const std::string& prefix, const std::string& dictionary) {
  Config config;
  config.default_store = "redis";
  config.stores = {{"redis", RedisConfig{.connection = "main", .prefix = prefix, .serializer = "msgpack"}}};
  config.connections = {{"main", connection}};
  if (!dictionary.empty())
    config.serialize = {.compress = true, .algorithm = "zstd", .threshold = 64, .dictionary = dictionary};
  return StoreManager(config).store();
}

void run(const RedisConnection& connection, redisContext* peer, const std::string& dictionary, int rounds) {
  constexpr int kKeys = 100, kBatch = 200;
  const Repository plain = repository(connection, "bench_plain:", {});
  const Repository packed = repository(connection, "bench_packed:", dictionary);
  std::size_t size = 0, shorter = 0;
  for (int i = 0; i < kKeys; ++i) {
    const std::string key = "product_" + std::to_string(i);
    must(plain.put(key, product(i), 1h) && packed.put(key, product(i), 1h));
    const std::string bytes = bytes_of(packed, key);
    size += bytes_of(plain, key).size(), shorter += bytes.size();
    const std::string name = "bench_peer:" + key;
    const std::unique_ptr<void, void (*)(void*)> reply(
        redisCommand(peer, "SET %s %b", name.c_str(), bytes.data(), bytes.size()), freeReplyObject);
    must(reply != nullptr);
  }
  Contest contest("get of a struct, msgpack: " + std::to_string(size / kKeys) + " B framed, " +
                      std::to_string(shorter / kKeys) + " B with a zstd dictionary",
                  kBatch);
  const auto each = [&](auto work) {
    return [work](int round) {
      for (int i = 0; i < kBatch; ++i) work("product_" + std::to_string((i + round) % kKeys));
    };
  };
  contest.enter("hiredis GET, not decoded", each([&](const std::string& key) {
                  const std::string name = "bench_peer:" + key;
                  const std::unique_ptr<void, void (*)(void*)> reply(redisCommand(peer, "GET %s", name.c_str()),
                                                                     freeReplyObject);
                  must(static_cast<redisReply*>(reply.get())->len > 0);
                }));
  contest.enter("get<Product>, no compression",
                each([&](const std::string& key) { must(plain.get<Product>(key)->maker.size() == 17); }));
  contest.enter("get<Product>, dictionary",
                each([&](const std::string& key) { must(packed.get<Product>(key)->maker.size() == 17); }));
  contest.run(rounds);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "bench_redis_dictionary HOST PORT SOCKET [rounds]\n";
    return 2;
  }
  const Compressor* const zstd = compressors().find("zstd");
  if (zstd == nullptr) {
    std::cerr << "this build has no zstd\n";
    return 77;
  }
  const int rounds = argc > 4 ? std::atoi(argv[4]) : 200;
  std::vector<std::string> samples;
  for (int i = 1'000; i < 4'000; ++i) {
    std::string bytes;
    must(formats()
             .find("msgpack")
             ->encode(type_of<Product>(), std::make_unique<Product>(product(i)).get(), bytes, {})
             .ok());
    samples.push_back(std::move(bytes));
  }
  const std::vector<std::string_view> views(samples.begin(), samples.end());
  const auto trained = zstd->train(views, 16 * 1024);
  must(trained.ok());
  const std::string path = std::filesystem::temp_directory_path() / ("bench_" + std::to_string(::getpid()) + ".zdict");
  std::ofstream(path, std::ios::binary) << *trained;
  const std::string host = argv[1], socket = argv[3];
  const int port = std::atoi(argv[2]);
  redisContext* const over_tcp = redisConnect(host.c_str(), port);
  redisContext* const over_socket = redisConnectUnix(socket.c_str());
  std::cout << "over TCP\n";
  run({.host = host, .port = port, .timeout = 20s}, over_tcp, path, rounds);
  std::cout << "over a unix socket\n";
  run({.socket = socket, .timeout = 20s}, over_socket, path, rounds);
  redisFree(over_tcp);
  redisFree(over_socket);
  std::filesystem::remove(path);
}
