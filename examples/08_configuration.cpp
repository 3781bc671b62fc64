// examples/08_configuration.cpp - stores by name, from JSON or from C++; every mistake is named with its place.
#include <flux/cache.hpp>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>

using flux::Cache;
namespace cache = flux::cache;
using namespace std::chrono_literals;

// [json]
constexpr const char* kJson = R"({
  "default": "${CACHE_STORE:memory}",
  "stores": {
    "memory": {"driver": "memory", "max_size": 10000, "max_bytes": "64MiB", "ttl": "1h"},
    "files":  {"driver": "file", "path": "storage/cache", "serializer": "json", "compression": "zstd"}
  },
  "prefix": "shop"
})";
// [/json]

// [cpp]
cache::Config in_cpp() {
  return {
      .default_store = cache::env("CACHE_STORE", "memory"),
      .stores = {{"memory", cache::MemoryConfig{.max_size = 10'000, .max_bytes = 64 << 20, .ttl = 1h}},
                 {"files", cache::FileConfig{.path = "storage/cache", .serializer = "json", .compression = "zstd"}}},
      .prefix = "shop",
  };
}
// [/cpp]

int main() {
  unsetenv("CACHE_STORE");

  // [use]
  Cache::configure(cache::Config::from_json(kJson));
  Cache::put("near", 1);                             // the default store, under its own ttl
  Cache::store("files").put("far", 2, {.days = 7});  // another, by name
  // [/use]
  std::cout << "default: " << Cache::store().name() << ", what was put there lives "
            << std::chrono::duration_cast<std::chrono::minutes>(*Cache::expires_in("near")).count()
            << " more minutes at most\n";
  bool held = Cache::get<int>("near") == 1 && Cache::store("files").get<int>("far") == 2;

  setenv("CACHE_STORE", "files", 1);
  Cache::configure(cache::Config::from_json(kJson));
  std::cout << "with CACHE_STORE=files: " << Cache::store().name() << ", which still has far = " << Cache::get("far", 0)
            << '\n';
  held = held && Cache::get("far", 0) == 2;
  Cache::configure(in_cpp());
  held = held && Cache::store().name() == "files";

  // [mistakes]
  // A configuration with mistakes changes nothing: the one in force stays.
  for (const char* wrong : {
           R"({"stores": {"a": {"driver": "memory", "max_sise": 10}}})",
           R"({"stores": {"a": {"driver": "memory", "ttl": "soon"}}})",
           R"({"default": "b", "stores": {"a": {"driver": "memory"}}})",
           R"({"stores": )",
       }) {
    try {
      Cache::configure(cache::Config::from_json(wrong));
      held = false;
    } catch (const cache::ConfigError& error) {
      std::cout << error.what() << '\n';
    }
  }
  // [/mistakes]
  return held && Cache::get("far", 0) == 2 && Cache::flush() ? 0 : 1;
}
