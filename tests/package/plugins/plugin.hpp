// What the program and its two plugins say to each other, and what they put into the cache.
#pragma once
#include <string>

struct Shared {
  int number = 0;
  std::string text;
};

#define PLUGIN(name)                                \
  extern "C" const void* name##_registry();         \
  extern "C" bool name##_put(const char* key, int); \
  extern "C" int name##_get(const char* key);       \
  extern "C" void name##_throw();
PLUGIN(one)
PLUGIN(two)
