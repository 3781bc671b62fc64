// examples/13_own_manager.cpp - no globals: caches that a program owns and hands out.
#include <flux/cache.hpp>

#include <chrono>
#include <iostream>
#include <string>
#include <utility>

namespace cache = flux::cache;
using namespace std::chrono_literals;

// [service]
/// Gets its cache handed in; a test hands in another one.
class Users {
 public:
  explicit Users(cache::Repository cache) : cache_(std::move(cache)) {}

  std::string name(int id) const {
    return cache_.remember("user_" + std::to_string(id), 1h, [&] { return "user number " + std::to_string(id); });
  }

 private:
  cache::Repository cache_;  // a handle: copies are the same cache
};
// [/service]

int main() {
  // [manager]
  const cache::StoreManager manager(cache::Config{
      .default_store = "hot",
      .stores = {{"hot", cache::MemoryConfig{.max_size = 1000}}, {"sessions", cache::MemoryConfig{.ttl = 20min}}},
  });
  const Users users(manager.store());
  manager.store("sessions").put("s1", "signed in");
  // [/manager]
  std::cout << users.name(7) << '\n';

  // [repository]
  // Or without any configuration: a repository over one store.
  const cache::Repository small(cache::make_memory({.max_size = 2, .policy = "fifo"}));
  // [/repository]
  for (const char* key : {"one", "two", "three"}) small.put(key, 1, 1h);

  const bool held = manager.store("hot").has("user_7") && manager.store("sessions").missing("user_7") &&
                    *manager.store("sessions").expires_in("s1") <= 20min && small.missing("one") && small.has("three");
  return held ? 0 : 1;
}
