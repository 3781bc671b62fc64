// examples/24_snapshot.cpp - a restart that is not cold.
#include <flux/cache.hpp>
#include <flux/cache/snapshot.hpp>
#include <flux/cache/stores/memory.hpp>

namespace cache = flux::cache;
using namespace std::chrono_literals;

struct User {
  int id = 0;
  std::string name;
};

int main() {
  // [snapshot]
  {
    const cache::Repository users(cache::make_memory());
    users.put("user_7", User{7, "Ada"}, 1h);
    if (const auto saved = cache::save_snapshot(*users.store(), "users.snapshot"); !saved.ok()) return 1;
  }  // the program ends, and begins again
  const cache::Repository users(cache::make_memory());
  const auto loaded = cache::load_snapshot(*users.store(), "users.snapshot");
  const auto ada = users.get<User>("user_7");
  // [/snapshot]
  return loaded.ok() && loaded->entries == 1 && ada && ada->name == "Ada" ? 0 : 1;
}
