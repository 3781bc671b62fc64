// examples/07_many.cpp - several keys in one round trip.
#include <flux/cache.hpp>

#include <chrono>
#include <iostream>
#include <map>
#include <string>
#include <vector>

using flux::Cache;
using namespace std::chrono_literals;

struct Product {
  std::string name;
  int cents = 0;
};

int main() {
  // [put]
  // Values of any types under one lifetime; or a map, or any range of pairs.
  Cache::put_many({{"title", "Spring sale"}, {"discount", 20}, {"star", Product{"teapot", 1999}}}, {.hours = 1});
  Cache::put_many(std::map<std::string, int>{{"stock_1", 3}, {"stock_2", 0}}, 1h);
  // [/put]

  // [one-type]
  // One type: reads like a map of optionals, in the order asked.
  const auto stock = Cache::many<int>({"stock_1", "stock_2", "stock_3"});
  for (const auto& [key, left] : stock) std::cout << key << ": " << (left ? std::to_string(*left) : "unknown") << '\n';
  // [/one-type]

  // [mixed]
  // Many types: each answer is read by its own get<T>.
  const auto page = Cache::many({"title", "discount", "star"});
  std::cout << page.get<std::string>("title").value_or("") << ": " << page.get<Product>("star")->name << " with "
            << page.get<int>("discount").value_or(0) << " % off\n";
  // [/mixed]

  // [forget]
  const std::vector<std::string> keys{"stock_1", "stock_2", "stock_3"};
  const std::size_t gone = Cache::forget_many(keys);  // how many there were
  // [/forget]
  std::cout << gone << " of " << keys.size() << " removed\n";

  // [try]
  // Which keys could not be written: empty is good news.
  const auto failed = Cache::try_put_many({{"a", 1}, {"b", 2}}, {.hours = 1});
  // [/try]

  const bool held = stock.at("stock_1") == 3 && stock.at("stock_2") == 0 && !stock.at("stock_3") && gone == 2 &&
                    page.has("star") && failed.ok() && failed->empty();
  return held ? 0 : 1;
}
