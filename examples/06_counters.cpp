// examples/06_counters.cpp - numbers that many change at once, and things that happen only once.
#include <flux/cache.hpp>

#include <chrono>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

using flux::Cache;
namespace cache = flux::cache;
using namespace std::chrono_literals;

int main() {
  // [increment]
  Cache::increment("views");                    // 1: what is missing counts from 0
  Cache::increment("views", 10);                // 11
  Cache::decrement("views", 2);                 // 9
  Cache::increment("today", 1, {.hours = 24});  // a lifetime for a new counter; an old one keeps its own
  // [/increment]
  std::cout << "views: " << Cache::get<int>("views").value_or(0) << '\n';

  // [threads]
  std::vector<std::thread> visitors;
  for (int i = 0; i < 8; ++i)
    visitors.emplace_back([] {
      for (int n = 0; n < 1000; ++n) Cache::increment("visits");
    });
  for (std::thread& one : visitors) one.join();
  std::cout << "8 threads, 1000 visits each: " << Cache::get<int>("visits").value_or(0) << '\n';
  // [/threads]

  // [add]
  // Only one of many gets to do it.
  int sent = 0;
  for (int i = 0; i < 3; ++i)
    if (Cache::add("invoice_42_sent", true, 24h)) ++sent;
  // [/add]
  std::cout << "the invoice went out " << sent << " time(s)\n";

  // [pull]
  // Read and remove in one step: a token is good once.
  Cache::put("reset_token_7", "abc123", 15min);
  const auto first = Cache::pull<std::string>("reset_token_7");
  const auto second = Cache::pull<std::string>("reset_token_7");
  // [/pull]
  std::cout << "token: " << first.value_or("used") << ", then " << second.value_or("used") << '\n';

  // [not-a-number]
  // What is no number is left as it is, and said aloud: no number can be guessed.
  Cache::put("name", "Ada", 1h);
  bool refused = false;
  try {
    Cache::increment("name");
  } catch (const cache::NotANumber& error) {
    std::cout << error.what() << '\n';
    refused = true;
  }
  // [/not-a-number]

  const bool held = Cache::get<int>("views") == 9 && Cache::get<int>("visits") == 8000 && sent == 1 && first &&
                    !second && refused && Cache::get<std::string>("name") == "Ada";
  return held ? 0 : 1;
}
