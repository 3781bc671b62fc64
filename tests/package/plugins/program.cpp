// A program and two shared libraries of its own, all of which use the cache: how many caches are there?
#include "plugin.hpp"

#include <flux/cache.hpp>

#include <cstdio>
#include <cstdlib>
#include <set>

using flux::Cache;

int here(const char* key) {
  const auto found = Cache::get<Shared>(key);
  return found ? found->number : -1;
}

int main(int argc, char** argv) {
  if (argc != 2) return std::fputs("usage: program INSTANCES\n", stderr), 2;
  const std::size_t instances = std::set<const void*>{&flux::cache::drivers(), one_registry(), two_registry()}.size();
  std::printf("%zu %s\n", instances, instances == 1 ? "instance" : "instances");
  if (instances != static_cast<std::size_t>(std::atoi(argv[1]))) return 1;

  // One instance: what one puts all others see, as the very type that it is. Several: nobody sees anybody else's.
  const bool is_one = instances == 1;
  if (!one_put("of one", 1) || !two_put("of two", 2) || !Cache::put("of the program", Shared{3, "of a plugin"}))
    return 3;
  const auto right = [&](int seen, int value, bool is_own) { return seen == (is_one || is_own ? value : -1); };
  if (!right(one_get("of one"), 1, true) || !right(two_get("of one"), 1, false) || !right(here("of one"), 1, false))
    return 4;
  if (!right(one_get("of two"), 2, false) || !right(two_get("of two"), 2, true) || !right(here("of two"), 2, false))
    return 5;
  if (!right(one_get("of the program"), 3, false) || !right(here("of the program"), 3, true)) return 6;
  try {
    one_throw();
    return 7;
  } catch (const flux::cache::ConfigError&) {  // by its type, however many there are
  }
  return 0;
}
