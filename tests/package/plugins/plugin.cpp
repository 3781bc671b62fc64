// A shared library of somebody else's that uses the cache; compiled once for each name, with hidden symbols.
#include <flux/cache.hpp>

#include "plugin.hpp"

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#define EXPORTED(type, name) extern "C" __attribute__((visibility("default"))) type PASTE(NAME, name)

EXPORTED(const void*, _registry)() { return &flux::cache::drivers(); }
EXPORTED(bool, _put)(const char* key, int number) { return flux::Cache::put(key, Shared{number, "of a plugin"}); }
EXPORTED(int, _get)(const char* key) {
  const auto found = flux::Cache::get<Shared>(key);
  return found && found->text == "of a plugin" ? found->number : -1;
}
EXPORTED(void, _throw)() { (void)flux::Cache::store("there is none of that name"); }
