// examples/01_hello.cpp - compute once, share with everybody, throw away by tag.
// [hello]
#include <flux/cache.hpp>
#include <iostream>
using flux::Cache;

struct User {
  int id = 0;
  std::string name;
};

int main() {
  for (int visit = 1; visit <= 3; ++visit) {
    const User user = Cache::remember("user_7", {.minutes = 10, .tags = {"users"}}, [] {
      std::cout << "  (asking the database)\n";
      return User{7, "Ada"};
    });
    std::cout << "visit " << visit << ": hello, " << user.name << '\n';
    if (visit == 2) Cache::tags({"users"}).flush();  // somebody was renamed
  }
  return Cache::has("user_7") ? 0 : 1;
}
// [/hello]
