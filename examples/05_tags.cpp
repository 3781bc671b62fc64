// examples/05_tags.cpp - labels on entries, and throwing away by label.
#include <flux/cache.hpp>

#include <chrono>
#include <iostream>
#include <string>

using flux::Cache;
namespace cache = flux::cache;
using namespace std::chrono_literals;

int main() {
  auto show = [](const char* when) {
    std::cout << when << ':';
    for (const char* key : {"profile_7", "posts_of_7", "front_page"})
      std::cout << "  " << key << (Cache::has(key) ? " +" : " -");
    std::cout << '\n';
  };

  // [put]
  Cache::tags({"users"}).put("profile_7", "Ada", 1h);
  Cache::tags({"users", "posts"}).put("posts_of_7", 12, 1h);
  Cache::put("front_page", "<html>", {.hours = 1, .tags = {"posts"}});  // says the same
  // [/put]
  show("written            ");

  // [read]
  // One key space: with all of its tags, with some, or with none, it is the same entry.
  const bool same =
      Cache::get<std::string>("profile_7") == "Ada" && Cache::tags({"users"}).get<std::string>("profile_7") == "Ada";
  // Through a tag that the entry lacks it is a miss.
  const bool other = Cache::tags({"posts"}).has("profile_7");
  // [/read]

  // [flush]
  Cache::tags({"users", "posts"}).flush();  // what carries both
  // [/flush]
  show("users and posts    ");
  const bool both = Cache::missing("posts_of_7") && Cache::has("profile_7") && Cache::has("front_page");

  // [flush-any]
  Cache::tags({"users", "posts"}).flush_any();  // what carries at least one of them
  // [/flush-any]
  show("users or posts     ");
  const bool any = Cache::missing("profile_7") && Cache::missing("front_page");

  // [loader]
  // What was computed before a flush is not served after it: name the tag, then read what it guards.
  int price = 100;
  auto page = [&] {
    return Cache::remember("page", 1h, [&](cache::Load<std::string>& load) {
      load.tag("prices");
      const int read = price;
      if (price == 100) {  // meanwhile, somewhere else
        price = 80;
        Cache::tags({"prices"}).flush();
      }
      return "it costs " + std::to_string(read);
    });
  };
  std::cout << "the one who was loading: " << page() << "\nthe next one:            " << page() << '\n';
  // [/loader]

  return same && !other && both && any && page() == "it costs 80" ? 0 : 1;
}
