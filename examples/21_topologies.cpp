// examples/21_topologies.cpp - several stores behind one: copies, shards, tiers. Here over memory; over servers the
// same.
#include <flux/cache.hpp>

#include <iostream>

using flux::Cache;
namespace cache = flux::cache;
using namespace std::chrono_literals;

int main() {
  // [topologies]
  Cache::configure(cache::Config::from_json(R"({
    "default": "near",
    "stores": {
      "a": {"driver": "memory"}, "b": {"driver": "memory"}, "c": {"driver": "memory"}, "local": {"driver": "memory"},
      "copies": {"driver": "distributed", "stores": ["a", "b"], "strategy": "replicate", "writes": "all"},
      "shards": {"driver": "distributed", "stores": ["a", "b", "c"], "strategy": "sharding", "weights": [1, 1, 2]},
      "near":   {"driver": "tiered", "stores": ["local", "shards"], "ttl": ["1m", null]}
    }
  })"));
  Cache::put("price_7", 1999, 1h);                            // to its shard, and nearby
  const bool is_near = Cache::store("local").has("price_7");  // for a minute
  Cache::tags({"prices"}).put("price_8", 2999, 1h);
  Cache::tags({"prices"}).flush();                  // on every shard, and nearby
  Cache::store("copies").put("motd", "hello", 1h);  // on both
  const bool on_both = Cache::store("a").has("motd") && Cache::store("b").has("motd");
  // [/topologies]
  return is_near && on_both && Cache::missing("price_8") && Cache::get<int>("price_7") == 1999 ? 0 : 1;
}
